/* command.h - what the commands of the control socket need of the daemon and have in common; and the commands. */
#ifndef HOLDFAST_DAEMON_COMMAND_H
#define HOLDFAST_DAEMON_COMMAND_H

#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "control/control.h"
#include "control/events.h"
#include "daemon/reload.h"
#include "daemon/service.h"
#include "daemon/waiting.h"
#include "keep/table.h"

/* How a reload ended, or would end.  Lists of texts end with NULL; a NULL list is empty.  Valid during the callback
 * only. */
struct command_reload_result {
	char *const *errors;   /* borrowed; FILE:LINE: SETTING: what is wrong; not empty: nothing was changed */
	char *const *warnings; /* borrowed */
	const struct reload_plan *plan; /* borrowed */
};

/* What the daemon gives to the commands.  It is the arg of control_new(). */
struct command_context {
	struct event_base *loop; /* borrowed */
	struct table *table;     /* borrowed */
	const char *version;     /* borrowed */
	struct events *events;   /* borrowed */
	void *daemon;            /* borrowed; handed to the functions below */

	/* The services, in the order in which they are shown; NULL when index is past the last.  Removed ones
	 * whose clients have not ended are not among them. */
	struct service *(*service_at)(void *daemon, size_t index);

	/* The same and behind them the removed ones: all that may have clients. */
	struct service *(*with_clients_at)(void *daemon, size_t index);

	/* The effective settings as a valid configuration, of one service or (NULL) of all: a text to be freed
	 * with mem_free(). */
	char *(*config)(void *daemon, const char *service);

	/* log.level of the configuration in force. */
	enum log_level (*log_level)(void *daemon);

	/* Reads the configuration anew; done(arg) comes once, never before this returns, with a struct
	 * command_reload_result.  Several may be asked for at the same time.  dry: only tells what would be done.
	 * force: even if no service is left then. */
	void (*reload)(void *daemon, bool dry, bool force, waiting_done *done, void *arg);

	/* Waits no longer for the reload that was asked for with this arg: no callback; the reload goes on. */
	void (*reload_forget)(void *daemon, void *arg);

	/* Tries the program file; done(arg, error) comes once, never before this returns: error is a text, or NULL:
	 * the keeper executes it at once.  Several may ask at the same time. */
	void (*upgrade)(void *daemon, waiting_done *done, void *arg);
	void (*upgrade_forget)(void *daemon, void *arg);
};

/* The service of this name, or NULL. */
struct service *command_find(const struct command_context *context, const char *name);

/* Likewise; answers the request with an error if there is none. */
struct service *command_need(const struct command_context *context, struct control_request *request,
    const char *name);

/* Likewise; also if it is closed, drained or aborted. */
struct service *command_need_open(const struct command_context *context, struct control_request *request,
    const char *name);

/* Whether there is a service of this name that may have clients, in force or removed; answers if there is none. */
bool command_need_clients(const struct command_context *context, struct control_request *request,
    const char *name);

/* Takes the option out of the words; whether it was there.  With a value the word after it too: *ret_value is
 * that word, or NULL if there is none. */
bool command_take_option(int *argc, char **argv, const char *option, const char **ret_value);

/* Whether the words after the name that options have left are as many, and none looks like an option; if not,
 * the request is answered with its usage. */
bool command_expect(struct control_request *request, int argc, char **argv, int least, int most);

/* Reads a request's word as seconds (base/clock) into microseconds; if it is none the request is answered so. */
bool command_read_seconds(struct control_request *request, const char *word, int64_t *ret_span);

/* JSON: microseconds as seconds; a point of the wall clock, 0 as null. */
json_t *command_span(int64_t span);
json_t *command_time(int64_t wall);

/* A process's number; null for 0, which the kernel gives for one that cannot be seen from here. */
json_t *command_pid(pid_t pid);

typedef void commands_run(void *arg, struct control_request *request, int argc, char **argv);

/* commands_status.c */
commands_run commands_status;

/* commands_endpoints.c */
commands_run commands_endpoints;

/* A new list of the service's endpoints as "endpoints" tells them, those that have failed first. */
json_t *commands_endpoints_of(const struct command_context *context, const struct service *service);

/* commands_clients.c */
commands_run commands_clients, commands_kill;

/* commands_wait.c: answered later. */
commands_run commands_wait, commands_try, commands_close, commands_lookup;

/* commands_switch.c */
commands_run commands_pause, commands_resume, commands_fail;

/* commands_operate.c */
commands_run commands_drain, commands_open, commands_reconnect;

/* commands_reload.c: answered later. */
commands_run commands_reload;

/* commands_upgrade.c */
commands_run commands_upgrade;

#endif

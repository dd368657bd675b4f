/* commands.h - the register of commands of the control socket, and what they need of the daemon. */
#ifndef HOLDFAST_DAEMON_COMMANDS_H
#define HOLDFAST_DAEMON_COMMANDS_H

#include <event2/event.h>
#include <stddef.h>

#include "base/log.h"
#include "control/control.h"
#include "control/events.h"
#include "daemon/reload.h"
#include "daemon/service.h"
#include "daemon/waiting.h"
#include "keep/table.h"

/* How a reload ended, or would end.  Lists of texts end with NULL; a NULL list is empty.  Valid during the callback
 * only. */
struct commands_reload_result {
	char *const *errors;   /* borrowed; FILE:LINE: SETTING: what is wrong; not empty: nothing was changed */
	char *const *warnings; /* borrowed */
	const struct reload_plan *plan; /* borrowed */
};

/* What the daemon gives to the commands.  It is the arg of control_new(). */
struct commands_context {
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
	 * commands_reload_result.  Several may be asked for at the same time.  dry: only tells what would be done.
	 * force: even if no service is left then. */
	void (*reload)(void *daemon, bool dry, bool force, waiting_done *done, void *arg);

	/* Waits no longer for the reload that was asked for with this arg: no callback; the reload goes on. */
	void (*reload_forget)(void *daemon, void *arg);

	/* Tries the program file; done(arg, error) comes once, never before this returns: error is a text, or NULL:
	 * the keeper executes it at once.  Several may ask at the same time. */
	void (*upgrade)(void *daemon, waiting_done *done, void *arg);
	void (*upgrade_forget)(void *daemon, void *arg);
};

/* The register, for control_new(). */
extern const struct control_command commands_register[];

/* The service of this name, or NULL. */
struct service *commands_find(const struct commands_context *context, const char *name);

/* Likewise; answers the request with an error if there is none. */
struct service *commands_need(const struct commands_context *context, struct control_request *request,
    const char *name);

/* Likewise; also if it is closed, drained or aborted. */
struct service *commands_need_open(const struct commands_context *context, struct control_request *request,
    const char *name);

/* Whether there is a service of this name that may have clients, in force or removed; answers if there is none. */
bool commands_need_clients(const struct commands_context *context, struct control_request *request,
    const char *name);

#endif

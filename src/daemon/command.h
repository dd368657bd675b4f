/* command.h - what the commands of the control socket need of the daemon and have in common; and the commands. */
#ifndef HOLDFAST_DAEMON_COMMAND_H
#define HOLDFAST_DAEMON_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "control/control.h"
#include "control/events.h"
#include "control/metrics.h"
#include "control/pending.h"
#include "control/stats.h"
#include "daemon/reload.h"
#include "daemon/service.h"
#include "daemon/services.h"
#include "keep/table.h"

/* What requests wait to be told of (control/pending.h), the daemon saying so. */
enum command_topic {
	COMMAND_RELOAD = 1, /* the next reload; or what one would do: a struct command_reload_result */
	COMMAND_DRY_RUN,
	COMMAND_READING,    /* the one of them that is being read for */
	COMMAND_UPGRADE,    /* whether the new program is good: NULL, it is executed at once; or a text, why not */
};

/* How a reload ended, or would end.  Who answers in pieces holds it meanwhile. */
struct command_reload_result {
	unsigned holders;            /* the last one frees it */
	void (*free)(struct command_reload_result *result);
	struct config_errors errors; /* owned; FILE:LINE: SETTING: what is wrong; not empty: nothing was changed */
	struct reload_plan plan;     /* owned */
};

/* What the daemon gives to the commands.  It is the arg of control_new(). */
struct command_context {
	struct table *table;     /* borrowed */
	const char *version;     /* borrowed */
	struct events *events;   /* borrowed */
	struct services *services; /* borrowed */
	struct pendings pendings;
	void *daemon;            /* borrowed; handed to the functions below */

	/* The effective settings as a configuration, of one service or (NULL) all but those of services, whose group
	 * at its end is empty: a text to be freed with mem_free(). */
	char *(*config)(void *daemon, const char *service);

	/* log.level of the configuration in force. */
	enum log_level (*log_level)(void *daemon);

	/* Reads the configuration again for who waits for COMMAND_RELOAD, or (dry) COMMAND_DRY_RUN; they are never
	 * told before this returns.  force: even if no service is left then. */
	void (*reload)(void *daemon, bool dry, bool force);
};

/* The next service of this name (NULL: of any), from number *at on, which must be 0 first; NULL behind the last.
 * They come in the order in which they are shown; all: behind them come those that a reload has removed, whose
 * clients have not ended. */
struct service *command_next(const struct command_context *context, const char *name, bool all, size_t *at);

/* The same services, as they are now, to be gone through in bits: later ones are left out, and those that go. */
struct command_walk {
	const struct command_context *context; /* borrowed */
	struct service **services;             /* owned: to be freed with mem_free() */
	size_t count, at;
};
void command_walk_begin(struct command_walk *walk, const struct command_context *context, const char *name, bool all);
struct service *command_walk_next(struct command_walk *walk);

/* A request that is answered in bits, of each service; its kind's struct begins with this, and its function end calls
 * command_bits_end() or is that.  pending_work() starts it. */
struct command_bits {
	struct pending pending;
	struct command_walk walk; /* owned */
	size_t told;              /* values in the list that is put */
};
void *command_bits_new(struct command_context *context, const struct pending_kind *kind,
    struct control_request *request, const char *name, bool all);
void command_bits_end(struct pending *pending);

/* Puts a value (its reference is taken) into the list. */
void command_bits_put(struct command_bits *bits, json_t *value);

/* Whether a service that was there before still is, in force or removed. */
bool command_has(const struct command_context *context, const struct service *service);

/* The service of this name; answers the request with an error if there is none. */
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

/* JSON: a process's number; null for 0, which the kernel gives for one that cannot be seen from here. */
json_t *command_pid(pid_t pid);

/* For control_new(), whose arg is a struct command_context. */
extern const struct control_command commands_register[];

typedef void commands_run(void *arg, struct control_request *request, int argc, char **argv);

/* commands_show.c: answered in pieces. */
commands_run commands_status, commands_endpoints, commands_metrics, commands_config;

/* New objects: what "status" tells of the daemon, and of a service; and what "explain" answers. */
json_t *commands_status_of_daemon(const struct command_context *context);
json_t *commands_status_of(const struct service *service);
json_t *commands_explanation(const struct command_context *context, const struct service *service);

/* A new list of the service's endpoints as "endpoints" tells them, those that have failed first. */
json_t *commands_endpoints_of(const struct command_context *context, const struct service *service);

/* A snapshot of all metrics, which is taken in bits (metrics_write()); to be freed with metrics_free(). */
struct metrics *commands_take_metrics(const struct command_context *context, enum metrics_format format);

/* commands_clients.c: the first in pieces. */
commands_run commands_clients, commands_kill;

/* commands_wait.c: answered later. */
void commands_open_all(struct command_context *context, struct control_request *request);
commands_run commands_wait, commands_try, commands_close, commands_lookup, commands_drain, commands_pause;

/* commands_reload.c: answered later. */
commands_run commands_reload, commands_upgrade;

#endif

/* commands_parts.h - what the files daemon/commands*.c share with each other. */
#ifndef HOLDFAST_DAEMON_COMMANDS_PARTS_H
#define HOLDFAST_DAEMON_COMMANDS_PARTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/control.h"
#include "daemon/commands.h"

typedef void commands_run(void *arg, struct control_request *request, int argc, char **argv);

/* commands_status.c */
commands_run commands_status;

/* commands_endpoints.c */
commands_run commands_endpoints;

/* A new list of the service's endpoints as "endpoints" tells them, those that have failed first. */
json_t *commands_endpoints_of(const struct commands_context *context, const struct service *service);

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

/* Takes the option out of the words; whether it was there.  With a value the word after it too: *ret_value is
 * that word, or NULL if there is none. */
bool commands_take_option(int *argc, char **argv, const char *option, const char **ret_value);

/* Whether the words after the name that options have left are as many, and none looks like an option; if not,
 * the request is answered with its usage. */
bool commands_expect(struct control_request *request, int argc, char **argv, int least, int most);

/* Reads a request's word as seconds (base/clock) into microseconds; if it is none the request is answered so. */
bool commands_read_seconds(struct control_request *request, const char *word, int64_t *ret_span);

/* JSON: microseconds as seconds; a point of the wall clock, 0 as null. */
json_t *commands_span(int64_t span);
json_t *commands_time(int64_t wall);

/* A process's number; null for 0, which the kernel gives for one that cannot be seen from here. */
json_t *commands_pid(pid_t pid);

#endif

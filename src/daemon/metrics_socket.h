/* metrics_socket.h - where the metrics are served: opened, guarded, replaced at a reload, and tried again while it
 * cannot be opened; no service waits for it. */
#ifndef HOLDFAST_DAEMON_METRICS_SOCKET_H
#define HOLDFAST_DAEMON_METRICS_SOCKET_H

#include <event2/event.h>
#include <sys/un.h>

#include "config/settings.h"
#include "control/metrics_http.h"
#include "keep/table.h"

struct metrics_socket;

/* Serves what the table names already.  take(arg) makes the snapshot of an answer. */
struct metrics_socket *metrics_socket_new(struct event_base *loop, struct table *table,
    struct metrics *(*take)(void *arg, enum metrics_format format), void *arg);

/* Stops serving; the socket is closed with the daemon, and its path is gone.  NULL is fine. */
void metrics_socket_free(struct metrics_socket *metrics);

/* config (borrowed until the next call) is in force now.  A socket that it wants and that is not there is opened; one
 * that cannot be opened is logged, and tried again. */
void metrics_socket_set(struct metrics_socket *metrics, const struct config *config);

/* A reload: opens what the new configuration needs, *ret_fd or -1 for nothing to open.  NULL, or what is wrong: a
 * text to free with mem_free(). */
char *metrics_socket_prepare(const struct metrics_socket *metrics, const struct config *config, int *ret_fd);

/* What was prepared comes in the place of what was there, before metrics_socket_set(); with a reload that is refused
 * it is closed. */
void metrics_socket_change(struct metrics_socket *metrics, const struct config *config, int fd);
void metrics_socket_undo(int fd);

/* Makes again, and tells, what somebody has removed; tries again what could not be opened.  The path to be watched
 * for that, or "". */
#define METRICS_SOCKET_PATH (sizeof ((struct sockaddr_un *)0)->sun_path)
void metrics_socket_look(struct metrics_socket *metrics, char ret_path[METRICS_SOCKET_PATH]);

/* Why the socket could not be opened; NULL: it is, or is not wanted. */
const char *metrics_socket_error(const struct metrics_socket *metrics);

#endif

/* metrics_socket.h - where metrics and status are served by HTTP; no service waits for it. */
#ifndef HOLDFAST_DAEMON_METRICS_SOCKET_H
#define HOLDFAST_DAEMON_METRICS_SOCKET_H

#include <event2/event.h>

#include "config/settings.h"
#include "control/http.h"
#include "daemon/listen_socket.h"
#include "keep/table.h"

struct metrics_socket;

/* answer(arg) is http_new()'s.  Serves nothing before metrics_socket_set(). */
struct metrics_socket *metrics_socket_new(struct event_base *loop, struct table *table,
    void (*answer)(void *arg, const struct http_asked *asked, struct http_answer *ret_answer), void *arg);

/* The socket is closed, and its path is gone.  NULL is fine. */
void metrics_socket_free(struct metrics_socket *metrics);

/* A reload: opens what the new configuration needs, if anything.  NULL, or what is wrong: a text to free with
 * mem_free(). */
char *metrics_socket_prepare(const struct metrics_socket *metrics, const struct config *config,
    struct prepared_socket *ret_prepared);

/* The configuration is in force now: what it wants is served, at the socket that was prepared, unless none or NULL.
 * One that cannot be opened is logged, and tried again. */
void metrics_socket_set(struct metrics_socket *metrics, const struct config *config,
    struct prepared_socket *prepared);

/* Its socket (borrowed); NULL: none is wanted. */
struct listen_socket *metrics_socket_listen_socket(const struct metrics_socket *metrics);

#endif

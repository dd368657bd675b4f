/* service_sockets.h - where a service's clients come in: a listening socket for each listener of its settings, in
 * their order; told of in its log and history.
 */
#ifndef HOLDFAST_DAEMON_SERVICE_SOCKETS_H
#define HOLDFAST_DAEMON_SERVICE_SOCKETS_H

#include "daemon/listen_socket.h"

struct service_sockets;

/* Of the service with this index in the table, at the sockets that its record names; all is borrowed.  listen is told
 * what listener number i accepts from, as in struct listen_socket_user. */
struct service_sockets *service_sockets_new(struct event_base *loop, struct table *table, uint16_t index,
    const char *runtime_directory, void (*listen)(void *arg, unsigned i, int fd, bool last),
    void *arg);

/* Frees the process's side only; or all are closed and removed as well.  NULL is fine, here and for whatever asks or
 * looks: of a service that ends. */
void service_sockets_free(struct service_sockets *self);
void service_sockets_close(struct service_sockets *self);

/* As listen_socket_settle(), for each of the listeners (borrowed); prepared has a place for each, or is NULL.
 * Sockets beyond are dropped. */
void service_sockets_settle(struct service_sockets *self, const struct listeners_settings *listeners, int64_t delay,
    struct prepared_socket *prepared);

/* That of listener number i; NULL: there is none. */
struct listen_socket *service_sockets_at(const struct service_sockets *self, unsigned i);

/* As listen_socket_look_after(), listen_socket_retry(), of all. */
void service_sockets_look_after(struct service_sockets *self);
void service_sockets_retry(struct service_sockets *self);

/* Their paths, a comma between them (borrowed until the next call). */
const char *service_sockets_text(struct service_sockets *self);

unsigned service_sockets_count(const struct service_sockets *self);

/* Where listener number i is; of systemd's wherever that has put it. */
const char *service_sockets_path(const struct service_sockets *self, unsigned i);

/* Why one could not be opened (borrowed), NULL: all are open; whether nobody can connect to any for such reasons,
 * since when (wall clock), and when the next is tried again. */
const char *service_sockets_error(const struct service_sockets *self);
bool service_sockets_are_shut(const struct service_sockets *self);
int64_t service_sockets_shut_since(const struct service_sockets *self);
int64_t service_sockets_next(const struct service_sockets *self);

#endif

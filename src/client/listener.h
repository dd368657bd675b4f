/* listener.h - a listening socket, mostly a Unix socket: made, guarded, accepted from. */
#ifndef HOLDFAST_CLIENT_LISTENER_H
#define HOLDFAST_CLIENT_LISTENER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "client/listener_settings.h"

/* As the kernel numbers it: SOCK_STREAM ... */
int listener_socket_type(enum listener_type type);

struct listener;

/* The kernel's name for a path, or "@name"; of TCP's one that no socket has.  NULL, or what is wrong with it: a text
 * to free with mem_free(). */
char *listener_name(const char *path, struct sockaddr_un *ret_name, socklen_t *ret_length);

/* Opens a listening socket by the stale-socket rule: a socket file that nobody listens on is replaced, a live
 * one or another kind of file is an error.  Missing directories below runtime_directory are made, 0755.
 * NULL and *ret_fd, *ret_bound (the name that accepted sockets bear) and its length, or what is wrong: a text to
 * free with mem_free(). */
char *listener_open(const struct listener_settings *settings, const char *runtime_directory, int *ret_fd,
    struct sockaddr_un *ret_bound, socklen_t *ret_length);

/* Whether somebody listens at the path, or "@name", in this network namespace.  Nobody is disturbed: the kernel's
 * list is read.  Paths are compared as texts. */
bool listener_is_listening(const char *path);

/* Whether a server accepts connections at the path, or "@name": asked by connecting, which it sees.  Of TCP: whether
 * its port is in use. */
bool listener_is_live(const char *path);

/* Gives an open listener file mode, owner and group of the settings (a reload, or a socket from systemd). */
char *listener_guard(const struct listener_settings *settings);

/* What listener_open() would complain about, or listener_guard() of one that is open; leaves nothing behind.  Binds a
 * socket beside the path for a moment, or where its missing directories would be made, since only the kernel knows
 * what it would refuse.  NULL or a text to free. */
char *listener_rehearse(const struct listener_settings *settings, const char *runtime_directory, bool open);

/* A client has connected: fd is the callee's. */
typedef void listener_callback(void *arg, int fd);

/* Accepts from the listening fd (borrowed), several clients per turn of the loop, until paused or freed.
 * exhausted is called once whenever no file descriptor is left, until accepting works again. */
struct listener *listener_new(struct event_base *loop, int fd, listener_callback *accepted,
    void (*exhausted)(void *arg, int error), void *arg);
void listener_free(struct listener *listener);

/* The last file descriptors are not for clients: accepting rests there as if none were left, as long as there are
 * clients (*clients, borrowed), whose end makes some free. */
void listener_keep_reserve(struct listener *listener, const uint32_t *clients);

/* Whether no file descriptor is left, so that clients wait in the backlog.  Asks the kernel, in that case only. */
bool listener_is_exhausted(const struct listener *listener);

/* Nobody can connect any more (ECONNREFUSED; of TCP: until it is closed nobody is answered); who has connected is
 * still to be accepted. */
void listener_shut(int fd);

/* Accepts all who have connected to a socket that was shut, whatever the limits: it goes. */
void listener_finish(struct listener *listener);

/* Stops and starts accepting; the backlog keeps clients that connect meanwhile. */
void listener_pause(struct listener *listener, bool paused);

#endif

/* metrics_listener.h - where the metrics are served: a listening socket of this host alone.
 *
 * "unix:/PATH" or a loopback address with its port ("127.0.0.1:9464", "[::1]:9464"): what the metrics tell is
 * nobody's business elsewhere, and HTTP without a password must not be reached from there.
 */
#ifndef HOLDFAST_CLIENT_METRICS_LISTENER_H
#define HOLDFAST_CLIENT_METRICS_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "keep/place.h"

/* What is wrong with an address to listen at: a static text, or NULL. */
const char *metrics_listener_check(const char *address);

/* The kernel's name for an address that is right, if it is a Unix socket's. */
bool metrics_listener_name_unix(const char *address, struct sockaddr_un *ret_name, socklen_t *ret_length);

/* Opens the listening socket of an address that is right; a Unix socket by the rules of client/listener.h, "0660".
 * NULL and *ret_fd, or what is wrong: a text to free with mem_free(). */
char *metrics_listener_open(const char *address, const char *runtime_directory, int *ret_fd);

/* Whether the open socket fd listens at this address. */
bool metrics_listener_is_at(int fd, const char *address);

/* Where the file of a Unix socket is; unknown if it has none. */
void metrics_listener_place(int fd, struct place *ret_place);

/* Whether the path of a Unix socket still leads there; true for others. */
bool metrics_listener_is_there(int fd, const struct place *place);

/* Unlinks the path of a Unix socket, if it leads there.  -1 is fine. */
void metrics_listener_unlink(int fd, const struct place *place);

#endif

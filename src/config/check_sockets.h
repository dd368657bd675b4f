/* check_sockets.h - what is wrong with where clients come in: paths, addresses, what is used twice. */
#ifndef HOLDFAST_CONFIG_CHECK_SOCKETS_H
#define HOLDFAST_CONFIG_CHECK_SOCKETS_H

#include <sys/un.h>

#include "config/read.h"

#define CHECK_SOCKETS_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

/* Of all services, of control and metrics: adds errors, and unless text_only warnings. */
void check_sockets(struct reader *reader);

/* Whether one of the service's addresses is a socket of ours: a loop.  Seen here as far as the files tell; a script's
 * and a catalog's addresses are looked at when they are dialled. */
void check_sockets_loop(struct reader *reader, const struct read_service *service);

/* Whether the directories of the service's sockets are there. */
void check_sockets_place(struct reader *reader, const struct read_service *service);

/* The setting at which what is wrong with a listener is told, where "listen.path", say, means one alone. */
const char *check_sockets_setting(const struct listener_settings *listener, const char *name);

#endif

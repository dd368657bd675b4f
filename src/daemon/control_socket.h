/* control_socket.h - the file of the control socket: opened, and made again when somebody has removed it. */
#ifndef HOLDFAST_DAEMON_CONTROL_SOCKET_H
#define HOLDFAST_DAEMON_CONTROL_SOCKET_H

#include "config/settings.h"
#include "control/control.h"
#include "keep/table.h"

/* If there is no control socket yet: the one that a dead worker had opened, or a new one.  NULL, or what is wrong: a
 * text to free with mem_free(). */
char *control_socket_open(struct table *table, const struct config *config);

/* Whether the path leads to it. */
bool control_socket_is_there(const struct table *table, const struct config *config);

/* Makes it again, and tells, if it is not there; control listens on it from then on.  The same result. */
char *control_socket_look(struct table *table, const struct config *config, struct control *control);

/* The daemon ends: the path is gone. */
void control_socket_unlink(const struct table *table, const struct config *config);

#endif

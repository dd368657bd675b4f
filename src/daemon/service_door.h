/* service_door.h - where clients of a service come in: its socket is made, moved to another path, looked after,
 * given to another service.
 *
 * A socket that cannot be opened, which is logged, is tried again after retry.delay; until then the service stays
 * where it is, or nobody can connect.
 */
#ifndef HOLDFAST_DAEMON_SERVICE_DOOR_H
#define HOLDFAST_DAEMON_SERVICE_DOOR_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/crowd.h"
#include "client/listener.h"
#include "client/shared.h"
#include "daemon/door.h"
#include "keep/table.h"

struct service_door;

/* Of the service with this index in the table, at the socket that it has there, if any.  settings, crowd and shared,
 * NULL in session mode, are borrowed. */
struct service_door *service_door_new(struct event_base *loop, struct table *table, uint16_t service,
    const char *runtime_directory, const struct listener_settings *settings, struct crowd *crowd,
    struct shared *shared);

/* Frees the process's side only; or its socket is closed and removed as well.  NULL is fine, here and below but for
 * settle and give: of a service that ends, whose socket is gone. */
void service_door_free(struct service_door *self);
void service_door_close(struct service_door *self);

/* To the door that was prepared, unless none or NULL; else to where these settings (borrowed) want it, unless it is
 * there: a service that begins has none, and a dead worker may have left one in the midst of a reload that moves its
 * socket.  delay: retry.delay. */
void service_door_settle(struct service_door *self, const struct listener_settings *settings, int64_t delay,
    struct door *prepared);

/* Its socket is to be another service's: it takes no clients until it has another.  In the turn of the loop in which
 * the other takes it. */
void service_door_give(struct service_door *self);

/* Whether the socket is not where the settings say: it could not be opened, or its file was removed.  Tries now, if
 * so; makes it again if somebody has removed it. */
bool service_door_is_missing(const struct service_door *self);
void service_door_retry(struct service_door *self);
void service_door_look_after(struct service_door *self);

/* Why it could not be opened (borrowed), NULL: it is open; whether nobody can connect for that reason; when it is
 * tried again. */
const char *service_door_error(const struct service_door *self);
bool service_door_is_shut(const struct service_door *self);
int64_t service_door_next(const struct service_door *self);

#endif

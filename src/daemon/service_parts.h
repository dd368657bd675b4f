/* service_parts.h - the inside of a service, for service.c (who starts what) and the other service_*.c alone.
 */
#ifndef HOLDFAST_DAEMON_SERVICE_PARTS_H
#define HOLDFAST_DAEMON_SERVICE_PARTS_H

#include "base/loop.h"
#include "daemon/service.h"

struct service {
	struct event_base *loop;  /* borrowed */
	struct table *table;      /* borrowed */
	uint16_t index;           /* of the record */
	char *runtime_directory;  /* owned */
	struct service_settings *settings; /* owned */
	struct crowd *crowd;      /* owned */
	struct shared *shared;    /* owned; NULL in session mode */
	struct upstream *upstream;        /* owned; NULL once removed */
	bool removed;
	struct loop_timer ending; /* of a removed service: its limit, or that its last client has gone */
	char *door_error;         /* owned: why its socket could not be opened; NULL: it is as the settings say */
	struct loop_timer door_retry; /* that is tried again */
	struct watch *door_watch; /* owned: for changes where its socket is; NULL not yet */
	bool door_gone;           /* the socket's file was removed or replaced */
	const struct service_callbacks *callbacks; /* borrowed */
	void *arg;
};

/* The service's record in the table. */
struct table_service *service_record(const struct service *service);

/* The record of a living service of this name, or a free one; -1 if the table is full. */
int service_find_record(const struct table *table, const char *name);

/* LIVE raises the generation. */
void service_set_state(struct table_service *record, enum table_state state);

/* All but the word, and without a listener. */
void service_clear_record(struct table_service *record);

struct door;

/* service_door.c: to the door that was prepared, if any; else to where the settings want it, unless it is there: a
 * service that begins has none, and a dead worker may have left one in the midst of a reload that moves its socket.
 * If it cannot be opened, which is logged, the service stays where it is, or has none, and tries again after
 * retry.delay. */
void service_settle_door(struct service *service, struct door *prepared);
void service_on_door_retry(evutil_socket_t fd, short what, void *arg);

/* Whether nobody can connect, since its socket could not be opened. */
bool service_is_shut(const struct service *service);

/* Its socket is looked after no more. */
void service_leave_door(struct service *service);

/* service_share.c: what its clients share, in shared mode; before the crowd is made, and once it is there. */
void service_share(struct service *service);
void service_share_begin(struct service *service);

/* The settings have changed. */
void service_share_set(struct service *service);

/* Where clients are accepted from; -1: no more. */
void service_listen(struct service *service, int fd);

/* Of a removed service, from what the table holds of it. */
void service_share_recall(const struct table_service *record, struct service_settings *settings);

/* service_switch.c: what a dead worker was ordered, and perhaps did not come to do. */
void service_switch_begin(struct service *service);

/* The record of a session as it is shown. */
struct service_client service_client_of(const struct table *table, uint32_t index);

/* A connection that is kept for the last clients only ends with them (P20): looks. */
void service_share_leave(struct service *service);

/* Notes what was done to the service, for the log and for explain. */
void service_note(struct service *service, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

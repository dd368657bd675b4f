/* service_parts.h - the inside of a service, for service.c (who starts what) and service_operate.c (what operators see
 * and do) alone.
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
	struct link *link;        /* owned; NULL once removed */
	bool removed;
	struct loop_timer ending; /* of a removed service: its limit, or that its last client has gone */
	const struct service_callbacks *callbacks; /* borrowed */
	void *arg;
};

/* The service's record in the table. */
struct table_service *service_record(const struct service *service);

#endif

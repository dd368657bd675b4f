/* upstream_settings.h - all that a service's upstream can be told, and whom it tells. */
#ifndef HOLDFAST_UPSTREAM_UPSTREAM_SETTINGS_H
#define HOLDFAST_UPSTREAM_UPSTREAM_SETTINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "upstream/conn.h"
#include "upstream/endpoints.h"
#include "upstream/hello.h"
#include "upstream/lookup.h"
#include "upstream/pconn.h"

#define UPSTREAM_WARM_AUTO UINT_MAX /* of pconn.warm: 1 where that does no harm, else none */

struct upstream_settings {
	struct pconn_settings pconn; /* retry.*, hold_retry, warm */
	struct endpoints_settings endpoints; /* pick and the like; retry.* are taken from pconn's */
	struct lookup_settings lookup;
	struct conn_settings dial;
	struct hello_settings hello;
	int64_t warm_max_age;        /* 0: any age is fine; session mode only */
	bool shared;                 /* one connection, whatever pconn.warm says; no P27, no P28 */
	unsigned standby;            /* shared mode: connections to other endpoints, kept ready for a failover */
	char *on_event;              /* owned; NULL none */
	int64_t on_event_timeout;
	char *notify;                /* owned; NULL none */
};

struct upstream_event;

/* Who subscribes to the events of all services (P12): sees each before its handler does. */
struct upstream_watcher {
	void (*event)(void *arg, const struct table_service *service, const struct upstream_event *event);
	void *arg; /* borrowed */
};

struct upstream_callbacks {
	/* Something has changed for clients: a connection may be there for upstream_take(), or is to be let go
	 * (upstream_moves()), or they are refused from now on, or are not any more (upstream_refuses()). */
	void (*ready)(void *arg);
	/* Connections of clients to this endpoint are to be ended (P33); may come again.  0, of shared mode: the
	 * shared one is given up (reconnect, renewal, close), and the callee ends it without upstream_lost(). */
	void (*lost)(void *arg, uint16_t endpoint);
};

/* What may be waited for, a bit each. */
#define UPSTREAM_WAIT_CONNECTED 1u /* P13; on a closed one an error at once */
#define UPSTREAM_WAIT_RESULT    2u /* P14 */
#define UPSTREAM_WAIT_CLOSED    4u /* P18 */

/* The answer, once: NULL for what was waited for, else why it does not come. */
typedef void upstream_answer(void *arg, const char *error);

#endif

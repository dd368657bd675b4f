/* fake_service.h - for tests: what commands reach of a service and of its upstream, in place of daemon/service and
 * upstream/upstream. */
#ifndef HOLDFAST_TESTS_FAKE_SERVICE_H
#define HOLDFAST_TESTS_FAKE_SERVICE_H

#include "daemon/services.h"

struct upstream_waiter {
	upstream_answer *answer;
	void *arg;
};

struct lookup_waiter {
	lookup_callback *callback;
	void *arg;
};

struct upstream {
	struct upstream_waiter *waiter; /* owned */
	struct lookup_waiter *lookup; /* owned */
	bool refuses;
	unsigned reconnects;
};

struct service {
	const char *name;
	struct upstream *upstream;
	struct service_status status;
	struct table_service record;
	unsigned ended;  /* bits of sessions killed */
	uint32_t gone;   /* a client that has gone since it was listed; 0 none */
	bool drained, opened, killed;
	struct service_left left;
	int pair[2];     /* a client's socket and ours */
};

#define FAKE_SERVICES 1024

extern struct service *fake_services; /* FAKE_SERVICES of them */
extern size_t fake_service_count;     /* of them are there */
extern size_t fake_services_asked;    /* how often service_get_status() and service_get_client() were called */
extern struct upstream fake_upstreams[FAKE_SERVICES];

/* A service that waits after "Connection refused", with three clients. */
void fake_service_setup(unsigned index, const char *name);
void fake_service_teardown(unsigned index);

#endif

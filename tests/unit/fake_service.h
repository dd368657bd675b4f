/* fake_service.h - for tests: what commands reach of a service and of its link, in place of daemon/service and
 * upstream/link. */
#ifndef HOLDFAST_TESTS_FAKE_SERVICE_H
#define HOLDFAST_TESTS_FAKE_SERVICE_H

#include "daemon/service.h"

struct link_waiter {
	link_answer *answer;
	void *arg;
};

struct lookup_waiter {
	lookup_callback *callback;
	void *arg;
};

struct link {
	struct link_waiter *waiter; /* owned */
	struct lookup_waiter *lookup; /* owned */
	bool refuses;
	unsigned reconnects;
};

struct service {
	const char *name;
	struct link *link;
	struct service_status status;
	unsigned ended;  /* bits of sessions killed */
	bool drained, opened, killed;
	struct service_left left;
	int pair[2];     /* a client's socket and ours */
};

extern struct service fake_services[2];
extern struct link fake_links[2];

/* A service that waits after "Connection refused", with three clients. */
void fake_service_setup(unsigned index, const char *name);
void fake_service_teardown(unsigned index);

#endif

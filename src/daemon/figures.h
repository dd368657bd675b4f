/* figures.h - all figures there are, in tables of rows (control/stats.h), and the objects that they are of. */
#ifndef HOLDFAST_DAEMON_FIGURES_H
#define HOLDFAST_DAEMON_FIGURES_H

#include "base/address.h"
#include "control/metrics.h"
#include "control/stats.h"
#include "daemon/service.h"
#include "keep/table.h"
#include "upstream/record.h"

/* Of the daemon, of services, of endpoints. */
extern const struct stats_row *const figures_rows[METRICS_TABLES];

struct figures_daemon {
	struct stats_object object;
	const char *version;         /* borrowed */
	int64_t pid, worker_pid;
	uint64_t services, max_files, max_memory, memory, short_of_memory;
};

struct figures_service {
	struct stats_object object;
	struct service_status status;
	const char *name, *mode, *state, *accepting_paused_by; /* borrowed */
	int64_t held_longest, paused_since;
	int64_t tls_expires;         /* wall clock: the first end of a certificate; 0 none */
};

struct figures_endpoint {
	struct stats_object object;
	const char *service, *state; /* borrowed */
	char address[ADDRESS_TEXT_SIZE];
	uint64_t priority, weight, connections;
	bool up;
	int64_t failed_until, withdrawn_since, connect_span;
};

/* Looks at an object, which the rows' functions may be asked about until the loop's next turn.  It must stay where it
 * is. */
void figures_of_daemon(struct figures_daemon *figures, const struct table *table, const char *version,
    size_t services);
void figures_of_service(struct figures_service *figures, const struct service *service);
void figures_of_endpoint(struct figures_endpoint *figures, const struct table *table, const struct service *service,
    const struct endpoint *endpoint);

#endif

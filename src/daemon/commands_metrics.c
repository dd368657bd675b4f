#include "daemon/commands_metrics.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "keep/budget.h"
#include "upstream/record.h"

/* Of all services together; those of further ones are left out. */
#define METRICS_ENDPOINTS 4096

static void
metrics_take_upstream(struct metrics_service *metrics, const struct upstream_status *upstream)
{
	int64_t down = upstream->down_since == 0 ? 0 : clock_wall() - upstream->down_since;

	metrics->up = upstream->up;
	metrics->down = down > 0 ? down : 0; /* the wall clock may have been set back */
	metrics->warm = upstream->warm;
	metrics->standby = upstream->standby;
	metrics->outages = upstream->counters.outages;
	metrics->attempts = upstream->counters.attempts;
	metrics->connects = upstream->counters.connects;
	metrics->disconnects = upstream->counters.disconnects;
	metrics->lookup_failures = upstream->counters.lookup_failures;
	metrics->expiries = upstream->counters.expiries;
	metrics->handler_failures = upstream->counters.handler_failures;
	metrics->notify_dropped = upstream->counters.notify_dropped;
}

static void
metrics_take_counters(struct metrics_service *metrics, const struct table_counters *counters)
{
	metrics->accepted = counters->clients;
	metrics->refused_down = counters->refused_down;
	metrics->refused_held_max = counters->refused_held_max;
	metrics->refused_hold_timeout = counters->refused_hold_timeout;
	metrics->refused_permission = counters->refused_permission;
	metrics->refused_per_user = counters->refused_per_user;
	metrics->lost_bytes = counters->lost_bytes;
}

static void
metrics_take_shared(struct metrics_service *metrics, const struct shared_status *shared)
{
	metrics->in_flight = shared->in_flight;
	metrics->queued = shared->queued;
	memcpy(metrics->messages, shared->messages, sizeof metrics->messages);
	metrics->losses = shared->lost;
	metrics->retries = shared->retried;
}

/* At most so many; how many there were room for. */
static size_t
metrics_take_endpoints(struct metrics_service *metrics, const struct table *table, uint16_t index, size_t most)
{
	const struct endpoints *e = &record_of(table, index)->endpoints;
	struct address address;

	metrics->endpoints = e->high == 0 ? NULL : mem_new(e->high, sizeof *metrics->endpoints);
	for (uint32_t i = 0; i < e->high && metrics->endpoint_count < most; i++) {
		const struct endpoint *endpoint = &e->list[i];
		struct metrics_endpoint *taken = &metrics->endpoints[metrics->endpoint_count];

		if (endpoint->number == 0)
			continue;
		endpoint_address(endpoint, &address);
		address_format(&address, taken->address);
		taken->up = endpoints_state(e, endpoint) == ENDPOINT_OK;
		taken->connections = table_conns_open(table, index, endpoint->number);
		taken->connects = endpoint->connects;
		taken->failures = endpoint->failures_total;
		metrics->endpoint_count++;
	}
	return metrics->endpoint_count;
}

static void
metrics_take_service(struct metrics_service *metrics, const struct service *service, const struct table *table)
{
	const struct table_service *record = &table->services[service_index(service)];
	struct service_status status;

	service_get_status(service, &status);
	snprintf(metrics->name, sizeof metrics->name, "%s", service_name(service));
	metrics->shared = status.mode == SERVICE_SHARED;
	metrics->paused = status.record->pause.value != 0;
	metrics->failing = status.record->failing.value != 0;
	metrics->clients = status.clients;
	metrics->held = status.held;
	metrics->max_clients = service_get_settings(service)->clients.max_clients;
	memcpy(metrics->bytes, status.bytes, sizeof metrics->bytes);
	metrics_take_upstream(metrics, &status.upstream);
	metrics_take_counters(metrics, &status.record->counters);
	metrics->pauses_max_clients = status.record->pauses[TABLE_PAUSE_MAX_CLIENTS];
	metrics->pauses_max_held = status.record->pauses[TABLE_PAUSE_MAX_HELD];
	metrics->pauses_files = status.record->pauses[TABLE_PAUSE_FILES];
	metrics_take_shared(metrics, &status.shared);
	memcpy(metrics->histogram, record->histogram, sizeof metrics->histogram);
}

static void
metrics_take_daemon(struct metrics *metrics, const struct command_context *context)
{
	const struct table_header *header = context->table->header;
	struct metrics_daemon *daemon = &metrics->daemon;

	snprintf(daemon->version, sizeof daemon->version, "%s", context->version);
	daemon->worker_restarts = header->worker_restarts;
	daemon->restarts = header->restarts;
	daemon->upgrades = header->upgrades;
	daemon->log_lines_lost = header->log.lost;
	daemon->config_ok = header->config_error[0] == '\0';
	daemon->services = metrics->count;
	daemon->max_files = header->shape.files - 1;
	daemon->memory = budget_taken(context->table->budget);
	daemon->max_memory = budget_most(context->table->budget);
	daemon->short_of_memory = budget_short_all(context->table->budget);
	daemon->started = header->started;
}

struct metrics *
commands_take_metrics(const struct command_context *context, enum metrics_format format)
{
	struct metrics *metrics;
	const struct service *service;
	size_t count = 0, left = METRICS_ENDPOINTS;

	while (context->service_at(context->daemon, count) != NULL)
		count++;
	metrics = metrics_new(format, count);
	metrics_take_daemon(metrics, context);
	for (size_t i = 0; i < count; i++) {
		service = context->service_at(context->daemon, i);
		metrics_take_service(&metrics->services[i], service, context->table);
		left -= metrics_take_endpoints(&metrics->services[i], context->table, service_index(service), left);
	}
	return metrics;
}

void
commands_metrics(void *arg, struct control_request *request, int argc, char **argv)
{
	enum metrics_format format = command_take_option(&argc, argv, "--openmetrics", NULL) ? METRICS_OPENMETRICS
	    : METRICS_PROMETHEUS;
	struct metrics *metrics;
	struct evbuffer *text;

	if (!command_expect(request, argc, argv, 0, 0))
		return;
	metrics = commands_take_metrics(arg, format);
	text = evbuffer_new();
	metrics_write(metrics, text, SIZE_MAX);
	control_answer_text(request, "metrics", text);
	evbuffer_free(text);
	metrics_free(metrics);
}

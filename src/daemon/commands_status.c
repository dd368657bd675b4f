/* status: how the services are, field by field as promised. */
#include <unistd.h>

#include "base/clock.h"
#include "client/peer.h"
#include "daemon/command.h"
#include "keep/budget.h"

static void
status_set(json_t *object, const char *key, uint64_t number)
{
	json_object_set_new(object, key, json_integer((json_int_t)number));
}

static void
status_set_bool(json_t *object, const char *key, bool yes)
{
	json_object_set_new(object, key, json_boolean(yes));
}

/* Until a deadline, or since a point, of the monotonic clock; 0 is null. */
static json_t *
status_span_between(int64_t from, int64_t to)
{
	if (from == 0 || to == 0 || to == CLOCK_NEVER)
		return json_null();
	return command_span(to > from ? to - from : 0);
}

static void
status_add_upstream(json_t *object, const struct upstream_status *upstream)
{
	json_object_set_new(object, "state", json_string(upstream_state_name(upstream->state)));
	status_set_bool(object, "up", upstream->up);
	json_object_set_new(object, "address", control_text_or_null(upstream->address));
	json_object_set_new(object, "since", command_time(upstream->since));
	json_object_set_new(object, "down_since", command_time(upstream->down_since));
	status_set(object, "failures", upstream->failures);
	status_set(object, "outages", upstream->counters.outages);
	json_object_set_new(object, "next_attempt_in_seconds", status_span_between(clock_now(),
	    upstream->next_attempt));
	json_object_set_new(object, "last_error", control_text_or_null(upstream->last_error));
	json_object_set_new(object, "last_error_at", command_time(upstream->last_error_at));
	json_object_set_new(object, "lookup", control_text_or_null(upstream->lookup));
	json_object_set_new(object, "lookup_running_seconds",
	    status_span_between(upstream->lookup_running_since, clock_now()));
}

static void
status_add_clients(json_t *object, const struct service_status *status)
{
	status_set(object, "clients", status->clients);
	status_set(object, "held", status->held);
	json_object_set_new(object, "held_longest_seconds",
	    status->held == 0 ? json_null() : command_span(status->held_longest));
	status_set(object, "in_flight", status->shared.in_flight);
	status_set(object, "warm", status->upstream.warm);
	status_set_bool(object, "resting", status->upstream.resting);
	status_set_bool(object, "withdrawn", status->upstream.withdrawn);
	status_set_bool(object, "paused", status->record->pause.value != 0);
}

static const char *const status_pauses[TABLE_PAUSES] = {
	[TABLE_PAUSE_MAX_CLIENTS] = "max_clients", [TABLE_PAUSE_MAX_HELD] = "max_held", [TABLE_PAUSE_FILES] = "files",
};

static json_t *
status_pause_counts(const uint64_t *pauses)
{
	json_t *object = json_object();

	for (int why = TABLE_PAUSE_NONE + 1; why < TABLE_PAUSES; why++)
		status_set(object, status_pauses[why], pauses[why]);
	return object;
}

static void
status_add_counters(json_t *object, const struct service_status *status)
{
	const struct upstream_status *upstream = &status->upstream;

	status_set(object, "attempts", upstream->counters.attempts);
	status_set(object, "connects", upstream->counters.connects);
	status_set(object, "disconnects", upstream->counters.disconnects);
	status_set(object, "bytes_from_clients", status->bytes[TABLE_UP]);
	status_set(object, "bytes_to_clients", status->bytes[TABLE_DOWN]);
	json_object_set_new(object, "socket", control_text_or_null(status->socket));
	json_object_set_new(object, "socket_error", control_text_or_null(status->socket_error));
	status_set(object, "clients_total", status->record->counters.clients);
	status_set(object, "lost_bytes", status->record->counters.lost_bytes);
	status_set(object, "lookup_failures", upstream->counters.lookup_failures);
	status_set(object, "expiries", upstream->counters.expiries);
	status_set(object, "handler_failures", upstream->counters.handler_failures);
	status_set(object, "notify_dropped", upstream->counters.notify_dropped);
	status_set(object, "candidates", upstream->endpoints);
	status_set(object, "dialling", upstream->dialling);
	status_set_bool(object, "accepting_paused", status->accepting_paused != TABLE_PAUSE_NONE);
	json_object_set_new(object, "accepting_paused_by",
	    control_text_or_null(status_pauses[status->accepting_paused]));
	json_object_set_new(object, "accepting_pauses", status_pause_counts(status->record->pauses));
}

static void
status_add_shared(json_t *object, const struct service_status *status)
{
	const struct shared_status *shared = &status->shared;

	status_set(object, "queued", shared->queued);
	status_set(object, "messages_from_clients", shared->messages[TABLE_UP]);
	status_set(object, "messages_to_clients", shared->messages[TABLE_DOWN]);
	status_set(object, "losses", shared->lost);
	status_set(object, "retries", shared->retried);
	status_set(object, "standby", status->upstream.standby);
}

static json_t *
status_refused(const struct table_counters *counters)
{
	json_t *object = json_object();

	status_set(object, "down", counters->refused_down);
	status_set(object, "max_held", counters->refused_held_max);
	status_set(object, "hold_timeout", counters->refused_hold_timeout);
	status_set(object, "permission", counters->refused_permission);
	status_set(object, "max_clients_per_user", counters->refused_per_user);
	return object;
}

static json_t *
status_user(uint32_t uid)
{
	char user[PEER_UNIT_SIZE];

	peer_user(uid, user, sizeof user);
	return control_text(user);
}

static json_t *
status_failing(const struct table_order *order)
{
	if (order->value == 0)
		return json_null();
	return json_pack("{s:o, s:i, s:o, s:o}", "by", status_user(order->uid), "uid", (int)order->uid,
	    "since", command_time(order->since),
	    "left_seconds", status_span_between(clock_now(), (int64_t)order->value));
}

static void
status_add_orders(json_t *object, const struct table_service *record)
{
	bool paused = record->pause.value != 0;

	json_object_set_new(object, "paused_by", paused ? status_user(record->pause.uid) : json_null());
	json_object_set_new(object, "paused_since", command_time(paused ? record->pause.since : 0));
	json_object_set_new(object, "failing", status_failing(&record->failing));
}

static json_t *
status_administered(const struct table_service *record)
{
	if (record->administered == TABLE_ADMIN_NONE)
		return json_null();
	return json_pack("{s:s, s:o, s:i, s:o}",
	    "what", record->administered == TABLE_ADMIN_CLOSED ? "closed" : "drained",
	    "by", status_user(record->administered_uid), "uid", (int)record->administered_uid,
	    "since", command_time(record->administered_since));
}

static json_t *
status_service(const struct service *service)
{
	json_t *object = json_object();
	struct service_status status;

	service_get_status(service, &status);
	json_object_set_new(object, "service", json_string(service_name(service)));
	json_object_set_new(object, "mode", json_string(status.mode == SERVICE_SHARED ? "shared" : "session"));
	status_add_upstream(object, &status.upstream);
	status_add_clients(object, &status);
	status_add_counters(object, &status);
	if (status.mode == SERVICE_SHARED)
		status_add_shared(object, &status);
	json_object_set_new(object, "refused", status_refused(&status.record->counters));
	json_object_set_new(object, "administered", status_administered(status.record));
	status_add_orders(object, status.record);
	return object;
}

/* Services that a reload has removed, whose clients have not ended. */
static json_t *
status_removed(const struct command_context *context)
{
	json_t *list = json_array();
	struct service_status status;
	struct service *service;

	for (size_t i = 0; (service = context->with_clients_at(context->daemon, i)) != NULL; i++) {
		service_get_status(service, &status);
		if (status.removed)
			json_array_append_new(list, json_pack("{s:s, s:i, s:o}", "service", service_name(service),
			    "clients", (int)status.clients,
			    "closed_in_seconds", status_span_between(clock_now(), status.record->drain_deadline)));
	}
	return list;
}

static json_t *
status_daemon(const struct command_context *context)
{
	const struct table_header *header = context->table->header;
	json_t *object = json_object();

	json_object_set_new(object, "pid", json_integer(header->keeper_pid != 0 ? header->keeper_pid : getpid()));
	json_object_set_new(object, "worker_pid", json_integer(getpid()));
	status_set(object, "worker_restarts", header->worker_restarts);
	json_object_set_new(object, "version", json_string(context->version));
	json_object_set_new(object, "started", command_time(header->started));
	json_object_set_new(object, "config_error", control_text_or_null(header->config_error));
	json_object_set_new(object, "program", control_text_or_null(header->program));
	status_set(object, "upgrades", header->upgrades);
	json_object_set_new(object, "upgrade_error", control_text_or_null(header->upgrade_error));
	status_set(object, "restarts", header->restarts);
	status_set(object, "log_lines_lost", header->log.lost);
	status_set_bool(object, "ready", header->ready != 0);
	status_set_bool(object, "stopping", header->stop_deadline != 0);
	json_object_set_new(object, "stop_in_seconds", status_span_between(clock_now(), header->stop_deadline));
	status_set(object, "max_memory", budget_most(context->table->budget));
	status_set(object, "memory_used", budget_taken(context->table->budget));
	status_set(object, "short_of_memory", budget_short_all(context->table->budget));
	json_object_set_new(object, "removed", status_removed(context));
	return object;
}

void
commands_status(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct command_context *context = arg;
	json_t *object, *list;
	struct service *service;

	if (argc > 1 && command_need(context, request, argv[1]) == NULL)
		return;
	object = status_daemon(context);
	list = json_array();
	for (size_t i = 0; (service = context->service_at(context->daemon, i)) != NULL; i++)
		if (argc == 1 || service == command_find(context, argv[1]))
			json_array_append_new(list, status_service(service));
	json_object_set_new(object, "services", list);
	control_answer(request, object);
}

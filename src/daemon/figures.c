#include "daemon/figures.h"

#include <unistd.h>

#include "base/clock.h"
#include "client/peer.h"
#include "keep/budget.h"

/* Sorts of services. */
#define SESSIONS 1u
#define SHARED   2u

/* Sorts of endpoints. */
#define PLAIN 1u
#define TLS   2u

/* Where a figure lies: in which part, at which member. */
#define AT(number, type, member) \
	.part = (number), .offset = offsetof(type, member), .size = sizeof ((type *)0)->member
#define FIGURES  0
#define OTHER    1
#define RECORD   2
#define SETTINGS 3

#define OF_DAEMON(member)   AT(FIGURES, struct figures_daemon, member)
#define OF_HEADER(member)   AT(OTHER, struct table_header, member)
#define OF_SERVICE(member)  AT(FIGURES, struct figures_service, member)
#define OF_STATUS(member)   AT(OTHER, struct service_status, member)
#define OF_UPSTREAM(member) AT(OTHER, struct service_status, upstream.member)
#define OF_RECORD(member)   AT(RECORD, struct table_service, member)
#define OF_SETTINGS(member) AT(SETTINGS, struct service_settings, member)
#define OF_FIGURES(member)  AT(FIGURES, struct figures_endpoint, member)
#define OF_ENDPOINT(member) AT(OTHER, struct endpoint, member)
#define MADE_BY(function)   .make = (function)

#define GAUGE(name, text)     .metric = (name), .type = STATS_GAUGE, .help = (text)
#define COUNTER(name, text)   .metric = (name), .type = STATS_COUNTER, .help = (text)
/* One more row of the family above. */
#define MORE(name, text)      COUNTER(name, NULL), .label = (text)
#define REASON(name, text)    MORE(name, "reason=\"" text "\"")
#define HISTOGRAM(name, of, text) \
	NULL, STATS_HISTOGRAM, OF_RECORD(histogram[of]), .histogram = (of), GAUGE(name, text), .unit = "seconds"

static const struct stats_row rows_of_daemon[] = {
	{ "pid", STATS_COUNT, OF_DAEMON(pid) },
	{ "worker_pid", STATS_COUNT, OF_DAEMON(worker_pid) },
	{ "worker_restarts", STATS_COUNT, OF_HEADER(worker_restarts),
	    COUNTER("holdfast_worker_restarts", "How often a worker has died and was replaced.") },
	{ "version", STATS_TEXT, OF_DAEMON(version), .metric = "holdfast_build", .type = STATS_INFO,
	    .help = "The version that runs." },
	{ "started", STATS_TIME, OF_HEADER(started), .unit = "seconds",
	    GAUGE("holdfast_start_time_seconds", "When the daemon was started, in Unix time.") },
	{ "config_error", STATS_CHARS, OF_HEADER(config_error),
	    GAUGE("holdfast_config_ok", "0 if the configuration files are bad: an older one is in force.") },
	{ "program", STATS_CHARS, OF_HEADER(program) },
	{ "upgrades", STATS_COUNT, OF_HEADER(upgrades),
	    COUNTER("holdfast_upgrades", "Upgrades to another program.") },
	{ "upgrade_error", STATS_CHARS, OF_HEADER(upgrade_error) },
	{ "restarts", STATS_COUNT, OF_HEADER(restarts),
	    COUNTER("holdfast_restarts", "Restarts that kept the clients.") },
	{ "log_lines_lost", STATS_COUNT, OF_HEADER(log.lost),
	    COUNTER("holdfast_log_lines_lost", "Log lines that the journal or standard error did not take.") },
	{ "ready", STATS_FLAG, OF_HEADER(ready) },
	{ "stopping", STATS_FLAG, OF_HEADER(stop_deadline) },
	{ "stop_in_seconds", STATS_UNTIL, OF_HEADER(stop_deadline) },
	{ "max_memory", STATS_COUNT, OF_DAEMON(max_memory), .unit = "bytes",
	    GAUGE("holdfast_max_memory_bytes", "The bound of holdfast_memory_bytes, max_memory.") },
	{ "memory_used", STATS_COUNT, OF_DAEMON(memory), .unit = "bytes",
	    GAUGE("holdfast_memory_bytes", "Memory that buffers use.") },
	{ "short_of_memory", STATS_COUNT, OF_DAEMON(short_of_memory),
	    GAUGE("holdfast_short_of_memory", "Connections slowed down because buffers are at max_memory.") },
	{ NULL, STATS_COUNT, OF_DAEMON(services), GAUGE("holdfast_services", "Services that are configured.") },
	{ NULL, STATS_COUNT, OF_DAEMON(max_files),
	    GAUGE("holdfast_max_files", "How many file descriptors can be open at once.") },
	{ .key = NULL },
};

static const struct table_service *
figures_record(const struct stats_object *object)
{
	return object->part[RECORD];
}

static json_t *
figures_user(uint32_t uid)
{
	char user[PEER_UNIT_SIZE];

	peer_user(uid, user, sizeof user);
	return stats_text(user);
}

static json_t *
figures_administered(const struct stats_object *object)
{
	const struct table_service *record = figures_record(object);

	if (record->administered == TABLE_ADMIN_NONE)
		return json_null();
	return json_pack("{s:s, s:o, s:i, s:o}",
	    "what", record->administered == TABLE_ADMIN_CLOSED ? "closed" : "drained",
	    "by", figures_user(record->administered_uid), "uid", (int)record->administered_uid,
	    "since", stats_time(record->administered_since));
}

static json_t *
figures_paused_by(const struct stats_object *object)
{
	const struct table_order *pause = &figures_record(object)->pause;

	return pause->value != 0 ? figures_user(pause->uid) : json_null();
}

static json_t *
figures_failing(const struct stats_object *object)
{
	const struct table_order *failing = &figures_record(object)->failing;

	if (failing->value == 0)
		return json_null();
	return json_pack("{s:o, s:i, s:o, s:o}", "by", figures_user(failing->uid), "uid", (int)failing->uid,
	    "since", stats_time(failing->since),
	    "left_seconds", stats_between(clock_now(), (int64_t)failing->value));
}

static json_t *
figures_sockets(const struct stats_object *object)
{
	const struct service_status *status = object->part[OTHER];
	json_t *sockets = json_array();

	for (unsigned i = 0; i < status->socket_count; i++)
		json_array_append_new(sockets, json_pack("{s:o, s:o}", "socket", stats_text(status->sockets[i].path),
		    "error", stats_text_or_null(status->sockets[i].error)));
	return sockets;
}

static const struct stats_row rows_of_services[] = {
	{ "service", STATS_TEXT, OF_SERVICE(name) },
	{ "mode", STATS_TEXT, OF_SERVICE(mode) },
	{ "state", STATS_TEXT, OF_SERVICE(state) },
	{ "up", STATS_FLAG, OF_UPSTREAM(up),
	    GAUGE("holdfast_up", "1 unless the last thing known of it is a failure.") },
	{ "address", STATS_TEXT, OF_UPSTREAM(address) },
	{ "since", STATS_TIME, OF_UPSTREAM(since) },
	{ "down_since", STATS_AGE, OF_UPSTREAM(down_since), .unit = "seconds",
	    GAUGE("holdfast_down_seconds", "For how long it has been down, 0 while up.") },
	{ "failures", STATS_COUNT, OF_UPSTREAM(failures) },
	{ "outages", STATS_COUNT, OF_UPSTREAM(counters.outages),
	    COUNTER("holdfast_outages", "Losses, and first attempts that failed, until connected again.") },
	{ "next_attempt_in_seconds", STATS_UNTIL, OF_UPSTREAM(next_attempt) },
	{ "last_error", STATS_TEXT, OF_UPSTREAM(last_error) },
	{ "last_error_at", STATS_TIME, OF_UPSTREAM(last_error_at) },
	{ "lookup", STATS_TEXT, OF_UPSTREAM(lookup) },
	{ "lookup_running_seconds", STATS_SINCE, OF_UPSTREAM(lookup_running_since) },
	{ "clients", STATS_COUNT, OF_STATUS(clients),
	    GAUGE("holdfast_clients", "Clients that are served, without the held.") },
	{ "held", STATS_COUNT, OF_STATUS(held),
	    GAUGE("holdfast_clients_held", "Clients that wait for a connection.") },
	{ "held_longest_seconds", STATS_SPAN, OF_SERVICE(held_longest) },
	{ "in_flight", STATS_COUNT, OF_STATUS(shared.in_flight), .metric_sorts = SHARED,
	    GAUGE("holdfast_requests_in_flight", "Requests that the upstream has not answered.") },
	{ "warm", STATS_COUNT, OF_UPSTREAM(warm), .metric_sorts = SESSIONS,
	    GAUGE("holdfast_warm", "Connections that are ready for the next client.") },
	{ "resting", STATS_FLAG, OF_UPSTREAM(resting) },
	{ "withdrawn", STATS_FLAG, OF_UPSTREAM(withdrawn) },
	{ "paused", STATS_FLAG, OF_RECORD(pause.value),
	    GAUGE("holdfast_paused", "1 while an operator has it paused.") },
	{ "attempts", STATS_COUNT, OF_UPSTREAM(counters.attempts),
	    COUNTER("holdfast_attempts", "Attempts to connect.") },
	{ "connects", STATS_COUNT, OF_UPSTREAM(counters.connects),
	    COUNTER("holdfast_connects", "How often it became connected.") },
	{ "disconnects", STATS_COUNT, OF_UPSTREAM(counters.disconnects),
	    COUNTER("holdfast_disconnects", "How often it was lost or given up.") },
	{ "bytes_from_clients", STATS_COUNT, OF_STATUS(bytes[TABLE_UP]), .unit = "bytes",
	    COUNTER("holdfast_bytes", "What was passed on."), .label = "direction=\"from_clients\"" },
	{ "bytes_to_clients", STATS_COUNT, OF_STATUS(bytes[TABLE_DOWN]),
	    MORE("holdfast_bytes", "direction=\"to_clients\"") },
	{ "socket", STATS_TEXT, OF_STATUS(socket) },
	{ "socket_error", STATS_TEXT, OF_STATUS(socket_error) },
	{ "sockets", STATS_MADE, MADE_BY(figures_sockets) },
	{ "sockets_missing", STATS_COUNT, OF_STATUS(sockets_missing),
	    GAUGE("holdfast_sockets_missing", "Sockets of it that could not be opened.") },
	{ "clients_total", STATS_COUNT, OF_RECORD(counters.clients),
	    COUNTER("holdfast_clients_accepted", "Clients that connected and were let in.") },
	{ "lost_bytes", STATS_COUNT, OF_RECORD(counters.lost_bytes), .metric_sorts = SESSIONS, .unit = "bytes",
	    COUNTER("holdfast_lost_bytes", "Given to connections that died, of clients that stayed.") },
	{ "lookup_failures", STATS_COUNT, OF_UPSTREAM(counters.lookup_failures),
	    COUNTER("holdfast_lookup_failures", "Lookups that failed.") },
	{ "expiries", STATS_COUNT, OF_UPSTREAM(counters.expiries),
	    COUNTER("holdfast_expiries", "Ready connections that the server ended unused.") },
	{ "handler_failures", STATS_COUNT, OF_UPSTREAM(counters.handler_failures),
	    COUNTER("holdfast_handler_failures", "Event handlers that failed or took too long.") },
	{ "notify_dropped", STATS_COUNT, OF_UPSTREAM(counters.notify_dropped),
	    COUNTER("holdfast_notify_dropped", "Events that the notify program was too slow for.") },
	{ "candidates", STATS_COUNT, OF_UPSTREAM(endpoints) },
	{ "dialling", STATS_COUNT, OF_UPSTREAM(dialling) },
	{ "accepting_paused", STATS_FLAG, OF_STATUS(accepting_paused) },
	{ "accepting_paused_by", STATS_TEXT, OF_SERVICE(accepting_paused_by) },
	{ "accepting_pauses.max_clients", STATS_COUNT, OF_RECORD(pauses[TABLE_PAUSE_MAX_CLIENTS]),
	    COUNTER("holdfast_accepting_pauses", "How often clients began to wait in the backlog."),
	    .label = "reason=\"max_clients\"" },
	{ "accepting_pauses.max_held", STATS_COUNT, OF_RECORD(pauses[TABLE_PAUSE_MAX_HELD]),
	    REASON("holdfast_accepting_pauses", "max_held") },
	{ "accepting_pauses.files", STATS_COUNT, OF_RECORD(pauses[TABLE_PAUSE_FILES]),
	    REASON("holdfast_accepting_pauses", "files") },
	{ "queued", STATS_COUNT, OF_STATUS(shared.queued), .sorts = SHARED, .metric_sorts = SHARED,
	    GAUGE("holdfast_requests_queued", "Requests that were not sent yet.") },
	{ "messages_from_clients", STATS_COUNT, OF_STATUS(shared.messages[TABLE_UP]), .sorts = SHARED,
	    .metric_sorts = SHARED, COUNTER("holdfast_messages", "Messages that were passed on."),
	    .label = "direction=\"from_clients\"" },
	{ "messages_to_clients", STATS_COUNT, OF_STATUS(shared.messages[TABLE_DOWN]), .sorts = SHARED,
	    .metric_sorts = SHARED, MORE("holdfast_messages", "direction=\"to_clients\"") },
	{ "losses", STATS_COUNT, OF_STATUS(shared.lost), .sorts = SHARED, .metric_sorts = SHARED,
	    COUNTER("holdfast_requests_lost", "Requests that failed with their connection.") },
	{ "retries", STATS_COUNT, OF_STATUS(shared.retried), .sorts = SHARED, .metric_sorts = SHARED,
	    COUNTER("holdfast_requests_retried", "Requests that were sent again over another connection.") },
	{ "dropped", STATS_COUNT, OF_STATUS(shared.dropped), .sorts = SHARED, .metric_sorts = SHARED,
	    COUNTER("holdfast_messages_dropped", "Messages without replies that a full queue has dropped.") },
	{ "unfinished", STATS_COUNT, OF_STATUS(shared.unfinished), .sorts = SHARED, .metric_sorts = SHARED,
	    COUNTER("holdfast_messages_unfinished", "Messages that were dropped: their clients ended within them.") },
	{ "own", STATS_COUNT, OF_STATUS(shared.own), .sorts = SHARED, .metric_sorts = SHARED,
	    GAUGE("holdfast_own", "Clients that have a connection of their own.") },
	{ "own_waiting", STATS_COUNT, OF_STATUS(shared.own_waiting), .sorts = SHARED, .metric_sorts = SHARED,
	    GAUGE("holdfast_own_waiting", "Clients that wait for a connection of their own.") },
	{ "spool.messages", STATS_COUNT, OF_STATUS(shared.spool.messages), .sorts = SHARED, .metric_sorts = SHARED,
	    GAUGE("holdfast_spool_messages", "Messages in the spool that the upstream has not acknowledged.") },
	{ "spool.bytes", STATS_COUNT, OF_STATUS(shared.spool.bytes), .sorts = SHARED, .metric_sorts = SHARED,
	    .unit = "bytes", GAUGE("holdfast_spool_bytes", "Size of the spool's files.") },
	{ "spool.oldest", STATS_AGE, OF_STATUS(shared.spool.oldest), .sorts = SHARED, .metric_sorts = SHARED,
	    .unit = "seconds", GAUGE("holdfast_spool_oldest_seconds",
	    "Since when the spool's first file is there, 0 while no message waits.") },
	{ "spool.damaged", STATS_COUNT, OF_STATUS(shared.spool.damaged), .sorts = SHARED, .metric_sorts = SHARED,
	    COUNTER("holdfast_spool_damaged", "Messages that were lost to damage of the spool's files.") },
	{ "spool.error", STATS_TEXT, OF_STATUS(shared.spool.error), .sorts = SHARED },
	{ "standby", STATS_COUNT, OF_UPSTREAM(standby), .sorts = SHARED, .metric_sorts = SHARED,
	    GAUGE("holdfast_standby", "Connections to other endpoints that are ready.") },
	{ "refused.down", STATS_COUNT, OF_RECORD(counters.refused_down),
	    COUNTER("holdfast_refused", "Clients that were turned away."), .label = "reason=\"down\"" },
	{ "refused.max_held", STATS_COUNT, OF_RECORD(counters.refused_held_max),
	    REASON("holdfast_refused", "max_held") },
	{ "refused.hold_timeout", STATS_COUNT, OF_RECORD(counters.refused_hold_timeout),
	    REASON("holdfast_refused", "hold_timeout") },
	{ "refused.permission", STATS_COUNT, OF_RECORD(counters.refused_permission),
	    REASON("holdfast_refused", "permission") },
	{ "refused.max_clients_per_user", STATS_COUNT, OF_RECORD(counters.refused_per_user),
	    REASON("holdfast_refused", "max_clients_per_user") },
	{ "tls_expires", STATS_TIME, OF_SERVICE(tls_expires) },
	{ "administered", STATS_MADE, MADE_BY(figures_administered) },
	{ "paused_by", STATS_MADE, MADE_BY(figures_paused_by) },
	{ "paused_since", STATS_TIME, OF_SERVICE(paused_since) },
	{ "failing", STATS_MADE, MADE_BY(figures_failing) },
	{ NULL, STATS_FLAG, OF_RECORD(failing.value),
	    GAUGE("holdfast_failing", "1 while an operator makes it fail.") },
	{ NULL, STATS_COUNT, OF_SETTINGS(clients.max_clients),
	    GAUGE("holdfast_max_clients", "How many clients may be there at once, 0 for no limit.") },
	{ HISTOGRAM("holdfast_connect_seconds", TABLE_HISTOGRAM_CONNECT,
	    "From a connect's begin to the ready connection, hello included.") },
	{ HISTOGRAM("holdfast_lookup_seconds", TABLE_HISTOGRAM_LOOKUP, "Lookups for attempts, failed ones too.") },
	{ HISTOGRAM("holdfast_hold_seconds", TABLE_HISTOGRAM_HOLD,
	    "How long clients were held that got a connection then."), .metric_sorts = SESSIONS },
	{ HISTOGRAM("holdfast_outage_seconds", TABLE_HISTOGRAM_OUTAGE, "Outages that have ended.") },
	{ .key = NULL },
};

static const struct stats_row rows_of_endpoints[] = {
	{ "service", STATS_TEXT, OF_FIGURES(service) },
	{ "address", STATS_CHARS, OF_FIGURES(address) },
	{ "priority", STATS_COUNT, OF_FIGURES(priority) },
	{ "weight", STATS_COUNT, OF_FIGURES(weight) },
	{ "state", STATS_TEXT, OF_FIGURES(state) },
	{ "failed_until", STATS_POINT, OF_FIGURES(failed_until) },
	{ "withdrawn_since", STATS_POINT, OF_FIGURES(withdrawn_since) },
	{ "late", STATS_FLAG, OF_ENDPOINT(slow_until) },
	{ NULL, STATS_FLAG, OF_FIGURES(up),
	    GAUGE("holdfast_endpoint_up", "1 unless the endpoint has failed or is withdrawn.") },
	{ "connections", STATS_COUNT, OF_FIGURES(connections),
	    GAUGE("holdfast_endpoint_connections", "Connections that are open to the endpoint.") },
	{ "connected_at", STATS_POINT, OF_ENDPOINT(connected_at) },
	{ "connect_seconds", STATS_SPAN, OF_FIGURES(connect_span) },
	{ "connects", STATS_COUNT, OF_ENDPOINT(connects),
	    COUNTER("holdfast_endpoint_connects", "Dials of the endpoint that succeeded.") },
	{ "failures", STATS_COUNT, OF_ENDPOINT(failures) },
	{ "failures_total", STATS_COUNT, OF_ENDPOINT(failures_total), COUNTER("holdfast_endpoint_failures",
	    "Dials of the endpoint that failed, and connections that it ended at once.") },
	{ "last_error", STATS_CHARS, OF_ENDPOINT(error) },
	{ "last_error_at", STATS_POINT, OF_ENDPOINT(failed_at) },
	{ "from", STATS_CHARS, OF_ENDPOINT(from) },
	{ "tls.protocol", STATS_CHARS, OF_ENDPOINT(tls.protocol), .sorts = TLS },
	{ "tls.cipher", STATS_CHARS, OF_ENDPOINT(tls.cipher), .sorts = TLS },
	{ "tls.peer", STATS_CHARS, OF_ENDPOINT(tls.peer), .sorts = TLS },
	{ "tls.resumed", STATS_FLAG, OF_ENDPOINT(tls.resumed), .sorts = TLS },
	{ "tls.expires", STATS_TIME, OF_ENDPOINT(tls.expires), .sorts = TLS, .metric_sorts = TLS, .unit = "seconds",
	    GAUGE("holdfast_endpoint_tls_expiry_seconds",
	    "When the certificate ends, in Unix time, 0 without one."), .label = "certificate=\"server\"" },
	{ "tls.own_expires", STATS_TIME, OF_ENDPOINT(tls.own_expires), .sorts = TLS, .metric_sorts = TLS,
	    .metric = "holdfast_endpoint_tls_expiry_seconds", .type = STATS_GAUGE, .label = "certificate=\"own\"" },
	{ "tls.sessions", STATS_COUNT, OF_ENDPOINT(tls_opened), .sorts = TLS, .metric_sorts = TLS,
	    COUNTER("holdfast_endpoint_tls_sessions", "TLS sessions that were opened.") },
	{ "tls.sessions_resumed", STATS_COUNT, OF_ENDPOINT(tls_resumed), .sorts = TLS, .metric_sorts = TLS,
	    COUNTER("holdfast_endpoint_tls_sessions_resumed", "Those of them that resumed an earlier one.") },
	{ .key = NULL },
};

const struct stats_row *const figures_rows[METRICS_TABLES] = {
	[METRICS_OF_DAEMON] = rows_of_daemon, [METRICS_OF_SERVICES] = rows_of_services,
	[METRICS_OF_ENDPOINTS] = rows_of_endpoints,
};

void
figures_of_daemon(struct figures_daemon *figures, const struct table *table, const char *version, size_t services)
{
	const struct table_header *header = table->header;

	*figures = (struct figures_daemon){ .object = { .part = { figures, header } }, .version = version,
		.pid = header->keeper_pid != 0 ? header->keeper_pid : getpid(), .worker_pid = getpid(),
		.services = services, .max_files = table->shape.files - 1,
		.max_memory = budget_most(table->budget), .memory = budget_taken(table->budget),
		.short_of_memory = budget_short_all(table->budget) };
}

/* Of those that the lookup lists. */
static int64_t
figures_tls_expires(const struct upstream_record *record)
{
	const struct endpoints *e = &record->endpoints;
	int64_t first = 0;

	for (uint32_t i = 0; i < e->high; i++) {
		const struct endpoint *endpoint = &e->list[i];
		int64_t ends[] = { endpoint->tls.expires, endpoint->tls.own_expires };

		for (size_t j = 0; j < 2 && endpoint->number != 0; j++)
			if (ends[j] != 0 && (first == 0 || ends[j] < first) && endpoints_is_listed(e, endpoint))
				first = ends[j];
	}
	return first;
}

void
figures_of_service(struct figures_service *figures, const struct service *service)
{
	static const char *const pauses[TABLE_PAUSES] = { [TABLE_PAUSE_MAX_CLIENTS] = "max_clients",
		[TABLE_PAUSE_MAX_HELD] = "max_held", [TABLE_PAUSE_FILES] = "files" };
	const struct service_status *status = &figures->status;

	service_get_status(service, &figures->status);
	figures->object = (struct stats_object){ .part = { figures, status, status->record,
		service_get_settings(service) }, .sort = status->mode == SERVICE_SHARED ? SHARED : SESSIONS };
	figures->name = service_name(service);
	figures->mode = status->mode == SERVICE_SHARED ? "shared" : "session";
	figures->state = upstream_state_name(status->upstream.state);
	figures->accepting_paused_by = pauses[status->accepting_paused];
	figures->held_longest = status->held == 0 ? -1 : status->held_longest;
	figures->tls_expires = figures_tls_expires((const void *)status->record->upstream);
	figures->paused_since = status->record->pause.value != 0 ? status->record->pause.since : 0;
}

void
figures_of_endpoint(struct figures_endpoint *figures, const struct table *table, const struct service *service,
    const struct endpoint *endpoint)
{
	static const char *const states[] = { [ENDPOINT_OK] = "ok", [ENDPOINT_FAILED] = "failed",
		[ENDPOINT_WITHDRAWN] = "withdrawn" };
	const struct endpoints *e = &record_of(table, service_index(service))->endpoints;
	const struct endpoint_listing *listing = endpoints_listing(e, endpoint);
	enum endpoint_state state = endpoints_state(e, endpoint);
	struct address address;

	*figures = (struct figures_endpoint){ .object = { .part = { figures, endpoint },
		.sort = endpoint->tls.protocol[0] != '\0' ? TLS : PLAIN },
		.service = service_name(service), .state = states[state], .up = state == ENDPOINT_OK,
		.priority = listing->priority, .weight = listing->weight,
		.connections = table_conns_open(table, service_index(service), endpoint->number),
		.withdrawn_since = state == ENDPOINT_WITHDRAWN ? endpoint->withdrawn_at : 0,
		.connect_span = endpoint->connected_at == 0 ? -1 : endpoint->took };
	if (state == ENDPOINT_FAILED)
		figures->failed_until = endpoint->failed_until < e->put_off_until ? e->put_off_until
		    : endpoint->failed_until;
	endpoint_address(endpoint, &address);
	address_format(&address, figures->address);
}

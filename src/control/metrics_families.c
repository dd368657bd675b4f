#include "control/metrics_families.h"

#include <string.h>

#define LABELLED(l, field)  { true, (l), offsetof(struct metrics_service, field) }
#define ONE(field)          (const struct metrics_sample[]){ LABELLED(NULL, field), { 0 } }
#define OF_DAEMON(field) \
	(const struct metrics_sample[]){ { true, NULL, offsetof(struct metrics_daemon, field) }, { 0 } }

#define OF_ENDPOINT(field) \
	(const struct metrics_sample[]){ { true, NULL, offsetof(struct metrics_endpoint, field) }, { 0 } }

static const struct metrics_sample pauses[] = {
	LABELLED("reason=\"max_clients\"", pauses_max_clients),
	LABELLED("reason=\"max_held\"", pauses_max_held),
	LABELLED("reason=\"files\"", pauses_files),
	{ 0 }
};
static const struct metrics_sample refused[] = {
	LABELLED("reason=\"down\"", refused_down),
	LABELLED("reason=\"max_held\"", refused_held_max),
	LABELLED("reason=\"hold_timeout\"", refused_hold_timeout),
	LABELLED("reason=\"permission\"", refused_permission),
	LABELLED("reason=\"max_clients_per_user\"", refused_per_user),
	{ 0 }
};
static const struct metrics_sample bytes[] = {
	LABELLED("direction=\"from_clients\"", bytes[TABLE_UP]),
	LABELLED("direction=\"to_clients\"", bytes[TABLE_DOWN]),
	{ 0 }
};
static const struct metrics_sample messages[] = {
	LABELLED("direction=\"from_clients\"", messages[TABLE_UP]),
	LABELLED("direction=\"to_clients\"", messages[TABLE_DOWN]),
	{ 0 }
};

#define GAUGE(name, of, unit, help, samples)   { name, METRICS_GAUGE, of, unit, help, samples, 0 }
#define COUNTER(name, of, unit, help, samples) { name, METRICS_COUNTER, of, unit, help, samples, 0 }
#define HISTOGRAM(name, of, kind, help)        { name, METRICS_HISTOGRAM, of, "seconds", help, NULL, kind }
#define SERVICES METRICS_OF_SERVICES
#define SHARED   METRICS_OF_SHARED
#define SESSIONS METRICS_OF_SESSIONS
#define DAEMON   METRICS_OF_DAEMON
#define ENDPOINTS METRICS_OF_ENDPOINTS

const struct metrics_family metrics_families[] = {
	{ "holdfast_build", METRICS_INFO, DAEMON, NULL, "The version that runs.", NULL, 0 },
	GAUGE("holdfast_start_time_seconds", DAEMON, "seconds", "When the daemon was started, in Unix time.",
	    OF_DAEMON(started)),
	GAUGE("holdfast_config_ok", DAEMON, NULL, "0 if the configuration files are bad: an older one is in force.",
	    OF_DAEMON(config_ok)),
	COUNTER("holdfast_worker_restarts", DAEMON, NULL, "How often a worker has died and was replaced.",
	    OF_DAEMON(worker_restarts)),
	COUNTER("holdfast_restarts", DAEMON, NULL, "Restarts that kept the clients.", OF_DAEMON(restarts)),
	COUNTER("holdfast_upgrades", DAEMON, NULL, "Upgrades to another program.", OF_DAEMON(upgrades)),
	COUNTER("holdfast_log_lines_lost", DAEMON, NULL, "Log lines that the journal or standard error did not take.",
	    OF_DAEMON(log_lines_lost)),
	GAUGE("holdfast_services", DAEMON, NULL, "Services that are configured.", OF_DAEMON(services)),
	GAUGE("holdfast_max_files", DAEMON, NULL, "How many files can be open at once.", OF_DAEMON(max_files)),
	GAUGE("holdfast_memory_bytes", DAEMON, "bytes", "Memory that buffers use.", OF_DAEMON(memory)),
	GAUGE("holdfast_max_memory_bytes", DAEMON, "bytes", "The bound of that, max_memory.", OF_DAEMON(max_memory)),
	GAUGE("holdfast_short_of_memory", DAEMON, NULL, "Connections slowed down because buffers are at max_memory.",
	    OF_DAEMON(short_of_memory)),

	GAUGE("holdfast_up", SERVICES, NULL, "1 unless the last thing known of it is a failure.", ONE(up)),
	GAUGE("holdfast_down_seconds", SERVICES, "seconds", "For how long it has been down, 0 while up.",
	    ONE(down)),
	GAUGE("holdfast_paused", SERVICES, NULL, "1 while an operator has it paused.", ONE(paused)),
	GAUGE("holdfast_failing", SERVICES, NULL, "1 while it is down by an operator's order.", ONE(failing)),
	COUNTER("holdfast_outages", SERVICES, NULL, "Losses, and first attempts that failed, until connected again.",
	    ONE(outages)),
	COUNTER("holdfast_attempts", SERVICES, NULL, "Attempts to connect.", ONE(attempts)),
	COUNTER("holdfast_connects", SERVICES, NULL, "How often it became connected.", ONE(connects)),
	COUNTER("holdfast_disconnects", SERVICES, NULL, "How often it was lost or given up.", ONE(disconnects)),
	COUNTER("holdfast_lookup_failures", SERVICES, NULL, "Look-ups that failed.", ONE(lookup_failures)),
	COUNTER("holdfast_expiries", SERVICES, NULL, "Ready connections that the server ended unused.",
	    ONE(expiries)),
	COUNTER("holdfast_handler_failures", SERVICES, NULL, "Event handlers that failed or took too long.",
	    ONE(handler_failures)),
	COUNTER("holdfast_notify_dropped", SERVICES, NULL, "Events that the notify program was too slow for.",
	    ONE(notify_dropped)),
	GAUGE("holdfast_warm", SESSIONS, NULL, "Connections that are ready for the next client.", ONE(warm)),

	GAUGE("holdfast_endpoint_up", ENDPOINTS, NULL, "1 unless the endpoint has failed or is withdrawn.",
	    OF_ENDPOINT(up)),
	GAUGE("holdfast_endpoint_connections", ENDPOINTS, NULL, "Connections that are open to the endpoint.",
	    OF_ENDPOINT(connections)),
	COUNTER("holdfast_endpoint_connects", ENDPOINTS, NULL, "Dials of the endpoint that succeeded.",
	    OF_ENDPOINT(connects)),
	COUNTER("holdfast_endpoint_failures", ENDPOINTS, NULL, "Dials of the endpoint that failed, and connections "
	    "that it ended at once.", OF_ENDPOINT(failures)),

	GAUGE("holdfast_clients", SERVICES, NULL, "Clients that are served, without the held.", ONE(clients)),
	GAUGE("holdfast_clients_held", SERVICES, NULL, "Clients that wait for a connection.", ONE(held)),
	GAUGE("holdfast_max_clients", SERVICES, NULL, "How many clients may be there at once, 0 for no limit.",
	    ONE(max_clients)),
	COUNTER("holdfast_clients_accepted", SERVICES, NULL, "Clients that have come and were let in.",
	    ONE(accepted)),
	COUNTER("holdfast_refused", SERVICES, NULL, "Clients that were turned away.", refused),
	COUNTER("holdfast_accepting_pauses", SERVICES, NULL, "How often clients began to wait in the backlog.",
	    pauses),
	COUNTER("holdfast_bytes", SERVICES, "bytes", "What was passed on.", bytes),
	COUNTER("holdfast_lost_bytes", SESSIONS, "bytes", "Given to connections that died, of clients that stayed.",
	    ONE(lost_bytes)),

	GAUGE("holdfast_requests_in_flight", SHARED, NULL, "Requests that the upstream owes a reply to.",
	    ONE(in_flight)),
	GAUGE("holdfast_requests_queued", SHARED, NULL, "Requests that were not sent yet.", ONE(queued)),
	GAUGE("holdfast_standby", SHARED, NULL, "Connections to other copies that are ready.", ONE(standby)),
	COUNTER("holdfast_messages", SHARED, NULL, "Messages that were passed on.", messages),
	COUNTER("holdfast_requests_lost", SHARED, NULL, "Requests that failed with their connection.", ONE(losses)),
	COUNTER("holdfast_requests_retried", SHARED, NULL, "Requests that were sent again over another connection.",
	    ONE(retries)),

	HISTOGRAM("holdfast_connect_seconds", SERVICES, TABLE_HISTOGRAM_CONNECT,
	    "From a connect's begin to the ready connection, hello included."),
	HISTOGRAM("holdfast_lookup_seconds", SERVICES, TABLE_HISTOGRAM_LOOKUP,
	    "Look-ups for attempts, failed ones too."),
	HISTOGRAM("holdfast_hold_seconds", SESSIONS, TABLE_HISTOGRAM_HOLD,
	    "How long clients were held that got a connection then."),
	HISTOGRAM("holdfast_outage_seconds", SERVICES, TABLE_HISTOGRAM_OUTAGE, "Outages that have ended."),
	{ NULL, 0, 0, NULL, NULL, NULL, 0 }
};

const char *
metrics_type_name(enum metrics_type type)
{
	static const char *const names[] = { "gauge", "counter", "histogram", "info" };

	return names[type];
}

const char *
metrics_suffix(enum metrics_type type)
{
	static const char *const suffixes[] = { "", "_total", "", "_info" };

	return suffixes[type];
}

bool
metrics_is_time(const struct metrics_family *family)
{
	return family->unit != NULL && strcmp(family->unit, "seconds") == 0;
}

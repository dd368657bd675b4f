#include "upstream/upstream_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/histogram.h"
#include "upstream/machine.h"
#include "upstream/record.h"

#define LOG_STILL (60 * CLOCK_SECOND)

struct upstream_log {
	const struct upstream_context *context; /* borrowed */
	struct upstream_record *record; /* borrowed: the table's */
	const char *reconnect;          /* borrowed: why it is that, next; NULL by an operator */
	char failing[UPSTREAM_BY_SIZE + 48]; /* the error while an operator has it fail: who */
	struct loop_timer still;        /* "still down" */
};

const char *
upstream_event_name(enum upstream_event_kind kind)
{
	static const char *const names[] = { "attempting_to_connect", "obtained_address", "failed_to_connect",
		"connected", "disconnected", "note" };

	return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "note";
}

const char *
upstream_state_name(enum upstream_state state)
{
	static const char *const names[] = { "idle", "connecting", "connected", "waiting", "closing", "closed",
		"drained", "aborted" };

	return names[state];
}

enum upstream_state
upstream_state(const struct pconn *p, bool in_use)
{
	if (p->state == PCONN_CLOSED && !p->closing)
		return p->ending == PCONN_END_ABORT ? UPSTREAM_ABORTED : UPSTREAM_DRAINED;
	if (p->state == PCONN_CLOSED)
		return UPSTREAM_CLOSED;
	if (pconn_is_closed(p) || (in_use && p->ending != PCONN_END_NONE))
		return UPSTREAM_CLOSING;
	switch ((enum pconn_state)p->state) {
	case PCONN_IDLE:
		return UPSTREAM_IDLE;
	case PCONN_WAIT: case PCONN_DISCONNECTED:
		return UPSTREAM_WAITING;
	case PCONN_CONNECTED:
		return p->lost ? UPSTREAM_WAITING : UPSTREAM_IS_CONNECTED;
	default:
		return UPSTREAM_CONNECTING;
	}
}

void
upstream_note(struct table *table, uint16_t service, enum log_level level, const char *format, ...)
{
	char text[TABLE_HISTORY_TEXT];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	table_history_add(table, service, UPSTREAM_NOTE, text);
	log_line(level, table->services[service].name, "%s", text);
}

void
upstream_log_set_order(struct upstream_log *log, const char *by)
{
	snprintf(log->failing, sizeof log->failing, "made to fail by %.*s", UPSTREAM_BY_SIZE - 1, by);
}

void
upstream_log_end_order(const struct upstream_log *log)
{
	table_history_add(log->context->table, log->context->service, UPSTREAM_NOTE, "no longer made to fail");
	log_notice(log->context->name, "no longer made to fail by %s; it is connected again",
	    log->failing + sizeof "made to fail by " - 1);
}

/* How long an operator has it fail yet, in seconds. */
static double
log_failing_left(const struct upstream_log *log)
{
	int64_t left = (int64_t)log->context->table->services[log->context->service].failing.value - clock_now();

	return left > 0 ? (double)left / CLOCK_SECOND : 0;
}

void
upstream_log_set_error(const struct upstream_log *log, const char *what, const char *error)
{
	struct upstream_record *record = log->record;

	record_text(record->error, sizeof record->error, error);
	snprintf(record->last_error, sizeof record->last_error, "%s%s%s", what, *what == '\0' ? "" : ": ", error);
	record->last_error_at = clock_wall();
}

/* For P8 it is one and the same failure all the time; people are told how long yet. */
void
upstream_log_set_failing(const struct upstream_log *log)
{
	struct upstream_record *record = log->record;

	upstream_log_set_error(log, "", log->failing);
	snprintf(record->last_error, sizeof record->last_error, "%s for %.1f s more", log->failing,
	    log_failing_left(log));
}

void
upstream_log_set_reason(const struct upstream_log *log, const char *reason)
{
	record_text(log->record->error, sizeof log->record->error, reason);
}

void
upstream_log_set_purpose(const struct upstream_log *log, const char *reason)
{
	upstream_log_set_reason(log, reason);
	log->record->purposely = 1;
}

void
upstream_log_set_end(const struct upstream_log *log, const char *reason)
{
	const struct pconn *p = record_pconn(log->record);

	if (p->ending == PCONN_END_ABORT)
		upstream_log_set_reason(log, log->record->abort_error);
	else if (p->ending == PCONN_END_DRAIN)
		upstream_log_set_purpose(log, "drained by an operator");
	else
		upstream_log_set_reason(log, reason);
}

void
upstream_log_note_dial(const struct upstream_log *log, enum pconn_event event, uint16_t number, const char *error)
{
	struct upstream_record *record = log->record;
	const struct pconn *p = record_pconn(record);
	bool connected = p->state == PCONN_CONNECTED;
	bool told = connected && p->event != PCONN_REPORT_CONNECTED; /* another has taken over: one after the other */
	char what[ADDRESS_TEXT_SIZE + 8] = "", address[ADDRESS_TEXT_SIZE];

	if (number != 0) {
		record_address(record, number, address);
		snprintf(what, sizeof what, "dial %s", address);
		if (!connected || (event == PCONN_DIALED && !told))
			record_text(record->address, sizeof record->address, address);
	}
	if (event == PCONN_DIALED && !told)
		record->number = number;
	if (error == NULL)
		return;
	upstream_log_set_error(log, what, error);
	if (connected)
		upstream_log_set_reason(log, record->last_error); /* no event says where it was dialled */
}

void
upstream_log_set_reconnect(struct upstream_log *log, const char *reason)
{
	log->reconnect = reason;
}

void
upstream_log_note_step(struct upstream_log *log, const struct pconn *after, enum pconn_event event, unsigned todo)
{
	static const char *const reasons[PCONN_EVENTS] = { [PCONN_RECONNECT] = "reconnect by an operator",
		[PCONN_CLOSE] = "closed by an operator", [PCONN_RENEW] = "reload" };
	const struct pconn *before = record_pconn(log->record);
	bool connected = before->state == PCONN_CONNECTED && !before->lost;
	bool lost = connected && (after->state != PCONN_CONNECTED || after->lost);
	const char *reason = event == PCONN_RECONNECT && log->reconnect != NULL ? log->reconnect : reasons[event];

	if ((todo & PCONN_DO_GIVE_UP) != 0)
		reason = upstream_context_is_failing(log->context) ? log->failing : "paused by an operator";
	if (lost && reason != NULL)
		upstream_log_set_purpose(log, reason);
	if ((todo & PCONN_DO_REPORT) != 0 && after->event == PCONN_REPORT_CONNECTED)
		record_text(log->record->told, sizeof log->record->told, log->record->address);
	if (after->state == PCONN_LOOKUP && ((todo & PCONN_DO_LOOKUP) != 0 || before->state != PCONN_LOOKUP))
		log->record->counters.attempts++;
	if (event == PCONN_RECONNECT)
		log->reconnect = NULL;
}

/* Of an endpoint that is left since it is withdrawn the address is what was told: further dials may have led
 * elsewhere already. */
struct upstream_event
upstream_log_last(const struct upstream_log *log)
{
	const struct upstream_record *record = log->record;
	const struct pconn *p = record_pconn(record);
	struct upstream_event event = { .kind = (enum upstream_event_kind)(p->event - PCONN_REPORT_ATTEMPTING),
		.address = "", .error = "", .failures = p->failures };

	if (event.kind == UPSTREAM_FAILED || event.kind == UPSTREAM_DISCONNECTED)
		event.error = record->error;
	if (event.kind != UPSTREAM_ATTEMPTING && !(event.kind == UPSTREAM_FAILED && !p->located))
		event.address = record->address;
	if (event.kind == UPSTREAM_DISCONNECTED && record->purposely && strcmp(record->error, RECORD_WITHDRAWN) == 0)
		event.address = record->told;
	return event;
}

/* What happens next comes last. */
static void
log_next(const struct upstream_log *log, char *text, size_t size)
{
	const struct pconn *p = record_pconn(log->record);
	int64_t left = p->retry_at - clock_now();
	unsigned held = log->context->settings->pconn.hold_retry > 0 ? log->context->held : 0;

	if (p->ending == PCONN_END_ABORT)
		snprintf(text, size, "no further attempt until it is opened");
	else if (p->closing || p->ending != PCONN_END_NONE)
		snprintf(text, size, "no further attempt");
	else if (upstream_context_is_paused(log->context))
		snprintf(text, size, "no attempt until it is resumed");
	else if (upstream_context_is_failing(log->context))
		snprintf(text, size, "it is connected again in %.1f s", log_failing_left(log));
	else if (p->state == PCONN_CONNECTED && !p->lost)
		snprintf(text, size, "%s takes over", log->record->taking_over);
	else if (p->state == PCONN_FAILED && !p->last)
		snprintf(text, size, "the other endpoints are tried");
	else if (held > 0)
		snprintf(text, size, "next attempt soon, for %u held", held);
	else
		snprintf(text, size, "next attempt in %.1f s", left > 0 ? (double)left / CLOCK_SECOND : 0.0);
}

static void
log_tell_event(const struct upstream_log *log, const struct upstream_event *event)
{
	const char *service = log->context->name, *name = upstream_event_name(event->kind), *address = event->address;
	char next[ADDRESS_TEXT_SIZE + 64];

	log_next(log, next, sizeof next);
	if (event->kind == UPSTREAM_ATTEMPTING)
		log_event(LOG_LEVEL_DEBUG, service, name, NULL, "attempting to connect");
	else if (event->kind == UPSTREAM_OBTAINED)
		log_event(LOG_LEVEL_DEBUG, service, name, address, "obtained address %s", address);
	else if (event->kind == UPSTREAM_FAILED)
		log_event(LOG_LEVEL_WARNING, service, name, address, "%s; %s", log->record->last_error, next);
	else if (event->kind == UPSTREAM_CONNECTED)
		log_event(LOG_LEVEL_INFO, service, name, address, "connected to %s", address);
	else
		log_event(LOG_LEVEL_WARNING, service, name, address, "lost %s: %s; %s", address, event->error, next);
}

/* Its length is counted, the timeline tells its end, and it is over: all at once. */
static void
log_end_outage(const struct upstream_log *log)
{
	const struct upstream_context *context = log->context;
	struct table_service *service = &context->table->services[context->service];
	struct table_outage *last = &service->outages[(service->outages_next - 1) % TABLE_OUTAGES];
	struct redo redo;

	redo_begin(&redo, context->table);
	histogram_add(&redo, context->service, TABLE_HISTOGRAM_OUTAGE,
	    clock_now() - (int64_t)log->record->outage_at);
	redo_add(&redo, &log->record->outage_at, 0);
	if (service->outages_next > 0 && last->to == 0)
		redo_add(&redo, (uint64_t *)&last->to, (uint64_t)clock_wall());
	redo_commit(&redo);
}

/* It is counted, and the timeline has it, at once: the same outage is not begun twice. */
static void
log_begin_outage(const struct upstream_log *log)
{
	const struct upstream_context *context = log->context;
	struct table_service *service = &context->table->services[context->service];
	struct table_outage *next = &service->outages[service->outages_next % TABLE_OUTAGES];
	struct redo redo;

	redo_begin(&redo, context->table);
	redo_add(&redo, &log->record->outage_at, (uint64_t)clock_now());
	redo_more(&redo, &log->record->counters.outages, 1);
	redo_add(&redo, (uint64_t *)&next->from, (uint64_t)clock_wall());
	redo_add(&redo, (uint64_t *)&next->to, 0);
	redo_more(&redo, &service->outages_next, 1);
	redo_commit(&redo);
}

/* A loss is an outage, or else the first attempt that fails; what is given up on purpose is none. */
static void
log_count(const struct upstream_log *log, enum upstream_event_kind kind)
{
	struct upstream_record *record = log->record;
	bool down = false, ordered = upstream_context_is_failing(log->context); /* none of the service's */

	if (kind == UPSTREAM_CONNECTED) {
		record->counters.connects++;
		if (record->outage_at != 0)
			log_end_outage(log);
		record->purposely = 0;
	} else if (kind == UPSTREAM_DISCONNECTED) {
		record->counters.disconnects++;
		down = !record->purposely;
	} else if (kind == UPSTREAM_FAILED) {
		down = record_pconn(record)->last;
	}
	if (down && record->outage_at == 0 && !ordered)
		log_begin_outage(log);
}

struct upstream_event
upstream_log_report(const struct upstream_log *log)
{
	const struct upstream_context *context = log->context;
	struct upstream_record *record = log->record;
	const struct pconn *p = record_pconn(record);
	char text[TABLE_HISTORY_TEXT];
	struct upstream_event event;

	/* Where a standby has taken over is told as the address that was obtained. */
	if (p->event == PCONN_REPORT_OBTAINED && p->state == PCONN_CONNECTED)
		record_text(record->address, sizeof record->address, record->taking_over);
	event = upstream_log_last(log);
	log_count(log, event.kind);
	if (event.kind == UPSTREAM_DISCONNECTED && !record->purposely) {
		record->last_error_at = clock_wall();
		if (strcmp(record->last_error, event.error) != 0) /* else that is a dial's that failed */
			snprintf(record->last_error, sizeof record->last_error, "lost %s: %s", event.address,
			    event.error);
	}
	if (event.kind == UPSTREAM_FAILED)
		record_text(text, sizeof text, record->last_error);
	else
		snprintf(text, sizeof text, "%.100s%s%.120s", event.address, *event.error == '\0' ? "" : ": ",
		    event.error);
	table_history_add(context->table, context->service, event.kind, text);
	log_tell_event(log, &event);
	context->watcher->event(context->watcher->arg, &context->table->services[context->service], &event);
	return event;
}

void
upstream_log_rest(const struct upstream_log *log, int64_t age)
{
	const char *until = record_pconn(log->record)->cold ? "none is kept ready any more" :
	    "none is kept until a client comes";
	char text[TABLE_HISTORY_TEXT];

	if (age == 0)
		snprintf(text, sizeof text, "the server speaks first; %s", until);
	else
		snprintf(text, sizeof text, "the server ends unused connections after %.1f s; %s",
		    (double)age / CLOCK_SECOND, until);
	table_history_add(log->context->table, log->context->service, UPSTREAM_NOTE, text);
	log_notice(log->context->name, "%s; warm = 0 says so for good", text);
}

void
upstream_log_turned(const struct upstream_log *log, uint16_t number, bool good)
{
	const struct endpoint *endpoint = endpoints_find(&log->record->endpoints, number);
	const struct upstream_context *context = log->context;
	char address[ADDRESS_TEXT_SIZE];

	record_address(log->record, number, address);
	if (good)
		upstream_note(context->table, context->service, LOG_LEVEL_INFO, "endpoint %.110s is healthy again",
		    address);
	else
		upstream_note(context->table, context->service, LOG_LEVEL_INFO,
		    "endpoint %.80s failed: %.90s; tried again in %.1f s", address, endpoint->error,
		    (double)(endpoint->failed_until - clock_now()) / CLOCK_SECOND);
}

bool
upstream_log_is_well(const struct upstream_log *log, bool refuses)
{
	const struct upstream_record *record = log->record;
	const struct pconn *p = record_pconn(record);

	return !refuses && !upstream_context_is_failing(log->context) && record->outage_at == 0 &&
	    (p->state != PCONN_CONNECTED || !p->lost || record->purposely);
}

void
upstream_log_note_state(struct upstream_log *log, bool in_use, bool refuses)
{
	struct upstream_record *record = log->record;
	enum upstream_state state = upstream_state(record_pconn(record), in_use);
	bool ended = state == UPSTREAM_CLOSED || state == UPSTREAM_DRAINED || state == UPSTREAM_ABORTED;

	if (record->since == 0 || record->shown != (uint32_t)state) {
		record->shown = (uint32_t)state;
		record->since = clock_wall();
	}
	if (upstream_log_is_well(log, refuses)) {
		record->down_since = record->still_down_at = 0;
	} else if (record->down_since == 0) {
		record->down_since = clock_wall();
		record->still_down_at = clock_after(clock_now(), LOG_STILL);
	}
	loop_timer_at(&log->still, record->still_down_at == 0 || ended ? CLOCK_NEVER : record->still_down_at);
}

static void
log_on_still(void *arg)
{
	struct upstream_log *log = arg;
	struct upstream_record *record = log->record;
	char since[CLOCK_TEXT_SIZE], next[ADDRESS_TEXT_SIZE + 64];

	if (clock_now() >= record->still_down_at) {
		clock_format(record->down_since, since);
		log_next(log, next, sizeof next);
		log_warning(log->context->name, "still down since %s: %s; %s", since, record->last_error, next);
		record->still_down_at = clock_after(clock_now(), LOG_STILL);
	}
	loop_timer_at(&log->still, record->still_down_at);
}

static bool
log_has_told_connected(const struct upstream_log *log)
{
	const struct pconn *p = record_pconn(log->record);

	return p->state == PCONN_CONNECTED && p->event == PCONN_REPORT_CONNECTED;
}

struct upstream_log *
upstream_log_new(const struct upstream_context *context)
{
	struct upstream_log *log = mem_new(1, sizeof *log);

	log->context = context;
	log->record = context->record;
	upstream_log_set_order(log, "an operator");
	if (log->record->outage_at != 0 && log_has_told_connected(log)) /* a death came before the outage's end */
		log_end_outage(log);
	loop_timer_init(&log->still, context->loop, log_on_still, log);
	return log;
}

void
upstream_log_free(struct upstream_log *log)
{
	if (log == NULL)
		return;
	loop_timer_stop(&log->still);
	mem_free(log);
}

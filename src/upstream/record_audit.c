#include "upstream/record_audit.h"

#include "base/clock.h"

static void
audit_text(char *text, size_t size)
{
	text[size - 1] = '\0';
}

/* A moment that is waited for. */
static void
audit_soon(int64_t *moment, int64_t latest, int64_t now)
{
	if (*moment != CLOCK_NEVER && (*moment > latest || *moment < 0))
		*moment = now;
}

static void
audit_past(int64_t *moment, int64_t now)
{
	if (*moment > now || *moment < 0)
		*moment = now;
}

static bool
audit_is_pconn(const struct pconn *p)
{
	return p->state < PCONN_STATES && p->event <= PCONN_REPORT_DISCONNECTED && p->ending <= PCONN_END_ABORT;
}

static void
audit_pconn(struct pconn *p, int64_t latest, int64_t now)
{
	audit_soon(&p->deadline, latest, now);
	audit_soon(&p->retry_at, latest, now);
	audit_soon(&p->wake_at, latest, now);
	audit_soon(&p->early_at, latest, now);
	audit_soon(&p->fill_at, latest, now);
	audit_past(&p->attempt_at, now);
	audit_past(&p->early_first, now);
	audit_past(&p->early_last, now);
}

static void
audit_texts(struct upstream_record *record)
{
	audit_text(record->address, sizeof record->address);
	audit_text(record->told, sizeof record->told);
	audit_text(record->taking_over, sizeof record->taking_over);
	audit_text(record->error, sizeof record->error);
	audit_text(record->last_error, sizeof record->last_error);
	audit_text(record->abort_error, sizeof record->abort_error);
}

/* Events that wait for the notify program. */
static void
audit_notices(struct upstream_record *record)
{
	if (record->notice_next - record->notice_first > RECORD_NOTICES)
		record->notice_first = record->notice_next;
	for (uint32_t i = record->notice_first; i != record->notice_next; i++) {
		struct record_notice *notice = &record->notice[i % RECORD_NOTICES];

		audit_text(notice->address, sizeof notice->address);
		audit_text(notice->error, sizeof notice->error);
	}
}

static void
audit_lookup(struct lookup_record *lookup, int64_t now)
{
	if (lookup->script_at > now || lookup->script_at < 0)
		lookup->script_at = now;
	if (lookup->ended_at > now || lookup->ended_at < 0)
		lookup->ended_at = now;
	if (lookup->good_for < 0)
		lookup->good_for = 0;
}

bool
record_audit(struct upstream_record *record, int64_t longest, int64_t now)
{
	bool good = audit_is_pconn(record_pconn(record));
	int64_t latest = now + longest;

	audit_texts(record);
	audit_notices(record);
	audit_lookup(&record->lookup, now);
	audit_pconn(&record_current(record)->pconn, latest, now);
	audit_soon(&record->still_down_at, latest, now);
	if ((int64_t)record->outage_at > now || (int64_t)record->outage_at < 0)
		record->outage_at = (uint64_t)now;
	return endpoints_audit(&record->endpoints, latest, now) && good;
}

/* What is said of a service's clients: how each ended, how many were refused for a limit, why accepting pauses. */
#include "base/clock.h"
#include "base/log.h"
#include "client/crowd_parts.h"

void
crowd_log_end(const struct crowd *crowd, const struct session *session, enum closing_cause cause)
{
	enum log_level level = crowd->log_clients ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
	struct closing_state state = { .held = false };
	const struct table_client *record;
	char code[CLOSING_CODE_SIZE];

	if (level > log_get_level())
		return;
	if (session != NULL)
		session_get_closing(session, &state);
	closing_code(cause, &state, code);
	if (session == NULL) {
		log_line(level, crowd->name, "client %s code=%s", closing_words(cause), code);
		return;
	}
	record = session_record(session);
	log_line(level, crowd->name, "client %llu %s code=%s seconds=%.3f bytes_in=%llu bytes_out=%llu",
	    (unsigned long long)record->id, closing_words(cause), code,
	    (double)(clock_now() - record->since) / (double)CLOCK_SECOND,
	    (unsigned long long)record->bytes[TABLE_UP], (unsigned long long)record->bytes[TABLE_DOWN]);
}

/* Whether there is something to be told, and a minute is over. */
static bool
crowd_may_tell(const struct crowd_refusals *refusals, int64_t now)
{
	return refusals->count > 0 && (refusals->told == 0 || now - refusals->told >= CROWD_SILENT);
}

void
crowd_tell_refused(struct crowd *crowd, int64_t now)
{
	struct crowd_refusals *held = &crowd->refusals[CROWD_LIMIT_HELD], *timed = &crowd->refusals[CROWD_LIMIT_TIME];

	if (crowd_may_tell(held, now)) {
		log_rare(LOG_LEVEL_WARNING, crowd->name, "%u client%s refused: max_held (%u) reached", held->count,
		    held->count == 1 ? " was" : "s were", crowd->settings->max_held);
		*held = (struct crowd_refusals){ .told = now };
	}
	if (crowd_may_tell(timed, now)) {
		log_rare(LOG_LEVEL_WARNING, crowd->name, "%u client%s held in vain: hold_timeout (%.1f s) over",
		    timed->count, timed->count == 1 ? " was" : "s were",
		    (double)crowd->settings->hold_timeout / (double)CLOCK_SECOND);
		*timed = (struct crowd_refusals){ .told = now };
	}
}

void
crowd_note_refused(struct crowd *crowd, enum crowd_limit limit)
{
	crowd->refusals[limit].count++;
	crowd_tell_refused(crowd, clock_now());
}

void
crowd_note_paused(struct crowd *crowd, enum table_pause why)
{
	const struct crowd_settings *settings = crowd->settings;
	int64_t now = clock_now();

	if (why == TABLE_PAUSE_NONE)
		return;
	crowd->table->services[crowd->service].pauses[why]++;
	if (why == TABLE_PAUSE_FILES || (crowd->told[why] != 0 && now - crowd->told[why] < CROWD_SILENT))
		return; /* of files the one who found out tells */
	crowd->told[why] = now;
	if (why == TABLE_PAUSE_MAX_CLIENTS)
		log_rare(LOG_LEVEL_WARNING, crowd->name, "max_clients (%u) reached: accepting pauses, further "
		    "clients wait in the backlog", settings->max_clients);
	else
		log_rare(LOG_LEVEL_NOTICE, crowd->name, "max_held (%u) reached while connections are being made: "
		    "accepting pauses, further clients wait in the backlog", settings->max_held);
}

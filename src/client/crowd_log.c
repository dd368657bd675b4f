/* What is said of a service's clients: how each ended. */
#include "base/clock.h"
#include "base/log.h"
#include "client/crowd_parts.h"

void
crowd_log_end(const struct crowd *crowd, const struct session *session, enum closing_cause cause)
{
	enum log_level level = crowd->log_clients ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
	struct closing_state state = { .held = false };
	const struct table_session *record;
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

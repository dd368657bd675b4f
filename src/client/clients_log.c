/* What is said of a service's clients: how each ended, how many were refused for a limit, why accepting pauses. */
#include "base/clock.h"
#include "base/log.h"
#include "client/clients_parts.h"

void
clients_log_end(const struct clients *clients, const struct client *client, enum closing_cause cause)
{
	enum log_level level = clients->log_clients ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
	struct closing_state state = { .held = false };
	const struct table_client *record;
	char code[CLOSING_CODE_SIZE];

	if (level > log_get_level())
		return;
	if (client != NULL)
		client_get_closing(client, &state);
	if (client != NULL && client->mux_client != NULL)
		state.asking = state.asking || mux_client_is_asking(client->mux_client);
	closing_code(cause, &state, code);
	if (client == NULL) {
		log_line(level, clients->name, "client %s code=%s", closing_words(cause), code);
		return;
	}
	record = client_record(client);
	log_line(level, clients->name, "client %llu %s code=%s seconds=%.3f bytes_in=%llu bytes_out=%llu",
	    (unsigned long long)record->id, closing_words(cause), code,
	    (double)(clock_now() - record->since) / (double)CLOCK_SECOND,
	    (unsigned long long)record->bytes[TABLE_UP], (unsigned long long)record->bytes[TABLE_DOWN]);
}

/* Whether there is something to be told, and a minute is over. */
static bool
clients_may_tell(const struct clients_refusals *refusals, int64_t now)
{
	return refusals->count > 0 && (refusals->told == 0 || now - refusals->told >= CLIENTS_SILENT);
}

void
clients_tell_refused(struct clients *clients, int64_t now)
{
	struct clients_refusals *held = &clients->refusals[CLIENTS_LIMIT_HELD], *timed =
	    &clients->refusals[CLIENTS_LIMIT_TIME];

	if (clients_may_tell(held, now)) {
		log_rare(LOG_LEVEL_WARNING, clients->name, "%u client%s refused: max_held (%u) reached", held->count,
		    held->count == 1 ? " was" : "s were", clients->settings->max_held);
		*held = (struct clients_refusals){ .told = now };
	}
	if (clients_may_tell(timed, now)) {
		log_rare(LOG_LEVEL_WARNING, clients->name, "%u client%s held in vain: hold_timeout (%.1f s) over",
		    timed->count, timed->count == 1 ? " was" : "s were",
		    (double)clients->settings->hold_timeout / (double)CLOCK_SECOND);
		*timed = (struct clients_refusals){ .told = now };
	}
}

void
clients_note_refused(struct clients *clients, enum clients_limit limit)
{
	clients->refusals[limit].count++;
	clients_tell_refused(clients, clock_now());
}

void
clients_note_paused(struct clients *clients, enum table_pause why)
{
	const struct clients_settings *settings = clients->settings;
	int64_t now = clock_now();

	if (why == TABLE_PAUSE_NONE)
		return;
	clients->table->services[clients->service].pauses[why]++;
	if (why == TABLE_PAUSE_FILES || (clients->told[why] != 0 && now - clients->told[why] < CLIENTS_SILENT))
		return; /* of files the one who found out tells */
	clients->told[why] = now;
	if (why == TABLE_PAUSE_MAX_CLIENTS)
		log_rare(LOG_LEVEL_WARNING, clients->name, "max_clients (%u) reached: accepting pauses, further "
		    "clients wait in the backlog", settings->max_clients);
	else
		log_rare(LOG_LEVEL_NOTICE, clients->name, "max_held (%u) reached while connections are being made: "
		    "accepting pauses, further clients wait in the backlog", settings->max_held);
}

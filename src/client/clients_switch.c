/* What operators order for a while: a pause, and the failure of the upstream. */
#include "base/clock.h"
#include "client/clients_parts.h"
#include "keep/crash.h"

/* A worker that died between the end of a pause and noting when it was has left a point of the wall clock. */
void
clients_resume_pause(struct clients *clients)
{
	int64_t now = clock_now(), ended = clients->table->services[clients->service].pause.since;

	hold_pause(clients->hold, table_is_paused(clients->table, clients->service), ended < now ? ended : now);
}

static void
clients_pause_session(struct clients *clients, struct session *session, bool kill)
{
	bool returns = session_can_return(session);

	if (returns && (session_is_unused(session) || (kill &&
	    clients->settings->on_upstream_end == CLIENTS_RECONNECT)))
		clients_put_back(clients, session);
	else if (kill)
		clients_end(clients, session, CLOSING_OPERATOR, NULL);
}

void
clients_pause(struct clients *clients, bool kill)
{
	struct session *session, *next;

	hold_pause(clients->hold, true, 0);
	for (session = TAILQ_FIRST(&clients->open); clients->shared == NULL && session != NULL; session = next) {
		next = TAILQ_NEXT(session, entry);
		clients_pause_session(clients, session, kill);
	}
	clients_tell_held(clients);
	clients_limit(clients);
}

void
clients_unpause(struct clients *clients)
{
	hold_pause(clients->hold, false, clock_now());
	clients_limit(clients);
}

/* What has arrived is still delivered, as after any end of an upstream. */
void
clients_cut(struct clients *clients, uint16_t endpoint, enum closing_cause cause)
{
	struct session *session;

	if (clients->shared != NULL)
		return;
	TAILQ_FOREACH(session, &clients->open, entry) {
		const struct table_conn *conn = &clients->table->conns[session_record(session)->conn];

		if (endpoint == 0 || conn->endpoint == endpoint)
			relay_cut(session->relay, cause);
		CRASH_POINT(ENDPOINT_CUT);
	}
}

/* What operators order for a while: a pause, and the failure of the upstream. */
#include "base/clock.h"
#include "client/clients_parts.h"
#include "keep/crash.h"

/* A worker that died between the end of a pause and noting when it was has left a point of the wall clock. */
void
clients_resume_pause(struct clients *clients)
{
	int64_t now = clock_now(), ended = clients->table->services[clients->service].pause.since;

	waiting_pause(&clients->held, table_is_paused(clients->table, clients->service), ended < now ? ended : now);
}

static void
clients_pause_session(struct clients *clients, struct client *client, bool kill)
{
	bool returns = client_can_return(client);

	if (returns && (client_is_unused(client) || (kill &&
	    clients->settings->on_upstream_end == CLIENTS_RECONNECT)))
		clients_put_back(clients, client);
	else if (kill)
		clients_end(clients, client, CLOSING_OPERATOR, NULL);
}

void
clients_pause(struct clients *clients, bool kill)
{
	struct client *client, *next;

	waiting_pause(&clients->held, true, 0);
	loop_timer_at(&clients->expiry, waiting_next_end(&clients->held));
	for (client = TAILQ_FIRST(&clients->open); clients->shared == NULL && client != NULL; client = next) {
		next = TAILQ_NEXT(client, entry);
		clients_pause_session(clients, client, kill);
	}
	clients_tell_held(clients);
	clients_limit(clients);
}

void
clients_unpause(struct clients *clients)
{
	waiting_pause(&clients->held, false, clock_now());
	loop_timer_at(&clients->expiry, waiting_next_end(&clients->held));
	clients_limit(clients);
}

/* What has arrived is still delivered, as after any end of an upstream. */
void
clients_cut(struct clients *clients, uint16_t endpoint, enum closing_cause cause)
{
	struct client *client;

	if (clients->shared != NULL)
		return;
	TAILQ_FOREACH(client, &clients->open, entry) {
		const struct table_conn *conn = &clients->table->conns[client_record(client)->conn];

		if (endpoint == 0 || conn->endpoint == endpoint)
			relay_cut(client->relay, cause);
		CRASH_POINT(ENDPOINT_CUT);
	}
}

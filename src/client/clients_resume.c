#include "client/clients_parts.h"

#include "base/clock.h"
#include "keep/recover.h"

/* A client that a dead worker had accepted, and nothing more, is admitted or turned away as any new one is.  Nobody
 * is told: the crowd is not its owner's yet. */
static bool
clients_admit_adopted(struct clients *clients, uint32_t index, uid_t *ret_uid)
{
	struct table_client *record = &clients->table->clients[index];
	const char *reply = clients->settings->down_reply;
	struct client *client;

	switch (clients_admit(clients, record->fd, ret_uid)) {
	case ADMISSION_NOT_ALLOWED:
		recover_close_client(clients->table, index);
		return false;
	case ADMISSION_TOO_MANY:
		lingering_begin(clients->lingering, index, reply);
		return false;
	default:
		break;
	}
	record->since = clock_now();
	record->flags = 0;
	clients_counters(clients)->clients++;
	if (!clients_is_closed_now(clients))
		return true;
	clients_counters(clients)->refused_down++;
	admission_leave(clients->admission, *ret_uid);
	client = clients_add(clients, index, (uid_t)-1);
	clients_log_end(clients, client, CLOSING_REFUSED);
	client_refuse(client, clients->lingering, reply);
	return false;
}

static void
clients_resume_session(struct clients *clients, uint32_t index)
{
	struct table_client *record = &clients->table->clients[index];
	bool adopted = record->flags & TABLE_CLIENT_ADOPTED;
	struct client *client;
	uid_t uid = (uid_t)-1;

	if (adopted && !clients_admit_adopted(clients, index, &uid))
		return;
	if (!adopted)
		admission_rejoin(clients->admission, record->fd, &uid);
	client = clients_add(clients, index, uid);
	client->waits = true;
	if (client_is_held(client) && clients->shared == NULL) {
		clients_wait(clients, client);
		client_begin(client);
		return;
	}
	TAILQ_INSERT_TAIL(&clients->open, client, entry);
	clients->open_count++;
	if (client_is_held(client))
		client_share(client);
	if (clients->shared != NULL)
		clients_share_out(clients, client);
	else
		client_begin(client);
}

void
clients_resume(struct clients *clients)
{
	const struct table *table = clients->table;
	enum table_state state;

	for (uint32_t i = 1; i < table->header->client_high; i++) {
		state = table_client_state(table, i);
		if (table->clients[i].service != clients->service ||
		    (table->clients[i].flags & TABLE_CLIENT_DATAGRAMS))
			continue;
		if (state == TABLE_LIVE)
			clients_resume_session(clients, i);
		else if (state == TABLE_LINGERING)
			lingering_resume(clients->lingering, i, clients->settings->down_reply);
	}
}

#include <assert.h>

#include "base/clock.h"
#include "upstream/link_parts.h"

void
link_note_settings(struct link *link)
{
	link->pconn = link->settings->pconn;
	if (link->settings->shared)
		link->pconn.warm = 1;
}

unsigned
link_waiting(const struct link *link)
{
	return link->settings->shared && link->held > 1 ? 1 : link->held;
}

unsigned
link_ready(const struct link *link)
{
	return pool_ready(link->pool) + (link->lent != 0);
}

bool
link_is_draining(const struct link *link)
{
	return link->lent != 0 && link_pconn(link)->ending != PCONN_END_NONE;
}

int
link_lend(struct link *link, uint32_t *ret_session)
{
	const struct pconn *p = link_pconn(link);
	char address[RECORD_ADDRESS_SIZE];
	int64_t since;

	if (!link->begun || link->asked_to_end || link->lent != 0 || p->state != PCONN_CONNECTED || p->lost)
		return -1;
	return pool_take(link->pool, 0, ret_session, &since, address, sizeof address);
}

void
link_lent(struct link *link, uint32_t session)
{
	assert(table_session_state(link->table, session) == TABLE_LENT);
	pool_lent(link->pool, session);
	link->lent = session;
	link->lent_since = link->table->sessions[session].since;
}

void
link_lost(struct link *link, const char *reason)
{
	const struct pconn *p = link_pconn(link);

	link->lent = 0;
	link->lost = true;
	if (p->ending == PCONN_END_ABORT)
		link_set_reason(link, link->record->abort_error);
	else if (p->ending == PCONN_END_DRAIN)
		link_set_purpose(link, "drained by an operator");
	else
		link_set_reason(link, reason);
	link_push(link, (struct pconn_input){ .event = PCONN_LOST, .age = clock_now() - link->lent_since });
}

void
link_take_back(struct link *link)
{
	if (link->lent == 0)
		return;
	link->lent = 0;
	link->callbacks->drop(link->arg);
}

void
link_find_lent(struct link *link)
{
	for (uint32_t i = 1; i < link->table->header->session_high; i++)
		if (table_session_state(link->table, i) == TABLE_LENT &&
		    link->table->sessions[i].service == link->service) {
			link->lent = i;
			link->lent_since = link->table->sessions[i].since;
		}
}

/* A worker may have died between any two steps of lending and losing. */
void
link_resume_lent(struct link *link)
{
	const struct pconn *p = link_pconn(link);
	bool connected = p->state == PCONN_CONNECTED && !p->lost;

	if (!connected) {
		link_take_back(link);
	} else if (link->lent != 0) {
		pool_tune_lent(link->pool, link->lent);
	} else if (link->settings->shared && pool_ready(link->pool) == 0 && !link->lost) {
		link_set_reason(link, "it ended while the worker was restarted");
		link_push(link, (struct pconn_input){ .event = PCONN_LOST });
	}
}

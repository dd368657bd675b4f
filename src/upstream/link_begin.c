#include "base/clock.h"
#include "upstream/link_parts.h"

/* What operators set and a dead worker did not come to do. */
static void
link_administer(struct link *link)
{
	enum table_admin admin = (enum table_admin)link->table->services[link->service].administered;
	const struct pconn *p = link_pconn(link);

	if (admin == TABLE_ADMIN_CLOSED && !pconn_is_closed(p))
		link_push(link, (struct pconn_input){ .event = PCONN_CLOSE });
	else if (admin == TABLE_ADMIN_DRAINED && !pconn_is_closed(p))
		link_push(link, (struct pconn_input){ .event = PCONN_DRAIN });
	else if (admin == TABLE_ADMIN_NONE && pconn_is_closed(p) && p->ending != PCONN_END_ABORT)
		link_push(link, (struct pconn_input){ .event = PCONN_OPEN });
	if (p->state == PCONN_NEW) {
		link->record->renewed = 0;
		link_push(link, (struct pconn_input){ .event = PCONN_START });
	} else if (link->record->renewed) {
		link_push_renewal(link);
	}
}

/* P26: with no event and no new attempt. */
static void
link_resume(struct link *link)
{
	const struct pconn *p = link_pconn(link);
	struct pconn_input in = { .event = PCONN_HELD, .held = link_waiting(link) };
	unsigned todo = pconn_resume(p);
	bool connected = p->state == PCONN_CONNECTED && !p->lost, standby = connected && link->settings->shared;
	bool dialling = p->state == PCONN_DIAL && !p->doomed;

	endpoints_resume(&link->record->endpoints, clock_now());
	pool_adopt(link->pool, connected || dialling, standby);
	if (!connected && !dialling)
		pool_drop(link->pool, TABLE_ROLE_NEXT);
	if (!standby)
		standby_drop(link->standby);
	/* What the dead worker had not come to: whether what is missing is withdrawn, how the catalog has changed. */
	lookup_refresh_by(link->lookup, lookup_is_watched(link->lookup) ? clock_now() :
	    endpoints_doubtful_until(&link->record->endpoints));
	link_resume_lent(link);
	if (dialling && pool_idle(link->pool, TABLE_ROLE_NEXT) > 0)
		link_push_dial(link, PCONN_DIALED, pool_first(link->pool), NULL, false);
	link_act(link, todo, &in);
	link_push(link, (struct pconn_input){ .event = PCONN_HELD });
}

void
link_begin(struct link *link)
{
	struct link_inputs early = STAILQ_HEAD_INITIALIZER(early);

	link->begun = true;
	STAILQ_CONCAT(&early, &link->inputs);
	if (link->record->begun && link_pconn(link)->state != PCONN_NEW) {
		link_resume(link);
	} else {
		link->record->begun = 1;
		pool_adopt(link->pool, false, false);
		pool_drop(link->pool, TABLE_ROLE_NEXT);
		standby_drop(link->standby);
		link_take_back(link);
		link->lost = false;
	}
	link_administer(link);
	STAILQ_CONCAT(&link->inputs, &early);
}

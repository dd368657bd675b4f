#include "base/clock.h"
#include "upstream/upstream_parts.h"

/* What operators set and a dead worker did not come to do. */
static void
upstream_administer(struct upstream *upstream)
{
	enum table_admin admin = (enum table_admin)upstream->table->services[upstream->service].administered;
	const struct pconn *p = upstream_pconn(upstream);

	if (admin == TABLE_ADMIN_CLOSED && !pconn_is_closed(p))
		upstream_push(upstream, (struct pconn_input){ .event = PCONN_CLOSE });
	else if (admin == TABLE_ADMIN_DRAINED && !pconn_is_closed(p))
		upstream_push(upstream, (struct pconn_input){ .event = PCONN_DRAIN });
	else if (admin == TABLE_ADMIN_NONE && pconn_is_closed(p) && p->ending != PCONN_END_ABORT)
		upstream_push(upstream, (struct pconn_input){ .event = PCONN_OPEN });
	if (p->state == PCONN_NEW) {
		upstream->record->renewed = 0;
		upstream_push(upstream, (struct pconn_input){ .event = PCONN_START });
	} else if (upstream->record->renewed) {
		upstream_push_renewal(upstream);
	}
}

/* P26: with no event and no new attempt. */
static void
upstream_resume(struct upstream *upstream)
{
	const struct pconn *p = upstream_pconn(upstream);
	struct pconn_input in = { .event = PCONN_HELD, .held = upstream_waiting(upstream) };
	unsigned todo = pconn_resume(p);
	bool connected = p->state == PCONN_CONNECTED && !p->lost, standby = connected && upstream->settings->shared;
	bool dialling = p->state == PCONN_DIAL && !p->doomed;

	endpoints_resume(&upstream->record->endpoints, clock_now());
	pool_adopt(upstream->pool, connected || dialling, standby);
	/* What the dead worker had not come to: whether what is missing is withdrawn, how the catalog has changed. */
	lookup_refresh_by(upstream->lookup, lookup_catalog(upstream->lookup) != NULL ? clock_now() :
	    endpoints_doubtful_until(&upstream->record->endpoints));
	upstream_resume_lent(upstream);
	if (dialling && pool_idle(upstream->pool, TABLE_ROLE_NEXT) > 0)
		upstream_push_dial(upstream, PCONN_DIALED, pool_first(upstream->pool), NULL, false);
	upstream_act(upstream, todo, &in);
	upstream_push(upstream, (struct pconn_input){ .event = PCONN_HELD });
}

void
upstream_begin(struct upstream *upstream)
{
	struct upstream_inputs early = STAILQ_HEAD_INITIALIZER(early);

	upstream->begun = true;
	STAILQ_CONCAT(&early, &upstream->inputs);
	if (upstream->record->begun && upstream_pconn(upstream)->state != PCONN_NEW) {
		upstream_resume(upstream);
	} else {
		upstream->record->begun = 1;
		pool_adopt(upstream->pool, false, false);
		upstream_take_back(upstream);
		upstream->lost = false;
	}
	upstream_administer(upstream);
	STAILQ_CONCAT(&upstream->inputs, &early);
}

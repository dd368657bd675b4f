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
	struct address candidates[RECORD_CANDIDATES];
	const struct pconn *p = link_pconn(link);
	struct pconn_input in = { .event = PCONN_HELD, .held = link_waiting(link) };
	unsigned todo = pconn_resume(p);
	bool keep = p->state == PCONN_DIAL || (p->state == PCONN_CONNECTED && !p->lost);

	for (size_t i = 0; i < link->record->candidate_count; i++)
		record_get_candidate(link->record, i, &candidates[i]);
	pool_set_candidates(link->pool, candidates, link->record->candidate_count);
	pool_adopt(link->pool, keep);
	if (!keep)
		pool_drop(link->pool);
	standby_adopt(link->standby, p->state == PCONN_CONNECTED && !p->lost && link->settings->shared);
	link_resume_lent(link);
	if ((todo & PCONN_DO_DIAL) != 0 && pool_ready(link->pool) > 0) {
		todo &= ~PCONN_DO_DIAL;
		link_push(link, (struct pconn_input){ .event = PCONN_DIALED });
	}
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
		standby_adopt(link->standby, false);
		link_take_back(link);
		link->lost = false;
	}
	link_administer(link);
	STAILQ_CONCAT(&link->inputs, &early);
}

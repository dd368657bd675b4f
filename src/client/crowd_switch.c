/* What operators order for a while: a pause, and the failure of the upstream. */
#include "base/clock.h"
#include "client/crowd_parts.h"
#include "keep/crash.h"

/* A worker that died between the end of a pause and noting when it was has left a point of the wall clock. */
void
crowd_resume_pause(struct crowd *crowd)
{
	int64_t now = clock_now(), ended = crowd->table->services[crowd->service].pause.since;

	hold_pause(crowd->hold, table_is_paused(crowd->table, crowd->service), ended < now ? ended : now);
}

static void
crowd_pause_session(struct crowd *crowd, struct session *session, bool kill)
{
	bool returns = session_can_return(session);

	if (returns && (session_is_unused(session) || (kill && crowd->settings->on_upstream_end == CROWD_RECONNECT)))
		crowd_put_back(crowd, session);
	else if (kill)
		crowd_end(crowd, session, CLOSING_OPERATOR, NULL);
}

void
crowd_pause(struct crowd *crowd, bool kill)
{
	struct session *session, *next;

	hold_pause(crowd->hold, true, 0);
	for (session = TAILQ_FIRST(&crowd->open); crowd->shared == NULL && session != NULL; session = next) {
		next = TAILQ_NEXT(session, entry);
		crowd_pause_session(crowd, session, kill);
	}
	crowd_tell_held(crowd);
	crowd_limit(crowd);
}

void
crowd_unpause(struct crowd *crowd)
{
	hold_pause(crowd->hold, false, clock_now());
	crowd_limit(crowd);
}

/* What has arrived is still delivered, as after any end of an upstream. */
void
crowd_cut(struct crowd *crowd, uint16_t endpoint, enum closing_cause cause)
{
	struct session *session;

	if (crowd->shared != NULL)
		return;
	TAILQ_FOREACH(session, &crowd->open, entry) {
		const struct table_conn *conn = &crowd->table->conns[session_record(session)->conn];

		if (endpoint == 0 || conn->endpoint == endpoint)
			relay_cut(session->relay, cause);
		CRASH_POINT(ENDPOINT_CUT);
	}
}

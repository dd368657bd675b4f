#include "client/crowd_parts.h"

#include "base/clock.h"
#include "keep/recover.h"

/* A client that a dead worker had accepted, and nothing more, is admitted or turned away as any new one is.  Nobody
 * is told: the crowd is not its owner's yet. */
static bool
crowd_admit_adopted(struct crowd *crowd, uint32_t index, uid_t *ret_uid)
{
	struct table_client *record = &crowd->table->clients[index];
	const char *reply = crowd->settings->down_reply;
	struct session *session;

	switch (crowd_admit(crowd, record->fd, ret_uid)) {
	case ADMISSION_NOT_ALLOWED:
		recover_close_client(crowd->table, index);
		return false;
	case ADMISSION_TOO_MANY:
		lingering_begin(crowd->lingering, index, reply);
		return false;
	default:
		break;
	}
	record->since = clock_now();
	record->flags = 0;
	crowd_counters(crowd)->clients++;
	if (!crowd_is_closed_now(crowd))
		return true;
	crowd_counters(crowd)->refused_down++;
	admission_leave(crowd->admission, *ret_uid);
	session = crowd_add(crowd, index, (uid_t)-1);
	crowd_log_end(crowd, session, CLOSING_REFUSED);
	session_refuse(session, crowd->lingering, reply);
	return false;
}

static void
crowd_resume_session(struct crowd *crowd, uint32_t index)
{
	struct table_client *record = &crowd->table->clients[index];
	bool adopted = record->flags & TABLE_CLIENT_ADOPTED;
	struct session *session;
	uid_t uid = (uid_t)-1;

	if (adopted && !crowd_admit_adopted(crowd, index, &uid))
		return;
	if (!adopted)
		admission_rejoin(crowd->admission, record->fd, &uid);
	session = crowd_add(crowd, index, uid);
	session->waits = true;
	if (session_is_held(session) && crowd->shared == NULL) {
		hold_add(crowd->hold, session);
		session_begin(session);
		return;
	}
	TAILQ_INSERT_TAIL(&crowd->open, session, entry);
	crowd->open_count++;
	if (session_is_held(session))
		session_share(session);
	else
		session_begin(session);
}

void
crowd_resume(struct crowd *crowd)
{
	const struct table *table = crowd->table;
	enum table_state state;

	for (uint32_t i = 1; i < table->header->client_high; i++) {
		state = table_client_state(table, i);
		if (table->clients[i].service != crowd->service ||
		    (table->clients[i].flags & TABLE_CLIENT_DATAGRAMS))
			continue;
		if (state == TABLE_LIVE)
			crowd_resume_session(crowd, i);
		else if (state == TABLE_LINGERING)
			lingering_resume(crowd->lingering, i, crowd->settings->down_reply);
	}
}

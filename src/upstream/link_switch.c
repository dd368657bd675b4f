/* What an operator orders for a while: a pause, the failure of the upstream.  The machine knows of neither: it is
 * told that nothing is to be kept ready and that nobody waits, or that what it begins has failed. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "upstream/link_parts.h"

static void
link_push_again(struct link *link)
{
	link_push(link, (struct pconn_input){ .event = PCONN_HELD });
}

void
link_pause(struct link *link)
{
	link_note_settings(link);
	link_push_again(link);
}

void
link_let_go(struct link *link)
{
	link->let_go = true;
	link_push_again(link);
}

/* While a connection is lent the pause has not come to its end, and nobody was told that nothing is in flight: it is
 * good, and may be given requests again in this very turn of the loop. */
void
link_unpause(struct link *link)
{
	link->let_go = false;
	link_note_settings(link);
	if (link->lent != 0 || (!pconn_is_eager(&link->pconn) && link->held == 0)) /* P30 */
		link_push_again(link);
	else
		link_reconnect(link);
}

bool
link_is_at_rest(const struct link *link)
{
	if (link->lent != 0 || pool_ready(link->pool) > 0 || pool_dialling(link->pool) > 0)
		return false;
	switch ((enum pconn_state)link_pconn(link)->state) {
	case PCONN_IDLE: case PCONN_WAIT: case PCONN_DISCONNECTED: case PCONN_CLOSED:
		return true;
	case PCONN_NEW: case PCONN_ATTEMPTING: case PCONN_LOOKUP: case PCONN_OBTAINED: case PCONN_DIAL:
	case PCONN_FAILED: case PCONN_CONNECTED: case PCONN_STATES:
		return false;
	}
	return false;
}

/* An attempt under way is let come to its end. */
static void
link_rest(struct link *link)
{
	const struct pconn *p = link_pconn(link);

	if (p->state != PCONN_CONNECTED || p->lost || p->closing || p->ending != PCONN_END_NONE)
		return;
	if (link->lent == 0 || link->let_go)
		link_push(link, (struct pconn_input){ .event = PCONN_RECONNECT });
}

int64_t
link_failing_left(const struct link *link)
{
	int64_t left = (int64_t)link->table->services[link->service].failing.value - clock_now();

	return left > 0 ? left : 0;
}

/* For P8 it is one and the same failure all the time; people are told how long yet. */
void
link_fail_attempt(struct link *link, enum pconn_event event)
{
	char text[LINK_BY_SIZE + 48];

	snprintf(text, sizeof text, "made to fail by %s", link->failing_by);
	link_set_error(link, "", text);
	snprintf(link->record->last_error, sizeof link->record->last_error, "%s for %.1f s more", text,
	    (double)link_failing_left(link) / CLOCK_SECOND);
	link_push(link, (struct pconn_input){ .event = event });
}

/* The machine then has it dropped. */
static void
link_break_connection(struct link *link)
{
	char text[LINK_BY_SIZE + 48];

	snprintf(text, sizeof text, "made to fail by %s", link->failing_by);
	link_set_purpose(link, text);
	link_push(link, (struct pconn_input){ .event = PCONN_LOST });
}

static void
link_break(struct link *link)
{
	const struct pconn *p = link_pconn(link);

	if (p->state == PCONN_CONNECTED && !p->lost) {
		link_break_connection(link);
	} else if (p->state == PCONN_LOOKUP && link->asking != NULL) {
		lookup_leave(link->asking);
		link->asking = NULL;
		link_fail_attempt(link, PCONN_LOOKUP_FAILED);
	} else if (p->state == PCONN_DIAL && pool_dialling(link->pool) > 0) {
		pool_drop(link->pool);
		link_fail_attempt(link, PCONN_DIAL_FAILED);
	}
}

void
link_obey(struct link *link)
{
	if (link_is_failing(link))
		link_break(link);
	if (link_is_paused(link))
		link_rest(link);
}

/* It is over: whoever waits has waited long enough. */
static void
link_fail_no_more(struct link *link)
{
	const struct pconn *p = link_pconn(link);

	loop_timer_stop(&link->failing);
	if (p->state != PCONN_IDLE && p->state != PCONN_CONNECTED)
		link_reconnect(link);
	else
		link_push_again(link);
}

void
link_on_failed(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;

	(void)fd;
	(void)what;
	link->table->services[link->service].failing.value = 0;
	table_history_add(link->table, link->service, LINK_NOTE, "the failure by order is over");
	log_notice(link->name, "the failure by order of %s is over; it is connected anew", link->failing_by);
	link_fail_no_more(link);
}

void
link_fail(struct link *link, const char *by)
{
	int64_t until = (int64_t)link->table->services[link->service].failing.value;

	if (until == 0) {
		link_fail_no_more(link);
		return;
	}
	record_text(link->failing_by, sizeof link->failing_by, by);
	loop_timer_at(&link->failing, until);
	link_push_again(link);
}

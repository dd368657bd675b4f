#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/crash.h"
#include "keep/histogram.h"
#include "upstream/link_parts.h"

static bool
link_is_idempotent(enum pconn_event event)
{
	return event == PCONN_HELD || event == PCONN_TAKEN || event == PCONN_RELAYED || event == PCONN_DEADLINE ||
	    event == PCONN_RECONNECT;
}

static struct link_input *
link_add(struct link *link, struct pconn_input input)
{
	struct link_input *added = stock_take(&link->stock);

	added->input = input;
	added->number = 0;
	added->error = NULL;
	STAILQ_INSERT_TAIL(&link->inputs, added, next);
	if (!link->running)
		loop_timer_soon(&link->turn);
	return added;
}

void
link_push(struct link *link, struct pconn_input input)
{
	const struct link_input *pushed;

	if (link_is_idempotent(input.event))
		STAILQ_FOREACH(pushed, &link->inputs, next)
			if (pushed->input.event == input.event)
				return;
	link_add(link, input);
}

void
link_push_dial(struct link *link, enum pconn_event event, uint16_t number, const char *error, bool further)
{
	struct link_input *added = link_add(link, (struct pconn_input){ .event = event, .further = further });

	added->number = number;
	added->error = mem_copy_text(error);
}

void
link_free_input(struct link *link, struct link_input *input)
{
	STAILQ_REMOVE(&link->inputs, input, link_input, next);
	mem_free(input->error);
	stock_give(&link->stock, input);
}

static bool
link_is_of_dial(const struct link_input *input)
{
	return input->input.event == PCONN_OFFERED || input->input.event == PCONN_DIALED ||
	    input->input.event == PCONN_DIAL_FAILED;
}

static bool
link_is_offer(const struct link_input *input)
{
	return input->input.event == PCONN_OFFERED;
}

static void
link_forget(struct link *link, bool (*is)(const struct link_input *input))
{
	struct link_input *input, *next;

	for (input = STAILQ_FIRST(&link->inputs); input != NULL; input = next) {
		next = STAILQ_NEXT(input, next);
		if (is(input))
			link_free_input(link, input);
	}
}

void
link_forget_dials(struct link *link)
{
	link_forget(link, link_is_of_dial);
}

/* What the attempt's dials have told waits while a handler runs (P9). */
static struct link_input *
link_next_input(struct link *link)
{
	enum pconn_state state = (enum pconn_state)link_pconn(link)->state;
	bool waits = state == PCONN_OBTAINED || state == PCONN_FAILED;
	struct link_input *input;

	STAILQ_FOREACH(input, &link->inputs, next)
		if (!waits || !link_is_of_dial(input))
			break;
	return input;
}

static bool
link_dials_have_told(const struct link *link)
{
	const struct link_input *input;

	STAILQ_FOREACH(input, &link->inputs, next)
		if (link_is_of_dial(input))
			return true;
	return false;
}

void
link_push_renewal(struct link *link)
{
	enum table_admin admin = (enum table_admin)link->table->services[link->service].administered;
	const struct pconn *p = link_pconn(link);

	if (p->state == PCONN_CLOSED && admin != TABLE_ADMIN_NONE) {
		link->record->renewed = 0;
		return;
	}
	if (admin == TABLE_ADMIN_NONE && p->ending == PCONN_END_ABORT && !link->asked_to_end)
		link->asked_to_open = true;
	link_push(link, (struct pconn_input){ .event = PCONN_RENEW });
	if (admin == TABLE_ADMIN_DRAINED) /* that an abort came before is forgotten */
		link_push(link, (struct pconn_input){ .event = PCONN_DRAIN });
}

uint32_t
link_roll(void *arg)
{
	struct link *link = arg;
	uint32_t roll;

	link->random ^= link->random >> 12; /* xorshift64* */
	link->random ^= link->random << 25;
	link->random ^= link->random >> 27;
	roll = (uint32_t)((link->random * UINT64_C(2685821657736338717)) >> 32);
	return roll == DELAY_EXACT ? 0 : roll;
}

static void
link_drop(struct link *link)
{
	lookup_leave(link->asking);
	link->asking = NULL;
	pool_drop(link->pool, TABLE_ROLE_NEXT);
	link_forget_dials(link);
	standby_drop(link->standby);
	link_take_back(link);
}

static void
link_write_order(const struct link *link, char text[LINK_BY_SIZE + 48])
{
	snprintf(text, LINK_BY_SIZE + 48, "made to fail by %s", link->failing_by);
}

/* For P8 it is one and the same failure all the time; people are told how long yet. */
static void
link_fail_attempt(struct link *link)
{
	bool dialling = link_pconn(link)->state == PCONN_DIAL;
	char text[LINK_BY_SIZE + 48];

	lookup_leave(link->asking);
	link->asking = NULL;
	pool_drop(link->pool, TABLE_ROLE_NEXT);
	link_forget_dials(link);
	link_write_order(link, text);
	link_set_error(link, "", text);
	snprintf(link->record->last_error, sizeof link->record->last_error, "%s for %.1f s more", text,
	    (double)link_failing_left(link) / CLOCK_SECOND);
	link_push(link, (struct pconn_input){ .event = dialling ? PCONN_DIAL_FAILED : PCONN_LOOKUP_FAILED });
}

static void
link_handle(struct link *link)
{
	struct link_event event = link_last_event(link);

	if (!handlers_run(link->handlers, &event))
		link_push(link, (struct pconn_input){ .event = PCONN_HANDLED });
}

/* Of dials that are over all is told already; of a dead worker's nothing is left. */
static void
link_dial(struct link *link, bool go)
{
	if (!pool_is_attempting(link->pool) && !link_dials_have_told(link))
		pool_attempt(link->pool);
	else if (go)
		pool_go(link->pool);
}

static void
link_answer_waiters(struct link *link, unsigned todo)
{
	if ((todo & PCONN_DO_ANSWER_CONNECTED) != 0)
		waiters_answer(link->waiters, WAITERS_CONNECTED | WAITERS_RESULT, NULL);
	if ((todo & PCONN_DO_ANSWER_CLOSED) != 0)
		waiters_answer(link->waiters, WAITERS_CONNECTED | WAITERS_RESULT, link_closed_error(link));
	if ((todo & PCONN_DO_ANSWER_FAILED) != 0)
		waiters_answer(link->waiters, WAITERS_RESULT, link->record->last_error);
	if ((todo & PCONN_DO_FINISHED) != 0)
		waiters_answer(link->waiters, WAITERS_CLOSED, NULL);
}

void
link_act(struct link *link, unsigned todo, const struct pconn_input *in)
{
	if ((todo & PCONN_DO_DROP) != 0)
		link_drop(link);
	if ((todo & PCONN_DO_EXPIRED) != 0)
		link->record->counters.expiries++;
	if ((todo & PCONN_DO_REST) != 0)
		link_tell_rest(link);
	link_answer_waiters(link, todo);
	if ((todo & PCONN_DO_REPORT) != 0)
		link_report(link);
	if ((todo & PCONN_DO_HANDLE) != 0)
		link_handle(link);
	if ((todo & PCONN_DO_FAIL) != 0)
		link_fail_attempt(link);
	if ((todo & PCONN_DO_LOOKUP) != 0)
		link_ask(link);
	if ((todo & (PCONN_DO_DIAL | PCONN_DO_GO)) != 0)
		link_dial(link, (todo & PCONN_DO_GO) != 0);
	if ((todo & PCONN_DO_STOP) != 0 && pool_stop(link->pool))
		link_forget(link, link_is_offer); /* it was taken back */
	if ((todo & PCONN_DO_FILL) != 0)
		pool_fill(link->pool, pconn_wanted(link_pconn(link), &link->pconn, in));
	CRASH_POINT(LINK_ACTED);
}

/* P8, P23: compares what has come with what was reported. */
static void
link_compare(struct link *link, struct record_place *place, struct pconn_input *in)
{
	bool looking = place->pconn.state == PCONN_LOOKUP && !place->pconn.doomed;
	uint64_t address = repeats_hash(link->record->address), error = repeats_hash(link->record->error);

	if (in->event == PCONN_LOOKED_UP && looking)
		repeats_attempt(&place->repeats);
	else if (in->event == PCONN_OFFERED)
		in->fresh = repeats_try(&place->repeats, address);
	else if (in->event == PCONN_LOOKUP_FAILED && place->pconn.state == PCONN_LOOKUP)
		in->same = repeats_lookup_failed(&place->repeats, error);
	else if (in->event == PCONN_DIAL_FAILED && place->pconn.state == PCONN_DIAL)
		in->same = repeats_dial_failed(&place->repeats, address, error);
}

/* What is reported now, for that. */
static void
link_remember(struct link *link, struct record_place *place)
{
	if (place->pconn.event == PCONN_REPORT_ATTEMPTING) {
		repeats_begin(&place->repeats);
	} else if (place->pconn.event == PCONN_REPORT_OBTAINED && place->pconn.state == PCONN_CONNECTED) {
		repeats_attempt(&place->repeats);
		repeats_try(&place->repeats, repeats_hash(link->record->taking_over));
	}
}

/* Why the connection is given up. */
static void
link_name_loss(struct link *link, enum pconn_event event, unsigned todo)
{
	char text[LINK_BY_SIZE + 48];

	link_write_order(link, text);
	if ((todo & PCONN_DO_GIVE_UP) != 0)
		link_set_purpose(link, link_is_failing(link) ? text : "paused by an operator");
	else if (event == PCONN_RECONNECT)
		link_set_purpose(link, link->withdrawing ? LINK_WITHDRAWN : "reconnect by an operator");
	else if (event == PCONN_CLOSE)
		link_set_purpose(link, "closed by an operator");
	else if (event == PCONN_RENEW)
		link_set_purpose(link, "reload");
}

static void
link_note_step(struct link *link, const struct pconn *before, const struct pconn *after, enum pconn_event event,
    unsigned todo)
{
	bool connected = before->state == PCONN_CONNECTED && !before->lost;

	if (connected && (after->state != PCONN_CONNECTED || after->lost))
		link_name_loss(link, event, todo);
	if (after->state == PCONN_LOOKUP && ((todo & PCONN_DO_LOOKUP) != 0 || before->state != PCONN_LOOKUP))
		link->record->counters.attempts++;
}

/* Of which endpoint it tells.  While connected, one that was dialled in vain is not the one that is told of. */
static void
link_name_dial(struct link *link, const struct link_input *input)
{
	struct link_record *record = link->record;
	bool connected = link_pconn(link)->state == PCONN_CONNECTED;
	char what[ADDRESS_TEXT_SIZE + 8] = "", address[ADDRESS_TEXT_SIZE];

	if (input->number != 0) {
		link_address(link, input->number, address);
		snprintf(what, sizeof what, "dial %s", address);
		if (!connected || input->input.event == PCONN_DIALED)
			record_text(record->address, sizeof record->address, address);
	}
	if (input->input.event == PCONN_DIALED)
		record->number = input->number;
	if (input->error == NULL)
		return;
	link_set_error(link, what, input->error);
	if (connected)
		link_set_reason(link, record->last_error); /* no event says where it was dialled */
}

static void
link_step(struct link *link, const struct link_input *input)
{
	struct record_place *place = record_open(link->record);
	struct pconn_input given = input->input, *in = &given;
	unsigned todo;

	link_name_dial(link, input);

	in->now = clock_now();
	in->roll = link_roll(link);
	in->held = link_waiting(link);
	in->ready = link_ready(link);
	in->dialling = pool_dialling(link->pool);
	in->paused = link_is_paused(link);
	in->in_use = link->lent != 0 && !link->let_go;
	in->failing = link_is_failing(link);
	if (in->event == PCONN_ENDED)
		in->elsewhere = endpoints_elsewhere(&link->record->endpoints);
	link_compare(link, place, in);
	todo = pconn_step(&place->pconn, &link->pconn, in);
	if ((todo & PCONN_DO_REPORT) != 0)
		link_remember(link, place);
	link_note_step(link, link_pconn(link), &place->pconn, in->event, todo);
	record_commit(link->record);
	if (in->event == PCONN_RECONNECT)
		link->withdrawing = false;
	if (in->event == PCONN_LOST)
		link->lost = false;
	if (in->event == PCONN_TAKEN_OVER)
		link_note_takeover(link);
	if (in->event == PCONN_RENEW)
		link->record->renewed = 0;
	if (in->same)
		link_tell_repeat(link);
	link_act(link, todo, in);
}

/* P20 keeps the current connection; here that is the clients', or the lent one, and the ones nobody has are of no
 * use. */
static void
link_end_unused(struct link *link)
{
	const struct pconn *p = link_pconn(link);

	if (p->state != PCONN_CONNECTED || p->lost || p->ending == PCONN_END_NONE || link->lent != 0)
		return;
	link_drop(link);
	if (p->ending == PCONN_END_ABORT)
		link_set_reason(link, link->record->abort_error);
	else
		link_set_purpose(link, "drained by an operator");
	link_push(link, (struct pconn_input){ .event = PCONN_LOST });
}

/* Lets clients have what is ready, or have them refused. */
static void
link_serve(struct link *link)
{
	bool refuses = link_refuses(link), up = link_is_up(link);
	unsigned warm = link_pconn(link)->resting ? 0 : pconn_warm(link_pconn(link), &link->pconn), held;

	if (pool_idle(link->pool, TABLE_ROLE_NEXT) > 0 || refuses != link->refused || up != link->was_up) {
		link->refused = refuses;
		link->was_up = up;
		link->callbacks->ready(link->arg);
	}
	held = link_waiting(link);
	if (link_pconn(link)->state == PCONN_CONNECTED)
		pool_trim(link->pool, TABLE_ROLE_NEXT, link->lent != 0 ? 0 : warm > held ? warm : held);
}

bool
link_is_to_stay(const struct link *link)
{
	const struct pconn *p = link_pconn(link);

	return p->state == PCONN_CONNECTED && !p->lost && !p->closing && p->ending == PCONN_END_NONE &&
	    link_gives(link);
}

void
link_run(struct link *link)
{
	struct link_input *input;

	link->running = true;
	while ((input = link_next_input(link)) != NULL) {
		struct link_input taken = *input;

		input->error = NULL;
		link_free_input(link, input);
		link_step(link, &taken);
		mem_free(taken.error);
		link_end_unused(link);
	}
	link->running = false;
	link->asked_to_end = link->asked_to_open = false;
	loop_timer_at(&link->timer, link_pconn(link)->deadline);
	lookup_refresh(link->lookup, link_is_to_stay(link));
	link_note_state(link);
	link_tend(link); /* before anybody is given what must not be given any more */
	link_serve(link);
	link_tend_standby(link);
}

void
link_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;

	(void)fd;
	(void)what;
	link_push(link, (struct pconn_input){ .event = PCONN_DEADLINE });
	link_run(link);
}

void
link_on_handled(void *arg)
{
	struct link *link = arg;

	link_push(link, (struct pconn_input){ .event = PCONN_HANDLED });
	link_run(link);
}

static void
link_on_offered(void *arg, uint16_t number)
{
	link_push_dial(arg, PCONN_OFFERED, number, NULL, false);
}

static void
link_on_dialled(void *arg, enum pool_purpose purpose, uint16_t number)
{
	struct link *link = arg;
	char address[ADDRESS_TEXT_SIZE];

	if (purpose == POOL_STANDBY) {
		link_address(link, number, address);
		log_debug(link->name, "standby %s is ready", address);
		standby_tell(link->standby, STANDBY_DIALED);
	}
	if (purpose == POOL_ATTEMPT || purpose == POOL_FILL)
		link_push_dial(link, PCONN_DIALED, number, NULL, false);
	link_run(link);
}

/* One endpoint's word is not the service's: only where no other has done better it ends all attempts (P23).  A
 * standby's or a health dial's word ends none. */
static void
link_on_dial_failed(void *arg, enum pool_purpose purpose, uint16_t number, const char *error, bool further,
    const char *abort)
{
	struct link *link = arg;
	char address[ADDRESS_TEXT_SIZE];

	link_address(link, number, address);
	if (purpose != POOL_ATTEMPT)
		log_debug(link->name, "%sdial %s: %s%s", purpose == POOL_STANDBY ? "standby: " : "", address, error,
		    further ? "; others are dialled" : "");
	if (purpose == POOL_ATTEMPT || (purpose == POOL_FILL && !further)) {
		if (abort != NULL)
			link_abort(link, abort);
		link_push_dial(link, PCONN_DIAL_FAILED, number, error, further);
	}
	if (further)
		return;
	if (purpose == POOL_STANDBY)
		standby_tell(link->standby, STANDBY_DIAL_FAILED);
	link_run(link);
}

/* The attempt's connection, of which the machine is to be told still, has ended. */
static bool
link_undo_dialled(struct link *link, const char *error)
{
	struct link_input *input;

	STAILQ_FOREACH(input, &link->inputs, next)
		if (input->input.event == PCONN_DIALED && pool_idle(link->pool, TABLE_ROLE_NEXT) == 0) {
			input->input = (struct pconn_input){ .event = PCONN_DIAL_FAILED };
			input->error = mem_copy_text(error);
			return true;
		}
	return false;
}

static void
link_on_ended(void *arg, enum table_role role, uint16_t number, int64_t age, const char *text)
{
	struct link *link = arg;
	char error[RECORD_ERROR_SIZE], address[ADDRESS_TEXT_SIZE];

	link_address(link, number, address);
	snprintf(error, sizeof error, "ended by the server after %.1f s, unused%s%s", (double)age / CLOCK_SECOND,
	    *text == '\0' ? "" : ": ", text);
	if (role == TABLE_ROLE_STANDBY) {
		log_debug(link->name, "standby %s: %s", address, error);
		standby_tell(link->standby, STANDBY_LOOK);
		return;
	}
	if (link->lent != 0 || link_undo_dialled(link, error))
		return; /* it was one too many */
	link->ended_age = age;
	if (link_take_over(link, age)) {
		link_set_reason(link, error);
		link_run(link);
		return;
	}
	if (age < PCONN_YOUNG)
		link_set_error(link, address, error);
	else if (link->settings->shared)
		link_set_reason(link, error);
	else
		log_debug(link->name, "%s: %s", address, error);
	link_push(link, (struct pconn_input){ .age = age,
	    .event = link->settings->shared && age >= PCONN_YOUNG ? PCONN_LOST : PCONN_ENDED });
	link_run(link);
}

static void
link_on_spoke(void *arg)
{
	struct link *link = arg;

	link->ended_age = 0;
	link_push(link, (struct pconn_input){ .event = PCONN_SPOKE });
}

const struct pool_callbacks link_pool_callbacks = {
	.offered = link_on_offered, .dialled = link_on_dialled, .failed = link_on_dial_failed,
	.ended = link_on_ended, .turned = link_on_turned, .spoke = link_on_spoke, .roll = link_roll
};

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/crash.h"
#include "keep/histogram.h"
#include "upstream/upstream_parts.h"

static bool
upstream_is_idempotent(enum pconn_event event)
{
	return event == PCONN_HELD || event == PCONN_TAKEN || event == PCONN_RELAYED || event == PCONN_DEADLINE ||
	    event == PCONN_RECONNECT;
}

static struct upstream_input *
upstream_add(struct upstream *upstream, struct pconn_input input)
{
	struct upstream_input *added = stock_take(&upstream->stock);

	added->input = input;
	added->number = 0;
	added->error = NULL;
	STAILQ_INSERT_TAIL(&upstream->inputs, added, next);
	if (!upstream->running)
		loop_timer_soon(&upstream->turn);
	return added;
}

void
upstream_push(struct upstream *upstream, struct pconn_input input)
{
	const struct upstream_input *pushed;

	if (upstream_is_idempotent(input.event))
		STAILQ_FOREACH(pushed, &upstream->inputs, next)
			if (pushed->input.event == input.event)
				return;
	upstream_add(upstream, input);
}

void
upstream_push_dial(struct upstream *upstream, enum pconn_event event, uint16_t number, const char *error,
    bool further)
{
	struct upstream_input *added = upstream_add(upstream, (struct pconn_input){ .event = event, .further =
	    further });

	added->number = number;
	added->error = mem_copy_text(error);
}

void
upstream_free_input(struct upstream *upstream, struct upstream_input *input)
{
	STAILQ_REMOVE(&upstream->inputs, input, upstream_input, next);
	mem_free(input->error);
	stock_give(&upstream->stock, input);
}

static bool
upstream_is_of_dial(const struct upstream_input *input)
{
	return input->input.event == PCONN_OFFERED || input->input.event == PCONN_DIALED ||
	    input->input.event == PCONN_DIAL_FAILED;
}

static bool
upstream_is_offer(const struct upstream_input *input)
{
	return input->input.event == PCONN_OFFERED;
}

static void
upstream_forget(struct upstream *upstream, bool (*is)(const struct upstream_input *input))
{
	struct upstream_input *input, *next;

	for (input = STAILQ_FIRST(&upstream->inputs); input != NULL; input = next) {
		next = STAILQ_NEXT(input, next);
		if (is(input))
			upstream_free_input(upstream, input);
	}
}

void
upstream_forget_dials(struct upstream *upstream)
{
	upstream_forget(upstream, upstream_is_of_dial);
}

/* What the attempt's dials have told waits while a handler runs (P9). */
static struct upstream_input *
upstream_next_input(struct upstream *upstream)
{
	enum pconn_state state = (enum pconn_state)upstream_pconn(upstream)->state;
	bool waits = state == PCONN_OBTAINED || state == PCONN_FAILED;
	struct upstream_input *input;

	STAILQ_FOREACH(input, &upstream->inputs, next)
		if (!waits || !upstream_is_of_dial(input))
			break;
	return input;
}

static bool
upstream_dials_have_told(const struct upstream *upstream)
{
	const struct upstream_input *input;

	STAILQ_FOREACH(input, &upstream->inputs, next)
		if (upstream_is_of_dial(input))
			return true;
	return false;
}

void
upstream_push_renewal(struct upstream *upstream)
{
	enum table_admin admin = (enum table_admin)upstream->table->services[upstream->service].administered;
	const struct pconn *p = upstream_pconn(upstream);

	if (p->state == PCONN_CLOSED && admin != TABLE_ADMIN_NONE) {
		upstream->record->renewed = 0;
		return;
	}
	if (admin == TABLE_ADMIN_NONE && p->ending == PCONN_END_ABORT && !upstream->asked_to_end)
		upstream->asked_to_open = true;
	upstream_push(upstream, (struct pconn_input){ .event = PCONN_RENEW });
	if (admin == TABLE_ADMIN_DRAINED) /* that an abort came before is forgotten */
		upstream_push(upstream, (struct pconn_input){ .event = PCONN_DRAIN });
}

uint32_t
upstream_roll(void *arg)
{
	struct upstream *upstream = arg;
	uint32_t roll;

	upstream->random ^= upstream->random >> 12; /* xorshift64* */
	upstream->random ^= upstream->random << 25;
	upstream->random ^= upstream->random >> 27;
	roll = (uint32_t)((upstream->random * UINT64_C(2685821657736338717)) >> 32);
	return roll == DELAY_EXACT ? 0 : roll;
}

static void
upstream_drop(struct upstream *upstream)
{
	lookup_leave(upstream->asking);
	upstream->asking = NULL;
	pool_drop(upstream->pool, TABLE_ROLE_NEXT);
	upstream_forget_dials(upstream);
	pool_drop(upstream->pool, TABLE_ROLE_STANDBY);
	upstream_take_back(upstream);
}

static void
upstream_write_order(const struct upstream *upstream, char text[UPSTREAM_BY_SIZE + 48])
{
	snprintf(text, UPSTREAM_BY_SIZE + 48, "made to fail by %s", upstream->failing_by);
}

/* For P8 it is one and the same failure all the time; people are told how long yet. */
static void
upstream_fail_attempt(struct upstream *upstream)
{
	bool dialling = upstream_pconn(upstream)->state == PCONN_DIAL;
	char text[UPSTREAM_BY_SIZE + 48];

	lookup_leave(upstream->asking);
	upstream->asking = NULL;
	pool_drop(upstream->pool, TABLE_ROLE_NEXT);
	upstream_forget_dials(upstream);
	upstream_write_order(upstream, text);
	upstream_set_error(upstream, "", text);
	snprintf(upstream->record->last_error, sizeof upstream->record->last_error, "%s for %.1f s more", text,
	    (double)upstream_failing_left(upstream) / CLOCK_SECOND);
	upstream_push(upstream, (struct pconn_input){ .event = dialling ? PCONN_DIAL_FAILED : PCONN_LOOKUP_FAILED });
}

static void
upstream_handle(struct upstream *upstream)
{
	struct upstream_event event = upstream_last_event(upstream);

	if (!handlers_run(upstream->handlers, &event))
		upstream_push(upstream, (struct pconn_input){ .event = PCONN_HANDLED });
}

/* Of dials that are over all is told already; of a dead worker's nothing is left. */
static void
upstream_dial(struct upstream *upstream, bool go)
{
	if (!pool_is_attempting(upstream->pool) && !upstream_dials_have_told(upstream))
		pool_start(upstream->pool, POOL_ATTEMPT, 1);
	else if (go)
		pool_go(upstream->pool);
}

static void
upstream_answer_waiters(struct upstream *upstream, unsigned todo)
{
	if ((todo & PCONN_DO_ANSWER_CONNECTED) != 0)
		waiters_answer(upstream->waiters, WAITERS_CONNECTED | WAITERS_RESULT, NULL);
	if ((todo & PCONN_DO_ANSWER_CLOSED) != 0)
		waiters_answer(upstream->waiters, WAITERS_CONNECTED | WAITERS_RESULT,
		    upstream_closed_error(upstream));
	if ((todo & PCONN_DO_ANSWER_FAILED) != 0)
		waiters_answer(upstream->waiters, WAITERS_RESULT, upstream->record->last_error);
	if ((todo & PCONN_DO_FINISHED) != 0)
		waiters_answer(upstream->waiters, WAITERS_CLOSED, NULL);
}

void
upstream_act(struct upstream *upstream, unsigned todo, const struct pconn_input *in)
{
	if ((todo & PCONN_DO_DROP) != 0)
		upstream_drop(upstream);
	if ((todo & PCONN_DO_EXPIRED) != 0)
		upstream->record->counters.expiries++;
	if ((todo & PCONN_DO_REST) != 0)
		upstream_tell_rest(upstream);
	upstream_answer_waiters(upstream, todo);
	if ((todo & PCONN_DO_REPORT) != 0)
		upstream_report(upstream);
	if ((todo & PCONN_DO_HANDLE) != 0)
		upstream_handle(upstream);
	if ((todo & PCONN_DO_FAIL) != 0)
		upstream_fail_attempt(upstream);
	if ((todo & PCONN_DO_LOOKUP) != 0)
		upstream_ask(upstream);
	if ((todo & (PCONN_DO_DIAL | PCONN_DO_GO)) != 0)
		upstream_dial(upstream, (todo & PCONN_DO_GO) != 0);
	if ((todo & PCONN_DO_STOP) != 0 && pool_stop(upstream->pool))
		upstream_forget(upstream, upstream_is_offer); /* it was taken back */
	if ((todo & PCONN_DO_FILL) != 0)
		pool_start(upstream->pool, POOL_FILL,
		    pconn_wanted(upstream_pconn(upstream), &upstream->pconn, in));
	CRASH_POINT(UPSTREAM_ACTED);
}

/* P8, P23: compares what has come with what was reported. */
static void
upstream_compare(struct upstream *upstream, struct record_place *place, struct pconn_input *in)
{
	bool looking = place->pconn.state == PCONN_LOOKUP && !place->pconn.doomed;
	uint64_t address = repeats_hash(upstream->record->address), error = repeats_hash(upstream->record->error);

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
upstream_remember(struct upstream *upstream, struct record_place *place)
{
	if (place->pconn.event == PCONN_REPORT_ATTEMPTING) {
		repeats_begin(&place->repeats);
	} else if (place->pconn.event == PCONN_REPORT_OBTAINED && place->pconn.state == PCONN_CONNECTED) {
		repeats_attempt(&place->repeats);
		repeats_try(&place->repeats, repeats_hash(upstream->record->taking_over));
	}
}

/* Why the connection is given up. */
static void
upstream_name_loss(struct upstream *upstream, enum pconn_event event, unsigned todo)
{
	char text[UPSTREAM_BY_SIZE + 48];

	upstream_write_order(upstream, text);
	if ((todo & PCONN_DO_GIVE_UP) != 0)
		upstream_set_purpose(upstream, upstream_is_failing(upstream) ? text : "paused by an operator");
	else if (event == PCONN_RECONNECT)
		upstream_set_purpose(upstream, upstream->withdrawing ? UPSTREAM_WITHDRAWN :
		    "reconnect by an operator");
	else if (event == PCONN_CLOSE)
		upstream_set_purpose(upstream, "closed by an operator");
	else if (event == PCONN_RENEW)
		upstream_set_purpose(upstream, "reload");
}

static void
upstream_note_step(struct upstream *upstream, const struct pconn *before, const struct pconn *after,
    enum pconn_event event,
    unsigned todo)
{
	bool connected = before->state == PCONN_CONNECTED && !before->lost;

	if (connected && (after->state != PCONN_CONNECTED || after->lost))
		upstream_name_loss(upstream, event, todo);
	if (after->state == PCONN_LOOKUP && ((todo & PCONN_DO_LOOKUP) != 0 || before->state != PCONN_LOOKUP))
		upstream->record->counters.attempts++;
}

/* Of which endpoint it tells.  While connected, one that was dialled in vain is not the one that is told of. */
static void
upstream_name_dial(struct upstream *upstream, const struct upstream_input *input)
{
	struct upstream_record *record = upstream->record;
	bool connected = upstream_pconn(upstream)->state == PCONN_CONNECTED;
	char what[ADDRESS_TEXT_SIZE + 8] = "", address[ADDRESS_TEXT_SIZE];

	if (input->number != 0) {
		upstream_address(upstream, input->number, address);
		snprintf(what, sizeof what, "dial %s", address);
		if (!connected || input->input.event == PCONN_DIALED)
			record_text(record->address, sizeof record->address, address);
	}
	if (input->input.event == PCONN_DIALED)
		record->number = input->number;
	if (input->error == NULL)
		return;
	upstream_set_error(upstream, what, input->error);
	if (connected)
		upstream_set_reason(upstream, record->last_error); /* no event says where it was dialled */
}

static void
upstream_step(struct upstream *upstream, const struct upstream_input *input)
{
	struct record_place *place = record_open(upstream->record);
	struct pconn_input given = input->input, *in = &given;
	unsigned todo;

	upstream_name_dial(upstream, input);

	in->now = clock_now();
	in->roll = upstream_roll(upstream);
	in->held = upstream_waiting(upstream);
	in->ready = upstream_ready(upstream);
	in->dialling = pool_dialling(upstream->pool);
	in->paused = upstream_is_paused(upstream);
	in->in_use = upstream->lent != 0 && !upstream->let_go;
	in->failing = upstream_is_failing(upstream);
	if (in->event == PCONN_ENDED)
		in->elsewhere = endpoints_elsewhere(&upstream->record->endpoints);
	upstream_compare(upstream, place, in);
	todo = pconn_step(&place->pconn, &upstream->pconn, in);
	if ((todo & PCONN_DO_REPORT) != 0)
		upstream_remember(upstream, place);
	upstream_note_step(upstream, upstream_pconn(upstream), &place->pconn, in->event, todo);
	record_commit(upstream->record);
	if (in->event == PCONN_RECONNECT)
		upstream->withdrawing = false;
	if (in->event == PCONN_LOST)
		upstream->lost = false;
	if (in->event == PCONN_TAKEN_OVER)
		upstream_note_takeover(upstream);
	if (in->event == PCONN_RENEW)
		upstream->record->renewed = 0;
	if (in->same)
		upstream_tell_repeat(upstream);
	upstream_act(upstream, todo, in);
}

/* P20 keeps the current connection; here that is the clients', or the lent one, and the ones nobody has are of no
 * use. */
static void
upstream_end_unused(struct upstream *upstream)
{
	const struct pconn *p = upstream_pconn(upstream);

	if (p->state != PCONN_CONNECTED || p->lost || p->ending == PCONN_END_NONE || upstream->lent != 0)
		return;
	upstream_drop(upstream);
	if (p->ending == PCONN_END_ABORT)
		upstream_set_reason(upstream, upstream->record->abort_error);
	else
		upstream_set_purpose(upstream, "drained by an operator");
	upstream_push(upstream, (struct pconn_input){ .event = PCONN_LOST });
}

/* Lets clients have what is ready, or have them refused. */
static void
upstream_serve(struct upstream *upstream)
{
	bool refuses = upstream_refuses(upstream), up = upstream_is_up(upstream);
	unsigned warm = upstream_pconn(upstream)->resting ? 0 : pconn_warm(upstream_pconn(upstream),
	    &upstream->pconn), held;

	if (pool_idle(upstream->pool, TABLE_ROLE_NEXT) > 0 || refuses != upstream->refused ||
	    up != upstream->was_up) {
		upstream->refused = refuses;
		upstream->was_up = up;
		upstream->callbacks->ready(upstream->arg);
	}
	held = upstream_waiting(upstream);
	if (upstream_pconn(upstream)->state == PCONN_CONNECTED)
		pool_trim(upstream->pool, upstream->lent != 0 ? 0 : warm > held ? warm : held);
}

bool
upstream_is_to_stay(const struct upstream *upstream)
{
	const struct pconn *p = upstream_pconn(upstream);

	return p->state == PCONN_CONNECTED && !p->lost && !p->closing && p->ending == PCONN_END_NONE &&
	    upstream_gives(upstream);
}

void
upstream_run(struct upstream *upstream)
{
	struct upstream_input *input;

	upstream->running = true;
	while ((input = upstream_next_input(upstream)) != NULL) {
		struct upstream_input taken = *input;

		input->error = NULL;
		upstream_free_input(upstream, input);
		upstream_step(upstream, &taken);
		mem_free(taken.error);
		upstream_end_unused(upstream);
	}
	upstream->running = false;
	upstream->asked_to_end = upstream->asked_to_open = false;
	loop_timer_at(&upstream->timer, upstream_pconn(upstream)->deadline);
	lookup_refresh(upstream->lookup, upstream_is_to_stay(upstream));
	upstream_note_state(upstream);
	upstream_tend(upstream); /* before anybody is given what must not be given any more */
	upstream_serve(upstream);
	upstream_tend_standby(upstream);
}

void
upstream_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *upstream = arg;

	(void)fd;
	(void)what;
	upstream_push(upstream, (struct pconn_input){ .event = PCONN_DEADLINE });
	upstream_run(upstream);
}

void
upstream_on_handled(void *arg)
{
	struct upstream *upstream = arg;

	upstream_push(upstream, (struct pconn_input){ .event = PCONN_HANDLED });
	upstream_run(upstream);
}

static void
upstream_on_offered(void *arg, uint16_t number)
{
	upstream_push_dial(arg, PCONN_OFFERED, number, NULL, false);
}

static void
upstream_on_dialled(void *arg, enum pool_purpose purpose, uint16_t number)
{
	struct upstream *upstream = arg;
	char address[ADDRESS_TEXT_SIZE];

	if (purpose == POOL_STANDBY) {
		upstream_address(upstream, number, address);
		log_debug(upstream->name, "standby %s is ready", address);
	}
	if (purpose == POOL_ATTEMPT || purpose == POOL_FILL)
		upstream_push_dial(upstream, PCONN_DIALED, number, NULL, false);
	upstream_run(upstream);
}

/* One endpoint's word is not the service's: only where no other has done better it ends all attempts (P23).  A
 * standby's or a health dial's word ends none. */
static void
upstream_on_dial_failed(void *arg, enum pool_purpose purpose, uint16_t number, const char *error, bool further,
    const char *abort)
{
	struct upstream *upstream = arg;
	char address[ADDRESS_TEXT_SIZE];

	upstream_address(upstream, number, address);
	if (purpose != POOL_ATTEMPT)
		log_debug(upstream->name, "%sdial %s: %s%s", purpose == POOL_STANDBY ? "standby: " : "", address,
		    error,
		    further ? "; others are dialled" : "");
	if (purpose == POOL_ATTEMPT || (purpose == POOL_FILL && !further)) {
		if (abort != NULL)
			upstream_abort(upstream, abort);
		upstream_push_dial(upstream, PCONN_DIAL_FAILED, number, error, further);
	}
	if (!further)
		upstream_run(upstream);
}

/* The attempt's connection, of which the machine is to be told still, has ended. */
static bool
upstream_undo_dialled(struct upstream *upstream, const char *error)
{
	struct upstream_input *input;

	STAILQ_FOREACH(input, &upstream->inputs, next)
		if (input->input.event == PCONN_DIALED && pool_idle(upstream->pool, TABLE_ROLE_NEXT) == 0) {
			input->input = (struct pconn_input){ .event = PCONN_DIAL_FAILED };
			input->error = mem_copy_text(error);
			return true;
		}
	return false;
}

static void
upstream_on_ended(void *arg, enum table_role role, uint16_t number, int64_t age, const char *text)
{
	struct upstream *upstream = arg;
	char error[RECORD_ERROR_SIZE], address[ADDRESS_TEXT_SIZE];

	upstream_address(upstream, number, address);
	snprintf(error, sizeof error, "ended by the server after %.1f s, unused%s%s", (double)age / CLOCK_SECOND,
	    *text == '\0' ? "" : ": ", text);
	if (role == TABLE_ROLE_STANDBY) {
		log_debug(upstream->name, "standby %s: %s", address, error);
		return;
	}
	if (upstream->lent != 0 || upstream_undo_dialled(upstream, error))
		return; /* it was one too many */
	upstream->ended_age = age;
	if (upstream_take_over(upstream, age)) {
		upstream_set_reason(upstream, error);
		upstream_run(upstream);
		return;
	}
	if (age < PCONN_YOUNG)
		upstream_set_error(upstream, address, error);
	else if (upstream->settings->shared)
		upstream_set_reason(upstream, error);
	else
		log_debug(upstream->name, "%s: %s", address, error);
	upstream_push(upstream, (struct pconn_input){ .age = age,
	    .event = upstream->settings->shared && age >= PCONN_YOUNG ? PCONN_LOST : PCONN_ENDED });
	upstream_run(upstream);
}

static void
upstream_on_spoke(void *arg)
{
	struct upstream *upstream = arg;

	upstream->ended_age = 0;
	upstream_push(upstream, (struct pconn_input){ .event = PCONN_SPOKE });
}

const struct pool_callbacks upstream_pool_callbacks = {
	.offered = upstream_on_offered, .dialled = upstream_on_dialled, .failed = upstream_on_dial_failed,
	.ended = upstream_on_ended, .turned = upstream_on_turned, .spoke = upstream_on_spoke,
	.look_up = upstream_look_up_standby, .leave = upstream_leave_standby, .roll = upstream_roll
};

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/crash.h"
#include "keep/histogram.h"
#include "upstream/link_parts.h"
#include "upstream/spare.h"

static bool
link_is_idempotent(enum pconn_event event)
{
	return event == PCONN_HELD || event == PCONN_TAKEN || event == PCONN_RELAYED || event == PCONN_DEADLINE ||
	    event == PCONN_RECONNECT;
}

void
link_push(struct link *link, struct pconn_input input)
{
	struct link_input *pushed;

	if (link_is_idempotent(input.event))
		STAILQ_FOREACH(pushed, &link->inputs, next)
			if (pushed->input.event == input.event)
				return;
	pushed = stock_take(&link->stock);
	pushed->input = input;
	STAILQ_INSERT_TAIL(&link->inputs, pushed, next);
	if (!link->running)
		loop_timer_soon(&link->turn);
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
link_roll(struct link *link)
{
	uint32_t roll;

	link->random ^= link->random >> 12; /* xorshift64* */
	link->random ^= link->random << 25;
	link->random ^= link->random >> 27;
	roll = (uint32_t)((link->random * UINT64_C(2685821657736338717)) >> 32);
	return roll == DELAY_EXACT ? 0 : roll;
}

struct lookup_question
link_question(struct link *link)
{
	return (struct lookup_question){ .service = link->name, .failures = link_pconn(link)->failures,
		.last_address = link->record->address, .roll = link_roll(link), .turn = link->record->turn };
}

/* P21; the end of the look-up or dial that says so is told next. */
static void
link_abort(void *arg, const char *error)
{
	struct link *link = arg;

	record_text(link->record->abort_error, sizeof link->record->abort_error, error);
	link_push(link, (struct pconn_input){ .event = PCONN_ABORT });
}

static void
link_set_candidates(struct link *link, const struct lookup_result *result)
{
	struct address *addresses = mem_new(LOOKUP_ENDPOINTS, sizeof *addresses);

	lookup_get_addresses(result, addresses);
	record_set_candidates(link->record, addresses, result->endpoint_count);
	pool_set_candidates(link->pool, addresses, result->endpoint_count);
	mem_free(addresses);
	link_tell_candidates(link, result);
}

static void
link_on_looked_up(void *arg, const struct lookup_result *result)
{
	struct link *link = arg;
	struct link_record *record = link->record;
	char text[RECORD_ERROR_SIZE];

	link->asking = NULL;
	histogram_count(link->table, link->service, TABLE_HISTOGRAM_LOOKUP, result->took);
	if (result->error == NULL && result->abort_reason == NULL) {
		link_set_candidates(link, result);
		link_push(link, (struct pconn_input){ .event = PCONN_LOOKED_UP });
	} else {
		record->counters.lookup_failures++;
		snprintf(text, sizeof text, "%s%s", result->error == NULL ? "abort: " : "",
		    result->error == NULL ? result->abort_reason : result->error);
		link_set_error(link, "", text);
		if (result->error == NULL)
			link_abort(link, text);
		link_push(link, (struct pconn_input){ .event = PCONN_LOOKUP_FAILED });
	}
	link_run(link);
}

static void
link_ask(struct link *link)
{
	struct lookup_question question = link_question(link);

	link->record->turn++;
	question.counts = true;
	lookup_leave(link->asking);
	link->asking = lookup_ask(link->lookup, &question, link_on_looked_up, link);
}

static void
link_drop(struct link *link)
{
	lookup_leave(link->asking);
	link->asking = NULL;
	pool_drop(link->pool);
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
	pool_drop(link->pool);
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

static void
link_dial(struct link *link)
{
	struct address address;
	size_t i = link_pconn(link)->candidate;

	record_get_candidate(link->record, i, &address);
	address_format(&address, link->record->address);
	pool_dial(link->pool, i);
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
	if ((todo & PCONN_DO_DIAL) != 0)
		link_dial(link);
	if ((todo & PCONN_DO_FILL) != 0)
		pool_fill(link->pool, pconn_wanted(link_pconn(link), &link->pconn, in));
	CRASH_POINT(LINK_ACTED);
}

/* P8, P23: compares what has come with what was reported. */
static void
link_compare(struct link *link, struct record_place *place, struct pconn_input *in)
{
	const struct link_record *record = link->record;
	uint64_t hashes[RECORD_CANDIDATES];
	struct address address;
	char text[ADDRESS_TEXT_SIZE];

	if (in->event == PCONN_LOOKED_UP) {
		in->candidates = record->candidate_count;
		for (size_t i = 0; i < record->candidate_count; i++) {
			record_get_candidate(record, i, &address);
			address_format(&address, text);
			hashes[i] = repeats_hash(text);
		}
		if (place->pconn.state == PCONN_LOOKUP && !place->pconn.doomed)
			in->fresh = repeats_looked_up(&place->repeats, hashes, record->candidate_count);
	} else if (in->event == PCONN_LOOKUP_FAILED && place->pconn.state == PCONN_LOOKUP) {
		in->same = repeats_lookup_failed(&place->repeats, repeats_hash(record->error));
	} else if (in->event == PCONN_DIAL_FAILED && place->pconn.state == PCONN_DIAL) {
		in->same = repeats_dial_failed(&place->repeats, place->pconn.candidate, repeats_hash(record->error));
	}
}

/* What is reported now, for that. */
static void
link_remember(struct link *link, struct record_place *place)
{
	uint64_t hash = repeats_hash(link->record->taking_over);

	if (place->pconn.event == PCONN_REPORT_ATTEMPTING)
		repeats_begin(&place->repeats);
	else if (place->pconn.event == PCONN_REPORT_OBTAINED && place->pconn.state == PCONN_CONNECTED)
		repeats_looked_up(&place->repeats, &hash, 1);
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
		link_set_purpose(link, "reconnect by an operator");
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

static void
link_step(struct link *link, struct pconn_input *in)
{
	struct record_place *place = record_open(link->record);
	unsigned todo;

	in->now = clock_now();
	in->roll = link_roll(link);
	in->held = link_waiting(link);
	in->ready = link_ready(link);
	in->dialling = pool_dialling(link->pool);
	in->paused = link_is_paused(link);
	in->in_use = link->lent != 0 && !link->let_go;
	in->failing = link_is_failing(link);
	if (in->event == PCONN_ENDED)
		in->candidates = pool_promising(link->pool);
	link_compare(link, place, in);
	todo = pconn_step(&place->pconn, &link->pconn, in);
	if ((todo & PCONN_DO_REPORT) != 0)
		link_remember(link, place);
	link_note_step(link, link_pconn(link), &place->pconn, in->event, todo);
	record_commit(link->record);
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

	if (pool_ready(link->pool) > 0 || refuses != link->refused || up != link->was_up) {
		link->refused = refuses;
		link->was_up = up;
		link->callbacks->ready(link->arg);
	}
	held = link_waiting(link);
	pool_trim(link->pool, link->lent != 0 ? 0 : warm > held ? warm : held);
}

/* P32: while connected, and meant to stay so. */
static bool
link_is_to_refresh(const struct link *link)
{
	const struct pconn *p = link_pconn(link);

	return p->state == PCONN_CONNECTED && !p->lost && !p->closing && p->ending == PCONN_END_NONE &&
	    !link_is_paused(link) && !link_is_failing(link);
}

void
link_run(struct link *link)
{
	struct link_input *input;

	link->running = true;
	while ((input = STAILQ_FIRST(&link->inputs)) != NULL) {
		STAILQ_REMOVE_HEAD(&link->inputs, next);
		link_step(link, &input->input);
		link_end_unused(link);
		stock_give(&link->stock, input);
	}
	link->running = false;
	link->asked_to_end = link->asked_to_open = false;
	loop_timer_at(&link->timer, link_pconn(link)->deadline);
	lookup_refresh(link->lookup, link_is_to_refresh(link));
	link_note_state(link);
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

static void
link_on_changed(void *arg)
{
	struct link *link = arg;

	log_debug(link->name, "the list of addresses has changed");
	standby_wake(link->standby);
	link_push(link, (struct pconn_input){ .event = PCONN_WAKE });
}

static struct lookup_question
link_refresh_question(void *arg)
{
	return link_question(arg);
}

/* P32: what failed, or is not the whole answer, changes nothing; nor does an abort, which is an attempt's to say. */
static void
link_on_refreshed(void *arg, const struct lookup_result *result)
{
	struct link *link = arg;
	struct address addresses[RECORD_CANDIDATES];
	const char *wrong = result->error != NULL ? result->error : result->abort_reason != NULL ?
	    result->abort_reason : result->kept_error != NULL ? result->kept_error : result->incomplete;

	histogram_count(link->table, link->service, TABLE_HISTOGRAM_LOOKUP, result->took);
	if (wrong != NULL) {
		link->record->counters.lookup_failures++;
		log_debug(link->name, "refresh: %s; the addresses stay as they are", wrong);
		return;
	}
	for (size_t i = 0; i < link->record->candidate_count; i++)
		record_get_candidate(link->record, i, &addresses[i]);
	if (lookup_is_same(result, addresses, link->record->candidate_count))
		return;
	link_set_candidates(link, result);
	link_on_changed(link);
}

const struct lookup_callbacks link_lookup_callbacks = {
	.changed = link_on_changed,
	.question = link_refresh_question,
	.refreshed = link_on_refreshed,
};

void
link_on_handled(void *arg)
{
	struct link *link = arg;

	link_push(link, (struct pconn_input){ .event = PCONN_HANDLED });
	link_run(link);
}

static void
link_on_dialled(void *arg, const char *address)
{
	struct link *link = arg;

	record_text(link->record->address, sizeof link->record->address, address);
	link_push(link, (struct pconn_input){ .event = PCONN_DIALED });
	link_run(link);
}

static void
link_on_dial_failed(void *arg, const char *address, const char *error, bool further)
{
	struct link *link = arg;
	char what[ADDRESS_TEXT_SIZE + 8];

	snprintf(what, sizeof what, "dial %s", address);
	link_set_error(link, what, error);
	if (link_pconn(link)->state == PCONN_CONNECTED)
		link_set_reason(link, link->record->last_error); /* no event says where it was dialled */
	if (further) {
		log_debug(link->name, "%s; the next address is dialled", link->record->last_error);
		return;
	}
	link_push(link, (struct pconn_input){ .event = PCONN_DIAL_FAILED });
	link_run(link);
}

static void
link_on_ended(void *arg, const char *address, int64_t age, const char *text)
{
	struct link *link = arg;
	char error[RECORD_ERROR_SIZE];

	if (link->lent != 0)
		return; /* it was one too many */
	snprintf(error, sizeof error, "ended by the server after %.1f s, unused%s%s", (double)age / CLOCK_SECOND,
	    *text == '\0' ? "" : ": ", text);
	link->ended_age = age;
	if (link_take_over(link, age)) {
		link_set_reason(link, error);
		link_run(link);
		return;
	}
	if (age < PCONN_YOUNG) {
		pool_mark_failed(link->pool, address);
		link_set_error(link, address, error);
	} else if (link->settings->shared) {
		link_set_reason(link, error);
	} else {
		log_debug(link->name, "%s: %s", address, error);
	}
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
	.dialled = link_on_dialled,
	.refused = link_abort,
	.failed = link_on_dial_failed,
	.ended = link_on_ended,
	.spoke = link_on_spoke,
};

#include "upstream/machine.h"

#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "upstream/record_audit.h"

#define MACHINE_SPARE (120 * CLOCK_SECOND)

struct upstream_waiter {
	LIST_ENTRY(upstream_waiter) next;
	unsigned kind;       /* 0: its answer is on its way, and it is in no list */
	upstream_answer *answer;
	void *arg;           /* borrowed */
	char *error;         /* owned; the answer */
	struct loop_timer timer;
};

struct machine {
	const struct upstream_context *context; /* borrowed */
	struct upstream_record *record; /* borrowed: the table's */
	void (*turn)(void *arg);
	void *arg;                      /* borrowed */
	LIST_HEAD(, upstream_waiter) waiters; /* owned by themselves */
	struct machine_input *waiting;  /* owned; oldest first */
	size_t count, room;
	size_t early;                   /* at the front, what was pushed before machine_begin() */
	bool begun;
	bool looking;                   /* soon is in this turn of the loop, whatever is due later */
	bool asked_to_end, asked_to_open; /* what waits and changes machine_refuses() already */
	struct loop_timer soon;         /* turn */
	struct loop_timer deadline;     /* the machine's */
};

void
upstream_context_set(struct upstream_context *context, const struct upstream_settings *settings)
{
	struct endpoints_settings *endpoints = &context->endpoints;
	struct pconn_settings *pconn = &context->pconn;
	enum probe_kind probe = settings->dial.probe.kind;

	context->settings = settings;
	*pconn = settings->pconn;
	if (settings->shared) {
		pconn->warm = 1;
	} else if (pconn->warm == UPSTREAM_WARM_AUTO) {
		/* A connection that says nothing keeps a server with one worker from all others, and one that shuts
		 * down from its end; MySQL counts it as broken off.  So one is kept only where something was said on
		 * it.  One that is not kept still proves that the server is there, but for MySQL, which would count
		 * that too. */
		pconn->warm = settings->hello.count > 0 || probe == PROBE_REDIS ? 1 : 0;
		pconn->eager = probe != PROBE_MYSQL;
		pconn->fades = true;
	}
	*endpoints = settings->endpoints;
	endpoints->retry = pconn->retry;
	if (endpoints->pick == ENDPOINTS_AUTO)
		endpoints->pick = context->record->random ? ENDPOINTS_RANDOM : ENDPOINTS_ORDERED;
}

static bool
machine_is_of_dial(const struct machine_input *input)
{
	return input->input.event == PCONN_OFFERED || input->input.event == PCONN_DIALED ||
	    input->input.event == PCONN_DIAL_FAILED;
}

static struct machine_input
machine_take(struct machine *machine, size_t i)
{
	struct machine_input taken = machine->waiting[i];

	memmove(&machine->waiting[i], &machine->waiting[i + 1], (--machine->count - i) * sizeof taken);
	return taken;
}

static void
machine_add(struct machine *machine, struct machine_input input)
{
	if (machine->count == machine->room) {
		machine->room = machine->room == 0 ? 4 : 2 * machine->room;
		machine->waiting = mem_resize(machine->waiting, machine->room, sizeof *machine->waiting);
	}
	machine->waiting[machine->count++] = input;
	machine_look(machine);
}

void
machine_push(struct machine *machine, struct pconn_input input)
{
	enum pconn_event event = input.event;
	bool idempotent = event == PCONN_HELD || event == PCONN_TAKEN || event == PCONN_ANSWERED ||
	    event == PCONN_DEADLINE || event == PCONN_RECONNECT;

	for (size_t i = machine->early; i < machine->count && idempotent; i++)
		if (machine->waiting[i].input.event == input.event)
			return;
	machine_add(machine, (struct machine_input){ .input = input });
}

void
machine_push_event(struct machine *machine, enum pconn_event event)
{
	machine_push(machine, (struct pconn_input){ .event = event });
}

void
machine_push_dial(struct machine *machine, enum pconn_event event, uint16_t number, const char *error, bool further)
{
	machine_add(machine, (struct machine_input){ .input = { .event = event, .further = further },
	    .number = number, .error = mem_copy_text(error) });
}

void
machine_push_abort(struct machine *machine, const char *error)
{
	record_text(machine->record->abort_error, sizeof machine->record->abort_error, error);
	machine_push_event(machine, PCONN_ABORT);
}

static enum table_admin
machine_admin(const struct machine *machine)
{
	return (enum table_admin)machine->context->table->services[machine->context->service].administered;
}

void
machine_push_renewal(struct machine *machine)
{
	enum table_admin admin = machine_admin(machine);
	const struct pconn *p = record_pconn(machine->record);

	if (p->state == PCONN_CLOSED && admin != TABLE_ADMIN_NONE) {
		machine->record->renewed = 0;
		return;
	}
	if (admin == TABLE_ADMIN_NONE && p->ending == PCONN_END_ABORT && !machine->asked_to_end)
		machine->asked_to_open = true;
	machine_push_event(machine, PCONN_RENEW);
	if (admin == TABLE_ADMIN_DRAINED) /* that an abort came before is forgotten */
		machine_push_event(machine, PCONN_DRAIN);
}

void
machine_tell(struct machine *machine, enum pconn_event event)
{
	if (event == PCONN_CLOSE || event == PCONN_DRAIN || event == PCONN_OPEN) {
		machine->asked_to_open = event == PCONN_OPEN;
		machine->asked_to_end = !machine->asked_to_open;
	}
	machine_push_event(machine, event);
}

void
machine_look(struct machine *machine)
{
	machine->looking = true;
	loop_timer_soon(&machine->soon);
}

void
machine_look_at(struct machine *machine, int64_t at)
{
	if (!machine->looking)
		loop_timer_at(&machine->soon, at);
}

void
machine_begin(struct machine *machine)
{
	machine->begun = true;
	machine->early = machine->count;
}

void
machine_began(struct machine *machine)
{
	enum table_admin admin = machine_admin(machine);
	const struct pconn *p = record_pconn(machine->record);

	if (admin != TABLE_ADMIN_NONE && !pconn_is_closed(p))
		machine_push_event(machine, admin == TABLE_ADMIN_CLOSED ? PCONN_CLOSE : PCONN_DRAIN);
	else if (admin == TABLE_ADMIN_NONE && pconn_is_closed(p) && p->ending != PCONN_END_ABORT)
		machine_push_event(machine, PCONN_OPEN);
	if (p->state == PCONN_NEW) {
		machine->record->renewed = 0;
		machine_push_event(machine, PCONN_START);
	} else if (machine->record->renewed) {
		machine_push_renewal(machine);
	}
	for (; machine->early > 0; machine->early--)
		machine_add(machine, machine_take(machine, 0));
}

bool
machine_has_begun(const struct machine *machine)
{
	return machine->begun;
}

bool
machine_next(struct machine *machine, struct machine_input *ret_input)
{
	uint8_t state = record_pconn(machine->record)->state;
	bool handling = state == PCONN_OBTAINED || state == PCONN_FAILED;
	size_t i = 0;

	while (i < machine->count && handling && machine_is_of_dial(&machine->waiting[i]))
		i++;
	if (i == machine->count)
		return false;
	*ret_input = machine_take(machine, i);
	return true;
}

void
machine_forget(struct machine *machine, bool offers)
{
	for (size_t i = machine->count; i-- > 0; )
		if (machine->waiting[i].input.event == PCONN_OFFERED ||
		    (!offers && machine_is_of_dial(&machine->waiting[i])))
			mem_free(machine_take(machine, i).error);
}

bool
machine_has_dials(const struct machine *machine)
{
	for (size_t i = 0; i < machine->count; i++)
		if (machine_is_of_dial(&machine->waiting[i]))
			return true;
	return false;
}

bool
machine_undo_dialled(struct machine *machine, const char *error)
{
	for (size_t i = 0; i < machine->count; i++) {
		struct machine_input *input = &machine->waiting[i];

		if (input->input.event == PCONN_DIALED) {
			input->input = (struct pconn_input){ .event = PCONN_DIAL_FAILED };
			input->error = mem_copy_text(error);
			return true;
		}
	}
	return false;
}

unsigned
machine_step(struct machine *machine, struct pconn_input *in, uint16_t number, struct record_place **ret_place)
{
	struct upstream_record *record = machine->record;
	struct record_place *place = &record->place[1 - (record->current & 1)];
	struct repeats *repeats = &place->repeats;
	struct pconn *p = &place->pconn;
	bool reports;
	unsigned todo;

	*place = *record_current(record);
	if (in->event == PCONN_LOOKED_UP && p->state == PCONN_LOOKUP && !p->doomed)
		repeats_attempt(repeats);
	else if (in->event == PCONN_OFFERED)
		in->fresh = repeats_try(repeats, number);
	else if (in->event == PCONN_LOOKUP_FAILED && p->state == PCONN_LOOKUP)
		in->same = repeats_lookup_failed(repeats, repeats_hash(record->error));
	else if (in->event == PCONN_DIAL_FAILED && p->state == PCONN_DIAL)
		in->same = repeats_dial_failed(repeats, number, repeats_hash(record->error));
	todo = pconn_step(p, &machine->context->pconn, in);
	reports = (todo & PCONN_DO_REPORT) != 0;
	if (in->event == PCONN_TAKEN_OVER || (in->event == PCONN_DIALED && reports))
		place->told = record->number;
	if (reports && p->event == PCONN_REPORT_ATTEMPTING) {
		repeats_begin(repeats);
	} else if (reports && p->event == PCONN_REPORT_OBTAINED && p->state == PCONN_CONNECTED) {
		repeats_attempt(repeats);
		repeats_try(repeats, record->number); /* it has taken over */
	}
	*ret_place = place;
	return todo;
}

uint32_t
machine_roll(void *arg)
{
	static uint64_t random;
	uint32_t roll;

	(void)arg;
	if (random == 0 && (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random || random == 0))
		random = (uint64_t)clock_now() | 1;
	random ^= random >> 12; /* xorshift64* */
	random ^= random << 25;
	random ^= random >> 27;
	roll = (uint32_t)((random * UINT64_C(2685821657736338717)) >> 32);
	return roll == DELAY_EXACT ? 0 : roll;
}

void
machine_rest(struct machine *machine)
{
	machine->asked_to_end = machine->asked_to_open = false;
	loop_timer_at(&machine->deadline, record_pconn(machine->record)->deadline);
}

bool
machine_gives(const struct machine *machine)
{
	return machine->begun && !machine->asked_to_end && !upstream_context_is_paused(machine->context) &&
	    !upstream_context_is_failing(machine->context);
}

bool
machine_is_to_stay(const struct machine *machine)
{
	const struct pconn *p = record_pconn(machine->record);

	return p->state == PCONN_CONNECTED && !p->lost && !p->closing && p->ending == PCONN_END_NONE &&
	    machine_gives(machine);
}

bool
machine_is_idle_down(const struct machine *machine)
{
	const struct pconn *p = record_pconn(machine->record);

	/* The failures are the machine's own, and so known after a death that lost the outage. */
	return p->state == PCONN_IDLE && (p->failures > 0 || machine->record->outage_at != 0) &&
	    machine_gives(machine);
}

void
machine_end_idleness(struct machine *machine, int64_t found_at)
{
	const struct pconn *p = record_pconn(machine->record);
	bool found = machine_is_idle_down(machine) && found_at > p->attempt_at, asked = false;
	const struct upstream_waiter *waiter;

	LIST_FOREACH(waiter, &machine->waiters, next)
		asked = asked || waiter->kind != UPSTREAM_WAIT_CLOSED;
	if (p->state == PCONN_IDLE && (asked || found) && !upstream_context_is_paused(machine->context))
		machine_push_event(machine, PCONN_RECONNECT);
}

bool
machine_refuses(const struct machine *machine, bool in_use)
{
	const struct pconn *p = record_pconn(machine->record);
	bool draining = in_use && p->ending != PCONN_END_NONE;

	return machine->asked_to_end || (!machine->asked_to_open && (pconn_is_closed(p) || draining));
}

bool
machine_is_up(const struct machine *machine)
{
	const struct pconn *p = record_pconn(machine->record);

	if (upstream_context_is_failing(machine->context))
		return false;
	switch ((enum pconn_state)p->state) {
	case PCONN_NEW: case PCONN_IDLE:
		return true;
	case PCONN_CLOSED:
		return false;
	case PCONN_CONNECTED:
		return !p->lost;
	case PCONN_WAIT: case PCONN_DISCONNECTED:
		return p->failures == 0 && p->retry_at <= clock_now();
	default:
		return p->failures == 0;
	}
}

static void
machine_answer_one(struct upstream_waiter *waiter, const char *error)
{
	LIST_REMOVE(waiter, next);
	waiter->kind = 0;
	waiter->error = mem_copy_text(error);
	loop_timer_soon(&waiter->timer);
}

static void
machine_answer_all(struct machine *machine, unsigned kinds, const char *error)
{
	struct upstream_waiter *waiter, *next;

	for (waiter = LIST_FIRST(&machine->waiters); waiter != NULL; waiter = next) {
		next = LIST_NEXT(waiter, next);
		if ((waiter->kind & kinds) != 0)
			machine_answer_one(waiter, error);
	}
}

void
machine_answer(struct machine *machine, unsigned todo)
{
	unsigned either = UPSTREAM_WAIT_CONNECTED | UPSTREAM_WAIT_RESULT;

	if ((todo & PCONN_DO_ANSWER_CONNECTED) != 0)
		machine_answer_all(machine, either, NULL);
	if ((todo & PCONN_DO_ANSWER_CLOSED) != 0)
		machine_answer_all(machine, either, record_closed_error(machine->record));
	if ((todo & PCONN_DO_ANSWER_FAILED) != 0)
		machine_answer_all(machine, UPSTREAM_WAIT_RESULT, machine->record->last_error);
	if ((todo & PCONN_DO_FINISHED) != 0)
		machine_answer_all(machine, UPSTREAM_WAIT_CLOSED, NULL);
}

static void
machine_on_answer(void *arg)
{
	struct upstream_waiter *waiter = arg;
	upstream_answer *answer = waiter->answer;
	void *answer_arg = waiter->arg;
	char *error = waiter->error;

	waiter->error = NULL;
	machine_leave(waiter);
	answer(answer_arg, error);
	mem_free(error);
}

struct upstream_waiter *
machine_wait(struct machine *machine, unsigned kind, bool connected, bool refuses, upstream_answer *answer,
    void *arg)
{
	struct upstream_waiter *waiter = mem_new(1, sizeof *waiter);
	bool closed = kind == UPSTREAM_WAIT_CLOSED;

	waiter->kind = kind;
	waiter->answer = answer;
	waiter->arg = arg;
	loop_timer_init(&waiter->timer, machine->context->loop, machine_on_answer, waiter);
	LIST_INSERT_HEAD(&machine->waiters, waiter, next);
	if (closed ? refuses && record_pconn(machine->record)->state == PCONN_CLOSED : !refuses && connected)
		machine_answer_one(waiter, NULL);
	else if (!closed && refuses)
		machine_answer_one(waiter, record_closed_error(machine->record));
	else if (!closed)
		machine_push_event(machine, PCONN_HELD);
	return waiter;
}

void
machine_leave(struct upstream_waiter *waiter)
{
	if (waiter == NULL)
		return;
	if (waiter->kind != 0)
		LIST_REMOVE(waiter, next);
	loop_timer_stop(&waiter->timer);
	mem_free(waiter->error);
	mem_free(waiter);
}

static void
machine_on_soon(void *arg)
{
	struct machine *machine = arg;

	machine->looking = false;
	machine->turn(machine->arg);
}

static void
machine_on_deadline(void *arg)
{
	machine_push_event(arg, PCONN_DEADLINE);
}

/* Nothing is waited for longer than that, with some to spare. */
static int64_t
machine_longest(const struct pconn_settings *settings)
{
	const struct delay_settings *retry = &settings->retry;

	return 2 * (retry->delay > retry->max ? retry->delay : retry->max) + settings->spread + settings->hold_retry +
	    MACHINE_SPARE;
}

struct machine *
machine_new(const struct upstream_context *context, void (*turn)(void *arg), void *arg)
{
	struct machine *machine = mem_new(1, sizeof *machine);

	machine->context = context;
	machine->record = context->record;
	machine->turn = turn;
	machine->arg = arg;
	LIST_INIT(&machine->waiters);
	if (!record_audit(machine->record, machine_longest(&context->pconn), clock_now()) && machine->record->begun) {
		log_error(context->name, "what was known of its connection is damaged in memory: it is looked up and "
		    "dialled afresh");
		machine->record->begun = 0;
	}
	if (!machine->record->begun)
		record_clear(machine->record);
	loop_timer_init(&machine->soon, context->loop, machine_on_soon, machine);
	loop_timer_init(&machine->deadline, context->loop, machine_on_deadline, machine);
	machine_look(machine);
	return machine;
}

void
machine_free(struct machine *machine)
{
	if (machine == NULL)
		return;
	machine_answer_all(machine, ~0u, "the service was removed");
	machine_forget(machine, false);
	loop_timer_stop(&machine->soon);
	loop_timer_stop(&machine->deadline);
	mem_free(machine->waiting);
	mem_free(machine);
}

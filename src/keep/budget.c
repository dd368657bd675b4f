#include "keep/budget.h"

#include <sys/queue.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"

/* So many who wait are resumed at a look: most will wait on. */
#define BUDGET_RESUMED 16u
/* Half of the bound is for our buffers, the other for the kernel's. */
#define BUDGET_OWN 2u
/* A connection's share of the kernel's half is a quarter of an even one: who came earlier has more. */
#define BUDGET_SOCKETS 8u
/* The kernel's own sizes are left alone as long as so many bytes are there for each connection: few can have come
 * before that. */
#define BUDGET_SOCKET_ENOUGH (1u << 20)
/* No socket is worth less. */
#define BUDGET_SOCKET_LEAST (48u << 10)
/* Memory may come free where nobody tells (the kernel's, or another bound): it is looked again this often. */
#define BUDGET_LOOK (100 * CLOCK_MILLISECOND)

struct budget_service {
	uint64_t taken, moves_on;           /* bytes; moves_on is a part of taken */
	TAILQ_HEAD(, budget_wait) waits[2]; /* owned; the second of those who move on */
	unsigned lean, waiting;
};

struct budget_wait {
	TAILQ_ENTRY(budget_wait) entry;
	struct budget *budget; /* borrowed */
	struct budget_payer payer;
	void (*resume)(void *arg);
	void *arg;             /* borrowed */
};

struct budget {
	uint64_t most, taken;
	unsigned lean, waiting;
	struct event_base *loop;  /* borrowed; NULL: not running */
	struct loop_timer look;
	uint32_t least;
	uint16_t services;
	struct budget_service service[];
};

struct budget *
budget_new(uint16_t services, uint32_t least)
{
	struct budget *budget = mem_new(1, sizeof *budget + services * sizeof budget->service[0]);

	budget->services = services;
	budget->least = least;
	for (size_t i = 0; i < services; i++) {
		TAILQ_INIT(&budget->service[i].waits[false]);
		TAILQ_INIT(&budget->service[i].waits[true]);
	}
	return budget;
}

void
budget_free(struct budget *budget)
{
	if (budget == NULL)
		return;
	budget_run(budget, NULL);
	mem_free(budget);
}

void
budget_forget(struct budget *budget)
{
	for (size_t i = 0; i < budget->services; i++)
		budget->service[i].taken = budget->service[i].moves_on = budget->service[i].lean = 0;
	budget->taken = budget->lean = 0;
}

void
budget_set(struct budget *budget, uint64_t most)
{
	budget->most = most;
}

static uint64_t
budget_free_now(const struct budget *budget)
{
	uint64_t own = budget->most / BUDGET_OWN;

	return own > budget->taken ? own - budget->taken : 0;
}

bool
budget_permits(const struct budget *budget, struct budget_payer payer, uint64_t bytes)
{
	const struct budget_service *service = &budget->service[payer.service];

	if (budget->most == 0 || payer.moves_on || payer.anyway)
		return true;
	return service->taken + bytes <= budget_free_now(budget) / 2 ||
	    service->taken - service->moves_on + bytes <= budget->least;
}

bool
budget_is_over(const struct budget *budget, uint16_t service)
{
	return budget->most != 0 && budget->service[service].taken > budget_free_now(budget);
}

void
budget_take(struct budget *budget, struct budget_payer payer, uint64_t bytes)
{
	budget->taken += bytes;
	budget->service[payer.service].taken += bytes;
	if (payer.moves_on)
		budget->service[payer.service].moves_on += bytes;
}

void
budget_give(struct budget *budget, struct budget_payer payer, uint64_t bytes)
{
	budget->taken -= bytes;
	budget->service[payer.service].taken -= bytes;
	if (payer.moves_on)
		budget->service[payer.service].moves_on -= bytes;
	if (budget->waiting > 0 && budget->loop != NULL)
		loop_timer_soon(&budget->look);
}

uint64_t
budget_taken(const struct budget *budget)
{
	return budget->taken;
}

uint64_t
budget_most(const struct budget *budget)
{
	return budget->most;
}

static void
budget_look_later(struct budget *budget)
{
	if (budget->waiting > 0 && budget->loop != NULL && !loop_timer_is_set(&budget->look))
		loop_timer_at(&budget->look, clock_now() + BUDGET_LOOK);
}

struct budget_wait *
budget_wait_start(struct budget *budget, struct budget_payer payer, void (*resume)(void *arg), void *arg)
{
	struct budget_service *service = &budget->service[payer.service];
	struct budget_wait *wait = mem_new(1, sizeof *wait);

	*wait = (struct budget_wait){ .budget = budget, .payer = payer, .resume = resume, .arg = arg };
	TAILQ_INSERT_TAIL(&service->waits[payer.moves_on], wait, entry);
	service->waiting++;
	budget->waiting++;
	budget_look_later(budget);
	return wait;
}

void
budget_wait_cancel(struct budget_wait *wait)
{
	struct budget_service *service;

	if (wait == NULL)
		return;
	service = &wait->budget->service[wait->payer.service];
	TAILQ_REMOVE(&service->waits[wait->payer.moves_on], wait, entry);
	service->waiting--;
	wait->budget->waiting--;
	mem_free(wait);
}

/* Those who wait now, as long as there is something for them; each may wait again, at the end. */
static void
budget_resume(struct budget *budget, struct budget_payer payer)
{
	struct budget_service *service = &budget->service[payer.service];
	struct budget_wait *wait, done;

	for (unsigned n = service->waiting < BUDGET_RESUMED ? service->waiting : BUDGET_RESUMED; n > 0; n--) {
		wait = TAILQ_FIRST(&service->waits[payer.moves_on]);
		if (wait == NULL || !budget_permits(budget, payer, budget->least))
			return;
		done = *wait;
		budget_wait_cancel(wait);
		done.resume(done.arg);
	}
}

static void
budget_on_look(void *arg)
{
	struct budget *budget = arg;

	for (uint16_t i = 0; i < budget->services && budget->waiting > 0; i++)
		if (budget->service[i].waiting > 0) {
			budget_resume(budget, (struct budget_payer){ .service = i, .moves_on = true });
			budget_resume(budget, (struct budget_payer){ .service = i });
		}
	budget_look_later(budget);
}

void
budget_run(struct budget *budget, struct event_base *loop)
{
	loop_timer_stop(&budget->look);
	budget->loop = loop;
	if (loop == NULL)
		return;
	loop_timer_init(&budget->look, loop, budget_on_look, budget);
	budget_look_later(budget);
}

void
budget_note_lean(struct budget *budget, struct budget_payer payer, int change)
{
	budget->lean += (unsigned)change;
	budget->service[payer.service].lean += (unsigned)change;
}

unsigned
budget_short(const struct budget *budget, uint16_t service)
{
	return budget->service[service].lean + budget->service[service].waiting;
}

unsigned
budget_short_all(const struct budget *budget)
{
	return budget->lean + budget->waiting;
}

uint32_t
budget_socket_share(const struct budget *budget, uint32_t connections)
{
	uint64_t share = budget->most / BUDGET_SOCKETS / (connections + UINT64_C(1));

	if (budget->most == 0 || share >= BUDGET_SOCKET_ENOUGH)
		return 0;
	return share > BUDGET_SOCKET_LEAST ? (uint32_t)share : BUDGET_SOCKET_LEAST;
}

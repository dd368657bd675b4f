/* budget.h - one bound for all buffers, so that no service's slow readers take the memory of the others.
 *
 * A service may take more while it holds no more than is still free: one alone gets half, two a third each, and a
 * service that holds little always finds some (dynamic thresholds; Choudhury and Hahne, 1998).  What takes in new
 * bytes stops earlier, at half of what is free.  What is here already always may move on, or all would stand still;
 * so it counts, and who goes beyond is over the bound until it has.  Who finds none waits here; its source is not
 * read meanwhile: back-pressure.
 *
 * The sums are derived again by each worker; nothing of this is in the shared memory.
 */
#ifndef HOLDFAST_KEEP_BUDGET_H
#define HOLDFAST_KEEP_BUDGET_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who takes a buffer, and what for. */
struct budget_payer {
	uint16_t service;
	bool moves_on; /* for bytes that are here already: always permitted */
	bool anyway;   /* permitted this once */
};

struct budget;
struct budget_wait;

/* One without a bound, for so many services, each of which always finds least bytes to take something in.  To be
 * freed with budget_free(), which takes NULL. */
struct budget *budget_new(uint16_t services, uint32_t least);
void budget_free(struct budget *budget);

/* Nothing is taken: the sums are about to be made again. */
void budget_forget(struct budget *budget);

/* Bounds it to so many bytes; 0: none.  What is taken already stays. */
void budget_set(struct budget *budget, uint64_t most);

/* From now on those who wait are resumed from this loop; NULL, before the loop goes: never.  Until then they wait. */
void budget_run(struct budget *budget, struct event_base *loop);

/* Whether so many bytes may be taken now.  Pure. */
bool budget_permits(const struct budget *budget, struct budget_payer payer, uint64_t bytes);

/* Whether the service holds more than is still free.  Pure. */
bool budget_is_over(const struct budget *budget, uint16_t service);

/* They are taken, permitted or not (what a dead worker's records name); or given back, which may resume who waits. */
void budget_take(struct budget *budget, struct budget_payer payer, uint64_t bytes);
void budget_give(struct budget *budget, struct budget_payer payer, uint64_t bytes);

/* Bytes taken in all; and the bound, 0 none. */
uint64_t budget_taken(const struct budget *budget);
uint64_t budget_most(const struct budget *budget);

/* Waits, first come first served, until the payer may take a small buffer: resume(arg) comes once, from the loop,
 * when there may be some, and what was given here is gone then.  To be ended with budget_wait_cancel(), which takes
 * NULL. */
struct budget_wait *budget_wait_start(struct budget *budget, struct budget_payer payer, void (*resume)(void *arg),
    void *arg);
void budget_wait_cancel(struct budget_wait *wait);

/* One more of the service, or one fewer, has to do with less than it wants. */
void budget_note_lean(struct budget *budget, struct budget_payer payer, int change);

/* How many have less than they want, or wait: of the service, or of all. */
unsigned budget_short(const struct budget *budget, uint16_t service);
unsigned budget_short_all(const struct budget *budget);

/* The most that the kernel should keep for one of so many connections, in bytes for both sides and directions; 0: as
 * it likes.  Pure. */
uint32_t budget_socket_share(const struct budget *budget, uint32_t connections);

#endif

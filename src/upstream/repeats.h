/* repeats.h - what of an outage was already reported (P8, P23), by hashes of addresses and errors.
 *
 * Pure, without pointers: it lies in the link's record.  A hash is repeats_hash() of a text, never 0.
 */
#ifndef HOLDFAST_UPSTREAM_REPEATS_H
#define HOLDFAST_UPSTREAM_REPEATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPEATS_ADDRESSES 64

struct repeats {
	uint32_t count;
	uint64_t address[REPEATS_ADDRESSES]; /* what the last look-up gave */
	uint64_t error[REPEATS_ADDRESSES];   /* the last one of each; 0 none */
	uint64_t last_error;                 /* of all; 0 none */
};

uint64_t repeats_hash(const char *text);

/* attempting_to_connect is reported: nothing has been said since then. */
void repeats_begin(struct repeats *r);

/* A look-up has given these addresses, 1 to 64: bit i says that the attempt before did not try address i. */
uint64_t repeats_looked_up(struct repeats *r, const uint64_t *addresses, size_t count);

/* Candidate i of that look-up has failed: whether the error was its last one before; with one candidate:
 * whether it was the last one of all. */
bool repeats_dial_failed(struct repeats *r, size_t i, uint64_t error);

/* A look-up has failed: whether the error was the last one of all. */
bool repeats_lookup_failed(struct repeats *r, uint64_t error);

#endif

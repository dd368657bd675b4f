/* repeats.h - what of an outage was already reported (P8, P23), by hashes of addresses and errors.
 *
 * Pure, without pointers: it lies in the upstream's record.  A hash is repeats_hash() of a text, never 0.
 */
#ifndef HOLDFAST_UPSTREAM_REPEATS_H
#define HOLDFAST_UPSTREAM_REPEATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPEATS_ADDRESSES 64

struct repeats_tried {
	uint64_t address;
	uint64_t error; /* its last one; 0 none */
};

struct repeats {
	uint32_t before_count, count;
	struct repeats_tried before[REPEATS_ADDRESSES]; /* what the attempt before tried */
	struct repeats_tried tried[REPEATS_ADDRESSES];  /* what this one has tried so far */
	uint64_t last_error;                            /* of all; 0 none */
};

uint64_t repeats_hash(const char *text);

/* attempting_to_connect is reported: nothing has been said since then. */
void repeats_begin(struct repeats *r);

/* An attempt's look-up has given endpoints. */
void repeats_attempt(struct repeats *r);

/* The attempt tries this address: whether the one before did not. */
bool repeats_try(struct repeats *r, uint64_t address);

/* It has failed: whether the error was its last one before; where one address is all that was tried: whether it was
 * the last one of all. */
bool repeats_dial_failed(struct repeats *r, uint64_t address, uint64_t error);

/* A look-up has failed: whether the error was the last one of all. */
bool repeats_lookup_failed(struct repeats *r, uint64_t error);

#endif

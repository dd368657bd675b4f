/* repeats.h - what of an outage was already reported (P8, P23): endpoints by their numbers, errors by their hashes.
 *
 * Pure, without pointers: it lies in the upstream's record.  A hash is repeats_hash() of a text, never 0.
 */
#ifndef HOLDFAST_UPSTREAM_REPEATS_H
#define HOLDFAST_UPSTREAM_REPEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "upstream/endpoints.h"

struct repeats {
	uint64_t before, tried;          /* endpoints that the attempt before tried, and this one so far: bits */
	uint16_t number[ENDPOINTS_MAX];  /* whose each bit is; another's that has taken its place is not known */
	uint64_t error[ENDPOINTS_MAX];   /* its last one; 0 none */
	uint64_t last_error;             /* of all; 0 none */
};

uint64_t repeats_hash(const char *text);

/* attempting_to_connect is reported: nothing has been said since then. */
void repeats_begin(struct repeats *r);

/* An attempt's lookup has given endpoints. */
void repeats_attempt(struct repeats *r);

/* The attempt tries this endpoint: whether the one before did not. */
bool repeats_try(struct repeats *r, uint16_t number);

/* It has failed: whether the error was its last one before; where one endpoint is all that was tried: whether it was
 * the last one of all. */
bool repeats_dial_failed(struct repeats *r, uint16_t number, uint64_t error);

/* A lookup has failed: whether the error was the last one of all. */
bool repeats_lookup_failed(struct repeats *r, uint64_t error);

#endif

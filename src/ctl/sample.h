/* sample.h - the daemon's status at one moment, and how fast things went since the moment before.
 *
 * Pure.
 */
#ifndef HOLDFAST_CTL_SAMPLE_H
#define HOLDFAST_CTL_SAMPLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sample_rate { SAMPLE_IN, SAMPLE_OUT, SAMPLE_CLIENTS, SAMPLE_MESSAGES, SAMPLE_RATES };

struct sample_service {
	const json_t *json;         /* borrowed, from the answer */
	const char *name;           /* borrowed, from the answer */
	const char *state;          /* borrowed; the word for people */
	bool shared;
	bool has_rates;             /* it was there the moment before */
	double rates[SAMPLE_RATES]; /* per second: bytes from and to clients, new clients, messages */
};

struct sample {
	json_t *answer;                  /* owned */
	int64_t at;                      /* monotonic */
	struct sample_service *services; /* owned */
	size_t count;
};

/* The answer to "status" (its reference is taken) at the time at; before: the sample before, or NULL.  Counters that
 * have begun anew count from 0. */
struct sample *sample_new(json_t *answer, int64_t at, const struct sample *before);
void sample_free(struct sample *sample);

/* The service of this name, or NULL. */
const struct sample_service *sample_find(const struct sample *sample, const char *name);

#endif

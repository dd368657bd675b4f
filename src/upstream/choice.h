/* choice.h - which of a service's endpoints the next upstream connection goes to: pick, P23 and P31.
 *
 * Pure.  It changes nothing but the turns of a rotation.
 */
#ifndef HOLDFAST_UPSTREAM_CHOICE_H
#define HOLDFAST_UPSTREAM_CHOICE_H

#include <stdint.h>

#include "upstream/endpoints.h"

/* The endpoint's number, not one whose bit is in without; 0 if none is left.  roll is 32 random bits, or DELAY_EXACT.
 *
 * It is a listed one, in good health if there is one; not slow, if there is one; of the best priority that has such;
 * of these the one that pick says.  `random` and `rotate` go by weight, 0 being 1/64 of 1; `least` counts
 * connections and dials, those with equally many take turns by weight.  When all have failed, by priority again, the
 * one that failed longest ago: nobody has asked it for longest, so it has most likely changed, and each gets its
 * turn to be first. */
uint16_t choice_next(struct endpoints *e, const struct endpoints_settings *s, uint64_t without, uint32_t roll);

#endif

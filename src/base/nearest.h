/* nearest.h - "did you mean": the known name that a mistyped one is most like. */
#ifndef HOLDFAST_BASE_NEAREST_H
#define HOLDFAST_BASE_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

#define NEAREST_LENGTH_MAX 64 /* longer names are like nothing */

/* The number of letters to insert, remove, change or swap with the next to make one of the other; at most
 * NEAREST_LENGTH_MAX + 1. */
size_t nearest_distance(const char *a, const char *b);

/* Whether b is near enough to a to be what was meant: a third of the letters at most differ. */
bool nearest_is_like(const char *a, const char *b);

/* The name that is most like word, name(arg, 0), name(arg, 1) ... until NULL; or NULL if none is near enough. */
const char *nearest_name(const char *word, const char *(*name)(const void *arg, size_t index), const void *arg);

#endif

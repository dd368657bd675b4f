/* nearest.h - "did you mean": the known name that a mistyped one is most like. */
#ifndef HOLDFAST_BASE_NEAREST_H
#define HOLDFAST_BASE_NEAREST_H

#include <stddef.h>

/* The name that is most like word, name(arg, 0), name(arg, 1) ... until NULL; or NULL if none is near enough, which
 * is so where more than a third of the letters differ. */
const char *nearest_name(const char *word, const char *(*name)(const void *arg, size_t index), const void *arg);

#endif

#include "base/nearest.h"

#include <stdint.h>
#include <string.h>
#include <sys/param.h>

#define NEAREST_LENGTH_MAX 64 /* longer names are like nothing */

/* The number of letters to insert, remove, change or swap with the next to make one of the other; at most
 * NEAREST_LENGTH_MAX + 1. */
static size_t
nearest_distance(const char *a, const char *b)
{
	size_t rows[3][NEAREST_LENGTH_MAX + 1], *before = rows[0], *last = rows[1], *row = rows[2], *spare;
	size_t a_length = strlen(a), b_length = strlen(b);

	if (a_length > NEAREST_LENGTH_MAX || b_length > NEAREST_LENGTH_MAX)
		return NEAREST_LENGTH_MAX + 1;
	for (size_t j = 0; j <= b_length; j++)
		before[j] = last[j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			row[j] = MIN(MIN(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = MIN(row[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[b_length];
}

const char *
nearest_name(const char *word, const char *(*name)(const void *arg, size_t index), const void *arg)
{
	size_t least = SIZE_MAX, length, distance;
	const char *best = NULL, *candidate;

	for (size_t i = 0; (candidate = name(arg, i)) != NULL; i++) {
		length = MAX(strlen(word), strlen(candidate));
		distance = nearest_distance(word, candidate);
		/* Two single letters are not like each other. */
		if (distance <= (length + 2) / 3 && distance < length && distance < least) {
			best = candidate;
			least = distance;
		}
	}
	return best;
}

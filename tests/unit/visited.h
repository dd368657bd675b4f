/* visited.h - which states a test that explores has been in, so that it goes on from each but once. */
#ifndef TESTS_UNIT_VISITED_H
#define TESTS_UNIT_VISITED_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define VISITED (1u << 22)

struct visit {
	uint64_t key;    /* 0: free */
	uint8_t left;
};

static struct visit *visited;
static uint64_t states;

static inline void
visited_begin(void)
{
	visited = calloc(VISITED, sizeof *visited);
	assert_non_null(visited);
	states = 0;
}

/* Fails if there were so many states that some were left out. */
static inline void
visited_end(void)
{
	free(visited);
	assert_true(states < VISITED / 2);
}

/* Of the state with this key, not 0: true if everything from there was tried to this depth, or no more fit. */
static inline bool
visited_before(uint64_t key, unsigned left)
{
	struct visit *v = &visited[key % VISITED];

	if (states > VISITED / 2)
		return true;
	while (v->key != 0 && v->key != key)
		v = v + 1 == visited + VISITED ? visited : v + 1;
	if (v->key == key && v->left >= left)
		return true;
	states += v->key == 0;
	v->key = key;
	v->left = (uint8_t)left;
	return false;
}

#endif

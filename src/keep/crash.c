#include "keep/crash.h"

#ifdef HOLDFAST_CRASH_POINTS

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const crash_names[] = {
#define CRASH_NAME(name, text) text,
	CRASH_POINTS(CRASH_NAME)
#undef CRASH_NAME
};

static struct {
	struct table *table;
	int signal;
	unsigned count;
	struct {
		unsigned point;
		unsigned long every;
	} wanted[TABLE_CRASHES];
} crash_state;

/* Adds one NAME:COUNT. */
static bool
crash_add(const char *text, size_t length)
{
	const char *colon = memchr(text, ':', length);

	if (colon == NULL || crash_state.count == TABLE_CRASHES)
		return false;
	for (unsigned i = 0; i < CRASH_COUNT; i++)
		if (strlen(crash_names[i]) == (size_t)(colon - text) &&
		    strncmp(crash_names[i], text, (size_t)(colon - text)) == 0) {
			crash_state.wanted[crash_state.count].point = i;
			crash_state.wanted[crash_state.count].every = strtoul(colon + 1, NULL, 10);
			return crash_state.wanted[crash_state.count++].every > 0;
		}
	return false;
}

bool
crash_open(struct table *table)
{
	const char *text = getenv("HOLDFAST_CRASH"), *signal = getenv("HOLDFAST_CRASH_SIGNAL");

	crash_state.table = table;
	crash_state.signal = signal == NULL ? SIGKILL : atoi(signal);
	crash_state.count = 0;
	while (text != NULL && *text != '\0') {
		size_t length = strcspn(text, ",");

		if (!crash_add(text, length))
			return false;
		text += length + (text[length] == ',');
	}
	return true;
}

bool
crash_list(void)
{
	for (unsigned i = 0; i < CRASH_COUNT; i++)
		puts(crash_names[i]);
	return true;
}

void
crash_here(enum crash_point point)
{
	if (crash_state.count == 0 || crash_state.table->header->keeper_pid == getpid())
		return; /* the keeper finishes what a worker left: nobody would go on after its own death */
	for (unsigned i = 0; i < crash_state.count; i++)
		if (crash_state.wanted[i].point == point &&
		    ++crash_state.table->header->crash_hits[i] % crash_state.wanted[i].every == 0) {
			dprintf(STDERR_FILENO, "crash point %s\n", crash_names[point]); /* for tests to count */
			kill(getpid(), crash_state.signal);
			pause(); /* signal 0: it hangs */
		}
}

#else

bool
crash_open(struct table *table)
{
	(void)table;
	return true;
}

bool
crash_list(void)
{
	return false;
}

void
crash_here(enum crash_point point)
{
	(void)point;
}

#endif

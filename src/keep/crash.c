#include "keep/crash.h"

#ifdef HOLDFAST_CRASH_POINTS

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CRASH_NAME 64

/* All CRASH_POINT()s of the program, gathered by the linker. */
extern const char *const __start_crash_points[], *const __stop_crash_points[];

static struct {
	struct table *table;
	int signal;
	unsigned count;
	struct {
		char name[CRASH_NAME];
		unsigned long every;
	} wanted[TABLE_CRASHES];
} crash_state;

static void
crash_name(const char *point, char ret_name[CRASH_NAME])
{
	bool first = true;
	size_t i;

	for (i = 0; point[i] != '\0' && i + 1 < CRASH_NAME; i++) {
		ret_name[i] = (char)tolower((unsigned char)point[i]);
		if (point[i] == '_') {
			ret_name[i] = first ? '.' : '-';
			first = false;
		}
	}
	ret_name[i] = '\0';
}

static bool
crash_is_known(const char *name)
{
	char known[CRASH_NAME];

	for (const char *const *point = __start_crash_points; point < __stop_crash_points; point++) {
		crash_name(*point, known);
		if (strcmp(known, name) == 0)
			return true;
	}
	return false;
}

/* Adds one NAME:COUNT. */
static bool
crash_add(const char *text, size_t length)
{
	const char *colon = memchr(text, ':', length);

	if (colon == NULL || crash_state.count == TABLE_CRASHES)
		return false;
	snprintf(crash_state.wanted[crash_state.count].name, CRASH_NAME, "%.*s", (int)(colon - text), text);
	crash_state.wanted[crash_state.count].every = strtoul(colon + 1, NULL, 10);
	return crash_state.wanted[crash_state.count].every > 0 &&
	    crash_is_known(crash_state.wanted[crash_state.count++].name);
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

/* Some stand at two places. */
bool
crash_list(void)
{
	const char *const *before;
	char name[CRASH_NAME];

	for (const char *const *point = __start_crash_points; point < __stop_crash_points; point++) {
		for (before = __start_crash_points; before < point && strcmp(*before, *point) != 0;)
			before++;
		crash_name(*point, name);
		if (before == point)
			puts(name);
	}
	return true;
}

void
crash_here(const char *point)
{
	const struct table_header *header = crash_state.table == NULL ? NULL : crash_state.table->header;
	char name[CRASH_NAME];

	if (crash_state.count == 0 || (header->keeper_pid != 0 && header->worker_pid == 0))
		return; /* the keeper finishes what a worker left: nobody would go on after its own death */
	crash_name(point, name);
	for (unsigned i = 0; i < crash_state.count; i++)
		if (strcmp(crash_state.wanted[i].name, name) == 0 &&
		    ++crash_state.table->header->crash_hits[i] % crash_state.wanted[i].every == 0) {
			dprintf(STDERR_FILENO, "crash point %s\n", name); /* for tests to count */
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

#endif

/* temporary.h - where a test's files go: TMPDIR, as programs cannot be run from every /tmp. */
#ifndef HOLDFAST_TEMPORARY_H
#define HOLDFAST_TEMPORARY_H

#include <stdio.h>
#include <stdlib.h>

enum { TEMPORARY_SIZE = 64 };

/* Fills in a pattern for mkstemp() or mkdtemp(), and gives it back. */
static inline char *
temporary_name(char name[TEMPORARY_SIZE])
{
	const char *folder = getenv("TMPDIR");

	snprintf(name, TEMPORARY_SIZE, "%s/holdfast-test-XXXXXX", folder != NULL && *folder == '/' ? folder : "/tmp");
	return name;
}

#endif

/* log_lines.h - what is logged while a test does something. */
#ifndef HOLDFAST_TESTS_LOG_LINES_H
#define HOLDFAST_TESTS_LOG_LINES_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* Counts the lines of this level or a graver one that hold text while act() runs. */
static inline unsigned
count_lines(void (*act)(void), enum log_level level, const char *text)
{
	FILE *log = tmpfile();
	int old = dup(STDERR_FILENO);
	unsigned lines = 0;
	char line[512];

	log_open(LOG_TARGET_STDERR, level);
	dup2(fileno(log), STDERR_FILENO);
	act();
	dup2(old, STDERR_FILENO);
	close(old);
	rewind(log);
	while (fgets(line, sizeof line, log) != NULL)
		lines += strstr(line, text) != NULL;
	fclose(log);
	return lines;
}

#endif

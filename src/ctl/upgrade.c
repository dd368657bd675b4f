#include "ctl/upgrade.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "ctl/ask.h"
#include "ctl/show.h"

#define FOLLOW_TIME  (30 * CLOCK_SECOND)
#define FOLLOW_PAUSE 20000000 /* nanoseconds between two looks */

/* Prints the end; -1: it is not over yet. */
static int
follow_end(const json_t *answer, const json_t *status, bool quiet)
{
	const char *error = show_text(status, "upgrade_error");

	if (error[0] != '\0') {
		fprintf(stderr, "holdfastctl: the upgrade was taken back, version %s goes on: %s\n",
		    show_text(status, "version"), error);
		return ASK_NO;
	}
	if (show_number(status, "upgrades") <= show_number(answer, "upgrades"))
		return -1;
	if (!quiet)
		printf("upgraded: version %s goes on (was %s)\n", show_text(status, "version"),
		    show_text(answer, "version"));
	return ASK_YES;
}

int
upgrade_follow(const char *path, const json_t *answer, bool quiet)
{
	const struct timespec pause = { .tv_nsec = FOLLOW_PAUSE };
	int64_t deadline = clock_now() + FOLLOW_TIME;
	json_t *status;
	int code, error;

	while (clock_now() < deadline) {
		status = ask_once(path, "status", NULL, deadline, &error);
		code = status == NULL ? -1 : follow_end(answer, status, quiet);
		json_decref(status);
		if (code != -1)
			return code;
		nanosleep(&pause, NULL);
	}
	fputs("holdfastctl: time ran out: the daemon does not answer after the upgrade; see its log\n", stderr);
	return ASK_TIME;
}

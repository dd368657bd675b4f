#include "ctl/upgrade.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "ctl/ask.h"
#include "ctl/show.h"

#define FOLLOW_TIME  (30 * CLOCK_SECOND)
#define FOLLOW_ASK   CLOCK_SECOND
#define FOLLOW_PAUSE 20000000 /* nanoseconds between two looks */

/* Whether the upgrade has come to an end: a new program that is not ready may still be taken back.  One that does not
 * say whether it is, an older one, counts as ready. */
static bool
follow_is_over(const json_t *answer, const json_t *status)
{
	if (show_text(status, "upgrade_error")[0] != '\0')
		return true;
	return show_number(status, "upgrades") > show_number(answer, "upgrades") &&
	    !json_is_false(json_object_get(status, "ready"));
}

static int
follow_tell(const json_t *answer, const json_t *status, bool quiet)
{
	const char *error = show_text(status, "upgrade_error");

	if (error[0] != '\0') {
		fprintf(stderr, "holdfastctl: the upgrade was taken back, version %s goes on: %s\n",
		    show_text(status, "version"), error);
		return ASK_NO;
	}
	if (show_text(status, "config_error")[0] != '\0')
		fprintf(stderr, "holdfastctl: warning: the configuration files are bad, what was in force stays: "
		    "%s\n", show_text(status, "config_error"));
	if (!quiet)
		printf("upgraded: version %s goes on (was %s)\n", show_text(status, "version"),
		    show_text(answer, "version"));
	return ASK_YES;
}

/* The status at the end, to be given to json_decref(), or NULL when time has run out. */
static json_t *
follow_wait(struct progress *progress, const json_t *answer)
{
	const struct timespec pause = { .tv_nsec = FOLLOW_PAUSE };
	int64_t now = clock_now(), deadline = now + FOLLOW_TIME;
	json_t *status;
	int error;

	for (; now < deadline; now = clock_now()) {
		status = ask_once(progress->path, "status", NULL, now + FOLLOW_ASK, &error);
		if (status != NULL && follow_is_over(answer, status))
			return status;
		json_decref(status);
		if (clock_now() >= progress_next(progress))
			progress_show(progress);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

int
upgrade_follow(struct progress *progress, const json_t *answer, bool quiet)
{
	json_t *status;
	int code;

	progress_turn(progress, "waiting for the new program");
	status = follow_wait(progress, answer);
	progress_clear(progress);
	if (status == NULL) {
		fputs("holdfastctl: time ran out: the new program is not ready; see the daemon's log\n", stderr);
		return ASK_TIME;
	}
	code = follow_tell(answer, status, quiet);
	json_decref(status);
	return code;
}

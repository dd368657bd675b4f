#include "ctl/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/ask.h"
#include "ctl/show.h"

#define PROGRESS_PERIOD CLOCK_SECOND
#define PROGRESS_WIDTH  80 /* where the terminal does not tell */
#define FOLLOW_TIME  (30 * CLOCK_SECOND)
#define FOLLOW_ASK   CLOCK_SECOND

static const struct {
	const char *command, *verb;
	bool asks; /* how the service is; the others tell only how long it takes */
} verbs[] = {
	{ "wait", "waiting for", true }, { "try", "trying", true }, { "pause", "pausing", true },
	{ "drain", "draining", true }, { "close", "closing", true }, { "disable", "closing", true },
	{ "lookup", "looking up", false }, { "reload", "reading the configuration", false },
	{ "upgrade", "trying the new program", false },
};

void
progress_begin(struct progress *progress, const char *path, int argc, char *const *argv, bool wanted)
{
	*progress = (struct progress){ .path = path, .kind = argv[0], .begun = clock_now() };
	progress->next = progress->begun + PROGRESS_PERIOD;
	for (size_t i = 0; wanted && isatty(STDERR_FILENO) && i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(verbs[i].command, argv[0]) == 0) {
			progress->verb = verbs[i].verb;
			progress->asks = verbs[i].asks;
		}
	for (int i = argc - 1; i > 0; i--) /* the first word that is no option; drain's may follow a number */
		if (argv[i][0] != '-' && strcmp(argv[i - 1], "--wait") != 0)
			progress->service = argv[i];
}

int64_t
progress_next(const struct progress *progress)
{
	return progress->verb == NULL ? CLOCK_NEVER : progress->next;
}

static bool
progress_is_shared(const json_t *service)
{
	return strcmp(show_text(service, "mode"), "shared") == 0;
}

/* Clients, the held included; in shared mode these are among the clients. */
static long long
progress_left(const json_t *services)
{
	json_t *service;
	long long left = 0;
	size_t i;

	json_array_foreach(services, i, service)
		left += show_number(service, "clients") +
		    (progress_is_shared(service) ? 0 : show_number(service, "held"));
	return left;
}

/* What is waited for, of services that status has. */
static const char *
progress_describe(const struct progress *progress, const json_t *services)
{
	const json_t *first = json_array_get(services, 0);
	bool drain = strcmp(progress->kind, "drain") == 0, pause = strcmp(progress->kind, "pause") == 0;
	long long left = drain ? progress_left(services) : show_number(first, "clients");

	if (first == NULL)
		return "no answer";
	if (pause && progress_is_shared(first))
		return show_format("%lld request%s in flight", show_number(first, "in_flight"),
		    show_plural(show_number(first, "in_flight")));
	if (drain || pause)
		return show_format("%lld client%s left", left, show_plural(left));
	if (show_is_true(first, "paused"))
		return "paused";
	if (strcmp(progress->kind, "try") == 0)
		return show_format("attempt %lld, %s", show_number(first, "failures") + 1, show_text(first, "state"));
	if (strcmp(progress->kind, "wait") == 0 && show_text(first, "last_error")[0] != '\0')
		return show_format("%s: %s", show_text(first, "state"), show_text(first, "last_error"));
	return show_text(first, "state");
}

/* Cuts the line so that with so many bytes more it does not wrap: what wraps cannot be taken away. */
static void
progress_cut(char *line, size_t more)
{
	struct winsize size = { .ws_col = 0 };
	size_t width = PROGRESS_WIDTH;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		width = size.ws_col;
	width = width > more + 1 ? width - more - 1 : 0;
	if (strlen(line) <= width)
		return;
	for (; width > 0 && ((unsigned char)line[width] & 0xc0) == 0x80; width--)
		;
	line[width] = '\0';
}

/* The line but for its end. */
static char *
progress_line(const struct progress *progress)
{
	const char *service = progress->service;
	json_t *answer;
	char *line;
	int error;

	if (!progress->asks)
		return show_format("%s%s%s", progress->verb, service == NULL ? "" : " ",
		    service == NULL ? "" : service);
	answer = ask_once(progress->path, "status", service, clock_now() + PROGRESS_PERIOD, &error);
	line = show_format("%s %s: %s", progress->verb, service == NULL ? "all services" : service,
	    progress_describe(progress, json_object_get(answer, "services")));
	json_decref(answer);
	return line;
}

void
progress_show(struct progress *progress)
{
	const char *end = show_format(", %lld s", (long long)((clock_now() - progress->begun) / CLOCK_SECOND));
	char *line = progress_line(progress);

	progress_cut(line, strlen(end));
	fputs("\r\033[K", stderr);
	show_printf(stderr, "%s%s", line, end);
	fflush(stderr);
	progress->shown = true;
	progress->next = clock_now() + PROGRESS_PERIOD;
}

void
progress_clear(struct progress *progress)
{
	if (!progress->shown)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	progress->shown = false;
}

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
		show_printf(stderr, "holdfastctl: the upgrade was taken back, version %s continues: %s\n",
		    show_text(status, "version"), error);
		return ASK_NO;
	}
	if (show_text(status, "config_error")[0] != '\0')
		show_printf(stderr, "holdfastctl: warning: the configuration files are bad, what was in force stays: "
		    "%s\n", show_text(status, "config_error"));
	if (!quiet)
		show_printf(stdout, "upgraded: version %s has taken over (was %s)\n", show_text(status, "version"),
		    show_text(answer, "version"));
	return ASK_YES;
}

/* The status at the end, to be given to json_decref(), or NULL when time has run out. */
static json_t *
follow_wait(struct progress *progress, const json_t *answer)
{
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
		ask_pause();
	}
	return NULL;
}

int
progress_follow_upgrade(struct progress *progress, const json_t *answer, bool quiet)
{
	json_t *status;
	int code;

	if (progress->verb != NULL)
		progress->verb = "waiting for the new program";
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

#include "ctl/check.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/ask.h"
#include "ctl/show.h"
#include "ctl/verdict.h"

#define CHECK_TIME   (10 * CLOCK_SECOND) /* for all of it, as plugins have */
#define WARNING_TIME  0                  /* seconds down, unless -w and -c say otherwise */
#define CRITICAL_TIME 60

struct check {
	struct verdict_limits limits;
	const char *service; /* borrowed; NULL all */
	const char *path;    /* borrowed; the control socket */
	int64_t deadline;    /* monotonic */
};

/* Prints the one line that says why nothing is judged. */
static int
check_end(enum verdict_level level, const char *text)
{
	char *line = verdict_alone(level, text);

	fputs(line, stdout);
	mem_free(line);
	return (int)level;
}

/* What is wrong with the words, or NULL. */
static const char *
check_parse(struct check *check, int argc, char **argv)
{
	static const struct option options[] = {
		{ "warning", required_argument, NULL, 'w' }, { "critical", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	int64_t span;
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, ":w:c:", options, NULL)) != -1) {
		if (option == ':')
			return show_format("%s needs a time", argv[optind - 1]);
		if (option == '?')
			return show_format("\"check\" has no option %s", argv[optind - 1]);
		if (!clock_read_seconds(optarg, &span))
			return show_format("-%c %s: not a time, such as 30, 5s, 2min or 1h", option, optarg);
		*(option == 'w' ? &check->limits.warning : &check->limits.critical) = (double)span / 1e6;
	}
	if (check->limits.critical < check->limits.warning)
		return show_format("-c (%g s) is less than -w (%g s)", check->limits.critical, check->limits.warning);
	if (argc - optind > 1)
		return show_format("one service or none, and not also %s", argv[optind + 1]);
	check->service = argv[optind];
	if (check->service != NULL && strpbrk(check->service, "\r\n") != NULL)
		return "the service's name holds a newline";
	return NULL;
}

/* Whether the answer is one to "status", of this service. */
static bool
check_is_status(const struct check *check, const json_t *answer)
{
	const json_t *services = json_object_get(answer, "services");
	json_t *service;
	size_t i;

	if (!json_is_true(json_object_get(answer, "ok")) || !json_is_array(services))
		return false;
	json_array_foreach(services, i, service)
		if (show_text(service, "service")[0] == '\0' || show_text(service, "state")[0] == '\0')
			return false;
	return check->service == NULL || json_array_size(services) == 1;
}

/* answer may be NULL: what came was no JSON. */
static int
check_judge(const struct check *check, const json_t *answer)
{
	enum verdict_level level;
	const char *error;
	char *text;

	if (!check_is_status(check, answer)) {
		error = show_text(answer, "error");
		return check_end(VERDICT_UNKNOWN, error[0] != '\0' ? error
		    : show_format("the answer is not understood: is %s a control socket of holdfastd?", check->path));
	}
	level = verdict_judge(answer, &check->limits, clock_wall(), &text);
	fputs(text, stdout);
	mem_free(text);
	return (int)level;
}

/* That nobody may ask here says nothing of the daemon; everything else says that there is none. */
static int
check_unreached(const struct check *check, int error)
{
	const char *reason = ask_reason(check->path, error);

	return check_end(error == EACCES || error == EPERM ? VERDICT_UNKNOWN : VERDICT_CRITICAL, reason);
}

/* Asks, over as many connections as its time allows: a worker that dies is no outage. */
static int
check_ask(const struct check *check)
{
	bool reached = false;
	json_t *answer;
	int code, error;

	for (;;) {
		answer = ask_once(check->path, "status", check->service, check->deadline, &error);
		if (answer != NULL || error == EBADMSG) {
			code = check_judge(check, answer);
			json_decref(answer);
			return code;
		}
		if (error < 0 && !reached)
			return check_unreached(check, -error);
		reached = true;
		if (clock_now() >= check->deadline)
			return check_end(VERDICT_CRITICAL, error == ETIMEDOUT ? "the daemon does not answer"
			    : "the daemon ends each connection before it answers");
		ask_pause();
	}
}

int
check_run(const char *socket, int argc, char **argv)
{
	struct check check = { .limits = { WARNING_TIME, CRITICAL_TIME }, .deadline = clock_now() + CHECK_TIME };
	const char *wrong = check_parse(&check, argc, argv);
	char *path;
	int code;

	if (wrong != NULL)
		return check_end(VERDICT_UNKNOWN, wrong);
	path = ask_socket(socket);
	check.path = path;
	code = check_ask(&check);
	mem_free(path);
	return code;
}

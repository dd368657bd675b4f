/* holdfastctl: asks and commands a running holdfastd. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/file.h"
#include "ctl/add.h"
#include "ctl/ask.h"
#include "ctl/check.h"
#include "ctl/complete.h"
#include "ctl/help.h"
#include "ctl/print.h"
#include "ctl/progress.h"
#include "ctl/publish.h"
#include "ctl/show.h"
#include "ctl/top.h"
#include "version.h"

#define ANSWER_TIME (30 * CLOCK_SECOND) /* for a command that has nothing to wait for */
#define GRACE       (2 * CLOCK_SECOND)  /* beyond the time that the daemon was given */
#define AGAIN_TIME  (5 * CLOCK_SECOND)  /* to come back when the connection has ended */
#define ERRAND_TIMED_WORDS 4            /* of a command that is given a time, at most */

/* One command, asked until it is answered. */
struct errand {
	const struct help_command *command; /* borrowed */
	int argc;
	char **argv;           /* borrowed; words, argv[0] is the command */
	const char *path;      /* borrowed; the control socket */
	bool json;
	int timed;             /* which of argv is a number of seconds; 0: none */
	struct progress progress;
	int64_t until;         /* monotonic; when these are over */
	int64_t deadline;      /* monotonic; when we give up */
	json_t *seen;          /* owned; events: the last of each service */
	json_t *repeated;      /* owned; the same as it was when the connection ended */
	json_t *before;        /* owned; upgrade: the status when it was asked for; NULL unknown, or of no use */
};

/* Whether this event was seen before the connection ended: a new connection begins with the last event. */
static bool
errand_is_repeated(struct errand *errand, const json_t *event)
{
	const char *service = show_text(event, "service"), *time = show_text(event, "time");
	const json_t *before = json_object_get(errand->repeated, service);
	bool repeated = strcmp(show_text(before, "time"), time) == 0 &&
	    strcmp(show_text(before, "event"), show_text(event, "event")) == 0;

	if (!show_has(event, "event"))
		return false;
	json_object_del(errand->repeated, service);
	json_object_set(errand->seen, service, (json_t *)(uintptr_t)event);
	return repeated;
}

/* What an answer that is no says by exit code. */
static int
errand_exit_code(const json_t *answer)
{
	if (show_is_true(answer, "ok"))
		return ASK_YES;
	if (show_is_true(answer, "usage"))
		return ASK_USAGE;
	if (show_is_true(answer, "full"))
		return ASK_UNREACHED;
	return show_is_true(answer, "timed_out") ? ASK_TIME : ASK_NO;
}

static void
errand_print_answer(const struct errand *errand, const char *line, const json_t *answer)
{
	if (errand->json) {
		puts(line);
		fflush(stdout);
	} else if (errand_exit_code(answer) == ASK_YES) {
		print_answer(errand->argc, errand->argv, answer);
	} else {
		print_error(errand->argc, errand->argv, answer);
	}
}

/* Prints an answer and gives the exit code. */
static int
errand_take_answer(struct errand *errand, const char *line)
{
	json_t *answer = json_loads(line, 0, NULL);
	int code = errand_exit_code(answer);

	if (!json_is_object(answer)) {
		fputs("holdfastctl: the answer is no JSON: is this a control socket of holdfastd?\n", stderr);
		code = ASK_UNREACHED;
	} else if (!errand_is_repeated(errand, answer)) {
		errand_print_answer(errand, line, answer);
	}
	if (code == ASK_YES && strcmp(errand->command->name, "upgrade") == 0)
		code = progress_follow_upgrade(&errand->progress, answer, errand->json);
	json_decref(answer);
	return code;
}

/* The command's line; asked again, it has only what is left of its time. */
static char *
errand_line(const struct errand *errand)
{
	int64_t left = errand->until - clock_now();
	char *words[ERRAND_TIMED_WORDS], *seconds, *line;

	if (errand->timed == 0)
		return ask_quote(errand->argc, errand->argv);
	memcpy(words, errand->argv, (size_t)errand->argc * sizeof *words);
	words[errand->timed] = seconds = mem_print("%.3f", left > CLOCK_MILLISECOND ? (double)left / 1e6 : 0.001);
	line = ask_quote(errand->argc, words);
	mem_free(seconds);
	return line;
}

/* The next answer, with progress shown until it comes; as ask_line(). */
static const char *
errand_hear(struct errand *errand, struct ask *ask, int *ret_error)
{
	const char *answer;
	int64_t next;

	for (;;) {
		next = progress_next(&errand->progress);
		answer = ask_line(ask, next < errand->deadline ? next : errand->deadline, ret_error);
		if (answer != NULL || *ret_error != ETIMEDOUT || clock_now() >= errand->deadline)
			break;
		progress_show(&errand->progress);
	}
	progress_clear(&errand->progress);
	return answer;
}

/* Asks over an open connection.  The exit code, or -1 if the connection ended; *ret_heard: something came. */
static int
errand_converse(struct errand *errand, struct ask *ask, bool *ret_heard)
{
	bool stream = strcmp(errand->command->name, "events") == 0;
	char *line = errand_line(errand);
	int error = ask_send(ask, line), code = -1;
	const char *answer;

	mem_free(line);
	if (error == EPIPE || error == ECONNRESET)
		error = 0; /* why it did not listen may have come before */
	while (code == -1 && error == 0) {
		answer = errand_hear(errand, ask, &error);
		if (answer == NULL)
			break;
		*ret_heard = true;
		code = errand_take_answer(errand, answer);
		if (stream && code == ASK_YES)
			code = -1;
	}
	if (code != -1 || error != ETIMEDOUT)
		return code;
	fputs("holdfastctl: time ran out: the daemon does not answer\n", stderr);
	return ASK_TIME;
}

/* The state before an upgrade, by which is seen that it has ended.  A failure that is told there already cannot be
 * told from the next one. */
static json_t *
errand_status_before(const struct errand *errand)
{
	json_t *status;
	int error;

	if (strcmp(errand->command->name, "upgrade") != 0)
		return NULL;
	status = ask_once(errand->path, "status", NULL, clock_now() + ANSWER_TIME, &error);
	if (show_is_true(status, "ok") && show_text(status, "upgrade_error")[0] == '\0')
		return status;
	json_decref(status);
	return NULL;
}

/* What a dead worker was asked for the next one does, if it is an upgrade (U2). */
static int
errand_connection_lost(struct errand *errand)
{
	if (errand->before != NULL)
		return progress_follow_upgrade(&errand->progress, errand->before, errand->json);
	fputs(errand->command->repeatable
	    ? "holdfastctl: the daemon ended the connection and has not come back: it has ended, see its log\n"
	    : "holdfastctl: the daemon ended the connection before it answered: whether the command was carried out "
	    "is not known; see \"holdfastctl status\"\n", stderr);
	return ASK_UNREACHED;
}

/* Asks, over as many connections as it takes: a worker that dies costs only a pause. */
static int
errand_run(struct errand *errand)
{
	int64_t again_until = 0;
	struct ask ask;
	int code, error;

	for (;;) {
		bool heard = false;

		error = ask_connect(&ask, errand->path);
		if (error != 0 && again_until == 0) {
			ask_explain(errand->path, error);
			return ASK_UNREACHED;
		}
		code = error == 0 ? errand_converse(errand, &ask, &heard) : -1;
		ask_close(&ask);
		if (code != -1)
			return code;
		if (heard || again_until == 0)
			again_until = clock_now() + AGAIN_TIME;
		if (!errand->command->repeatable || clock_now() >= again_until)
			return errand_connection_lost(errand);
		json_object_update(errand->repeated, errand->seen);
		ask_pause();
	}
}

/* Which of the words is the time that the daemon is given for the command, or 0. */
static int
errand_find_seconds(const struct errand *errand)
{
	const char *name = errand->command->name;
	int plain = 0;

	if (strcmp(name, "wait") != 0 && strcmp(name, "try") != 0 && strcmp(name, "pause") != 0)
		return 0;
	for (int i = 1; i < errand->argc; i++)
		if (errand->argv[i][0] != '-' && ++plain == 2)
			return i;
	return 0;
}

/* How long the answer may take. */
static void
errand_set_time(struct errand *errand)
{
	int place = errand_find_seconds(errand);
	int64_t span;

	errand->deadline = errand->command->patient ? CLOCK_NEVER : clock_now() + ANSWER_TIME;
	if (place == 0 || !clock_read_seconds(errand->argv[place], &span))
		return;
	errand->timed = span > 0 ? place : 0;
	errand->until = clock_now() + span;
	errand->deadline = errand->until + (span > 0 ? GRACE : ANSWER_TIME);
}

/* Takes word out of the arguments; whether it was there. */
static bool
main_take_word(int *argc, char **argv, const char *word)
{
	for (int i = 1; i < *argc; i++)
		if (strcmp(argv[i], word) == 0) {
			memmove(argv + i, argv + i + 1, (size_t)(*argc - i) * sizeof *argv);
			(*argc)--;
			return true;
		}
	return false;
}

static int
main_unknown_command(const char *name)
{
	const char *meant = help_nearest(name);

	if (meant != NULL)
		show_printf(stderr, "holdfastctl: no command \"%s\"; did you mean \"%s\"?\n", name, meant);
	else
		show_printf(stderr, "holdfastctl: no command \"%s\"; holdfastctl --help lists them\n", name);
	return ASK_USAGE;
}

/* Says how a command is used, or without a name which there are. */
static int
main_help(const char *name)
{
	const struct help_command *command = name == NULL ? NULL : help_find(name);

	if (name == NULL) {
		help_print(stdout);
		return ASK_YES;
	}
	if (command == NULL)
		return main_unknown_command(name);
	help_usage(stdout, "usage: holdfastctl", command);
	puts(command->help);
	return ASK_YES;
}

/* Whether all options are the command's; if not it is said which one is none. */
static bool
errand_has_good_options(const struct errand *errand)
{
	const struct help_command *command = errand->command;
	const char *bad, *meant;
	struct syntax syntax;

	syntax_read(&syntax, command->arguments);
	bad = syntax_bad_option(&syntax, errand->argc, errand->argv);
	if (bad == NULL)
		return true;
	if (strcmp(bad, "-s") == 0 || strcmp(bad, "--socket") == 0) {
		show_printf(stderr, "holdfastctl: %s stands before the command: holdfastctl %s SOCKET %s\n", bad, bad,
		    command->name);
		return false;
	}
	meant = !command->own ? syntax_nearest(&syntax, bad) : NULL;
	show_printf(stderr, "holdfastctl: \"%s\" has no option %s%s%s%s\n", command->name, bad,
	    meant == NULL ? "" : "; did you mean ", meant == NULL ? "" : meant, meant == NULL ? "" : "?");
	return false;
}

/* Whether the command may be sent like this; if not it is said why. */
static bool
errand_is_well_formed(const struct errand *errand)
{
	const struct help_command *command = errand->command;

	if (!errand_has_good_options(errand))
		return false;
	for (int i = 1; i < errand->argc; i++)
		if (strpbrk(errand->argv[i], "\r\n") != NULL) {
			fputs("holdfastctl: an argument holds a newline\n", stderr);
			return false;
		}
	if (errand->argc - 1 >= command->least && errand->argc - 1 <= command->most)
		return true;
	help_usage(stderr, "holdfastctl: usage: holdfastctl", command);
	return false;
}

/* Asks the daemon. */
static int
main_ask(const char *socket, struct errand *errand)
{
	char *path = ask_socket(socket);
	int code;

	errand->path = path;
	errand->seen = json_object();
	errand->repeated = json_object();
	errand_set_time(errand);
	errand->before = errand_status_before(errand);
	progress_begin(&errand->progress, path, errand->argc, errand->argv, !errand->json);
	code = errand_run(errand);
	json_decref(errand->before);
	json_decref(errand->seen);
	json_decref(errand->repeated);
	mem_free(path);
	return code;
}

/* Runs the command whose words are argv; what the daemon does not know runs here. */
static int
main_run(const char *socket, bool json, int argc, char **argv)
{
	struct errand errand = { .argv = argv, .command = help_find(argv[0]) };

	if (errand.command == NULL)
		return main_unknown_command(argv[0]);
	if (strcmp(argv[0], "publish") == 0) /* behind whose -- stands another program's command */
		return publish_run(argc, argv);
	if (main_take_word(&argc, argv, "--help") || main_take_word(&argc, argv, "-h"))
		return main_help(errand.command->name);
	if (strcmp(argv[0], "check") == 0) /* whose errors are plugins' */
		return check_run(socket, argc, argv);
	errand.json = !errand.command->own && (main_take_word(&argc, argv, "--json") || json);
	errand.argc = argc;
	if (!errand_is_well_formed(&errand))
		return ASK_USAGE;
	if (strcmp(argv[0], "top") == 0)
		return top_run(socket);
	if (strcmp(argv[0], "add") == 0 || strcmp(argv[0], "remove") == 0)
		return add_run(socket, argc, argv);
	if (strcmp(argv[0], "help") == 0 && !errand.json)
		return main_help(argv[1]);
	return main_ask(socket, &errand);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 },
	};
	const char *socket = NULL;
	bool json = false;
	int option;

	if (!file_open_standard())
		return ASK_NO;
	if (argc > 1 && strcmp(argv[1], "--complete") == 0)
		return complete_run(argc - 2, argv + 2);
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:s:hV", options, NULL)) != -1)
		switch (option) {
		case 's': socket = optarg; break;
		case 'j': json = true; break;
		case 'h': help_print(stdout); return ASK_YES;
		case 'V': puts("holdfastctl " HOLDFAST_VERSION); return ASK_YES;
		case ':':
			show_printf(stderr, "holdfastctl: %s needs the name of a socket\n", argv[optind - 1]);
			return ASK_USAGE;
		default:
			/* of several letters in one word it is this one */
			show_printf(stderr, "holdfastctl: bad option %s; holdfastctl --help shows them\n",
			    strchr("sjhV", optopt) != NULL ? argv[optind - 1] : (char[]){ '-', (char)optopt, '\0' });
			return ASK_USAGE;
		}
	if (optind == argc) {
		fputs("holdfastctl: which command?  holdfastctl --help lists them\n", stderr);
		return ASK_USAGE;
	}
	return main_run(socket, json, argc - optind, argv + optind);
}

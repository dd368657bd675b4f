#include "ctl/publish.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ctl/ask.h"
#include "ctl/entry_file.h"
#include "ctl/help.h"
#include "ctl/publisher.h"
#include "ctl/show.h"

#define PUBLISH_EVERY      (10 * CLOCK_SECOND)
#define PUBLISH_EVERY_MIN  (100 * CLOCK_MILLISECOND)
#define PUBLISH_EVERY_MAX  (86400 * CLOCK_SECOND)
#define PUBLISH_NUMBER_MAX 65535
#define PUBLISH_HOST_SIZE  65
#define PUBLISH_NOT_RUN    127 /* as shells say that a command could not be run */

extern char **environ;

struct publish {
	const char *catalog, *service, *address; /* borrowed */
	const char *check;           /* borrowed; NULL none */
	char **command;              /* borrowed; NULL none */
	const char *priority, *weight; /* borrowed; NULL: none is written */
	char *name;                  /* owned */
	int64_t every, check_every;
	struct publisher publisher;
	struct entry_file file;
	int signals;                 /* signalfd */
	pid_t command_pid, check_pid; /* 0: none runs */
	bool listed;                 /* what was told last */
	char told[ENTRY_FILE_SAID];  /* the failure that was told and is not over; "" none */
	bool check_told;             /* that it fails */
	bool over;
	int code;
};

static void __attribute__((format(printf, 2, 3)))
publish_say(const struct publish *publish, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = mem_vprint(format, args);
	va_end(args);
	show_printf(stderr, "holdfastctl: %s: %s\n", publish->service != NULL ? publish->service : "publish", text);
	mem_free(text);
}

/* Says once that it fails; how long something takes is no other failure. */
static void
publish_tell_failure(struct publish *publish, const char *said)
{
	const char *end = strstr(said, ": it expires in ");
	size_t length = end != NULL ? (size_t)(end - said) : strlen(said);

	if (publish->told[0] != '\0' && strncmp(publish->told, said, length) == 0)
		return;
	snprintf(publish->told, sizeof publish->told, "%s", said);
	publish_say(publish, "not published: %s; tried again every %g s", said,
	    (double)(publish->every < PUBLISHER_AGAIN ? publish->every : PUBLISHER_AGAIN) / 1e6);
}

static enum publisher_event
publish_put(struct publish *publish)
{
	char said[ENTRY_FILE_SAID];
	bool written;

	if (entry_file_put(&publish->file, &written, said) != ENTRY_FILE_DONE) {
		publish_tell_failure(publish, said);
		return PUBLISHER_PUT_FAILED;
	}
	if (written || publish->told[0] != '\0')
		publish_say(publish, "published%s %s as %s/%s/%s", publish->listed ? " again" : "", publish->address,
		    publish->catalog, publish->service, publish->name);
	publish->told[0] = '\0';
	publish->listed = true;
	return PUBLISHER_PUT;
}

static void
publish_withdraw(struct publish *publish)
{
	char said[ENTRY_FILE_SAID];

	publish->told[0] = '\0';
	if (!entry_file_withdraw(&publish->file, said))
		publish_say(publish, "cannot withdraw: %s", said);
	else if (publish->listed)
		publish_say(publish, "withdrawn");
	publish->listed = false;
}

/* Starts a program with the signals as they were for us.  0 or an errno. */
static int
publish_spawn(const char *program, char *const *argv, bool group, pid_t *ret_pid)
{
	posix_spawnattr_t attributes;
	sigset_t none;
	int error;

	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, (short)(POSIX_SPAWN_SETSIGMASK | (group ? POSIX_SPAWN_SETPGROUP : 0)));
	posix_spawnattr_setsigmask(&attributes, &none);
	error = posix_spawnp(ret_pid, program, NULL, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	if (error != 0)
		*ret_pid = 0;
	return error;
}

static enum publisher_event
publish_check_ended(struct publish *publish, const char *how)
{
	if (how != NULL && !publish->check_told)
		publish_say(publish, "the check fails (%s): not published until it passes", how);
	if (how == NULL && publish->check_told)
		publish_say(publish, "the check passes");
	publish->check_told = how != NULL;
	return how == NULL ? PUBLISHER_CHECK_PASSED : PUBLISHER_CHECK_FAILED;
}

/* In a group of its own, so that all of it is killed if it takes too long. */
static int
publish_start_check(struct publish *publish)
{
	char *argv[] = { "sh", "-c", (char *)(uintptr_t)publish->check, NULL };

	return publish_spawn("/bin/sh", argv, true, &publish->check_pid);
}

/* Tells the machine, and does what it says, until there is nothing left to do. */
static void
publish_step(struct publish *publish, enum publisher_event event)
{
	unsigned todo = publisher_step(&publish->publisher, event, clock_now());
	int error;

	if (todo & PUBLISHER_DO_WITHDRAW)
		publish_withdraw(publish);
	if (todo & PUBLISHER_DO_KILL_CHECK && publish->check_pid != 0)
		kill(-publish->check_pid, SIGKILL);
	if (todo & PUBLISHER_DO_PUT)
		publish_step(publish, publish_put(publish));
	if (todo & PUBLISHER_DO_CHECK && (error = publish_start_check(publish)) != 0)
		publish_step(publish, publish_check_ended(publish, strerror(error)));
}

/* Withdrawn first: nobody is to be sent to a server that ends. */
static void
publish_on_signal(struct publish *publish, const struct signalfd_siginfo *signal)
{
	int number = (int)signal->ssi_signo;
	bool ends = number == SIGTERM || number == SIGINT || (number == SIGHUP && publish->command == NULL);

	if (ends && publish->publisher.state != PUBLISHER_ENDED)
		publish_step(publish, PUBLISHER_STOP);
	if (publish->command_pid != 0 && signal->ssi_code != SI_KERNEL) /* those of a terminal reach it, too */
		kill(publish->command_pid, number);
	publish->over = publish->over || (ends && publish->command_pid == 0);
}

/* NULL: well; else a static text. */
static const char *
publish_how(int status)
{
	static char text[64];

	if (WIFSIGNALED(status))
		snprintf(text, sizeof text, "killed by signal %d", WTERMSIG(status));
	else
		snprintf(text, sizeof text, "exit %d", WEXITSTATUS(status));
	return status == 0 ? NULL : text;
}

static void
publish_reap(struct publish *publish)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == publish->check_pid) {
			kill(-pid, SIGKILL); /* what it has left */
			publish->check_pid = 0;
			publish_step(publish, publish_check_ended(publish, publish_how(status)));
		} else if (pid == publish->command_pid) {
			publish->command_pid = 0;
			publish->over = true;
			publish->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
			publish_step(publish, PUBLISHER_STOP);
		}
	}
}

/* How long poll() may wait, rounded up. */
static int
publish_patience(int64_t deadline)
{
	int64_t left = deadline == CLOCK_NEVER ? -1 : deadline - clock_now();

	if (deadline == CLOCK_NEVER)
		return -1;
	return left <= 0 ? 0 : left > PUBLISH_EVERY_MAX ? (int)(PUBLISH_EVERY_MAX / 1000) : (int)(left / 1000 + 1);
}

static void
publish_loop(struct publish *publish)
{
	struct pollfd look = { .fd = publish->signals, .events = POLLIN };
	struct signalfd_siginfo signal;

	while (!publish->over) {
		poll(&look, 1, publish_patience(publish->publisher.deadline));
		while (!publish->over && read(publish->signals, &signal, sizeof signal) == (ssize_t)sizeof signal)
			if (signal.ssi_signo == SIGCHLD)
				publish_reap(publish);
			else
				publish_on_signal(publish, &signal);
		if (!publish->over && clock_now() >= publish->publisher.deadline)
			publish_step(publish, PUBLISHER_DEADLINE);
	}
}

/* A signal that we were told to ignore (nohup) stays ignored. */
static bool
publish_take_signals(struct publish *publish)
{
	static const int numbers[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	struct sigaction action;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		bool passed = numbers[i] == SIGQUIT || numbers[i] == SIGUSR1 || numbers[i] == SIGUSR2;

		if ((!passed || publish->command != NULL) && sigaction(numbers[i], NULL, &action) == 0 &&
		    (action.sa_handler != SIG_IGN || numbers[i] == SIGCHLD))
			sigaddset(&set, numbers[i]);
	}
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	publish->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return publish->signals != -1;
}

/* A name that another process with this name has, and keeps, is an error before anything is started. */
static int
publish_begin(struct publish *publish)
{
	char said[ENTRY_FILE_SAID];
	int error;

	if (entry_file_judge(&publish->file, said) == ENTRY_FILE_TAKEN) {
		publish_say(publish, "%s; choose another name with --copy", said);
		return ASK_NO;
	}
	if (!publish_take_signals(publish)) {
		publish_say(publish, "signals cannot be taken: %s; nothing is published", strerror(errno));
		return ASK_NO;
	}
	if (publish->command != NULL &&
	    (error = publish_spawn(publish->command[0], publish->command, false, &publish->command_pid)) != 0) {
		publish_say(publish, "%s: %s", publish->command[0], strerror(error));
		return PUBLISH_NOT_RUN;
	}
	publish_step(publish, PUBLISHER_BEGIN);
	if (publish->command == NULL) /* else it is the command's to say */
		sd_notify(1, "READY=1");
	publish_loop(publish);
	return publish->code;
}

/* The first line of the file. */
static char *
publish_words(const struct publish *publish)
{
	return mem_print("%s ttl=%.10g%s%s%s%s", publish->address, (double)(PUBLISHER_BEATS * publish->every) / 1e6,
	    publish->priority != NULL ? " priority=" : "", publish->priority != NULL ? publish->priority : "",
	    publish->weight != NULL ? " weight=" : "", publish->weight != NULL ? publish->weight : "");
}

/* HOST@ADDRESS. */
static char *
publish_own_name(const char *address)
{
	char host[PUBLISH_HOST_SIZE] = "", *name;

	if (gethostname(host, sizeof host - 1) == -1 || host[0] == '\0')
		strcpy(host, "localhost");
	name = mem_print("%s@%s", host, address);
	for (char *at = name; *at != '\0'; at++)
		if (*at == '/')
			*at = '_';
	return name;
}

static bool
publish_is_number(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0' && strlen(text) <= 5 &&
	    atol(text) <= PUBLISH_NUMBER_MAX;
}

/* What of the options is wrong, or NULL: to be freed. */
static char *
publish_set(struct publish *publish, int option, const char *value)
{
	int64_t *span = option == 'e' ? &publish->every : &publish->check_every;

	switch (option) {
	case 'n':
		mem_free(publish->name);
		publish->name = mem_copy_text(value);
		return NULL;
	case 'c':
		publish->check = value;
		return NULL;
	case 'p':
	case 'w':
		*(option == 'p' ? &publish->priority : &publish->weight) = value;
		return publish_is_number(value) ? NULL : mem_print("%s is not a whole number up to 65535", value);
	default:
		if (clock_read_seconds(value, span) && *span >= PUBLISH_EVERY_MIN && *span <= PUBLISH_EVERY_MAX)
			return NULL;
		return mem_print("%s is not a time from 0.1 s to a day, such as 10 or 30s", value);
	}
}

static char *
publish_parse_options(struct publish *publish, int argc, char **argv)
{
	static const struct option options[] = {
		{ "copy", required_argument, NULL, 'n' }, { "every", required_argument, NULL, 'e' },
		{ "check", required_argument, NULL, 'c' }, { "check-every", required_argument, NULL, 'E' },
		{ "priority", required_argument, NULL, 'p' }, { "weight", required_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	char *wrong = NULL;
	int option;

	optind = 0;
	while (wrong == NULL && (option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (option == ':')
			wrong = mem_print("%s needs a value", argv[optind - 1]);
		else if (option == '?')
			wrong = mem_print("no option %s", argv[optind - 1]);
		else
			wrong = publish_set(publish, option, optarg);
	}
	return wrong;
}

/* What of the words is wrong, or NULL: to be freed. */
static char *
publish_parse(struct publish *publish, int argc, char **argv)
{
	char *wrong = publish_parse_options(publish, argc, argv);
	struct address address;
	const char *bad;

	if (wrong != NULL)
		return wrong;
	if (argc - optind != 3)
		return mem_print(argc - optind > 3 ? "too many words: the command stands behind --" :
		    "CATALOG, SERVICE and ADDRESS are needed");
	publish->catalog = argv[optind];
	publish->service = argv[optind + 1];
	publish->address = argv[optind + 2];
	if ((bad = entry_file_bad_name(publish->service)) != NULL)
		return mem_print("the service \"%s\": %s", publish->service, bad);
	if (strpbrk(publish->address, " \t") != NULL)
		return mem_print("the address \"%s\": a blank in it", publish->address);
	if ((bad = address_parse(publish->address, &address)) != NULL)
		return mem_print("the address \"%s\": %s", publish->address, bad);
	if (publish->name == NULL)
		publish->name = publish_own_name(publish->address);
	bad = entry_file_bad_name(publish->name);
	return bad == NULL ? NULL : mem_print("--copy \"%s\": %s", publish->name, bad);
}

/* Takes the command behind -- off the words.  Whether help is asked for before it. */
static bool
publish_split(struct publish *publish, int *argc, char **argv)
{
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
		if (strcmp(argv[i], "--") != 0)
			continue;
		publish->command = i + 1 < *argc ? &argv[i + 1] : NULL;
		*argc = i;
	}
	return false;
}

int
publish_run(int argc, char **argv)
{
	struct publish publish = { .every = PUBLISH_EVERY, .check_every = PUBLISH_EVERY };
	const struct help_command *help = help_find("publish");
	char *wrong, *words;
	int code = ASK_USAGE;

	if (publish_split(&publish, &argc, argv)) {
		help_usage(stdout, "usage: holdfastctl", help);
		puts(help->help);
		return ASK_YES;
	}
	wrong = publish_parse(&publish, argc, argv);
	if (wrong != NULL) {
		fprintf(stderr, "holdfastctl: publish: %s\n", wrong);
		help_usage(stderr, "holdfastctl: usage: holdfastctl", help);
	} else {
		publisher_init(&publish.publisher, publish.every, publish.check != NULL ? publish.check_every : 0);
		words = publish_words(&publish);
		entry_file_init(&publish.file, publish.catalog, publish.service, publish.name, words);
		mem_free(words);
		code = publish_begin(&publish);
		entry_file_clear(&publish.file);
	}
	mem_free(wrong);
	mem_free(publish.name);
	return code;
}

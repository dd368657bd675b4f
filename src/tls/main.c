/* main.c - holdfast-tls: options, signals, exit codes. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "tls/listen.h"
#include "tls/server.h"

#include "version.h"

#define MAIN_SPARE_FILES 64 /* for all but sessions, which have two each */

enum main_code { MAIN_OK, MAIN_FAILURE, MAIN_USAGE };
enum main_long_option { MAIN_STOP_TIMEOUT = 256, MAIN_MAX_SESSIONS, MAIN_WITH };

struct main_options {
	struct server_options server;
	bool verbose;
	bool background;
	unsigned with;  /* a process, whose end is like SIGTERM; 0 none */
	int told;       /* owned: where who waits for a background one hears that it listens; -1 none */
};

static const char main_help[] =
    "Usage: holdfast-tls [-s PATH] [--stop-timeout TIME] [--max-sessions NUMBER] [--with PID] [-b] [-v] [-V] [-h]\n"
    "\n"
    "Speaks TLS to servers for clients of its Unix socket, each of which says by a header to whom and how.\n"
    "\n"
    "  -s, --socket PATH         where to listen (/run/holdfast/tls.sock); unless systemd gives a socket\n"
    "      --stop-timeout TIME   how long sessions may last after TERM; as long as they like\n"
    "      --max-sessions NUMBER as many at a time; half of the file descriptors that are allowed\n"
    "      --with PID            end, as by TERM, when this process has ended\n"
    "  -b, --background          return when it listens\n"
    "  -v, --verbose             log debug messages too\n"
    "  -V, --version             print the version\n"
    "  -h, --help                print this\n"
    "\n"
    "Signals: TERM, INT: listens no more and ends with the last session (twice: at once), USR2: starts the program\n"
    "again, which takes the socket over, and ends with the last session.\n"
    "Exit codes: 0 ended as asked, 1 failure, 2 usage.\n"
    "See holdfast-tls(8).\n";

static int
main_usage(const char *what)
{
	if (what != NULL)
		fprintf(stderr, "holdfast-tls: %s\n", what);
	fputs("Try: holdfast-tls --help\n", stderr);
	return MAIN_USAGE;
}

/* The most sessions by the limit of file descriptors, which is raised as far as it goes. */
static unsigned
main_raise_limit(void)
{
	struct rlimit limit = { 0 };

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return 100;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur > 2000000)
		return 1000000;
	return limit.rlim_cur < 2 * MAIN_SPARE_FILES ? 16 : (unsigned)(limit.rlim_cur - MAIN_SPARE_FILES) / 2;
}

static bool
main_read_number(const char *text, unsigned long most, unsigned *ret_number)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '1' || *text > '9' || *end != '\0' || number > most)
		return false;
	*ret_number = (unsigned)number;
	return true;
}

/* -1 to begin, else the exit code. */
static int
main_parse(int argc, char **argv, struct main_options *options)
{
	static const struct option long_options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "stop-timeout", required_argument, NULL, MAIN_STOP_TIMEOUT },
		{ "max-sessions", required_argument, NULL, MAIN_MAX_SESSIONS },
		{ "with", required_argument, NULL, MAIN_WITH }, { "background", no_argument, NULL, 'b' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "version", no_argument, NULL, 'V' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "s:bvVh", long_options, NULL)) != -1)
		switch (option) {
		case 's': options->server.socket = optarg; break;
		case 'b': options->background = true; break;
		case 'v': options->verbose = true; break;
		case MAIN_STOP_TIMEOUT:
			if (!clock_read_seconds(optarg, &options->server.stop_timeout))
				return main_usage("--stop-timeout is not a time");
			break;
		case MAIN_MAX_SESSIONS:
			if (!main_read_number(optarg, 1000000, &options->server.max_sessions))
				return main_usage("--max-sessions is not a number from 1 to 1000000");
			break;
		case MAIN_WITH:
			if (!main_read_number(optarg, 4194304, &options->with))
				return main_usage("--with is not the number of a process");
			break;
		case 'V': puts("holdfast-tls " HOLDFAST_VERSION); return MAIN_OK;
		case 'h': fputs(main_help, stdout); return MAIN_OK;
		default: return main_usage(NULL);
		}
	return optind < argc ? main_usage("unexpected argument") : -1;
}

static void
main_on_stop(evutil_socket_t number, short what, void *arg)
{
	(void)number, (void)what;
	server_stop(arg);
}

static void
main_on_upgrade(evutil_socket_t number, short what, void *arg)
{
	(void)number, (void)what;
	server_upgrade(arg);
}

/* The rest is done by a process of a session of its own; this one returns when that listens, or has failed.  One that
 * an upgrade starts is that already. */
static void
main_detach(struct main_options *options)
{
	int ends[2];
	char byte;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) == -1 || (pid = fork()) == -1) {
		perror("holdfast-tls");
		exit(MAIN_FAILURE);
	}
	if (pid != 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) == 1 ? MAIN_OK : MAIN_FAILURE);
	}
	close(ends[0]);
	options->told = ends[1];
	setsid();
}

/* It listens.  What was standard error is nobody's to read from now on. */
static void
main_tell_detached(struct main_options *options)
{
	int nothing;

	if (options->told == -1)
		return;
	nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3 && nothing != -1; fd++)
		dup2(nothing, fd);
	close(nothing);
	(void)!write(options->told, "", 1);
	close(options->told);
}

/* NULL: there is none to wait for.  If it has ended already, the loop, which does not run yet, hears by a signal. */
static struct event *
main_watch(struct event_base *loop, unsigned pid, struct server *server)
{
	struct event *event;
	int fd = pid == 0 ? -1 : (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);

	if (pid != 0 && fd == -1)
		raise(SIGTERM);
	if (fd == -1)
		return NULL;
	event = event_new(loop, fd, EV_READ, main_on_stop, server);
	loop_event_add(event);
	return event;
}

static int
main_serve(struct main_options *options)
{
	struct event_base *loop = loop_new();
	struct server *server = server_new(loop, &options->server);
	struct event *events[3], *with;
	int result;

	if (server == NULL) {
		loop_free(loop);
		return MAIN_FAILURE;
	}
	events[0] = evsignal_new(loop, SIGTERM, main_on_stop, server);
	events[1] = evsignal_new(loop, SIGINT, main_on_stop, server);
	events[2] = evsignal_new(loop, SIGUSR2, main_on_upgrade, server);
	for (size_t i = 0; i < 3; i++)
		loop_event_add(events[i]);
	with = main_watch(loop, options->with, server);
	listen_tell_ready();
	main_tell_detached(options);
	result = event_base_dispatch(loop) == -1 ? MAIN_FAILURE : MAIN_OK;
	server_free(server);
	for (size_t i = 0; i < 3; i++)
		event_free(events[i]);
	if (with != NULL) {
		close(event_get_fd(with));
		event_free(with);
	}
	loop_free(loop);
	log_end();
	return result;
}

int
main(int argc, char **argv)
{
	struct main_options options = { .told = -1, .server = { .socket = "/run/holdfast/tls.sock", .argv = argv,
		.stop_timeout = CLOCK_NEVER } };
	int code;

	if (!file_open_standard())
		return MAIN_FAILURE;
	options.server.max_sessions = main_raise_limit();
	code = main_parse(argc, argv, &options);
	if (code != -1)
		return code;
	if (options.background && !listen_is_handed_over())
		main_detach(&options);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	log_open(LOG_TARGET_AUTO, options.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	return main_serve(&options);
}

/* main.c - options, exit codes. */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/file.h"
#include "base/mem.h"
#include "config/load.h"
#include "config/write.h"
#include "daemon/begin.h"
#include "keep/crash.h"
#include "keep/keeper.h"

#include "version.h"

enum main_long_option { MAIN_NO_KEEPER = 256, MAIN_CRASH_POINTS, MAIN_CHECK_TABLE };

struct main_options {
	const char *config;
	const char *table; /* to be checked; NULL none */
	bool test, dump, no_keeper;
	unsigned verbose;
};

static const char main_help[] =
    "Usage: holdfastd [-c FILE] [-t] [-T] [--no-keeper] [-v]... [-V] [-h]\n"
    "\n"
    "Keeps a persistent connection to each configured service and offers a Unix socket for it.\n"
    "\n"
    "  -c, --config FILE  the main file (" HOLDFAST_SYSCONFDIR "/holdfast.conf)\n"
    "  -t, --test         check the configuration and every file it needs, start nothing\n"
    "      --check-table FILE  say whether this program can take over that memory; an upgrade asks this\n"
    "  -T, --dump         print the effective configuration with every default\n"
    "      --no-keeper    run in one process, for debuggers; all connections are lost in a crash\n"
    "  -v, --verbose      log debug messages too\n"
    "  -V, --version      print the version\n"
    "  -h, --help         print this\n"
    "\n"
    "Signals: TERM, INT end it (twice: at once; TERM under systemd: clients are kept for a restart), HUP reloads,\n"
    "USR1 logs the state of all services, USR2 upgrades: the new program file is executed and takes over\n"
    "everything.\n"
    "Exit codes: 0 ended as asked, 1 failure, 2 usage, 75 another instance runs, 78 bad configuration.\n"
    "See holdfastd(8), holdfast.conf(5), holdfastctl(1), holdfast-lookup(7).\n";

static int
main_usage(void)
{
	fputs("Try: holdfastd --help\n", stderr);
	return BEGIN_USAGE;
}

/* Options that print and end: their exit code, else -1. */
static int
main_print_and_end(int option)
{
	switch (option) {
	case 'V':
		puts("holdfastd " HOLDFAST_VERSION);
		return BEGIN_OK;
	case 'h':
		fputs(main_help, stdout);
		return BEGIN_OK;
	case MAIN_CRASH_POINTS:
		return crash_list() ? BEGIN_OK : main_usage();
	default:
		return -1;
	}
}

/* -1 to go on, else the exit code. */
static int
main_parse(int argc, char **argv, struct main_options *ret_options)
{
	static const struct option long_options[] = {
		{ "config", required_argument, NULL, 'c' }, { "test", no_argument, NULL, 't' },
		{ "dump", no_argument, NULL, 'T' }, { "no-keeper", no_argument, NULL, MAIN_NO_KEEPER },
		{ "verbose", no_argument, NULL, 'v' }, { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' }, { "crash-points", no_argument, NULL, MAIN_CRASH_POINTS },
		{ "check-table", required_argument, NULL, MAIN_CHECK_TABLE },
		{ NULL, 0, NULL, 0 },
	};
	int option, code;

	*ret_options = (struct main_options){ .config = HOLDFAST_SYSCONFDIR "/holdfast.conf" };
	while ((option = getopt_long(argc, argv, "c:tTvVh", long_options, NULL)) != -1)
		switch (option) {
		case 'c': ret_options->config = optarg; break;
		case 't': ret_options->test = true; break;
		case 'T': ret_options->dump = true; break;
		case 'v': ret_options->verbose++; break;
		case MAIN_NO_KEEPER: ret_options->no_keeper = true; break;
		case MAIN_CHECK_TABLE: ret_options->table = optarg; break;
		default:
			code = main_print_and_end(option);
			return code == -1 ? main_usage() : code;
		}
	if (optind < argc) {
		fprintf(stderr, "holdfastd: unexpected argument: %s\n", argv[optind]);
		return main_usage();
	}
	return -1;
}

static void
main_print_lines(char *const *lines, size_t count, const char *kind)
{
	for (size_t i = 0; i < count; i++) {
		char *line = escape_text(lines[i], 0);

		fprintf(stderr, "%s%s\n", kind, line);
		mem_free(line);
	}
}

static void
main_print_errors(const struct config_errors *errors)
{
	main_print_lines(errors->warnings, errors->warning_count, "warning: ");
	main_print_lines(errors->errors, errors->count, "");
	if (errors->further > 0)
		fprintf(stderr, "%zu further errors\n", errors->further);
}

/* The configuration, or NULL after printing every error, and *ret_code. */
static struct config *
main_load(const struct main_options *options, int *ret_code)
{
	struct config_errors errors = { 0 };
	struct config *config = config_load(options->config, options->test, &errors);

	*ret_code = errors.count + errors.further > errors.failures ? BEGIN_BAD_CONFIG : BEGIN_FAILURE;
	main_print_errors(&errors);
	if (access(options->config, F_OK) == -1 && errno == ENOENT)
		fputs("holdfastd: there is no configuration yet: " HOLDFAST_DOCDIR "/holdfast.conf is a sample, and "
		    "holdfast.conf(5) describes it; -c FILE names another file\n", stderr);
	config_errors_clear(&errors);
	return config;
}

static int
main_dump(const struct config *config)
{
	char *text = config_text(config, setting_show);
	bool good = fputs(text, stdout) != EOF && fflush(stdout) == 0;

	mem_free(text);
	return good ? BEGIN_OK : BEGIN_FAILURE;
}

/* Whether the daemon is started, and not only asked for something. */
static bool
main_starts(const struct main_options *options)
{
	return !options->test && !options->dump && options->table == NULL;
}

/* Reads the configuration, and begins with it or tells of it.  The exit code. */
static int
main_begin(const struct main_options *options, const struct begin_options *begin)
{
	int code;
	struct config *config = main_load(options, &code);

	if (config == NULL && main_starts(options))
		config = begin_kept_config();
	if (config == NULL)
		return code;
	if (options->dump)
		code = main_dump(config);
	else if (options->test)
		code = BEGIN_OK;
	else
		code = begin_first(begin, config);
	config_free(config);
	return code;
}

int
main(int argc, char **argv)
{
	struct main_options options;
	struct begin_options begin = { .argv = argv, .version = HOLDFAST_VERSION };
	sigset_t signals;
	int code;

	keeper_block_signals(&signals); /* first: until there is a keeper they would end the program */
	if (!file_open_standard())
		return BEGIN_FAILURE;
	code = main_parse(argc, argv, &options);
	if (code != -1)
		return code;
	begin.config = options.config;
	begin.no_keeper = options.no_keeper;
	begin.verbose = options.verbose > 0;
	if (options.table != NULL)
		return begin_check_table(options.table); /* what is for the daemon must not end the trial */
	if (!main_starts(&options))
		sigprocmask(SIG_SETMASK, &signals, NULL);
	else if (begin_again(&begin, &code))
		return code;
	return main_begin(&options, &begin);
}

/* main.c - options, exit codes, and what happens before there is a keeper. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "keep/crash.h"
#include "keep/keeper.h"
#include "keep/table.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

enum main_exit { MAIN_OK = 0, MAIN_FAILURE = 1, MAIN_USAGE = 2, MAIN_ANOTHER_RUNS = 75, MAIN_BAD_CONFIG = 78 };

enum main_long_option { MAIN_NO_KEEPER = 256, MAIN_CRASH_POINTS };

struct main_options {
	const char *config;
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
    "  -T, --dump         print the effective configuration with every default\n"
    "      --no-keeper    run in one process, for debuggers; a crash then ends everything\n"
    "  -v, --verbose      log debug messages too\n"
    "  -V, --version      print the version\n"
    "  -h, --help         print this\n"
    "\n"
    "Signals: TERM, INT end it (twice: at once), HUP reloads, USR1 logs the state of all services.\n"
    "Exit codes: 0 ended as asked, 1 failure, 2 usage, 75 another instance runs, 78 bad configuration.\n"
    "See holdfastd(8), holdfast.conf(5), holdfastctl(1), holdfast-lookup(7).\n";

static int
main_usage(void)
{
	fputs("Try: holdfastd --help\n", stderr);
	return MAIN_USAGE;
}

/* Options that print and end: their exit code, else -1. */
static int
main_print_and_end(int option)
{
	switch (option) {
	case 'V':
		puts("holdfastd " PACKAGE_VERSION);
		return MAIN_OK;
	case 'h':
		fputs(main_help, stdout);
		return MAIN_OK;
	case MAIN_CRASH_POINTS:
		return crash_list() ? MAIN_OK : main_usage();
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
main_print_errors(const struct config_errors *errors)
{
	for (size_t i = 0; i < errors->warning_count; i++)
		fprintf(stderr, "warning: %s\n", errors->warnings[i]);
	for (size_t i = 0; i < errors->count; i++)
		fprintf(stderr, "%s\n", errors->errors[i]);
	if (errors->further > 0)
		fprintf(stderr, "%zu further errors\n", errors->further);
}

/* The configuration, or NULL after printing every error. */
static struct config *
main_load(const struct main_options *options)
{
	struct config_options load = { .test = options->test };
	struct config_errors errors = { 0 };
	struct config *config = config_load(options->config, &load, &errors);

	main_print_errors(&errors);
	config_errors_clear(&errors);
	return config;
}

static int
main_dump(const struct config *config)
{
	char *text = config_show(config);
	bool good = fputs(text, stdout) != EOF && fflush(stdout) == 0;

	mem_free(text);
	return good ? MAIN_OK : MAIN_FAILURE;
}

/* Soft limits of open files are raised to the hard ones.  The number that can be open. */
static uint32_t
main_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)limit.rlim_cur;
}

/* Makes the runtime directory and takes its lock: the fd, or -1 after printing why and setting *ret_code. */
static int
main_lock(const char *directory, int *ret_code)
{
	char *path = mem_print("%s/holdfastd.lock", directory);
	int fd;

	*ret_code = MAIN_FAILURE;
	if (mkdir(directory, 0755) == 0)
		chmod(directory, 0755);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1) {
		fprintf(stderr, "holdfastd: %s: %s\n", path, strerror(errno));
	} else if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		fprintf(stderr, "holdfastd: another instance runs in %s\n", directory);
		*ret_code = MAIN_ANOTHER_RUNS;
		close(fd);
		fd = -1;
	}
	mem_free(path);
	return fd;
}

/* Writes into the table what the worker starts from.  0 or -errno. */
static int
main_fill_table(struct table *table, const struct main_options *options, const struct config *config, int lock_fd)
{
	struct table_header *header = table->header;
	char *text = config_dump(config), *path = realpath(options->config, NULL);
	int error = table_config_set(table, text, strlen(text));

	mem_free(text);
	snprintf(header->config_path, sizeof header->config_path, "%s", path != NULL ? path : options->config);
	free(path);
	header->file[TABLE_FILE_LOCK] = table_note_file(table, lock_fd);
	if (options->verbose > 0)
		header->log_level = LOG_LEVEL_DEBUG + 1;
	return error < 0 ? error : keeper_prepare(table);
}

static int
main_worker(void *arg)
{
	return daemon_run(arg, PACKAGE_VERSION);
}

static void
main_close_files(const struct table *table)
{
	for (int i = TABLE_FILE_NOTIFY; i < TABLE_FILES; i++)
		if (table->header->file[i] != -1)
			close(table->header->file[i]);
}

static int
main_run(const struct main_options *options, const struct config *config)
{
	struct table table;
	int code, lock_fd = main_lock(config->runtime_directory, &code);
	int error;

	if (lock_fd == -1)
		return code;
	error = table_new(main_raise_files(), &table);
	if (error == 0)
		error = main_fill_table(&table, options, config, lock_fd);
	if (error < 0) {
		fprintf(stderr, "holdfastd: cannot start: %s\n", strerror(-error));
		return MAIN_FAILURE;
	}
	if (!crash_open(&table))
		return main_usage();
	if (options->no_keeper) {
		keeper_worker_signals(&table);
		code = main_worker(&table);
	} else {
		code = keeper_run(&table, main_worker, &table);
	}
	main_close_files(&table);
	table_free(&table);
	return code;
}

int
main(int argc, char **argv)
{
	struct main_options options;
	struct config *config;
	int code = main_parse(argc, argv, &options);

	if (code != -1)
		return code;
	config = main_load(&options);
	if (config == NULL)
		return MAIN_BAD_CONFIG;
	if (options.dump)
		code = main_dump(config);
	else if (options.test)
		code = MAIN_OK;
	else
		code = main_run(&options, config);
	config_free(config);
	return code;
}

#include "daemon/begin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/listener.h"
#include "config/load.h"
#include "config/write.h"
#include "daemon/daemon.h"
#include "daemon/listen_socket.h"
#include "daemon/lock.h"
#include "keep/crash.h"
#include "keep/fdstore.h"
#include "keep/keeper.h"
#include "keep/migrate.h"
#include "keep/notify.h"
#include "keep/table.h"
#include "keep/upgrade.h"

static struct passed_fds begin_passed_fds; /* of systemd's files, those that are still to be claimed */
static bool begin_forgets;       /* what systemd has kept is of no use */
static char *begin_kept;         /* owned; the configuration in it all the same; NULL none */
static bool begin_keeps;         /* with that it begins */

/* How long what is left of a previous instance may take to end: the worker of a keeper that was killed, a child that
 * has not yet executed its program.  Until then its lock and its sockets are there. */
#define BEGIN_PATIENCE (2 * CLOCK_SECOND)
#define BEGIN_PAUSE    10 /* milliseconds */

/* Soft limits of file descriptors are raised to the hard ones.  The number that can be open. */
static uint32_t
begin_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)limit.rlim_cur;
}

/* Makes the runtime directory, takes its lock and names it in the table.  BEGIN_OK, or another exit code after
 * printing why. */
static int
begin_lock(struct table *table, const char *directory)
{
	volatile int32_t *file = table->header->file;
	struct lock lock;
	int error = lock_take(directory, &lock);

	if (error == -EWOULDBLOCK) {
		fprintf(stderr, "holdfastd: another instance runs in %s\n", directory);
		return BEGIN_ANOTHER_RUNS;
	}
	if (error < 0) {
		fprintf(stderr, "holdfastd: cannot start: runtime_directory %s: holdfastd.lock: %s\n", directory,
		    strerror(-error));
		return BEGIN_FAILURE;
	}
	file[TABLE_FILE_LOCK] = table_note_file(table, lock.file);
	file[TABLE_FILE_DIRECTORY] = table_note_file(table, lock.directory);
	return BEGIN_OK;
}

static void
begin_note_config_path(struct table_header *header, const char *config)
{
	char *path = realpath(config, NULL);

	snprintf(header->config_path, sizeof header->config_path, "%s", path != NULL ? path : config);
	free(path);
}

static void
begin_close_files(const struct table *table)
{
	for (int i = 0; i < TABLE_FILES; i++)
		if (i != TABLE_FILE_MEMORY && table->header->file[i] != -1)
			close(table->header->file[i]);
}

/* Everything is in the table: keeper and worker until their end. */
static int
begin_run(const struct begin_options *options, struct table *table)
{
	int code;

	upgrade_note_program(table, options->argv, options->version);
	if (!crash_open(table)) {
		fputs("Try: holdfastd --help\n", stderr);
		return BEGIN_USAGE;
	}
	if (options->no_keeper) {
		keeper_worker_signals(table);
		code = daemon_run(table);
	} else {
		code = keeper_run(table, daemon_run);
	}
	begin_close_files(table);
	table_free(table);
	return code;
}

static int
begin_cannot(int error)
{
	fprintf(stderr, "holdfastd: cannot start: %s\n", strerror(-error));
	return BEGIN_FAILURE;
}

/* What a keeper needs in the table, unless it is there from before an upgrade.  0, -errno, or an exit code after
 * printing why. */
static int
begin_prepare(const struct begin_options *options, struct table *table, const char *runtime_directory)
{
	int code = BEGIN_OK;

	if (table->header->file[TABLE_FILE_LOCK] == -1) {
		code = begin_lock(table, runtime_directory);
		begin_note_config_path(table->header, options->config);
		if (options->verbose)
			table->header->log_level = LOG_LEVEL_DEBUG + 1;
	}
	return code != BEGIN_OK ? code : keeper_prepare(table, &begin_passed_fds);
}

/* Puts in force what the worker starts from.  0 or -errno. */
static int
begin_put_config(struct table *table, struct config *config)
{
	char *text;
	int error;

	config_number_names(config);
	text = config_text(config, setting_print);
	error = table_config_set(table, text, strlen(text));
	mem_free(text);
	return error;
}

struct config *
begin_kept_config(void)
{
	struct config_errors errors = { 0 };
	struct config *config = begin_kept == NULL ? NULL :
	    config_parse_text(begin_kept, "the configuration before the restart", &errors);

	begin_keeps = config != NULL;
	config_errors_clear(&errors);
	return config;
}

static bool
begin_finds_server_of(const struct table *table, const struct service_settings *settings)
{
	for (unsigned k = 0; k < settings->listeners.count; k++)
		if (!listen_socket_is_activated(table, settings->name, &settings->listeners.at[k]) &&
		    listener_is_live(settings->listeners.at[k].path))
			return true;
	return false;
}

/* Whether a server listens at a path that will be ours, and that systemd does not hand over. */
static bool
begin_finds_server(const struct table *table, const struct config *config)
{
	if (listener_is_live(config->control.listener.path))
		return true;
	for (size_t i = 0; i < config->service_count; i++)
		if (begin_finds_server_of(table, config->services[i]))
			return true;
	return false;
}

/* With the lock ours, whoever still listens is what is left of a previous instance, in the midst of its end; or
 * another server for good, and is left alone. */
static void
begin_await_sockets(const struct table *table, const struct config *config)
{
	int64_t until = clock_now() + BEGIN_PATIENCE;

	while (begin_finds_server(table, config) && clock_now() < until)
		poll(NULL, 0, BEGIN_PAUSE);
}

/* A table for as many files as can be open, or as the address space has room for. */
static int
begin_make_table(struct table *ret_table)
{
	uint32_t files = begin_raise_files(), fitting = table_fitting(files);

	if (fitting < files && fitting < TABLE_FILES_MAX)
		fprintf(stderr, "holdfastd: warning: %u file descriptors can be open, but the address space has room "
		    "for %u of them: raise LimitAS= or ulimit -v; a 32-bit program has no more\n", files, fitting);
	return table_new(fitting, ret_table);
}

int
begin_first(const struct begin_options *options, struct config *config)
{
	struct table table = { 0 };
	int error = begin_make_table(&table);

	if (error == 0)
		error = begin_prepare(options, &table, config->runtime_directory);
	if (error == 0)
		error = begin_put_config(&table, config);
	mem_free(begin_kept);
	if (error != 0) {
		table_free(&table);
		return error > 0 ? error : begin_cannot(error);
	}
	if (begin_forgets && fdstore_forget(&table)) /* before anybody opens the same sockets */
		notify_barrier(&table);
	begin_await_sockets(&table, config);
	if (begin_keeps) /* the worker reads the files again, and says what is wrong with them */
		table.header->requests |= TABLE_REQUEST_RELOADING;
	return begin_run(options, &table);
}

/* The configuration in force, whose files may have changed; the first worker reads those again. */
static struct config *
begin_read_kept(const struct table *table)
{
	struct config_errors errors = { 0 };
	struct config *config = config_in_force(table, true, &errors);

	for (size_t i = 0; i < errors.count; i++)
		fprintf(stderr, "%s\n", errors.errors[i]);
	config_errors_clear(&errors);
	return config;
}

/* Whether this program understands the configuration in force.  A child reads it: the keeper of an upgrade has all
 * connections, and must not die because there is no memory for that.  0 or -errno. */
static int
begin_try_kept(const struct table *table)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		mem_on_failure(NULL);
		_exit(begin_read_kept(table) != NULL ? BEGIN_OK : BEGIN_BAD_CONFIG);
	}
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return -errno;
	if (!WIFEXITED(status))
		return -ENOMEM;
	return WEXITSTATUS(status) == BEGIN_OK ? 0 : -EINVAL;
}

/* What another keeper has left is this one's to do. */
static void
begin_reset(struct table_header *header)
{
	uint32_t asked = header->requests;

	header->keeper_pid = header->worker_pid = 0;
	header->ready = header->stopping = header->handling = 0;
	header->stop_deadline = 0;
	header->requests = TABLE_REQUEST_RELOADING | (asked & TABLE_REQUEST_DUMP) |
	    (asked & (TABLE_REQUEST_UPGRADE | TABLE_REQUEST_UPGRADING) ? TABLE_REQUEST_UPGRADE : 0);
}

static const char *
begin_reason(int error)
{
	switch (error) {
	case -EPROTO: return "its table has an unknown layout";
	case -ENOENT: return "its table is missing";
	case -ENODATA: return "it was taken before, and its keeper has died";
	case -EMFILE: return "not all of its file descriptors came, or can be open at once: perhaps LimitNOFILE= or "
	    "FileDescriptorStoreMax= is too low";
	case -EINVAL: return "this program does not understand its configuration";
	default: return strerror(-error);
	}
}

static void
begin_close_file(void *arg, enum table_kind kind, volatile int32_t *fd)
{
	const struct table *table = arg;

	(void)kind;
	if (fd != &table->header->file[TABLE_FILE_MEMORY])
		close(*fd);
}

/* What begin_prepare() does, with the directory of the configuration in force. */
static int
begin_prepare_kept(const struct begin_options *options, struct table *table)
{
	struct config *config = begin_read_kept(table);
	int error = config == NULL ? -EINVAL : begin_prepare(options, table, config->runtime_directory);

	config_free(config);
	return error;
}

/* Opens what another program left, in the file of an upgrade's table or, -1, with systemd, and makes it ours.  0;
 * -errno: it cannot be taken over; an exit code, after printing why: nobody can start now. */
static int
begin_take_over(const struct begin_options *options, int fd, struct table *ret_table)
{
	bool copied = false;
	int error = fd == -1 ? fdstore_take(&begin_passed_fds, ret_table, &begin_kept)
	    : migrate_open(fd, ret_table, &copied);

	if (error < 0)
		return error;
	if (fd == -1 || ret_table->header->file[TABLE_FILE_LOCK] == -1)
		error = begin_prepare_kept(options, ret_table);
	else if (upgrade_is_taken_back() || (error = begin_try_kept(ret_table)) == 0)
		error = begin_prepare(options, ret_table, "");
	if (error != 0)
		return error;
	begin_reset(ret_table->header);
	if (fd == -1) {
		ret_table->header->origin = TABLE_RESTARTED;
		ret_table->header->restarts++;
		fdstore_forget(ret_table);
	} else {
		mem_on_failure(NULL);
		upgrade_accept(ret_table, copied);
	}
	if (copied)
		close(fd);
	return 0;
}

/* The program before this one takes the table in this file over again. */
static int
begin_refuse_upgrade(const struct begin_options *options, int fd, int error)
{
	char reason[256];

	snprintf(reason, sizeof reason, "version %s cannot take over: %s", options->version, begin_reason(error));
	upgrade_refuse(fd, options->argv, reason);
	fprintf(stderr, "holdfastd: cannot take over after the upgrade: %s; the program before this one cannot be "
	    "executed again, all connections are lost\n", begin_reason(error));
	return BEGIN_FAILURE;
}

/* What an upgrade's program needs to give way, when there is no memory for more. */
static struct {
	const struct begin_options *options;
	int fd;
} begin_upgrade;

static void
begin_on_no_memory(void)
{
	begin_refuse_upgrade(begin_upgrade.options, begin_upgrade.fd, -ENOMEM);
}

/* What was kept is of no use: its files, the lock too, are not there when the daemon starts afresh. */
static void
begin_give_up(struct table *table)
{
	if (table->header != NULL)
		table_each_file(table, begin_close_file, table);
	table_free(table);
	fdstore_decline(&begin_passed_fds);
	begin_forgets = true;
}

bool
begin_again(const struct begin_options *options, int *ret_code)
{
	struct table table = { 0 };
	int fd = upgrade_table_file(), error = fd != -1 ? 0 : passed_fds_take(&begin_passed_fds);

	if (error < 0) {
		*ret_code = begin_cannot(error);
		return true;
	}
	if (fd == -1 && !fdstore_is_given(&begin_passed_fds))
		return false;
	if (fd == -1 && options->no_keeper) {
		fputs("holdfastd: what was kept over the restart is not for --no-keeper; its clients are closed\n",
		    stderr);
		begin_give_up(&table);
		return false;
	}
	begin_raise_files();
	begin_upgrade.options = options;
	begin_upgrade.fd = fd;
	if (fd != -1 && !upgrade_is_taken_back())
		mem_on_failure(begin_on_no_memory);
	error = begin_take_over(options, fd, &table);
	if (error < 0 && fd == -1) {
		fprintf(stderr, "holdfastd: cannot take over what was kept over the restart: %s; its clients are "
		    "closed, the daemon starts afresh\n", begin_reason(error));
		begin_give_up(&table);
		return false;
	}
	*ret_code = error < 0 ? begin_refuse_upgrade(options, fd, error) : error > 0 ? error
	    : begin_run(options, &table);
	table_free(&table);
	return true;
}

int
begin_check_table(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = fd == -1 ? -errno : 0;
	struct config *config;
	struct table table;

	if (error == 0)
		error = migrate_look(fd, &table);
	if (error < 0) {
		fprintf(stderr, "holdfastd: cannot take over the table: %s\n", begin_reason(error));
		return BEGIN_FAILURE;
	}
	config = begin_read_kept(&table);
	table_free(&table);
	if (config == NULL)
		return BEGIN_BAD_CONFIG;
	config_free(config);
	puts(UPGRADE_CAN_GO_ON);
	return BEGIN_OK;
}

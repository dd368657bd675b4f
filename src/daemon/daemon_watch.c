/* Looks after the files of our sockets and the lock: what somebody has removed is made again. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/listener.h"
#include "daemon/daemon_parts.h"
#include "daemon/lock.h"
#include "keep/crash.h"
#include "keep/recover.h"

#define WATCH_INTERVAL (30 * CLOCK_SECOND) /* for what inotify does not see */
#define WATCH_RETRY    CLOCK_SECOND
#define WATCH_PAUSE    (100 * CLOCK_MILLISECOND) /* after a change: whoever removes a folder does so file by file */

/* Takes the text over; NULL: all is well.  Told once for each reason. */
static void
watch_note(struct daemon *daemon, char **error, char *wrong)
{
	if (wrong != NULL && (*error == NULL || strcmp(*error, wrong) != 0))
		log_error(NULL, "%s; it is tried again", wrong);
	mem_free(*error);
	*error = wrong;
	if (wrong != NULL)
		loop_timer_at(&daemon->watching, clock_now() + WATCH_RETRY);
}

/* What a dead worker had opened already, or a new one.  NULL or what is wrong. */
static char *
watch_open_control(const struct daemon *daemon, int *ret_fd)
{
	const struct config *config = daemon->config;
	struct sockaddr_un bound;
	socklen_t length;
	char *wrong = listener_name(config->control.listener.path, &bound, &length);

	if (wrong == NULL && (*ret_fd = recover_take_stray(daemon->table, &bound, length)) == -1)
		wrong = listener_open(&config->control.listener, config->runtime_directory, ret_fd, &bound, &length);
	if (wrong != NULL)
		return wrong;
	table_note_file(daemon->table, *ret_fd);
	CRASH_POINT(CONTROL_OPENED);
	return NULL;
}

/* While no number is named: the place is of the file that is named next, or it would be taken for another's. */
static void
watch_name_control(const struct daemon *daemon, int fd)
{
	struct table_header *header = daemon->table->header;

	place_of(daemon->config->control.listener.path, &header->control_place);
	table_barrier();
	CRASH_POINT(CONTROL_PLACED);
	header->file[TABLE_FILE_CONTROL] = fd;
	CRASH_POINT(CONTROL_NAMED);
}

char *
daemon_open_control(struct daemon *daemon)
{
	char *wrong;
	int fd;

	if (daemon->table->header->file[TABLE_FILE_CONTROL] != -1)
		return NULL;
	wrong = watch_open_control(daemon, &fd);
	if (wrong == NULL)
		watch_name_control(daemon, fd);
	return wrong;
}

bool
daemon_has_control(const struct daemon *daemon)
{
	return place_is_at(&daemon->table->header->control_place, daemon->config->control.listener.path);
}

/* Who has connected to the old one is heard still.  It is shut before it is un-named: the next worker closes it. */
static void
watch_change_control(struct daemon *daemon, int fd)
{
	struct table_header *header = daemon->table->header;
	int before = header->file[TABLE_FILE_CONTROL];

	control_listen(daemon->control, fd);
	header->file[TABLE_FILE_CONTROL] = -1;
	table_barrier();
	CRASH_POINT(CONTROL_UNNAMED);
	watch_name_control(daemon, fd);
	close(before);
}

static void
watch_control(struct daemon *daemon)
{
	const char *path = daemon->config->control.listener.path;
	char *wrong, *text = NULL;
	int fd;

	if (!daemon_has_control(daemon)) {
		wrong = watch_open_control(daemon, &fd);
		if (wrong != NULL)
			text = mem_print("the control socket was removed, and cannot be created again: %s", wrong);
		mem_free(wrong);
		if (text == NULL) {
			watch_change_control(daemon, fd);
			log_warning(NULL, "control socket %s was removed; created again", path);
		}
	}
	watch_note(daemon, &daemon->control_error, text);
}

static void
watch_lock(struct daemon *daemon)
{
	const struct table_header *header = daemon->table->header;
	struct lock lock = { .file = header->file[TABLE_FILE_LOCK], .directory = header->file[TABLE_FILE_DIRECTORY] };
	const char *directory = daemon->config->runtime_directory;
	char *path = lock_path(directory), *wrong = NULL;
	int error;

	if (lock.file != -1 && lock.directory != -1 && !lock_is_there(&lock, directory)) {
		error = lock_take_again(directory, &lock);
		if (error == -EWOULDBLOCK)
			wrong = mem_print("%s was removed, and another instance has it now", path);
		else if (error < 0)
			wrong = mem_print("%s was removed, and cannot be created again: %s", path, strerror(-error));
		else
			log_warning(NULL, "lock file %s was removed; created again", path);
	}
	watch_note(daemon, &daemon->lock_error, wrong);
	mem_free(path);
}

/* Whether an earlier socket was handed over under this name. */
static bool
watch_is_second(const struct table_header *header, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (header->activated[k].fd != -1 &&
		    strcmp(header->activated[k].name, header->activated[i].name) == 0)
			return true;
	return false;
}

void
daemon_refuse_passed_fds(struct daemon *daemon)
{
	struct table_header *header = daemon->table->header;

	for (uint32_t i = 0; i < header->activated_count; i++) {
		const char *name = header->activated[i].name;
		bool known = services_find(daemon->services, name) != NULL;
		int fd = header->activated[i].fd;

		if (fd == -1 || (known && !watch_is_second(header, i)))
			continue;
		snprintf(header->passed_fds_error, sizeof header->passed_fds_error, known ?
		    "a second socket handed over under the name \"%.64s\" is closed" :
		    "a socket handed over under the name \"%.64s\" (FileDescriptorName=), which no service has, "
		    "is closed", name);
		log_error(NULL, "%s", header->passed_fds_error);
		header->activated[i].fd = -1;
		close(fd);
	}
}

void
daemon_look_after_files(struct daemon *daemon)
{
	char *lock = lock_path(daemon->config->runtime_directory), metrics[METRICS_SOCKET_PATH];

	if (daemon->stopping || daemon->table->header->stopping) {
		mem_free(lock);
		return;
	}
	loop_timer_at(&daemon->watching, clock_now() + WATCH_INTERVAL);
	watch_lock(daemon);
	watch_control(daemon);
	metrics_socket_look(daemon->metrics, metrics);
	services_look_after_sockets(daemon->services);
	watch_path(daemon->control_watch, daemon->config->control.listener.path, false);
	watch_path(daemon->lock_watch, lock, false);
	watch_path(daemon->metrics_watch, metrics, false);
	mem_free(lock);
	daemon_update_status(daemon);
}

static void
watch_on_change(void *arg)
{
	struct daemon *daemon = arg;
	bool tried = daemon->control_error != NULL || daemon->lock_error != NULL;
	int64_t soon = clock_now() + (tried ? WATCH_RETRY : WATCH_PAUSE);

	if (daemon->watching.deadline > soon)
		loop_timer_at(&daemon->watching, soon);
}

static void
daemon_on_watching(void *arg)
{
	daemon_look_after_files(arg);
}

void
daemon_begin_watching(struct daemon *daemon)
{
	loop_timer_init(&daemon->watching, daemon->loop, daemon_on_watching, daemon);
	daemon->control_watch = watch_new(daemon->loop, watch_on_change, daemon);
	daemon->lock_watch = watch_new(daemon->loop, watch_on_change, daemon);
	daemon->metrics_watch = watch_new(daemon->loop, watch_on_change, daemon);
}

void
daemon_end_watching(struct daemon *daemon)
{
	loop_timer_stop(&daemon->watching);
	watch_free(daemon->control_watch);
	watch_free(daemon->lock_watch);
	watch_free(daemon->metrics_watch);
	mem_free(daemon->control_error);
	mem_free(daemon->lock_error);
}

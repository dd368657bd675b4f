#include "daemon/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/watch.h"
#include "keep/crash.h"

#define LOCK_PATIENCE (2 * CLOCK_SECOND)
#define LOCK_PAUSE    10 /* milliseconds */
#define LOCK_SOON     (100 * CLOCK_MILLISECOND) /* after a change: whoever removes a directory does so file by file */
#define LOCK_AGAIN    CLOCK_SECOND              /* and where it could not be taken */

struct lock_keeper {
	struct lock lock;
	char *directory;         /* owned */
	char *error;             /* owned: why it cannot be taken again; NULL: we have it */
	struct watch *watch;     /* owned */
	struct loop_timer again;
	void (*look)(void *arg);
	void *arg;               /* borrowed */
};

static char *
lock_path(const char *directory)
{
	return mem_print("%s/holdfastd.lock", directory);
}

/* The file, locked, or -errno.  Waits for what is left of a previous instance, and for no other. */
static int
lock_open_patiently(const char *path, int flags, int64_t patience)
{
	int64_t until = clock_now() + patience;
	int error, fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

	if (fd == -1)
		return -errno;
	while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		error = errno;
		if (error != EWOULDBLOCK || clock_now() >= until) {
			close(fd);
			return -error;
		}
		poll(NULL, 0, LOCK_PAUSE);
	}
	return fd;
}

static int
lock_open_directory(const char *directory, int64_t patience)
{
	return lock_open_patiently(directory, O_RDONLY | O_DIRECTORY, patience);
}

static int
lock_open_file(const char *directory, int64_t patience)
{
	char *path = lock_path(directory);
	int fd = lock_open_patiently(path, O_RDWR | O_CREAT, patience);

	mem_free(path);
	return fd;
}

static int
lock_make_directory(const char *directory)
{
	if (mkdir(directory, 0755) == 0)
		return chmod(directory, 0755) == -1 ? -errno : 0; /* whatever the umask */
	return errno == EEXIST ? 0 : -errno;
}

int
lock_take(const char *directory, struct lock *ret_lock)
{
	int error = lock_make_directory(directory);

	ret_lock->file = error == 0 ? lock_open_file(directory, LOCK_PATIENCE) : error;
	if (ret_lock->file < 0)
		return ret_lock->file;
	ret_lock->directory = lock_open_directory(directory, LOCK_PATIENCE);
	if (ret_lock->directory >= 0)
		return 0;
	close(ret_lock->file);
	return ret_lock->directory;
}

/* Puts the file into the place of the one that had this number. */
static void
lock_replace(int fd, int number)
{
	dup3(fd, number, O_CLOEXEC);
	CRASH_POINT(LOCK_REPLACED);
	close(fd);
}

static bool
lock_is_same(const struct stat *there, int fd)
{
	struct stat held;

	return fstat(fd, &held) == 0 && there->st_dev == held.st_dev && there->st_ino == held.st_ino;
}

static bool
lock_has_file(const struct lock *lock, const char *directory)
{
	char *path = lock_path(directory);
	struct stat there;
	bool has = lstat(path, &there) == 0 && lock_is_same(&there, lock->file);

	mem_free(path);
	return has;
}

static bool
lock_has_directory(const struct lock *lock, const char *directory)
{
	struct stat there;

	return stat(directory, &there) == 0 && lock_is_same(&there, lock->directory);
}

/* Each by itself: a worker may have died when it had one of the two, and would meet its own lock. */
static int
lock_take_again(const char *directory, const struct lock *lock)
{
	int file = -1, folder = -1, error = lock_make_directory(directory);

	if (error < 0)
		return error;
	if (!lock_has_file(lock, directory) && (file = lock_open_file(directory, 0)) < 0)
		return file;
	if (!lock_has_directory(lock, directory) && (folder = lock_open_directory(directory, 0)) < 0) {
		if (file != -1)
			close(file);
		return folder;
	}
	CRASH_POINT(LOCK_OPENED);
	if (file != -1)
		lock_replace(file, lock->file);
	if (folder != -1)
		lock_replace(folder, lock->directory);
	return 0;
}

/* If something was removed: takes what is at the paths now, under the numbers that the locked files had before, and
 * tells.  NULL or what is wrong, and the locks are as they were. */
static char *
lock_restore(const char *directory, const struct lock *lock)
{
	char *path, *wrong = NULL;
	int error;

	if (lock->file == -1 || lock->directory == -1 ||
	    (lock_has_file(lock, directory) && lock_has_directory(lock, directory)))
		return NULL;
	error = lock_take_again(directory, lock);
	path = lock_path(directory);
	if (error == -EWOULDBLOCK)
		wrong = mem_print("%s was removed, and another instance has it now", path);
	else if (error < 0)
		wrong = mem_print("%s was removed, and cannot be created again: %s", path, strerror(-error));
	else
		log_warning(NULL, "lock file %s was removed; created again", path);
	mem_free(path);
	return wrong;
}

void
lock_keeper_look(struct lock_keeper *keeper)
{
	char *before = keeper->error, *path = lock_path(keeper->directory);

	keeper->error = lock_restore(keeper->directory, &keeper->lock);
	if (keeper->error != NULL && (before == NULL || strcmp(before, keeper->error) != 0))
		log_error(NULL, "%s; it is tried again every second", keeper->error);
	loop_timer_at(&keeper->again, keeper->error == NULL ? CLOCK_NEVER : clock_now() + LOCK_AGAIN);
	watch_path(keeper->watch, path, false);
	mem_free(before);
	mem_free(path);
}

static void
lock_keeper_on_again(void *arg)
{
	struct lock_keeper *keeper = arg;

	keeper->look(keeper->arg);
}

static void
lock_keeper_on_change(void *arg)
{
	struct lock_keeper *keeper = arg;
	int64_t soon = clock_now() + (keeper->error != NULL ? LOCK_AGAIN : LOCK_SOON);

	if (!loop_timer_is_set(&keeper->again) || keeper->again.deadline > soon)
		loop_timer_at(&keeper->again, soon);
}

const char *
lock_keeper_error(const struct lock_keeper *keeper)
{
	return keeper->error;
}

struct lock_keeper *
lock_keeper_new(struct event_base *loop, const char *directory, const struct lock *lock, void (*look)(void *arg),
    void *arg)
{
	struct lock_keeper *keeper = mem_new(1, sizeof *keeper);

	*keeper = (struct lock_keeper){ .lock = *lock, .directory = mem_copy_text(directory), .look = look,
		.arg = arg };
	keeper->watch = watch_new(loop, lock_keeper_on_change, keeper);
	loop_timer_init(&keeper->again, loop, lock_keeper_on_again, keeper);
	return keeper;
}

void
lock_keeper_free(struct lock_keeper *keeper)
{
	if (keeper == NULL)
		return;
	loop_timer_stop(&keeper->again);
	watch_free(keeper->watch);
	mem_free(keeper->directory);
	mem_free(keeper->error);
	mem_free(keeper);
}

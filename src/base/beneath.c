#include "base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BENEATH_TRIES 16 /* while others move directories about, "link/.." cannot be told to stay beneath */

static int
beneath_openat2(int folder, const char *path, int flags)
{
	struct open_how how = { .flags = (unsigned)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	int fd = -1;

	for (int i = 0; i < BENEATH_TRIES && (i == 0 || (fd == -1 && (errno == EAGAIN || errno == EINTR))); i++)
		fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
	return fd == -1 ? -errno : fd;
}

/* Of a filter's EPERM nobody can tell whether it is the file's. */
static bool
beneath_is_missing(int error)
{
	int fd;

	if (error == -ENOSYS || error != -EPERM)
		return error == -ENOSYS;
	fd = beneath_openat2(AT_FDCWD, ".", O_PATH | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd == -EPERM;
}

static bool
beneath_is_link(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
}

/* One name after the other, none of which may be a link. */
static int
beneath_walk(int folder, const char *path, int flags)
{
	int at = folder, next, error = 0;
	char name[NAME_MAX + 1];
	bool last = false;

	while (error == 0 && !last) {
		size_t length = strcspn(path, "/");

		last = path[length] == '\0';
		if (length == 0 || length > NAME_MAX || strncmp(path, "../", 3) == 0 || strcmp(path, "..") == 0)
			return -EXDEV;
		memcpy(name, path, length);
		name[length] = '\0';
		path += length + 1;
		next = openat(at, name, (last ? flags : O_PATH | O_CLOEXEC) | O_NOFOLLOW);
		if (next == -1)
			error = errno == ELOOP ? -EOPNOTSUPP : -errno;
		else if (beneath_is_link(next))
			error = -EOPNOTSUPP;
		if (at != folder)
			close(at);
		at = next;
	}
	if (error != 0 && at != -1)
		close(at);
	return error != 0 ? error : at;
}

int
beneath_open(int folder, const char *path, int flags)
{
	int fd;

	flags |= O_CLOEXEC;
	if ((flags & O_PATH) == 0)
		flags |= O_NONBLOCK | O_NOCTTY;
	fd = beneath_openat2(folder, path, flags);
	return beneath_is_missing(fd) ? beneath_walk(folder, path, flags) : fd;
}

int
beneath_stat(int folder, const char *path, struct stat *ret_st)
{
	int fd = beneath_open(folder, path, O_PATH), error = 0;

	if (fd < 0)
		return fd;
	if (fstat(fd, ret_st) == -1)
		error = -errno;
	close(fd);
	return error;
}

#include "client/spool_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "client/spool_segment.h"

#define ASIDE      ".damaged" /* behind the segment's name */
#define ASIDE_NAME (SPOOL_NAME + sizeof ASIDE)

/* With all directories above it that are missing. */
static int
directory_make(const char *path)
{
	char *above = mem_copy_text(path);
	int result = 0;

	for (char *slash = strchr(above + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(above, 0700) == -1 && errno != EEXIST && errno != EROFS)
			result = -1;
		*slash = '/';
	}
	mem_free(above);
	return mkdir(path, 0700) == -1 && errno != EEXIST ? -1 : result;
}

/* Whether it is ours alone; it is locked then.  0 or an errno. */
static int
directory_lock(int directory, const char **ret_what)
{
	struct stat status;

	*ret_what = "look at the directory";
	if (fstat(directory, &status) == -1)
		return errno;
	*ret_what = "use a directory that others own or may write to";
	if (status.st_uid != geteuid() || (status.st_mode & 022) != 0)
		return EPERM;
	*ret_what = "lock the directory";
	return flock(directory, LOCK_EX | LOCK_NB) == 0 ? 0 : errno == EWOULDBLOCK ? EBUSY : errno;
}

int
spool_directory_open(const char *path, const char **ret_what)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int directory = open(path, flags), error;

	*ret_what = "make the directory";
	if (directory == -1 && errno == ENOENT && directory_make(path) == -1)
		return -errno;
	*ret_what = "open the directory";
	if (directory == -1 && (directory = open(path, flags)) == -1)
		return -errno;
	if ((error = directory_lock(directory, ret_what)) != 0)
		close(directory);
	return error == 0 ? directory : -error;
}

static int64_t
directory_born(int directory, const char *name)
{
	struct statx status;

	if (statx(directory, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME | STATX_MTIME, &status) == -1)
		return 0;
	return status.stx_mask & STATX_BTIME ? status.stx_btime.tv_sec : status.stx_mtime.tv_sec;
}

int64_t
spool_directory_born(int directory, uint64_t first)
{
	char name[SPOOL_NAME];

	spool_segment_name(first, name);
	return directory_born(directory, name);
}

static void
directory_name_aside(uint64_t first, char ret_name[ASIDE_NAME])
{
	spool_segment_name(first, ret_name);
	strcat(ret_name, ASIDE);
}

static bool
directory_is_file(const char *name, struct spool_file *ret_file)
{
	char segment[ASIDE_NAME];
	size_t length = strlen(name);

	ret_file->aside = length > strlen(ASIDE) && length < sizeof segment &&
	    strcmp(name + length - strlen(ASIDE), ASIDE) == 0;
	if (!ret_file->aside)
		return spool_segment_is(name, &ret_file->first);
	memcpy(segment, name, length + 1);
	segment[length - strlen(ASIDE)] = '\0';
	return spool_segment_is(segment, &ret_file->first);
}

/* Whether it is a file of ours, and what is to be known of it. */
static bool
directory_look(int directory, const char *name, struct spool_file *ret_file)
{
	struct stat status;

	if (!directory_is_file(name, ret_file) || fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(status.st_mode))
		return false;
	ret_file->size = (uint64_t)status.st_size;
	ret_file->born = directory_born(directory, name);
	return true;
}

int
spool_directory_each(int directory, void (*visit)(void *arg, const struct spool_file *file), void *arg)
{
	int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = copy == -1 ? NULL : fdopendir(copy);
	struct spool_file file;
	struct dirent *entry;
	int error = errno;

	if (listing == NULL) {
		if (copy != -1)
			close(copy);
		return -error;
	}
	while ((errno = 0, entry = readdir(listing)) != NULL)
		if (directory_look(directory, entry->d_name, &file))
			visit(arg, &file);
	error = errno; /* half a list would have numbers used again */
	closedir(listing);
	return -error;
}

bool
spool_directory_remove(int directory, uint64_t first)
{
	char name[SPOOL_NAME];

	spool_segment_name(first, name);
	return unlinkat(directory, name, 0) == 0;
}

bool
spool_directory_put_aside(int directory, uint64_t first)
{
	char name[SPOOL_NAME], aside[ASIDE_NAME];

	spool_segment_name(first, name);
	directory_name_aside(first, aside);
	return renameat(directory, name, directory, aside) == 0;
}

static void
directory_clear(void *arg, const struct spool_file *file)
{
	char aside[ASIDE_NAME];

	directory_name_aside(file->first, aside);
	if (file->aside)
		unlinkat(*(const int *)arg, aside, 0);
}

void
spool_directory_clear_aside(int directory)
{
	spool_directory_each(directory, directory_clear, &directory);
}

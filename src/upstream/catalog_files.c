#include "upstream/catalog_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/mem.h"

typedef char catalog_name[NAME_MAX + 1];

struct catalog_files {
	char *service;       /* owned */
	int root;            /* the catalog */
	DIR *folder;         /* owned; the service's directory */
	struct stat st;
	catalog_name *names; /* owned; as soon as it is full a heap, the last name first; sorted when all are read */
	size_t count, room, left_out;
};

static void __attribute__((format(printf, 2, 3)))
catalog_files_say(char cause[CATALOG_CAUSE_SIZE], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(cause, CATALOG_CAUSE_SIZE, format, args);
	va_end(args);
}

static const char *
catalog_files_error(int error)
{
	switch (-error) {
	case EXDEV: return "a link that leads out of the catalog";
	case ELOOP: return "links in a circle";
	case EOPNOTSUPP: return "a link; without openat2() it cannot be followed safely";
	default: return strerror(-error);
	}
}

/* Whether this owner's count; if not it is said why. */
static bool
catalog_files_owner_counts(const struct stat *st, const struct catalog_owners *owners, const char *what,
    char cause[CATALOG_CAUSE_SIZE])
{
	for (size_t i = 0; i < owners->count; i++)
		if (owners->users[i] == st->st_uid)
			return true;
	if (st->st_uid == 0 || st->st_uid == geteuid())
		return true;
	catalog_files_say(cause, "%sowned by user %u, who is not in lookup.owners", what, (unsigned)st->st_uid);
	return false;
}

/* Who may rename in a directory can put back what was withdrawn.  A read-only mount keeps everybody from that,
 * whatever the mode: Kubernetes mounts its volumes so, with 0777. */
static bool
catalog_files_folder_counts(int fd, const struct stat *st, const struct catalog_owners *owners, const char *what,
    char cause[CATALOG_CAUSE_SIZE])
{
	struct statvfs fs;

	if (!catalog_files_owner_counts(st, owners, what, cause))
		return false;
	if ((st->st_mode & (S_IWOTH | S_ISVTX)) != S_IWOTH ||
	    (fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0))
		return true;
	catalog_files_say(cause, "%swritable by everybody, without the sticky bit", what);
	return false;
}

struct catalog_files *
catalog_files_open(const char *catalog, const char *service, const struct catalog_owners *owners,
    char ret_cause[CATALOG_CAUSE_SIZE])
{
	struct catalog_files *files = mem_new(1, sizeof *files);
	struct stat st;
	int fd = -1;

	files->root = open(catalog, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	if (files->root == -1 || fstat(files->root, &st) == -1)
		catalog_files_say(ret_cause, "%s", strerror(errno));
	else if (!catalog_files_folder_counts(files->root, &st, owners, "the directory is ", ret_cause))
		;
	else if ((fd = beneath_open(files->root, service, O_RDONLY | O_DIRECTORY)) < 0)
		catalog_files_say(ret_cause, "%s: %s", service, catalog_files_error(fd));
	else if (fstat(fd, &files->st) == -1 || (files->folder = fdopendir(fd)) == NULL)
		catalog_files_say(ret_cause, "%s: %s", service, strerror(errno));
	else if (catalog_files_folder_counts(fd, &files->st, owners, "the service's directory is ", ret_cause))
		files->service = mem_copy_text(service);
	if (files->service != NULL)
		return files;
	if (fd >= 0 && files->folder == NULL)
		close(fd);
	catalog_files_close(files);
	return NULL;
}

void
catalog_files_close(struct catalog_files *files)
{
	if (files == NULL)
		return;
	if (files->folder != NULL)
		closedir(files->folder);
	if (files->root != -1)
		close(files->root);
	mem_free(files->service);
	mem_free(files->names);
	mem_free(files);
}

const struct stat *
catalog_files_stat(const struct catalog_files *files)
{
	return &files->st;
}

static int
catalog_files_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int
catalog_files_compare_back(const void *a, const void *b)
{
	return strcmp(b, a);
}

/* Puts the name into the place of the last one of the heap. */
static void
catalog_files_replace_last(struct catalog_files *files, const char *name)
{
	catalog_name *names = files->names;
	size_t at = 0, below;

	while ((below = 2 * at + 1) < CATALOG_FILES) {
		if (below + 1 < CATALOG_FILES && strcmp(names[below + 1], names[below]) > 0)
			below++;
		if (strcmp(names[below], name) <= 0)
			break;
		memcpy(names[at], names[below], sizeof names[at]);
		at = below;
	}
	strcpy(names[at], name);
}

static void
catalog_files_add(struct catalog_files *files, const char *name)
{
	if (files->count == files->room && files->room < CATALOG_FILES) {
		files->room = files->room == 0 ? 16 : 2 * files->room;
		files->names = mem_resize(files->names, files->room, sizeof *files->names);
	}
	if (files->count < CATALOG_FILES) {
		strcpy(files->names[files->count++], name);
		if (files->count == CATALOG_FILES) /* from the last to the first: a heap */
			qsort(files->names, files->count, sizeof *files->names, catalog_files_compare_back);
		return;
	}
	files->left_out++;
	if (strcmp(name, files->names[0]) < 0)
		catalog_files_replace_last(files, name);
}

static bool
catalog_files_is_hidden(const char *name)
{
	size_t length = strlen(name);

	return name[0] == '.' || name[length - 1] == '~' || (length >= 4 && strcmp(name + length - 4, ".tmp") == 0);
}

bool
catalog_files_list(struct catalog_files *files)
{
	struct dirent *item;

	for (unsigned i = 0; i < CATALOG_NAMES_TURN; i++) {
		if ((item = readdir(files->folder)) == NULL) {
			if (files->count > 0)
				qsort(files->names, files->count, sizeof *files->names, catalog_files_compare);
			return true;
		}
		if (item->d_name[0] != '\0' && !catalog_files_is_hidden(item->d_name) &&
		    strlen(item->d_name) <= NAME_MAX)
			catalog_files_add(files, item->d_name);
	}
	return false;
}

size_t
catalog_files_count(const struct catalog_files *files, size_t *ret_left_out)
{
	*ret_left_out = files->left_out;
	return files->count;
}

const char *
catalog_files_name(const struct catalog_files *files, size_t index)
{
	return files->names[index];
}

/* What is in the file; what cannot count, whatever is done with it next, is said first. */
static void
catalog_files_judge(struct catalog_bytes *read, size_t length)
{
	const char *bytes = read->bytes;

	if (memchr(bytes, '\0', length) != NULL)
		catalog_files_say(read->cause, "a NUL byte in it");
	else if (memchr(bytes, '\r', length) != NULL)
		catalog_files_say(read->cause, "a carriage return in it (lines end with a newline alone)");
	else if (strncmp(bytes, "\xef\xbb\xbf", 3) == 0)
		catalog_files_say(read->cause, "a byte order mark at its start");
	else if ((read->unfinished = length == 0))
		catalog_files_say(read->cause, "empty");
	else if ((read->unfinished = length != (size_t)read->st.st_size))
		catalog_files_say(read->cause, "written to while it was read");
	else if ((read->unfinished = bytes[length - 1] != '\n'))
		catalog_files_say(read->cause, "no newline at its end");
	else
		return;
	mem_free(read->bytes);
	read->bytes = NULL;
}

/* Reads an open file and closes it. */
static void
catalog_files_take(int fd, const struct catalog_owners *owners, size_t max, struct catalog_bytes *read_ret)
{
	struct stat *st = &read_ret->st;
	size_t length = 0;
	ssize_t n;

	if (fstat(fd, st) == -1)
		catalog_files_say(read_ret->cause, "%s", strerror(errno));
	else if (!S_ISREG(st->st_mode))
		catalog_files_say(read_ret->cause, "not a regular file");
	else if (!catalog_files_owner_counts(st, owners, "", read_ret->cause))
		;
	else if ((st->st_mode & S_IWOTH) != 0)
		catalog_files_say(read_ret->cause, "writable by everybody");
	else if (st->st_size > (off_t)max)
		catalog_files_say(read_ret->cause, "larger than %zu KiB", max / 1024);
	else
		read_ret->bytes = mem_new(max + 1, 1);
	if (read_ret->bytes != NULL) {
		while (length < max && (n = read(fd, read_ret->bytes + length, max - length)) > 0)
			length += (size_t)n;
		catalog_files_judge(read_ret, length);
	}
	close(fd);
}

void
catalog_files_read(const struct catalog_files *files, size_t index, const struct catalog_owners *owners,
    struct catalog_bytes *ret_bytes)
{
	char path[NAME_MAX + 2 + NAME_MAX];
	struct stat st;
	int fd;

	memset(ret_bytes, 0, sizeof *ret_bytes);
	snprintf(path, sizeof path, "%s/%s", files->service, files->names[index]);
	fd = beneath_stat(files->root, path, &st);
	if (fd == 0 && !S_ISREG(st.st_mode)) {
		catalog_files_say(ret_bytes->cause, "not a regular file");
		return;
	}
	if (fd == 0)
		fd = beneath_open(files->root, path, O_RDONLY);
	if (fd >= 0)
		catalog_files_take(fd, owners, CATALOG_FILE_MAX, ret_bytes);
	else if (fd != -ENOENT || fstatat(dirfd(files->folder), files->names[index], &st, AT_SYMLINK_NOFOLLOW) == 0)
		catalog_files_say(ret_bytes->cause, "%s",
		    fd == -ENOENT ? "a link to nothing" : catalog_files_error(fd));
}

void
catalog_files_read_single(const char *path, const struct catalog_owners *owners, struct catalog_bytes *ret_bytes)
{
	struct stat st;
	int fd = -1;

	memset(ret_bytes, 0, sizeof *ret_bytes);
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		catalog_files_say(ret_bytes->cause, "not a regular file");
		return;
	}
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1)
		catalog_files_say(ret_bytes->cause, "%s", strerror(errno));
	else
		catalog_files_take(fd, owners, CATALOG_LIST_MAX, ret_bytes);
}

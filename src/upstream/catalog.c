#include "upstream/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/watch.h"
#include "upstream/entry.h"

#define CATALOG_LOOK_EVERY (30 * CLOCK_SECOND)
#define CATALOG_FILE_MAX   65536
#define CATALOG_LOOK_LEAST (10 * CLOCK_MILLISECOND) /* between two looks: a storm of changes is one */

/* What we know of a file: its last change, and how old that was when we saw it. */
struct catalog_file {
	char *name;         /* owned */
	struct timespec changed;
	ino_t inode;
	off_t size;
	int64_t seen;       /* monotonic */
	int64_t age;        /* then */
};

/* What one look has seen. */
struct catalog_reading {
	int64_t now;
	bool fresh;                 /* the directory (or file) is not the one we knew */
	bool folder;
	struct endpoint_listed *entries; /* owned; the valid ones */
	size_t count;
	int64_t expiry;             /* the next one of a valid entry */
	char *problem;              /* owned: the first reason why something does not count; NULL if all does */
	unsigned problems;
	struct catalog_passed *passed; /* owned */
	size_t passed_count, passed_more;
};

struct catalog {
	char *path, *service;       /* owned */
	char *folder;               /* owned: path/service */
	int64_t max_age;
	uid_t *owners;              /* owned: whose files count, besides root's and our own */
	size_t owner_count;
	catalog_callback *callback; /* NULL none */
	void *arg;                  /* borrowed */
	struct watch *watch;        /* owned */
	struct loop_timer timer;    /* the next look */
	int64_t next_look;
	dev_t device;               /* of what the known files are in; 0 nothing yet */
	ino_t inode;
	struct catalog_file *files; /* owned; sorted by name */
	size_t file_count;
	struct catalog_reading last;
	unsigned untold;            /* CATALOG_*: what it has seen that the one told last had not */
};

static void
catalog_problem(struct catalog_reading *reading, const char *name, const char *cause)
{
	if (reading->problems++ == 0)
		reading->problem = name != NULL ? mem_print("%s: %s", name, cause) : mem_copy_text(cause);
}

/* An entry does not count. */
static void
catalog_pass_over(struct catalog_reading *reading, const char *name, const char *cause)
{
	struct catalog_passed *passed;

	catalog_problem(reading, name, cause);
	if (reading->passed_count == CATALOG_PASSED) {
		reading->passed_more++;
		return;
	}
	reading->passed = mem_resize(reading->passed, reading->passed_count + 1, sizeof *reading->passed);
	passed = &reading->passed[reading->passed_count++];
	memset(passed, 0, sizeof *passed);
	snprintf(passed->name, sizeof passed->name, "%.63s", name);
	snprintf(passed->cause, sizeof passed->cause, "%.95s", cause);
}

static void
catalog_reading_clear(struct catalog_reading *reading)
{
	mem_free(reading->entries);
	mem_free(reading->problem);
	mem_free(reading->passed);
}

static int
catalog_compare_files(const void *a, const void *b)
{
	return strcmp(((const struct catalog_file *)a)->name, ((const struct catalog_file *)b)->name);
}

/* Notes the file's present state in file; before, if not NULL, is what was known of it. */
static void
catalog_see(struct catalog_file *file, const struct catalog_file *before, const struct stat *st,
    const struct catalog_reading *reading)
{
	int64_t age = clock_wall() - (st->st_mtim.tv_sec * CLOCK_SECOND + st->st_mtim.tv_nsec / 1000);

	file->changed = st->st_mtim;
	file->inode = st->st_ino;
	file->size = st->st_size;
	file->seen = reading->now;
	file->age = reading->fresh && age > 0 ? age : 0;
	if (before == NULL || before->inode != file->inode || before->size != file->size ||
	    before->changed.tv_sec != file->changed.tv_sec || before->changed.tv_nsec != file->changed.tv_nsec)
		return;
	file->seen = before->seen;
	file->age = before->age;
}

static void
catalog_forget(struct catalog *catalog)
{
	for (size_t i = 0; i < catalog->file_count; i++)
		mem_free(catalog->files[i].name);
	mem_free(catalog->files);
	catalog->files = NULL;
	catalog->file_count = 0;
}

/* Replaces what is known of the files by the present state of those of these names.  The array becomes ours. */
static void
catalog_see_all(struct catalog *catalog, int folder, struct catalog_file *files, size_t count,
    struct catalog_reading *reading)
{
	const struct catalog_file *before;
	size_t n = 0;
	struct stat st;

	qsort(files, count, sizeof *files, catalog_compare_files);
	for (size_t i = 0; i < count; i++) {
		if (fstatat(folder, files[i].name, &st, 0) == -1) {
			const char *cause = strerror(errno);

			/* It may be gone by now, which is no news. */
			if (errno != ENOENT || fstatat(folder, files[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0)
				catalog_pass_over(reading, files[i].name, cause);
			mem_free(files[i].name);
			continue;
		}
		before = reading->fresh || catalog->file_count == 0 ? NULL :
		    bsearch(&files[i], catalog->files, catalog->file_count, sizeof *files, catalog_compare_files);
		catalog_see(&files[i], before, &st, reading);
		files[n++] = files[i];
	}
	catalog_forget(catalog);
	catalog->files = mem_resize(files, n, sizeof *files);
	catalog->file_count = n;
}

/* Whether a file of this age counts; notes when it no longer will. */
static bool
catalog_is_alive(const struct catalog *catalog, const struct catalog_file *file, int64_t ttl,
    struct catalog_reading *reading)
{
	int64_t limit = ttl < catalog->max_age ? ttl : catalog->max_age, expiry;

	if (limit == CLOCK_NEVER)
		return true;
	expiry = clock_after(file->seen - file->age, limit);
	if (expiry <= reading->now) {
		catalog_pass_over(reading, file->name, "expired");
		return false;
	}
	if (expiry < reading->expiry)
		reading->expiry = expiry;
	return true;
}

/* Names of instances' files, not hidden, not half-written, in no order; the array and the names are the caller's. */
static struct catalog_file *
catalog_list(DIR *dir, size_t *ret_count)
{
	struct catalog_file *files = mem_new(CATALOG_FILES, sizeof *files);
	struct dirent *item;
	size_t n = 0;

	while (n < CATALOG_FILES && (item = readdir(dir)) != NULL)
		if (fnmatch(".*", item->d_name, 0) != 0 && fnmatch("*~", item->d_name, 0) != 0 &&
		    fnmatch("*.tmp", item->d_name, 0) != 0)
			files[n++].name = mem_copy_text(item->d_name);
	*ret_count = n;
	return files;
}

/* Of this name, cut if need be. */
static void
catalog_add(struct catalog_reading *reading, struct endpoint_listed listed, const char *name)
{
	snprintf(listed.from, sizeof listed.from, "%.63s", name);
	reading->entries = mem_resize(reading->entries, reading->count + 1, sizeof listed);
	reading->entries[reading->count++] = listed;
}

static bool
catalog_owner_counts(const struct catalog *catalog, uid_t uid)
{
	for (size_t i = 0; i < catalog->owner_count; i++)
		if (catalog->owners[i] == uid)
			return true;
	return uid == 0 || uid == geteuid();
}

/* Nothing but a regular file is ever opened: an open alone can block (a FIFO) or act (a device). */
static int
catalog_open_file(const struct catalog *catalog, int folder, const char *name, char cause[CATALOG_CAUSE_SIZE])
{
	struct stat st;
	int fd = -1;

	if (fstatat(folder, name, &st, 0) == -1 || (S_ISREG(st.st_mode) && ((fd = openat(folder, name,
	    O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) == -1 || fstat(fd, &st) == -1)))
		snprintf(cause, CATALOG_CAUSE_SIZE, "%s", strerror(errno));
	else if (!S_ISREG(st.st_mode))
		snprintf(cause, CATALOG_CAUSE_SIZE, "not a regular file");
	else if (!catalog_owner_counts(catalog, st.st_uid))
		snprintf(cause, CATALOG_CAUSE_SIZE, "owned by user %u, who is not in lookup.owners",
		    (unsigned)st.st_uid);
	else if (st.st_size > CATALOG_FILE_MAX)
		snprintf(cause, CATALOG_CAUSE_SIZE, "larger than 64 KiB");
	else
		return fd;
	if (fd != -1)
		close(fd);
	return -1;
}

/* Reads a regular file, at most 64 KiB, of an allowed owner, that ends in a newline.  Its bytes (owned by the caller,
 * NUL-terminated); or NULL and the cause. */
static char *
catalog_read_file(const struct catalog *catalog, int folder, const char *name, char cause[CATALOG_CAUSE_SIZE])
{
	int fd = catalog_open_file(catalog, folder, name, cause);
	size_t length = 0;
	char *bytes;
	ssize_t n;

	if (fd == -1)
		return NULL;
	bytes = mem_new(CATALOG_FILE_MAX + 1, 1);
	while (length < CATALOG_FILE_MAX && (n = read(fd, bytes + length, CATALOG_FILE_MAX - length)) > 0)
		length += (size_t)n;
	close(fd);
	if (length > 0 && bytes[length - 1] == '\n' && memchr(bytes, '\0', length) == NULL)
		return bytes;
	snprintf(cause, CATALOG_CAUSE_SIZE, length == 0 ? "empty" : bytes[length - 1] != '\n' ?
	    "no newline at its end" : "a NUL byte in it");
	mem_free(bytes);
	return NULL;
}

static void
catalog_read_copy(const struct catalog *catalog, int folder, const struct catalog_file *file,
    struct catalog_reading *reading)
{
	char cause[CATALOG_CAUSE_SIZE], *bytes;
	struct endpoint_listed listed;
	const char *error;
	int64_t ttl;

	bytes = catalog_read_file(catalog, folder, file->name, cause);
	if (bytes == NULL) {
		catalog_pass_over(reading, file->name, cause);
		return;
	}
	*strchr(bytes, '\n') = '\0';
	error = entry_parse(bytes, &listed, &ttl);
	if (error != NULL)
		catalog_pass_over(reading, file->name, error);
	else if (catalog_is_alive(catalog, file, ttl, reading))
		catalog_add(reading, listed, file->name);
	mem_free(bytes);
}

static void
catalog_read_folder(struct catalog *catalog, struct catalog_reading *reading)
{
	DIR *dir = opendir(catalog->folder);
	struct catalog_file *files;
	struct stat st;
	size_t count;

	if (dir == NULL || fstat(dirfd(dir), &st) == -1) {
		catalog_problem(reading, catalog->service, strerror(errno));
		catalog->device = 0;
		catalog->inode = 0;
		if (dir != NULL)
			closedir(dir);
		return;
	}
	/* Whether what the known files are in is still the same; what is new to us is as old as it says. */
	reading->fresh = catalog->device != st.st_dev || catalog->inode != st.st_ino;
	catalog->device = st.st_dev;
	catalog->inode = st.st_ino;
	files = catalog_list(dir, &count);
	catalog_see_all(catalog, dirfd(dir), files, count, reading);
	for (size_t i = 0; i < catalog->file_count; i++) {
		if (reading->count < ENDPOINTS_MAX)
			catalog_read_copy(catalog, dirfd(dir), &catalog->files[i], reading);
		else
			catalog_pass_over(reading, catalog->files[i].name, "there are 64 addresses before it");
	}
	closedir(dir);
}

/* The addresses behind the service's name. */
static void
catalog_read_lines(struct catalog *catalog, char *bytes, struct catalog_reading *reading)
{
	struct endpoint_listed listed = { .weight = 1 };
	char *rest = bytes, *line, *word, where[32];
	const char *error;

	for (size_t number = 1; (line = strsep(&rest, "\n")) != NULL; number++) {
		snprintf(where, sizeof where, "line %zu", number);
		line += strspn(line, " \t");
		word = strsep(&line, " \t");
		if (line == NULL || strcmp(word, catalog->service) != 0)
			continue;
		while (reading->count < ENDPOINTS_MAX && (word = strsep(&line, " \t")) != NULL) {
			if (word[0] == '\0')
				continue;
			if ((error = address_parse(word, &listed.address)) != NULL)
				catalog_pass_over(reading, where, error);
			else if (catalog_is_alive(catalog, &catalog->files[0], CLOCK_NEVER, reading))
				catalog_add(reading, listed, "");
		}
	}
}

/* The one file is renamed over, so that its number changes with each change: only its first sight is fresh. */
static void
catalog_read_single(struct catalog *catalog, struct catalog_reading *reading)
{
	char cause[CATALOG_CAUSE_SIZE], *bytes = catalog_read_file(catalog, AT_FDCWD, catalog->path, cause);
	struct catalog_file *file;

	if (bytes == NULL) {
		catalog_problem(reading, NULL, cause);
		return;
	}
	reading->fresh = catalog->device == 0 && catalog->file_count == 0;
	file = mem_new(1, sizeof *file);
	file->name = mem_copy_text(catalog->path);
	catalog_see_all(catalog, AT_FDCWD, file, 1, reading);
	if (catalog->file_count == 1)
		catalog_read_lines(catalog, bytes, reading);
	mem_free(bytes);
}

/* What differs. */
static unsigned
catalog_compare(const struct catalog_reading *a, const struct catalog_reading *b)
{
	bool changed = a->count != b->count;
	bool passes = a->passed_count != b->passed_count || a->passed_more != b->passed_more ||
	    (a->passed_count > 0 && memcmp(a->passed, b->passed, a->passed_count * sizeof *a->passed) != 0);

	for (size_t i = 0; !changed && i < a->count; i++)
		changed = !address_equal(&a->entries[i].address, &b->entries[i].address) ||
		    a->entries[i].priority != b->entries[i].priority || a->entries[i].weight != b->entries[i].weight;
	return (changed ? CATALOG_CHANGED : 0) | (passes ? CATALOG_PASSES : 0);
}

static void
catalog_look(struct catalog *catalog)
{
	struct catalog_reading reading = { .now = clock_now(), .expiry = CLOCK_NEVER };
	struct stat st;

	watch_path(catalog->watch, catalog->folder, true);
	if (stat(catalog->path, &st) == -1)
		catalog_problem(&reading, NULL, strerror(errno));
	else if ((reading.folder = S_ISDIR(st.st_mode)))
		catalog_read_folder(catalog, &reading);
	else
		catalog_read_single(catalog, &reading);
	catalog->untold |= catalog_compare(&catalog->last, &reading);
	catalog_reading_clear(&catalog->last);
	catalog->last = reading;
	catalog->next_look = reading.now + CATALOG_LOOK_EVERY;
	if (reading.expiry < catalog->next_look)
		catalog->next_look = reading.expiry;
	loop_timer_at(&catalog->timer, catalog->next_look);
}

char *
catalog_read(struct catalog *catalog, const struct endpoint_listed **ret_entries, size_t *ret_count, bool *ret_folder)
{
	const struct catalog_reading *last = &catalog->last;

	catalog_look(catalog);
	if (catalog->untold != 0)
		loop_timer_soon(&catalog->timer);
	if (last->count == 0 && last->problems > 1)
		return mem_print("catalog %s: no valid address: %s (and %u more)", catalog->path, last->problem,
		    last->problems - 1);
	if (last->count == 0 && last->problems == 0)
		return mem_print("catalog %s: no instance of %s is listed", catalog->path, catalog->service);
	if (last->count == 0)
		return mem_print("catalog %s: %s", catalog->path, last->problem);
	*ret_entries = last->entries;
	*ret_count = last->count;
	*ret_folder = last->folder;
	return NULL;
}

static void
catalog_on_timer(void *arg)
{
	struct catalog *catalog = arg;
	unsigned differs;

	catalog_look(catalog);
	differs = catalog->untold;
	catalog->untold = 0;
	if (catalog->callback != NULL && differs != 0)
		catalog->callback(catalog->arg, differs);
}

static void
catalog_on_change(void *arg)
{
	struct catalog *catalog = arg;
	int64_t when = catalog->last.now + CATALOG_LOOK_LEAST;

	if (when >= catalog->next_look)
		return;
	catalog->next_look = when;
	loop_timer_at(&catalog->timer, when);
}

struct catalog *
catalog_new(struct event_base *loop, const char *path, const char *service, int64_t max_age, char *const *owners,
    catalog_callback *callback, void *arg)
{
	struct catalog *catalog = mem_new(1, sizeof *catalog);
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	catalog->path = mem_copy_bytes(path, length);
	catalog->service = mem_copy_text(service);
	catalog->folder = mem_print("%s/%s", catalog->path, service);
	catalog->max_age = max_age > 0 ? max_age : CLOCK_NEVER;
	catalog->owners = mem_new(mem_list_length(owners), sizeof *catalog->owners);
	for (size_t i = 0; i < mem_list_length(owners); i++)
		if (names_find(NAMES_USER, owners[i], &catalog->owners[catalog->owner_count]))
			catalog->owner_count++;
	catalog->callback = callback;
	catalog->arg = arg;
	loop_timer_init(&catalog->timer, loop, catalog_on_timer, catalog);
	catalog->watch = watch_new(loop, catalog_on_change, catalog);
	catalog_look(catalog);
	catalog->untold = 0;
	return catalog;
}

void
catalog_free(struct catalog *catalog)
{
	if (catalog == NULL)
		return;
	watch_free(catalog->watch);
	loop_timer_stop(&catalog->timer);
	catalog_forget(catalog);
	catalog_reading_clear(&catalog->last);
	mem_free(catalog->owners);
	mem_free(catalog->path);
	mem_free(catalog->service);
	mem_free(catalog->folder);
	mem_free(catalog);
}

const struct catalog_passed *
catalog_passed_over(const struct catalog *catalog, size_t *ret_count, size_t *ret_more)
{
	*ret_count = catalog->last.passed_count;
	*ret_more = catalog->last.passed_more;
	return catalog->last.passed;
}

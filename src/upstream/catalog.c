#include "upstream/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "upstream/watch.h"

#define CATALOG_LOOK_EVERY (30 * CLOCK_SECOND)
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

struct catalog {
	struct event_base *loop;    /* borrowed */
	char *path, *service;       /* owned */
	char *parent, *base, *folder; /* owned: of path; folder is path/service */
	int64_t max_age;
	struct entry_owners owners;
	const struct catalog_callbacks *callbacks; /* borrowed; NULL none */
	void *arg;                  /* borrowed */
	struct watch *watch;        /* owned */
	struct loop_timer timer;    /* the next look */
	int64_t next_look, last_look;
	dev_t device;               /* of what the known files are in; 0 nothing yet */
	ino_t inode;
	struct catalog_file *files; /* owned; sorted by name */
	size_t file_count;
	struct entry *known;        /* owned: the list at the last look */
	size_t known_count;
	struct catalog_passed *passed; /* owned: likewise, what was passed over */
	size_t passed_count, passed_more;
};

/* One reading. */
struct catalog_reading {
	int64_t now;
	bool fresh;                 /* the folder (or file) is not the one we knew */
	bool folder;
	struct entry *entries;      /* borrowed; room for CATALOG_ADDRESSES */
	size_t count;
	int64_t expiry;             /* the next one of a valid entry */
	char *problem;              /* owned: the first reason why something does not count; NULL if all does */
	unsigned problems;
	struct catalog_passed *passed; /* owned */
	size_t passed_count, passed_more;
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
	mem_free(reading->problem);
	mem_free(reading->passed);
}

static int
catalog_compare_files(const void *a, const void *b)
{
	return strcmp(((const struct catalog_file *)a)->name, ((const struct catalog_file *)b)->name);
}

static int64_t
catalog_first_age(const struct stat *st)
{
	int64_t changed = st->st_mtim.tv_sec * CLOCK_SECOND + st->st_mtim.tv_nsec / 1000;
	int64_t age = clock_wall() - changed;

	return age > 0 ? age : 0;
}

/* Notes the file's present state in file; before, if not NULL, is what was known of it. */
static void
catalog_see(struct catalog_file *file, const struct catalog_file *before, const struct stat *st,
    const struct catalog_reading *reading)
{
	if (before != NULL && before->inode == st->st_ino && before->size == st->st_size &&
	    before->changed.tv_sec == st->st_mtim.tv_sec && before->changed.tv_nsec == st->st_mtim.tv_nsec) {
		file->seen = before->seen;
		file->age = before->age;
	} else {
		file->seen = reading->now;
		file->age = reading->fresh ? catalog_first_age(st) : 0;
	}
	file->changed = st->st_mtim;
	file->inode = st->st_ino;
	file->size = st->st_size;
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

static int
catalog_compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A name whose file cannot be seen, for this reason.  It may be gone by now, which is no news. */
static void
catalog_miss(int folder, const char *name, int error, struct catalog_reading *reading)
{
	struct stat st;

	if (error != ENOENT || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		catalog_pass_over(reading, name, strerror(error));
}

/* Replaces what is known of the files by their present state.  names and their array become ours. */
static void
catalog_see_all(struct catalog *catalog, int folder, char **names, size_t count, struct catalog_reading *reading)
{
	struct catalog_file *files = mem_new(count, sizeof *files), *before;
	size_t n = 0;
	struct stat st;

	qsort(names, count, sizeof *names, catalog_compare_names);
	for (size_t i = 0; i < count; i++) {
		files[n].name = names[i];
		if (fstatat(folder, names[i], &st, 0) == -1) {
			catalog_miss(folder, names[i], errno, reading);
			mem_free(names[i]);
			continue;
		}
		before = reading->fresh ? NULL :
		    bsearch(&files[n], catalog->files, catalog->file_count, sizeof *files, catalog_compare_files);
		catalog_see(&files[n++], before, &st, reading);
	}
	mem_free(names);
	catalog_forget(catalog);
	catalog->files = files;
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

/* Names of copies in no order; the array and the names are the caller's. */
static char **
catalog_list(DIR *dir, size_t *ret_count)
{
	char **names = mem_new(CATALOG_FILES, sizeof *names);
	struct dirent *item;
	size_t n = 0;

	while (n < CATALOG_FILES && (item = readdir(dir)) != NULL)
		if (entry_is_name(item->d_name))
			names[n++] = mem_copy_text(item->d_name);
	*ret_count = n;
	return names;
}

static void
catalog_add(struct catalog_reading *reading, struct entry *entry, const char *name)
{
	snprintf(entry->from, sizeof entry->from, "%.63s", name);
	reading->entries[reading->count++] = *entry;
}

static void
catalog_read_copy(struct catalog *catalog, int folder, const struct catalog_file *file,
    struct catalog_reading *reading)
{
	char cause[ENTRY_ERROR_SIZE], *bytes;
	struct entry entry;
	const char *error;
	struct stat st;

	bytes = entry_read_file(folder, file->name, &catalog->owners, &st, cause);
	if (bytes == NULL) {
		catalog_pass_over(reading, file->name, cause);
		return;
	}
	*strchr(bytes, '\n') = '\0';
	error = entry_parse(bytes, &entry);
	if (error != NULL)
		catalog_pass_over(reading, file->name, error);
	else if (catalog_is_alive(catalog, file, entry.ttl, reading))
		catalog_add(reading, &entry, file->name);
	mem_free(bytes);
}

/* Whether what the known files are in is still the same; what is new to us is as old as it says. */
static void
catalog_identify(struct catalog *catalog, const struct stat *st, struct catalog_reading *reading)
{
	reading->fresh = catalog->device != st->st_dev || catalog->inode != st->st_ino;
	catalog->device = st->st_dev;
	catalog->inode = st->st_ino;
}

static void
catalog_read_folder(struct catalog *catalog, struct catalog_reading *reading)
{
	DIR *dir = opendir(catalog->folder);
	size_t count;
	char **names;
	struct stat st;

	if (dir == NULL || fstat(dirfd(dir), &st) == -1) {
		catalog_problem(reading, catalog->service, strerror(errno));
		catalog->device = 0;
		catalog->inode = 0;
		if (dir != NULL)
			closedir(dir);
		return;
	}
	catalog_identify(catalog, &st, reading);
	names = catalog_list(dir, &count);
	catalog_see_all(catalog, dirfd(dir), names, count, reading);
	for (size_t i = 0; i < catalog->file_count; i++) {
		if (reading->count < CATALOG_ADDRESSES)
			catalog_read_copy(catalog, dirfd(dir), &catalog->files[i], reading);
		else
			catalog_pass_over(reading, catalog->files[i].name, "there are 64 addresses before it");
	}
	closedir(dir);
}

/* The addresses of one line behind the service's name. */
static void
catalog_read_line(struct catalog *catalog, size_t number, char *line, struct catalog_reading *reading)
{
	const char *word, *error;
	struct entry *entry;
	char where[32];

	snprintf(where, sizeof where, "line %zu", number);
	while (reading->count < CATALOG_ADDRESSES && (word = strsep(&line, " \t")) != NULL) {
		if (word[0] == '\0')
			continue;
		entry = &reading->entries[reading->count];
		*entry = (struct entry){ .ttl = CLOCK_NEVER, .weight = 1 };
		error = address_parse(word, &entry->address);
		if (error != NULL)
			catalog_pass_over(reading, where, error);
		else if (catalog_is_alive(catalog, &catalog->files[0], CLOCK_NEVER, reading))
			reading->count++;
	}
}

static void
catalog_read_lines(struct catalog *catalog, char *bytes, struct catalog_reading *reading)
{
	char *rest = bytes, *line, *word;
	size_t number = 0;

	while ((line = strsep(&rest, "\n")) != NULL) {
		number++;
		line += strspn(line, " \t");
		word = strsep(&line, " \t");
		if (line != NULL && strcmp(word, catalog->service) == 0)
			catalog_read_line(catalog, number, line, reading);
	}
}

/* The one file is renamed over, so that its number changes with each change: only its first sight is fresh. */
static void
catalog_read_single(struct catalog *catalog, struct catalog_reading *reading)
{
	char cause[ENTRY_ERROR_SIZE], *bytes, **names;
	struct stat st;

	bytes = entry_read_file(AT_FDCWD, catalog->path, &catalog->owners, &st, cause);
	if (bytes == NULL) {
		catalog_problem(reading, NULL, cause);
		return;
	}
	reading->fresh = catalog->device == 0 && catalog->file_count == 0;
	names = mem_new(1, sizeof *names);
	names[0] = mem_copy_text(catalog->path);
	catalog_see_all(catalog, AT_FDCWD, names, 1, reading);
	if (catalog->file_count == 1)
		catalog_read_lines(catalog, bytes, reading);
	mem_free(bytes);
}

static void
catalog_read_any(struct catalog *catalog, struct catalog_reading *reading)
{
	struct stat st;

	reading->now = clock_now();
	reading->expiry = CLOCK_NEVER;
	if (stat(catalog->path, &st) == -1) {
		catalog_problem(reading, NULL, strerror(errno));
		return;
	}
	reading->folder = S_ISDIR(st.st_mode);
	if (reading->folder)
		catalog_read_folder(catalog, reading);
	else
		catalog_read_single(catalog, reading);
}

char *
catalog_read(struct catalog *catalog, struct entry ret_entries[CATALOG_ADDRESSES], size_t *ret_count,
    bool *ret_folder)
{
	struct catalog_reading reading = { .entries = ret_entries };
	char *error = NULL;

	catalog_read_any(catalog, &reading);
	if (reading.count == 0 && reading.problems > 1)
		error = mem_print("catalog %s: no valid address: %s (and %u more)", catalog->path, reading.problem,
		    reading.problems - 1);
	else if (reading.count == 0 && reading.problems == 1)
		error = mem_print("catalog %s: %s", catalog->path, reading.problem);
	else if (reading.count == 0)
		error = mem_print("catalog %s: no copy of %s is listed", catalog->path, catalog->service);
	catalog_reading_clear(&reading);
	if (error != NULL)
		return error;
	*ret_count = reading.count;
	*ret_folder = reading.folder;
	return NULL;
}

static void
catalog_schedule(struct catalog *catalog, int64_t when)
{
	catalog->next_look = when;
	loop_timer_at(&catalog->timer, when);
}

/* Folders first, then what is in them, so that no change falls between. */
static void
catalog_set_watch(struct catalog *catalog)
{
	watch_begin(catalog->watch);
	watch_folder(catalog->watch, catalog->parent, catalog->base);
	watch_folder(catalog->watch, catalog->path, catalog->service);
	watch_folder(catalog->watch, catalog->folder, NULL);
	watch_commit(catalog->watch);
}

static bool
catalog_is_same(const struct entry *a, const struct entry *b)
{
	return address_equal(&a->address, &b->address) && a->priority == b->priority && a->weight == b->weight;
}

/* Keeps what this look has passed over, in place of the last look's; whether it differs. */
static bool
catalog_keep_passed(struct catalog *catalog, struct catalog_reading *reading)
{
	bool same = reading->passed_count == catalog->passed_count && reading->passed_more == catalog->passed_more &&
	    (reading->passed_count == 0 || memcmp(reading->passed, catalog->passed,
	    reading->passed_count * sizeof *reading->passed) == 0);

	mem_free(catalog->passed);
	catalog->passed = reading->passed;
	catalog->passed_count = reading->passed_count;
	catalog->passed_more = reading->passed_more;
	reading->passed = NULL;
	return !same;
}

#define CATALOG_CHANGED 1u /* the list */
#define CATALOG_PASSES  2u /* what is passed over */

/* Looks at it; what differs from the last look. */
static unsigned
catalog_look(struct catalog *catalog)
{
	struct catalog_reading reading = { .entries = mem_new(CATALOG_ADDRESSES, sizeof *reading.entries) };
	unsigned differs;
	bool same;

	catalog_set_watch(catalog);
	catalog_read_any(catalog, &reading);
	differs = catalog_keep_passed(catalog, &reading) ? CATALOG_PASSES : 0;
	catalog_reading_clear(&reading);
	same = reading.count == catalog->known_count;
	for (size_t i = 0; same && i < reading.count; i++)
		same = catalog_is_same(&reading.entries[i], &catalog->known[i]);
	mem_free(catalog->known);
	catalog->known = mem_resize(reading.entries, reading.count, sizeof *reading.entries);
	catalog->known_count = reading.count;
	catalog->last_look = reading.now;
	catalog_schedule(catalog, reading.expiry < reading.now + CATALOG_LOOK_EVERY ? reading.expiry :
	    reading.now + CATALOG_LOOK_EVERY);
	return differs | (same ? 0 : CATALOG_CHANGED);
}

static void
catalog_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct catalog *catalog = arg;
	unsigned differs = catalog_look(catalog);

	(void)fd;
	(void)what;
	if (catalog->callbacks == NULL)
		return;
	if (differs & CATALOG_PASSES)
		catalog->callbacks->passed_over(catalog->arg);
	if (differs & CATALOG_CHANGED)
		catalog->callbacks->changed(catalog->arg);
}

static void
catalog_on_change(void *arg)
{
	struct catalog *catalog = arg;
	int64_t when = catalog->last_look + CATALOG_LOOK_LEAST;

	if (when < catalog->next_look)
		catalog_schedule(catalog, when);
}

/* path's parent and last part, for the watch; a slash at its end is dropped first. */
static void
catalog_set_path(struct catalog *catalog, const char *path)
{
	size_t length = strlen(path);
	const char *slash;

	while (length > 1 && path[length - 1] == '/')
		length--;
	catalog->path = mem_copy_bytes(path, length);
	catalog->folder = mem_print("%s/%s", catalog->path, catalog->service);
	slash = strrchr(catalog->path, '/');
	catalog->base = mem_copy_text(slash != NULL ? slash + 1 : catalog->path);
	if (slash == NULL)
		catalog->parent = mem_copy_text(".");
	else
		catalog->parent = mem_copy_bytes(catalog->path, slash == catalog->path ? 1 :
		    (size_t)(slash - catalog->path));
}

struct catalog *
catalog_new(struct event_base *loop, const char *path, const char *service, int64_t max_age, char *const *owners,
    const struct catalog_callbacks *callbacks, void *arg)
{
	struct catalog *catalog = mem_new(1, sizeof *catalog);

	catalog->loop = loop;
	catalog->service = mem_copy_text(service);
	catalog_set_path(catalog, path);
	catalog->max_age = max_age > 0 ? max_age : CLOCK_NEVER;
	entry_owners_init(&catalog->owners, owners);
	catalog->callbacks = callbacks;
	catalog->arg = arg;
	loop_timer_init(&catalog->timer, loop, catalog_on_timer, catalog);
	catalog->watch = watch_new(loop, catalog_on_change, catalog);
	catalog_look(catalog);
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
	entry_owners_clear(&catalog->owners);
	mem_free(catalog->known);
	mem_free(catalog->passed);
	mem_free(catalog->path);
	mem_free(catalog->service);
	mem_free(catalog->parent);
	mem_free(catalog->base);
	mem_free(catalog->folder);
	mem_free(catalog);
}

const struct catalog_passed *
catalog_passed_over(const struct catalog *catalog, size_t *ret_count, size_t *ret_more)
{
	*ret_count = catalog->passed_count;
	*ret_more = catalog->passed_more;
	return catalog->passed;
}

#include "upstream/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/watch.h"
#include "upstream/catalog_files.h"
#include "upstream/entry.h"

#define CATALOG_LOOK_EVERY (30 * CLOCK_SECOND)
#define CATALOG_LOOK_LEAST (10 * CLOCK_MILLISECOND) /* between two looks: a storm of changes is one */
#define CATALOG_LOOK_SHARE 10                       /* and no more than this part of the processor's time */
#define CATALOG_FIRST_TURNS 64                      /* of the first look are taken at once, as nothing is known yet */
#define CATALOG_LOOK_SOON  CLOCK_SECOND             /* again at what is unfinished */
#define CATALOG_UNFINISHED (10 * CLOCK_SECOND)      /* as long as it changed no longer ago than this */

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
	int64_t expiry;             /* the next one of a valid entry, or when what is unfinished is looked at */
	char *problem;              /* owned: the first reason why something does not count; NULL if all does */
	unsigned problems;
	struct catalog_passed *passed; /* owned */
	size_t passed_count, passed_more;
};

struct catalog {
	char *path, *service;       /* owned */
	char *folder;               /* owned: path/service */
	int64_t max_age;
	struct catalog_owners owners;
	catalog_callback *callback; /* NULL none */
	void *arg;                  /* borrowed */
	struct watch *watch;        /* owned */
	struct loop_timer timer;    /* the next look */
	int64_t next_look;
	int64_t took;               /* of the processor: the last look, or the one under way so far */
	struct catalog_files *listing; /* owned: a look under way over several turns; NULL none */
	bool changed;               /* since it began */
	bool known;                 /* a look has ended */
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
	/* A file may say any time; the year 1970 is old enough, and the future is now. */
	int64_t wall = clock_wall(), changed = st->st_mtim.tv_sec < 0 ? 0 : st->st_mtim.tv_sec, age = 0;

	if (changed <= wall / CLOCK_SECOND)
		age = wall - changed * CLOCK_SECOND - st->st_mtim.tv_nsec / 1000;
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

/* Notes the present state of a file of this name, which goes into files; gives what is noted. */
static const struct catalog_file *
catalog_see_named(const struct catalog *catalog, struct catalog_file *files, size_t *count, const char *name,
    const struct stat *st, const struct catalog_reading *reading)
{
	struct catalog_file *file = &files[(*count)++];

	file->name = mem_copy_text(name);
	catalog_see(file, reading->fresh || catalog->file_count == 0 ? NULL : bsearch(file, catalog->files,
	    catalog->file_count, sizeof *file, catalog_compare_files), st, reading);
	return file;
}

/* Replaces what is known of the files by these, sorted by name.  The array becomes ours. */
static void
catalog_know(struct catalog *catalog, struct catalog_file *files, size_t count)
{
	catalog_forget(catalog);
	catalog->files = mem_resize(files, count, sizeof *files);
	catalog->file_count = count;
}

/* What is only half there is looked at soon again, if nobody tells that it has changed. */
static void
catalog_wait_for(struct catalog_reading *reading, const struct catalog_file *file)
{
	int64_t again = reading->now + CATALOG_LOOK_SOON;

	if (reading->now - file->seen + file->age < CATALOG_UNFINISHED && again < reading->expiry)
		reading->expiry = again;
}

/* Whether a file of this age counts; notes when it no longer will. */
static bool
catalog_is_alive(const struct catalog *catalog, const struct catalog_file *file, int64_t ttl,
    struct catalog_reading *reading)
{
	int64_t limit = ttl < catalog->max_age ? ttl : catalog->max_age, expiry;
	int64_t age = reading->now - file->seen + file->age; /* perhaps more than the monotonic clock has counted */

	if (limit == CLOCK_NEVER)
		return true;
	if (age >= limit) {
		catalog_pass_over(reading, file->name, "expired");
		return false;
	}
	expiry = clock_after(reading->now, limit - age);
	if (expiry < reading->expiry)
		reading->expiry = expiry;
	return true;
}

/* Of this name, cut if need be. */
static void
catalog_add(struct catalog_reading *reading, struct endpoint_listed listed, const char *name)
{
	snprintf(listed.from, sizeof listed.from, "%.63s", name);
	reading->entries = mem_resize(reading->entries, reading->count + 1, sizeof listed);
	reading->entries[reading->count++] = listed;
}

static void
catalog_read_copy(const struct catalog *catalog, const struct catalog_file *file, char *bytes,
    struct catalog_reading *reading)
{
	struct endpoint_listed listed;
	const char *error;
	int64_t ttl;

	*strchr(bytes, '\n') = '\0';
	error = entry_parse(bytes, &listed, &ttl);
	if (error != NULL)
		catalog_pass_over(reading, file->name, error);
	else if (catalog_is_alive(catalog, file, ttl, reading))
		catalog_add(reading, listed, file->name);
}

static void
catalog_read_one(const struct catalog *catalog, const struct catalog_files *found, size_t index,
    struct catalog_file *files, size_t *count, struct catalog_reading *reading)
{
	const char *name = catalog_files_name(found, index);
	const struct catalog_file *file;
	struct catalog_bytes read;

	if (reading->count == ENDPOINTS_MAX) {
		catalog_pass_over(reading, name, "there are 64 addresses before it");
		return;
	}
	catalog_files_read(found, index, &catalog->owners, &read);
	if (read.bytes == NULL && read.cause[0] != '\0')
		catalog_pass_over(reading, name, read.cause);
	if (read.bytes == NULL && !read.unfinished)
		return;
	file = catalog_see_named(catalog, files, count, name, &read.st, reading);
	if (read.bytes == NULL)
		catalog_wait_for(reading, file);
	else
		catalog_read_copy(catalog, file, read.bytes, reading);
	mem_free(read.bytes);
}

/* All names are there. */
static void
catalog_read_folder(struct catalog *catalog, const struct catalog_files *found, struct catalog_reading *reading)
{
	const struct stat *st = catalog_files_stat(found);
	size_t left_out, count = catalog_files_count(found, &left_out), known = 0;
	struct catalog_file *files = mem_new(count + 1, sizeof *files);

	/* Whether what the known files are in is still the same; what is new to us is as old as it says. */
	reading->fresh = catalog->device != st->st_dev || catalog->inode != st->st_ino;
	catalog->device = st->st_dev;
	catalog->inode = st->st_ino;
	if (left_out > 0)
		catalog_pass_over(reading, "(others)", "there are too many: the first 1024 by name are looked at");
	for (size_t i = 0; i < count; i++)
		catalog_read_one(catalog, found, i, files, &known, reading);
	reading->passed_more += left_out;
	catalog_know(catalog, files, known);
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
	struct catalog_file *file = mem_new(1, sizeof *file);
	struct catalog_bytes read;
	size_t known = 0;

	catalog_files_read_single(catalog->path, &catalog->owners, &read);
	if (read.bytes == NULL)
		catalog_problem(reading, NULL, read.cause);
	if (read.bytes != NULL || read.unfinished) {
		reading->fresh = catalog->device == 0 && catalog->file_count == 0;
		catalog_see_named(catalog, file, &known, catalog->path, &read.st, reading);
		catalog_know(catalog, file, known);
	} else {
		mem_free(file);
	}
	if (read.bytes != NULL)
		catalog_read_lines(catalog, read.bytes, reading);
	else if (read.unfinished)
		catalog_wait_for(reading, &catalog->files[0]);
	mem_free(read.bytes);
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

/* How often it is looked at, if nothing tells of a change, as on NFS. */
static int64_t
catalog_look_every(const struct catalog *catalog)
{
	if (catalog->max_age / 2 >= CATALOG_LOOK_EVERY)
		return CATALOG_LOOK_EVERY;
	return catalog->max_age / 2 < CATALOG_LOOK_SOON ? CATALOG_LOOK_SOON : catalog->max_age / 2;
}

/* When it may be looked at next, whatever happens. */
static int64_t
catalog_look_least(const struct catalog *catalog)
{
	int64_t share = CATALOG_LOOK_SHARE * catalog->took;

	return catalog->last.now + (share > CATALOG_LOOK_LEAST ? share : CATALOG_LOOK_LEAST);
}

/* Of a look that is over. */
static void
catalog_take(struct catalog *catalog, struct catalog_reading *reading)
{
	catalog->untold |= catalog_compare(&catalog->last, reading);
	catalog_reading_clear(&catalog->last);
	catalog->last = *reading;
	catalog->known = true;
	catalog->next_look = reading->now + catalog_look_every(catalog);
	if (reading->expiry < catalog->next_look)
		catalog->next_look = reading->expiry;
}

/* The directory, as far as one turn goes.  Whether the look is over. */
static bool
catalog_look_folder(struct catalog *catalog, struct catalog_reading *reading)
{
	char cause[CATALOG_CAUSE_SIZE];
	struct catalog_files *found = catalog->listing;

	reading->folder = true;
	if (found == NULL)
		found = catalog_files_open(catalog->path, catalog->service, &catalog->owners, cause);
	catalog->listing = NULL;
	if (found == NULL) {
		catalog_problem(reading, NULL, cause);
		catalog->device = 0;
		catalog->inode = 0;
	} else if (!catalog_files_list(found)) {
		catalog->listing = found;
		return false;
	} else {
		catalog_read_folder(catalog, found, reading);
		catalog_files_close(found);
	}
	return true;
}

/* Looks, or looks on.  A change in the middle of a look has another one follow it. */
static void
catalog_look(struct catalog *catalog)
{
	struct catalog_reading reading = { .now = clock_now(), .expiry = CLOCK_NEVER };
	bool over = true, on = catalog->listing != NULL;
	int64_t used = clock_used_by(0);
	struct stat st;

	if (!on)
		watch_path(catalog->watch, catalog->folder, true);
	if (on || (stat(catalog->path, &st) == 0 && S_ISDIR(st.st_mode)))
		over = catalog_look_folder(catalog, &reading);
	else
		catalog_read_single(catalog, &reading);
	if (over)
		catalog_take(catalog, &reading);
	catalog->took = clock_used_by(0) - used + (on ? catalog->took : 0);
	if (over && catalog->changed && catalog_look_least(catalog) < catalog->next_look)
		catalog->next_look = catalog_look_least(catalog);
	catalog->changed = catalog->changed && !over;
	loop_timer_at(&catalog->timer, over ? catalog->next_look : reading.now);
}

char *
catalog_read(struct catalog *catalog, const struct endpoint_listed **ret_entries, size_t *ret_count, bool *ret_folder)
{
	const struct catalog_reading *last = &catalog->last;

	if (catalog->listing == NULL)
		catalog_look(catalog);
	if (!catalog->known)
		return mem_print("catalog %s: %s: very many files, which are still being read", catalog->path,
		    catalog->service);
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
	int64_t when = catalog_look_least(catalog);

	catalog->changed = catalog->listing != NULL;
	if (catalog->changed || when >= catalog->next_look)
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
	catalog->owners.users = mem_new(mem_list_length(owners), sizeof *catalog->owners.users);
	for (size_t i = 0; i < mem_list_length(owners); i++)
		if (names_find(NAMES_USER, owners[i], &catalog->owners.users[catalog->owners.count]))
			catalog->owners.count++;
	catalog->callback = callback;
	catalog->arg = arg;
	loop_timer_init(&catalog->timer, loop, catalog_on_timer, catalog);
	catalog->watch = watch_new(loop, catalog_on_change, catalog);
	for (unsigned turn = 0; turn == 0 || (catalog->listing != NULL && turn < CATALOG_FIRST_TURNS); turn++)
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
	catalog_files_close(catalog->listing);
	mem_free(catalog->owners.users);
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

/* Who can have changed a program before it is run. */
#include "base/program.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "temporary.h"

#define OWN   4000000001u /* our user */
#define OTHER 4000000002u

static char folder[TEMPORARY_SIZE];

/* A name in the folder as a path; good until the next but three. */
static const char *
path_of(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", folder, name);
	return path;
}

/* What there is: programs, directories, and links with what they say. */
static const struct thing {
	const char *name;
	uid_t owner;
	mode_t mode;
	const char *target;
} things[] = {
	{ "good", 0, 0755, NULL },
	{ "own", OWN, 0700, NULL },
	{ "set-uid", 0, 07755, NULL },
	{ "other", OTHER, 0755, NULL },
	{ "group", 0, 0775, NULL },
	{ "all", 0, 0777, NULL },
	{ "others-alone", 0, 0702, NULL },
	{ "sticky-program", 0, 01777, NULL },
	{ "safe", 0, S_IFDIR | 0755, NULL },
	{ "safe/good", 0, 0755, NULL },
	{ "own-folder", OWN, S_IFDIR | 0700, NULL },
	{ "own-folder/own", OWN, 0700, NULL },
	{ "group-folder", 0, S_IFDIR | 02775, NULL },
	{ "group-folder/good", 0, 0755, NULL },
	{ "all-folder", 0, S_IFDIR | 0777, NULL },
	{ "all-folder/safe", 0, S_IFDIR | 0755, NULL },
	{ "all-folder/safe/good", 0, 0755, NULL },
	{ "all-folder/link", 0, S_IFLNK, "../good" },
	{ "other-folder", OTHER, S_IFDIR | 0755, NULL },
	{ "other-folder/good", 0, 0755, NULL },
	{ "sticky", 0, S_IFDIR | 01777, NULL },
	{ "sticky/good", 0, 0755, NULL },
	{ "sticky/other", OTHER, 0755, NULL },
	{ "sticky/link-of-other", OTHER, S_IFLNK, "../good" },
	{ "sticky/link-of-ours", OWN, S_IFLNK, "../good" },
	{ "link", 0, S_IFLNK, "good" },
	{ "through", 0, S_IFLNK, "safe" },
	{ "chain", 0, S_IFLNK, "safe/../link" },
	{ "to-all", 0, S_IFLNK, "all-folder/link" },
	{ "to-other", 0, S_IFLNK, "other" },
	{ "circle", 0, S_IFLNK, "circle" },
	{ "nowhere", 0, S_IFLNK, "missing" },
};

static void
make(const struct thing *thing)
{
	const char *path = path_of(thing->name);
	int fd;

	if (S_ISLNK(thing->mode)) {
		assert_int_equal(symlink(thing->target, path), 0);
	} else if (S_ISDIR(thing->mode)) {
		assert_int_equal(mkdir(path, 0700), 0);
	} else {
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
		assert_true(fd != -1);
		close(fd);
	}
	assert_int_equal(lchown(path, thing->owner, 0), 0);
	if (!S_ISLNK(thing->mode))
		assert_int_equal(chmod(path, thing->mode & 07777), 0);
}

/* How the program of this name is judged: found at a name, or with a fault, and where that lies; NULL nowhere. */
static const struct row {
	const char *name, *found, *fault, *where;
} rows[] = {
	{ "good", "good", NULL, NULL },
	{ "own", "own", NULL, NULL },
	{ "./safe//../good", "good", NULL, NULL },
	{ "safe/good", "safe/good", NULL, NULL },
	{ "own-folder/own", "own-folder/own", NULL, NULL },
	{ "set-uid", "set-uid", NULL, NULL },
	{ "other", NULL, "unsafe: user 4000000002 owns", "other" },
	{ "group", NULL, "unsafe: its group can write to", "group" },
	{ "all", NULL, "unsafe: everybody can write to", "all" },
	{ "others-alone", NULL, "unsafe: everybody can write to", "others-alone" },
	{ "sticky-program", NULL, "unsafe: everybody can write to", "sticky-program" },
	{ "group-folder/good", NULL, "unsafe: its group can write to", "group-folder" },
	{ "all-folder/safe/good", NULL, "unsafe: everybody can write to", "all-folder" },
	{ "other-folder/good", NULL, "unsafe: user 4000000002 owns", "other-folder" },
	{ "sticky/good", "sticky/good", NULL, NULL },
	{ "sticky/other", NULL, "unsafe: user 4000000002 owns", "sticky/other" },
	{ "sticky/link-of-other", NULL, "unsafe: user 4000000002 owns", "sticky/link-of-other" },
	{ "sticky/link-of-ours", "good", NULL, NULL },
	{ "link", "good", NULL, NULL },
	{ "absolute", "safe/good", NULL, NULL },
	{ "through/good", "safe/good", NULL, NULL },
	{ "chain", "good", NULL, NULL },
	{ "to-all", NULL, "unsafe: everybody can write to", "all-folder" }, /* in which the next link lies */
	{ "to-other", NULL, "unsafe: user 4000000002 owns", "other" },
	{ "all-folder/../good", NULL, "unsafe: everybody can write to", "all-folder" },
	{ "circle", NULL, "Too many levels of symbolic links", NULL },
	{ "missing", NULL, "No such file or directory", NULL },
	{ "nowhere", NULL, "No such file or directory", NULL },
	{ "good/below", NULL, "Not a directory", NULL },
};

static void
make_all(void)
{
	char absolute[2 * TEMPORARY_SIZE];

	for (const struct thing *thing = things; thing < things + sizeof things / sizeof things[0]; thing++)
		make(thing);
	snprintf(absolute, sizeof absolute, "%s/safe/good", folder);
	make(&(struct thing){ "absolute", 0, S_IFLNK, absolute });
}

static void
nobody_but_root_and_we_can_have_changed_it(void **state)
{
	char place[PATH_MAX], *fault, *expected;

	(void)state;
	if (geteuid() != 0)
		skip();
	make_all();
	for (const struct row *row = rows; row < rows + sizeof rows / sizeof rows[0]; row++) {
		fault = program_find(path_of(row->name), OWN, place);
		if ((fault == NULL) != (row->fault == NULL))
			fail_msg("%s: %s", row->name, fault == NULL ? "found" : fault);
		if (fault == NULL) {
			assert_string_equal(place, path_of(row->found));
		} else {
			expected = mem_print("%s%s%s", row->fault, row->where == NULL ? "" : " ",
			    row->where == NULL ? "" : path_of(row->where));
			assert_string_equal(fault, expected);
			mem_free(expected);
		}
		mem_free(fault);
	}
}

static void
a_way_may_be_as_long_as_a_path_and_no_longer(void **state)
{
	char place[PATH_MAX], path[PATH_MAX], *fault;

	(void)state;
	memset(path, '/', sizeof path);
	memcpy(path + sizeof path - 8, "bin/sh", 7);
	assert_null(program_find(path, geteuid(), place));
	memset(path + 1, 'x', sizeof path - 2);
	path[sizeof path - 1] = '\0';
	fault = program_find(path, geteuid(), place);
	assert_string_equal(fault, "File name too long");
	mem_free(fault);
}

static void
nothing_stays_open(void **state)
{
	char place[PATH_MAX];
	int before = dup(0), after;

	(void)state;
	close(before);
	for (const struct row *row = rows; row < rows + sizeof rows / sizeof rows[0]; row++)
		mem_free(program_find(path_of(row->name), OWN, place));
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

static int
setup(void **state)
{
	char name[TEMPORARY_SIZE];

	(void)state;
	if (mkdtemp(temporary_name(name)) == NULL)
		return -1;
	memcpy(folder, name, sizeof folder);
	return 0;
}

static int
teardown(void **state)
{
	char *command = mem_print("rm -rf '%s'", folder);
	int result = system(command);

	(void)state;
	mem_free(command);
	return result;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_but_root_and_we_can_have_changed_it),
		cmocka_unit_test(a_way_may_be_as_long_as_a_path_and_no_longer),
		cmocka_unit_test(nothing_stays_open),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

#include "keep/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "keep/table.h"

#define UPGRADE_TABLE   "HOLDFAST_TABLE"   /* in the environment of the next program: the table's file */
#define UPGRADE_FORMER  "HOLDFAST_FORMER"  /* and its predecessor's */
#define UPGRADE_REFUSED "HOLDFAST_REFUSED" /* why a predecessor is executed again */

static char **upgrade_argv;

/* 0 or -errno: without it the next program would begin afresh, or know no way back. */
static int
upgrade_set_number(const char *name, int number)
{
	char text[16];

	snprintf(text, sizeof text, "%d", number);
	return setenv(name, text, 1) == 0 ? 0 : -errno;
}

static int
upgrade_get_number(const char *name)
{
	const char *text = getenv(name);
	int number = text == NULL ? -1 : atoi(text);

	unsetenv(name);
	return number;
}

static void
upgrade_close(volatile int32_t *file)
{
	int fd = *file;

	*file = -1; /* first: whoever dies in between leaves a file that nobody names, not a name for the next file */
	if (fd != -1)
		close(fd);
}

static bool
upgrade_is_own_file(const char *path)
{
	struct stat found, own;

	return path[0] == '/' && stat(path, &found) == 0 && stat("/proc/self/exe", &own) == 0 &&
	    found.st_dev == own.st_dev && found.st_ino == own.st_ino;
}

/* By the path that was executed: a link there is followed again at each upgrade. */
static void
upgrade_find_path(struct table_header *header)
{
	const char *called = (const char *)getauxval(AT_EXECFN);
	char folder[PATH_MAX] = "", *path;
	ssize_t length;

	if (called != NULL && strncmp(called, "./", 2) == 0)
		called += 2;
	if (called != NULL && (called[0] == '/' || getcwd(folder, sizeof folder) != NULL)) {
		path = mem_print("%s%s%s", folder, called[0] == '/' ? "" : "/", called);
		if (strlen(path) < sizeof header->program && upgrade_is_own_file(path)) {
			strcpy(header->program, path);
			mem_free(path);
			return;
		}
		mem_free(path);
	}
	length = readlink("/proc/self/exe", header->program, sizeof header->program - 1);
	header->program[length > 0 ? length : 0] = '\0';
}

void
upgrade_note_program(struct table *table, char **argv, const char *version)
{
	struct table_header *header = table->header;

	upgrade_argv = argv;
	snprintf(header->version, sizeof header->version, "%s", version);
	if (header->file[TABLE_FILE_PROGRAM] != -1)
		return; /* executed in an upgrade */
	upgrade_find_path(header);
	header->file[TABLE_FILE_PROGRAM] = table_note_file(table, open("/proc/self/exe", O_PATH | O_CLOEXEC));
}

int
upgrade_open(struct table *table)
{
	volatile int32_t *file = table->header->file;
	int fd;

	upgrade_close(&file[TABLE_FILE_NEXT]);
	fd = open(table->header->program, O_PATH | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	file[TABLE_FILE_NEXT] = table_note_file(table, fd);
	return 0;
}

void
upgrade_forget(struct table *table, enum table_file file)
{
	upgrade_close(&table->header->file[file]);
}

struct upgrade_flags {
	int flags;
	int error; /* the first */
};

static void
upgrade_set_flags(void *arg, enum table_kind kind, volatile int32_t *fd)
{
	struct upgrade_flags *set = arg;

	(void)kind;
	if (fcntl(*fd, F_SETFD, set->flags) == -1 && set->error == 0)
		set->error = -errno;
}

/* Of all files.  0, or -errno of one that has kept its flags. */
static int
upgrade_set_all_flags(const struct table *table, int flags)
{
	struct upgrade_flags set = { .flags = flags };

	table_each_file(table, upgrade_set_flags, &set);
	return set.error;
}

/* Executes the file with all that the table names.  Comes back with -errno. */
static int
upgrade_exec(struct table *table, int file)
{
	int error = upgrade_set_number(UPGRADE_TABLE, table->header->file[TABLE_FILE_MEMORY]);

	if (error == 0)
		error = upgrade_set_all_flags(table, 0);
	if (error == 0) { /* what closed in it would be lost */
		fexecve(file, upgrade_argv, environ);
		error = -errno;
	}
	upgrade_set_all_flags(table, FD_CLOEXEC);
	unsetenv(UPGRADE_TABLE);
	return error;
}

int
upgrade_execute(struct table *table)
{
	volatile int32_t *file = table->header->file;
	int error;

	upgrade_close(&file[TABLE_FILE_FORMER]);
	file[TABLE_FILE_FORMER] = file[TABLE_FILE_PROGRAM];
	file[TABLE_FILE_PROGRAM] = file[TABLE_FILE_NEXT];
	file[TABLE_FILE_NEXT] = -1;
	error = upgrade_set_number(UPGRADE_FORMER, file[TABLE_FILE_FORMER]);
	if (error == 0)
		error = upgrade_exec(table, file[TABLE_FILE_PROGRAM]);
	unsetenv(UPGRADE_FORMER);
	upgrade_close(&file[TABLE_FILE_PROGRAM]);
	file[TABLE_FILE_PROGRAM] = file[TABLE_FILE_FORMER];
	file[TABLE_FILE_FORMER] = -1;
	return error;
}

int
upgrade_go_back(struct table *table, const char *reason)
{
	int error;

	if (table->header->file[TABLE_FILE_FORMER] == -1)
		return -ENOENT;
	error = setenv(UPGRADE_REFUSED, reason, 1) == 0
	    ? upgrade_exec(table, table->header->file[TABLE_FILE_FORMER]) : -errno;
	unsetenv(UPGRADE_REFUSED);
	upgrade_close(&table->header->file[TABLE_FILE_FORMER]);
	return error;
}

int
upgrade_table_file(void)
{
	return upgrade_get_number(UPGRADE_TABLE);
}

bool
upgrade_is_taken_back(void)
{
	return getenv(UPGRADE_REFUSED) != NULL;
}

/* The previous program continues: what followed it is nobody's. */
static void
upgrade_be_former(struct table_header *header, const char *reason)
{
	header->origin = TABLE_REFUSED;
	snprintf(header->upgrade_error, sizeof header->upgrade_error, "%s", reason);
	upgrade_close(&header->file[TABLE_FILE_PROGRAM]);
	header->file[TABLE_FILE_PROGRAM] = header->file[TABLE_FILE_FORMER];
	header->file[TABLE_FILE_FORMER] = -1;
}

void
upgrade_accept(struct table *table, bool copied)
{
	struct table_header *header = table->header;
	const char *refused = getenv(UPGRADE_REFUSED);

	upgrade_set_all_flags(table, FD_CLOEXEC);
	if (refused != NULL) {
		upgrade_be_former(header, refused);
	} else {
		header->origin = TABLE_UPGRADED;
		header->upgrades++;
		header->upgrade_error[0] = '\0';
	}
	if (copied) /* it could not read that */
		upgrade_close(&header->file[TABLE_FILE_FORMER]);
	unsetenv(UPGRADE_REFUSED);
	unsetenv(UPGRADE_FORMER);
}

void
upgrade_refuse(int table_file, char **argv, const char *reason)
{
	int former = upgrade_get_number(UPGRADE_FORMER);

	if (former == -1)
		return;
	upgrade_set_number(UPGRADE_TABLE, table_file);
	setenv(UPGRADE_REFUSED, reason, 1);
	fexecve(former, argv, environ);
}

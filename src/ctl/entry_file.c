#include "ctl/entry_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/escape.h"
#include "base/file.h"
#include "base/mem.h"

#define ENTRY_FILE_MAX   4096 /* bytes; a larger one is not ours */
#define ENTRY_FILE_BOOT  40
#define ENTRY_FILE_HOST  65
#define ENTRY_FILE_MARK  "# holdfastctl publish "

/* Which process it is. */
struct entry_owner {
	long pid;
	unsigned long long begun; /* in ticks since the boot */
	unsigned long space;      /* its pid namespace */
	char boot[ENTRY_FILE_BOOT], host[ENTRY_FILE_HOST];
};

static void __attribute__((format(printf, 2, 3)))
entry_file_say(char said[ENTRY_FILE_SAID], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, ENTRY_FILE_SAID, format, args);
	va_end(args);
}

static enum entry_file_result
entry_file_fail(const struct entry_file *file, int error, char said[ENTRY_FILE_SAID])
{
	entry_file_say(said, "%s/%s/%s: %s", file->catalog, file->service, file->name, strerror(error));
	return ENTRY_FILE_FAILED;
}

/* When a process was started; 0: there is none, or it is dead. */
static unsigned long long
entry_owner_begun(long pid)
{
	char path[40], text[1024], *rest;
	unsigned long long begun;
	char state;

	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	file_read(path, text, sizeof text);
	rest = strrchr(text, ')'); /* behind a name that may be anything */
	if (rest == NULL || sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
	    "%*d %*d %llu", &state, &begun) != 2 || state == 'Z' || state == 'X')
		return 0;
	return begun;
}

/* Where /proc shows no processes of others, one may be alive all the same. */
static bool
entry_owner_is_alive(const struct entry_owner *owner)
{
	unsigned long long begun = entry_owner_begun(owner->pid);

	if (owner->pid <= 0 || owner->begun == 0)
		return false;
	return begun == owner->begun || (begun == 0 && kill((pid_t)owner->pid, 0) == -1 && errno == EPERM);
}

static void
entry_owner_find(struct entry_owner *owner)
{
	struct stat st;

	memset(owner, 0, sizeof *owner);
	owner->pid = getpid();
	owner->begun = entry_owner_begun(owner->pid);
	if (stat("/proc/self/ns/pid", &st) == 0)
		owner->space = (unsigned long)st.st_ino;
	file_read("/proc/sys/kernel/random/boot_id", owner->boot, sizeof owner->boot);
	owner->boot[strcspn(owner->boot, "\n")] = '\0';
	if (owner->boot[0] == '\0')
		strcpy(owner->boot, "-");
	if (gethostname(owner->host, sizeof owner->host - 1) == -1 || owner->host[0] == '\0')
		strcpy(owner->host, "-");
}

void
entry_file_init(struct entry_file *file, const char *catalog, const char *service, const char *name,
    const char *words)
{
	struct entry_owner owner;

	entry_owner_find(&owner);
	*file = (struct entry_file){ .catalog = catalog, .service = service, .name = name };
	file->text = mem_print("%s\n" ENTRY_FILE_MARK "pid=%ld begun=%llu space=%lu boot=%s host=%s\n", words,
	    owner.pid, owner.begun, owner.space, owner.boot, owner.host);
}

void
entry_file_clear(struct entry_file *file)
{
	mem_free(file->text);
	file->text = NULL;
}

const char *
entry_file_bad_name(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length > ENTRY_FILE_NAME_MAX)
		return "a name has 1 to 200 bytes";
	if (name[0] == '.' || name[length - 1] == '~' || (length >= 4 && strcmp(name + length - 4, ".tmp") == 0))
		return "names that begin with a dot or end in ~ or .tmp are ignored";
	for (size_t i = 0; i < length; i++)
		if (name[i] == '/' || (unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return "a slash or a control character in it";
	return NULL;
}

/* The service's directory, made if that is missing; the catalog itself may be a mount that will come.  -errno. */
static int
entry_file_open_folder(const struct entry_file *file, bool make)
{
	int root = open(file->catalog, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	if (root == -1)
		return -errno;
	fd = beneath_open(root, file->service, O_RDONLY | O_DIRECTORY);
	if (fd == -ENOENT && make) {
		fd = mkdirat(root, file->service, 0755) == -1 && errno != EEXIST ? -errno :
		    beneath_open(root, file->service, O_RDONLY | O_DIRECTORY);
	}
	close(root);
	return fd;
}

/* What stands in the file of our name.  0, -ENOENT, or another error; ret_changed: when it changed. */
static int
entry_file_read(const struct entry_file *file, int folder, char ret_text[ENTRY_FILE_MAX], time_t *ret_changed)
{
	int fd = openat(folder, file->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	ssize_t n = -1;

	if (fd == -1)
		return -errno;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		errno = EEXIST;
	else
		n = read(fd, ret_text, ENTRY_FILE_MAX - 1);
	if (n == -1)
		n = -errno;
	close(fd);
	if (n < 0)
		return (int)n;
	ret_text[n] = '\0';
	*ret_changed = st.st_mtim.tv_sec;
	return 0;
}

/* Whose it is; false if it does not say. */
static bool
entry_owner_parse(const char *text, struct entry_owner *owner)
{
	const char *mark = strstr(text, "\n" ENTRY_FILE_MARK);

	return mark != NULL && sscanf(mark + 1, ENTRY_FILE_MARK "pid=%ld begun=%llu space=%lu boot=%39s host=%64s",
	    &owner->pid, &owner->begun, &owner->space, owner->boot, owner->host) == 5;
}

/* Of a process that we cannot see: how long it may still be alive by its heartbeat; -1: forever. */
static double
entry_file_lives_for(const char *text, time_t changed)
{
	size_t line = strcspn(text, "\n");
	const char *word = strstr(text, " ttl=");
	double left;

	if (word == NULL || word > text + line)
		return -1;
	left = strtod(word + 5, NULL) - difftime(time(NULL), changed);
	return left > 0 ? left : 0;
}

/* Another's file: whether it may be replaced. */
static enum entry_file_result
entry_file_judge_other(const struct entry_file *file, const char *text, time_t changed, char said[ENTRY_FILE_SAID])
{
	struct entry_owner owner = { 0 }, own;
	bool known = entry_owner_parse(text, &owner);
	double left = entry_file_lives_for(text, changed);
	char host[4 * ENTRY_FILE_HOST];

	entry_owner_find(&own);
	escape(owner.host, strlen(owner.host), ESCAPE_ASCII, host, sizeof host);
	if (known && owner.space == own.space && strcmp(owner.boot, own.boot) == 0) {
		if (!entry_owner_is_alive(&owner))
			return ENTRY_FILE_DONE;
		entry_file_say(said, "%s/%s/%s is published by process %ld, which is alive", file->catalog,
		    file->service, file->name, owner.pid);
		return ENTRY_FILE_TAKEN;
	}
	if (left == 0)
		return ENTRY_FILE_DONE;
	if (left < 0) {
		entry_file_say(said, "%s/%s/%s is not of \"holdfastctl publish\", and has no ttl: remove it first",
		    file->catalog, file->service, file->name);
		return ENTRY_FILE_TAKEN;
	}
	entry_file_say(said, "%s/%s/%s is another's%s%s, which may be alive: it expires in %.0f s", file->catalog,
	    file->service, file->name, known ? ", of host " : "", known ? host : "", left);
	return ENTRY_FILE_FAILED;
}

/* DONE: the name is free, or a dead process's, or (*ret_ours) ours.  *ret_there: there is a file. */
static enum entry_file_result
entry_file_look(const struct entry_file *file, int folder, bool *ret_there, bool *ret_ours,
    char said[ENTRY_FILE_SAID])
{
	char text[ENTRY_FILE_MAX];
	time_t changed = 0;
	int error = entry_file_read(file, folder, text, &changed);

	*ret_there = error == 0;
	*ret_ours = error == 0 && strcmp(text, file->text) == 0;
	if (error == -ENOENT || *ret_ours)
		return ENTRY_FILE_DONE;
	if (error == -EEXIST || error == -ELOOP || error == -ENXIO) {
		entry_file_say(said, "%s/%s/%s is not a regular file", file->catalog, file->service, file->name);
		return ENTRY_FILE_TAKEN;
	}
	return error != 0 ? entry_file_fail(file, -error, said) : entry_file_judge_other(file, text, changed, said);
}

static int
entry_file_write_aside(const struct entry_file *file, int folder, const char *aside)
{
	size_t length = strlen(file->text);
	int fd, error = 0;
	ssize_t n;

	unlinkat(folder, aside, 0); /* of a process that had our number */
	fd = openat(folder, aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd == -1)
		return -errno;
	n = write(fd, file->text, length);
	if (n != (ssize_t)length)
		error = n == -1 ? -errno : -ENOSPC;
	else if (fchmod(fd, 0644) == -1 || fsync(fd) == -1) /* the daemon must read it, whatever the umask */
		error = -errno;
	if (close(fd) == -1 && error == 0)
		error = -errno;
	return error;
}

/* Under its own name: over a dead process's file, but over none that has just come. */
static int
entry_file_place(const struct entry_file *file, int folder, const char *aside, bool there)
{
	if (there)
		return renameat(folder, aside, folder, file->name) == -1 ? -errno : 0;
	if (renameat2(folder, aside, folder, file->name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL) /* which is of file systems that cannot, as NFS */
		return -errno;
	if (linkat(folder, aside, folder, file->name, 0) == -1)
		return -errno;
	unlinkat(folder, aside, 0);
	return 0;
}

static enum entry_file_result
entry_file_write(const struct entry_file *file, int folder, bool there, char said[ENTRY_FILE_SAID])
{
	char aside[ENTRY_FILE_NAME_MAX + 40];
	int error;

	snprintf(aside, sizeof aside, ".%s.%ld.tmp", file->name, (long)getpid());
	error = entry_file_write_aside(file, folder, aside);
	if (error == 0)
		error = entry_file_place(file, folder, aside, there);
	if (error == 0 && fsync(folder) == -1 && errno != EINVAL && errno != EROFS)
		error = -errno;
	if (error == 0)
		return ENTRY_FILE_DONE;
	unlinkat(folder, aside, 0);
	return entry_file_fail(file, -error, said);
}

enum entry_file_result
entry_file_judge(const struct entry_file *file, char ret_said[ENTRY_FILE_SAID])
{
	int folder = entry_file_open_folder(file, false);
	enum entry_file_result result;
	bool there, ours;

	if (folder < 0)
		return folder == -ENOENT ? ENTRY_FILE_DONE : entry_file_fail(file, -folder, ret_said);
	result = entry_file_look(file, folder, &there, &ours, ret_said);
	close(folder);
	return result;
}

enum entry_file_result
entry_file_put(const struct entry_file *file, bool *ret_written, char ret_said[ENTRY_FILE_SAID])
{
	int folder = entry_file_open_folder(file, true);
	enum entry_file_result result;
	bool there, ours;

	*ret_written = false;
	if (folder < 0)
		return entry_file_fail(file, -folder, ret_said);
	result = entry_file_look(file, folder, &there, &ours, ret_said);
	if (result == ENTRY_FILE_DONE && !ours) {
		result = entry_file_write(file, folder, there, ret_said);
		*ret_written = result == ENTRY_FILE_DONE;
	} else if (result == ENTRY_FILE_DONE && utimensat(folder, file->name, NULL, AT_SYMLINK_NOFOLLOW) == -1) {
		result = entry_file_fail(file, errno, ret_said);
	}
	close(folder);
	return result;
}

bool
entry_file_withdraw(const struct entry_file *file, char ret_said[ENTRY_FILE_SAID])
{
	int folder = entry_file_open_folder(file, false), error = 0;
	bool there, ours;

	if (folder < 0) {
		error = folder == -ENOENT ? 0 : -folder;
	} else {
		if (entry_file_look(file, folder, &there, &ours, ret_said) == ENTRY_FILE_DONE && there &&
		    unlinkat(folder, file->name, 0) == -1 && errno != ENOENT)
			error = errno;
		close(folder);
	}
	if (error != 0)
		entry_file_fail(file, error, ret_said);
	return error == 0;
}

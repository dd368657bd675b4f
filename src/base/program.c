#include "base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/names.h"

#define PROGRAM_LINKS 40 /* on a way, as the kernel's */

/* The way to a program, so far as it has been gone. */
struct program_way {
	uid_t own;
	int at;          /* owned; O_PATH; what was reached */
	char *place;     /* borrowed; its path, PATH_MAX bytes; "" is "/" */
	char *rest;      /* owned; what is still to be gone */
	unsigned links;
};

static char *
program_user(uid_t uid)
{
	char name[NAMES_SIZE];

	return names_of(NAMES_USER, uid, name, sizeof name) ? mem_copy_text(name) : mem_print("%u", (unsigned)uid);
}

/* What is wrong with the owner and the mode of the way's place, or NULL. */
static char *
program_judge(const struct program_way *way, const struct stat *status)
{
	const char *place = way->place[0] == '\0' ? "/" : way->place;
	bool sticky = S_ISDIR(status->st_mode) && (status->st_mode & S_ISVTX) != 0;
	char *user, *fault;

	if (status->st_uid != 0 && status->st_uid != way->own) {
		user = program_user(status->st_uid);
		fault = mem_print("unsafe: user %s owns %s", user, place);
		mem_free(user);
		return fault;
	}
	if (S_ISLNK(status->st_mode) || sticky || (status->st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return NULL;
	return mem_print("unsafe: %s can write to %s", status->st_mode & S_IWOTH ? "everybody" : "its group", place);
}

/* Takes the way's next name into name; false: there is none. */
static bool
program_next_name(struct program_way *way, char name[PATH_MAX])
{
	size_t begin = strspn(way->rest, "/"), length = strcspn(way->rest + begin, "/");

	snprintf(name, PATH_MAX, "%.*s", (int)length, way->rest + begin);
	memmove(way->rest, way->rest + begin + length, strlen(way->rest + begin + length) + 1);
	return length > 0;
}

/* The name is added to the way's place, or ".." takes one away.  false: it is too long. */
static bool
program_add_name(struct program_way *way, const char *name)
{
	size_t length = strlen(way->place);
	char *slash = strrchr(way->place, '/');

	if (strcmp(name, ".") == 0)
		return true;
	if (strcmp(name, "..") != 0)
		return snprintf(way->place + length, PATH_MAX - length, "/%s", name) < (int)(PATH_MAX - length);
	if (slash != NULL)
		*slash = '\0';
	return true;
}

/* The way continues from another place, whose file descriptor it takes over, or (-1) "/".  NULL or a fault. */
static char *
program_move(struct program_way *way, int fd)
{
	if (fd == -1) {
		way->place[0] = '\0';
		fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (way->at != -1)
		close(way->at);
	way->at = fd;
	return fd == -1 ? mem_copy_text(strerror(errno)) : NULL;
}

/* The way continues as the link fd says, which is closed. */
static char *
program_follow(struct program_way *way, int fd)
{
	char target[PATH_MAX], *rest;
	ssize_t length = readlinkat(fd, "", target, sizeof target - 1);
	int error = errno;

	close(fd);
	if (length == -1 || ++way->links > PROGRAM_LINKS)
		return mem_copy_text(strerror(length == -1 ? error : ELOOP));
	target[length] = '\0';
	rest = mem_print("%s/%s", target, way->rest);
	mem_free(way->rest);
	way->rest = rest;
	if (target[0] == '/')
		return program_move(way, -1);
	program_add_name(way, ".."); /* the link itself is left out */
	return NULL;
}

/* One name further.  NULL or a fault. */
static char *
program_step(struct program_way *way, const char *name)
{
	int fd = openat(way->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;
	char *fault;

	if (fd == -1 || fstat(fd, &status) == -1)
		fault = mem_copy_text(strerror(errno));
	else if (!program_add_name(way, name))
		fault = mem_copy_text(strerror(ENAMETOOLONG));
	else
		fault = program_judge(way, &status);
	if (fault != NULL && fd != -1)
		close(fd);
	if (fault != NULL)
		return fault;
	return S_ISLNK(status.st_mode) ? program_follow(way, fd) : program_move(way, fd);
}

char *
program_find(const char *path, uid_t own, char ret_place[PATH_MAX])
{
	struct program_way way = { .own = own, .at = -1, .place = ret_place, .rest = mem_copy_text(path) };
	char name[PATH_MAX], *fault = program_move(&way, -1);
	struct stat status;

	if (fault == NULL && fstat(way.at, &status) == 0)
		fault = program_judge(&way, &status);
	while (fault == NULL && program_next_name(&way, name))
		fault = program_step(&way, name);
	if (way.at != -1)
		close(way.at);
	mem_free(way.rest);
	return fault;
}

#include "stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <ftw.h>

#include "base/clock.h"
#include "base/loop.h"

struct event_base *stage_loop;
char stage_folder[TEMPORARY_SIZE];

int
stage_open(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	stage_loop = loop_new();
	return mkdtemp(temporary_name(stage_folder)) == NULL ? -1 : 0;
}

static int
stage_remove(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

int
stage_close(void **state)
{
	(void)state;
	loop_free(stage_loop);
	return nftw(stage_folder, stage_remove, 8, FTW_DEPTH | FTW_PHYS);
}

const char *
stage_path(const char *name)
{
	static char paths[16][256];
	static unsigned turn;
	char *path = paths[turn++ % 16];

	snprintf(path, sizeof paths[0], "%s/%s", stage_folder, name);
	return path;
}

const char *
stage_write(const char *name, const char *text, mode_t mode)
{
	const char *path = stage_path(name);
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fchmod(fd, mode) == -1)
		abort();
	close(fd);
	return path;
}

void
stage_publish(const char *name, const char *text)
{
	const char *aside = stage_write(".aside", text, 0644);

	if (rename(aside, stage_path(name)) == -1)
		abort();
}

const char *
stage_script(const char *name, const char *body)
{
	char text[8192];

	snprintf(text, sizeof text, "#!/bin/sh\n%s\n", body);
	return stage_write(name, text, 0755);
}

static void
stage_on_limit(void *arg)
{
	(void)arg;
}

bool
stage_run(const bool *done, int64_t limit)
{
	int64_t deadline = clock_after(clock_now(), limit);
	struct loop_timer timer;

	loop_timer_init(&timer, stage_loop, stage_on_limit, NULL);
	while (!(done != NULL && *done) && clock_now() < deadline) {
		loop_timer_at(&timer, deadline);
		event_base_loop(stage_loop, EVLOOP_ONCE);
	}
	loop_timer_stop(&timer);
	return done != NULL && *done;
}

void
stage_idle(int64_t span)
{
	stage_run(NULL, span);
}

unsigned
stage_count_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

bool
stage_no_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 && errno == ECHILD;
}

#include "config/config_reading.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/table.h"

/* Of what the child says: the configuration, and a thousand errors of any length that a line has. */
#define READING_MAX   ((size_t)TABLE_CONFIG_MAX + (8u << 20))
#define READING_CHUNK 65536
#define READING_REAP  (20 * CLOCK_MILLISECOND)
#define READING_LOOKS 50 /* for an end that is due: a second */

/* The child says texts that end with NUL, each behind one of these. */
enum reading_kind { READING_ERROR = 'e', READING_WARNING = 'w', READING_CONFIG = 'c', READING_END = '.' };

struct config_reading {
	pid_t pid;
	volatile int32_t *group;   /* borrowed */
	int fd;                    /* owned; -1: all is heard, and the child is to be reaped */
	struct event event;
	struct loop_timer limit;   /* or the next look for the child's end */
	char *said;                /* owned */
	size_t length;
	int64_t timeout, began, used;       /* the processor's time at the last look */
	bool late;                 /* killed for the time it took */
	unsigned looks;            /* at its end that are left, once it was killed */
	config_reading_callback *callback;
	void *arg;                 /* borrowed */
};

static void
reading_say(FILE *out, enum reading_kind kind, const char *text)
{
	fputc((int)kind, out);
	fputs(text, out);
	fputc('\0', out);
}

static void
reading_say_all(FILE *out, const struct config *config, const struct config_errors *errors)
{
	char *text = config == NULL ? NULL : config_dump(config);

	for (size_t i = 0; i < errors->warning_count; i++)
		reading_say(out, READING_WARNING, errors->warnings[i]);
	for (size_t i = 0; i < errors->count; i++)
		reading_say(out, READING_ERROR, errors->errors[i]);
	if (text != NULL)
		reading_say(out, READING_CONFIG, text);
	reading_say(out, READING_END, "");
}

/* Of all that the parent has, the child keeps standard files and this one: a connection that the parent closes must
 * not stay open for it. */
static void
reading_close_others(int fd)
{
	if (fd > STDERR_FILENO + 1)
		syscall(SYS_close_range, (unsigned)STDERR_FILENO + 1, (unsigned)fd - 1, 0U);
	syscall(SYS_close_range, (unsigned)fd + 1, ~0U, 0U);
}

static void
reading_reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Ends in a way that runs no handler and reports no leak of what is the parent's. */
static void __attribute__((noreturn))
reading_be_child(const char *path, pid_t parent, int fd, volatile int32_t *group)
{
	struct config_errors errors = { 0 };
	struct config *config;
	FILE *out;

	reading_close_others(fd);
	reading_reset_signals();
	prctl(PR_SET_NAME, "hf-config");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* the group that is named may be the next worker's child's */
		_exit(0);
	if (setpgid(0, 0) == 0)
		*group = getpid();
	out = fdopen(fd, "w");
	if (out != NULL) {
		config = config_load(path, false, &errors);
		if (config != NULL)
			config_number_names(config);
		reading_say_all(out, config, &errors);
		fclose(out);
	}
	_exit(0);
}

/* What was said, whole, as errors and a configuration. */
static struct config *
reading_understand(struct config_reading *reading, struct config_errors *errors)
{
	const char *at = reading->said, *end = at + reading->length, *text = NULL;
	bool whole = false;
	size_t length;

	for (; at < end && !whole; at += length + 2) {
		length = strnlen(at + 1, (size_t)(end - at - 1));
		if (at + 1 + length >= end)
			break;
		if (*at == READING_ERROR)
			config_error(errors, "%s", at + 1);
		else if (*at == READING_WARNING)
			config_warning(errors, "%s", at + 1);
		else if (*at == READING_CONFIG)
			text = at + 1;
		whole = *at == READING_END;
	}
	if (!whole)
		config_error(errors, reading->late ? "the configuration could not be read within %d s: its files, or "
		    "those it names, or the names of users and groups are out of reach" : "the configuration could "
		    "not be read: the process that reads it has ended", (int)(reading->timeout / CLOCK_SECOND));
	return !whole || text == NULL ? NULL : config_parse_text(text, strlen(text), "the configuration", errors);
}

static void
reading_free(struct config_reading *reading)
{
	if (reading->fd != -1) {
		event_del(&reading->event);
		close(reading->fd);
	}
	loop_timer_stop(&reading->limit);
	*reading->group = 0;
	mem_free(reading->said);
	mem_free(reading);
}

static void
reading_end(struct config_reading *reading)
{
	config_reading_callback *callback = reading->callback;
	struct config_errors errors = { 0 };
	struct config *config = reading_understand(reading, &errors);
	void *arg = reading->arg;

	reading_free(reading);
	callback(arg, config, &errors);
}

/* All is heard, or nothing will be: the child's end is near, but whatever it hangs at may keep it. */
static void
reading_close(struct config_reading *reading)
{
	if (reading->pid > 0)
		kill(reading->pid, SIGKILL);
	event_del(&reading->event);
	close(reading->fd);
	reading->fd = -1;
	reading->looks = READING_LOOKS;
	loop_timer_soon(&reading->limit);
}

static void
reading_look_again(struct config_reading *reading)
{
	loop_timer_at(&reading->limit, clock_now() + reading->timeout / 4);
}

/* As base/child has it of patient jobs: one that a quota starves has longer. */
static bool
reading_is_overdue(struct config_reading *reading)
{
	int64_t taken = clock_now() - reading->began, before = reading->used;

	reading->used = clock_used_by(reading->pid);
	return child_is_late(taken, before, reading->used, reading->timeout);
}

static void
reading_on_limit(void *arg)
{
	struct config_reading *reading = arg;

	if (reading->fd != -1 && !reading_is_overdue(reading)) {
		reading_look_again(reading);
	} else if (reading->fd != -1) {
		reading->late = true;
		if (reading->pid > 0)
			kill(-reading->pid, SIGKILL);
		reading_close(reading);
	} else if (reading->pid <= 0 || waitpid(reading->pid, NULL, WNOHANG) != 0 || reading->looks == 0) {
		reading_end(reading); /* who cannot end now is reaped at last by the keeper */
	} else {
		reading->looks--;
		loop_timer_at(&reading->limit, clock_now() + READING_REAP);
	}
}

static void
reading_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct config_reading *reading = arg;
	ssize_t n = 0;

	(void)what;
	if (reading->length < READING_MAX) {
		reading->said = mem_resize(reading->said, reading->length + READING_CHUNK, 1);
		n = read(fd, reading->said + reading->length, READING_CHUNK);
	}
	if (n > 0)
		reading->length += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		reading_close(reading);
}

struct config_reading *
config_reading_start(struct event_base *loop, const char *path, int64_t timeout,
    volatile int32_t *ret_group, config_reading_callback *callback, void *arg)
{
	struct config_reading *reading = mem_new(1, sizeof *reading);
	pid_t parent = getpid();
	int out;

	reading->group = ret_group;
	reading->callback = callback;
	reading->arg = arg;
	reading->fd = -1;
	loop_timer_init(&reading->limit, loop, reading_on_limit, reading);
	reading->pid = child_pipe(&reading->fd, &out) < 0 ? -1 : fork();
	if (reading->pid == 0)
		reading_be_child(path, parent, out, ret_group);
	if (reading->pid > 0 && setpgid(reading->pid, reading->pid) == 0)
		*ret_group = reading->pid;
	if (reading->fd != -1) {
		close(out);
		event_assign(&reading->event, loop, reading->fd, EV_READ | EV_PERSIST, reading_on_readable, reading);
		event_add(&reading->event, NULL);
	}
	reading->timeout = timeout;
	reading->began = clock_now();
	reading_look_again(reading);
	if (reading->fd == -1) /* no file is left, which is told by the loop */
		loop_timer_soon(&reading->limit);
	return reading;
}

void
config_reading_cancel(struct config_reading *reading)
{
	if (reading == NULL)
		return;
	if (reading->pid > 0) {
		kill(reading->pid, SIGKILL);
		waitpid(reading->pid, NULL, WNOHANG);
	}
	reading_free(reading);
}

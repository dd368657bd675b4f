#include "base/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ending.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/spawn.h"

#define CHILD_ERRORS_MAX    4096
#define CHILD_CHUNK         4096
#define CHILD_TERM_TIMEOUT  (200 * CLOCK_MILLISECOND) /* from SIGTERM to SIGKILL */
#define CHILD_KILL_TIMEOUT  (1 * CLOCK_SECOND)        /* from SIGKILL until we wait no longer */
#define CHILD_CANCEL_WAIT   50                        /* milliseconds; a killed process is gone in one */

enum child_state {
	CHILD_FAILED,      /* could not be started; the timer reports it */
	CHILD_RUNNING,
	CHILD_TERMINATING, /* SIGTERM was sent */
	CHILD_KILLED,      /* SIGKILL was sent */
};

/* One file that the loop watches. */
struct child_file {
	int fd;
	struct event event;
};

struct child {
	struct event_base *loop;      /* borrowed */
	child_callback *callback;
	void *arg;                    /* borrowed */
	volatile pid_t *ret_group;    /* borrowed; may be NULL */
	char *program;                /* owned */
	enum child_state state;
	pid_t pid;
	int *exec_error;              /* a page shared with the child, so that valgrind's vfork, a fork, works too */
	struct child_file end;        /* the pidfd */
	struct child_file out, err;
	struct loop_timer timer;
	int64_t timeout, began;
	bool patient;
	int64_t used;                 /* of the processor, at the last look; patient ones alone */
	char *output;                 /* owned; room for output_max and a NUL */
	size_t output_length, output_room, output_max;
	char errors[CHILD_ERRORS_MAX + CHILD_CHUNK + 1];
	size_t errors_length;
	char error[ENDING_TEXT_SIZE]; /* the cause so far, "" if none */
	bool timed_out;
	int status;
};

/* A killed process that is not dead yet (it hangs in the kernel): reaped whenever it is. */
struct child_remains {
	pid_t pid;
	struct child_file end;
};

/* Both signals: what left its group is still our child. */
static void
child_kill(struct child *child, int number)
{
	if (child->pid > 0) {
		kill(-child->pid, number);
		kill(child->pid, number);
	}
}

/* Runs it; 0 or -errno, with *ret_what naming the step that failed. */
static int
child_launch(struct child *child, const struct child_job *job, struct spawn_plan *plan, const char **ret_what)
{
	int result;

	*ret_what = "pipe";
	if (job->output_max > 0 && (result = spawn_pipe(&child->out.fd, &plan->out)) != 0)
		return result;
	if ((result = spawn_pipe(&child->err.fd, &plan->err)) != 0)
		return result;
	*ret_what = "mmap";
	plan->exec_error = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (plan->exec_error == MAP_FAILED)
		return -errno;
	child->exec_error = plan->exec_error;
	plan->group = child->ret_group;
	*ret_what = "vfork";
	child->pid = spawn_process(plan);
	if (child->pid == -1)
		return -errno;
	if (child->ret_group != NULL)
		*child->ret_group = child->pid;
	*ret_what = "pidfd_open";
	child->end.fd = (int)syscall(SYS_pidfd_open, child->pid, 0U);
	if (child->end.fd == -1 && errno != ENOSYS) {
		result = -errno;
		child_kill(child, SIGKILL);
		waitpid(child->pid, NULL, 0);
		return result;
	}
	return 0;
}

static void child_on_end(evutil_socket_t fd, short what, void *arg);
static void child_on_output(evutil_socket_t fd, short what, void *arg);
static void child_on_errors(evutil_socket_t fd, short what, void *arg);
static void child_on_timer(evutil_socket_t fd, short what, void *arg);

static void
child_watch(struct child *child, struct child_file *file, event_callback_fn callback)
{
	if (file->fd == -1)
		return;
	event_assign(&file->event, child->loop, file->fd, EV_READ | EV_PERSIST, callback, child);
	event_add(&file->event, NULL);
}

/* valgrind before 3.21 knows no pidfd; then we look every 10 ms. */
static void
child_watch_end(struct child *child)
{
	static const struct timeval often = { 0, 10000 };

	child_watch(child, &child->end, child_on_end);
	if (child->end.fd != -1)
		return;
	event_assign(&child->end.event, child->loop, -1, EV_PERSIST, child_on_end, child);
	event_add(&child->end.event, &often);
}

/* Waits at most so many milliseconds for its death; whether it is dead, and then reaped. */
static bool
child_reap(struct child *child, int milliseconds)
{
	struct pollfd end = { .fd = child->end.fd, .events = POLLIN };

	if (child->end.fd != -1 && poll(&end, 1, milliseconds) != 1)
		return false;
	return waitpid(child->pid, NULL, child->end.fd != -1 ? WNOHANG : 0) == child->pid;
}

static void
child_look_again(struct child *child)
{
	loop_timer_at(&child->timer, clock_after(clock_now(), child->patient ? child->timeout / 4 : child->timeout));
}

bool
child_is_late(int64_t taken, int64_t before, int64_t used, int64_t timeout)
{
	if (taken < timeout)
		return false;
	return used == before || used >= timeout || taken >= CHILD_PATIENCE * timeout;
}

/* Whether its time is over, now that the timer says so. */
static bool
child_is_overdue(struct child *child)
{
	int64_t before = child->used;

	if (!child->patient)
		return true;
	child->used = clock_used_by(child->pid);
	return child_is_late(clock_now() - child->began, before, child->used, child->timeout);
}

static void
child_begin(struct child *child, const struct child_job *job)
{
	struct spawn_plan plan = { .program = job->program, .arguments = job->arguments,
		.environment = job->environment, .out = -1, .err = -1, .parent = getpid() };
	const char *what;
	int result;

	result = child_launch(child, job, &plan, &what);
	if (plan.out != -1)
		close(plan.out);
	if (plan.err != -1)
		close(plan.err);
	if (result != 0) {
		snprintf(child->error, sizeof child->error, "%s: %s", what, strerror(-result));
		child->pid = 0;
		child->state = CHILD_FAILED;
		if (child->ret_group != NULL)
			*child->ret_group = 0;
		loop_timer_soon(&child->timer);
		return;
	}
	child->state = CHILD_RUNNING;
	child_watch_end(child);
	child_watch(child, &child->out, child_on_output);
	child_watch(child, &child->err, child_on_errors);
	child->began = clock_now();
	child_look_again(child);
}

struct child *
child_start(struct event_base *loop, const struct child_job *job, volatile pid_t *ret_group,
    child_callback *callback, void *arg)
{
	struct child *child = mem_new(1, sizeof *child);

	child->loop = loop;
	child->callback = callback;
	child->arg = arg;
	child->ret_group = ret_group;
	child->program = mem_copy_text(job->program);
	child->timeout = job->timeout;
	child->patient = job->patient;
	child->output_max = job->output_max;
	child->end.fd = child->out.fd = child->err.fd = -1;
	child->status = -1;
	loop_timer_init(&child->timer, loop, child_on_timer, child);
	child_begin(child, job);
	return child;
}

static void
child_close(struct child_file *file)
{
	loop_event_stop(&file->event);
	if (file->fd != -1)
		close(file->fd);
	file->fd = -1;
}

static void
child_free(struct child *child)
{
	if (child->ret_group != NULL)
		*child->ret_group = 0;
	loop_timer_stop(&child->timer);
	child_close(&child->end);
	child_close(&child->out);
	child_close(&child->err);
	if (child->exec_error != NULL)
		munmap(child->exec_error, sizeof(int));
	mem_free(child->output);
	mem_free(child->program);
	mem_free(child);
}

static void
child_on_remains(evutil_socket_t fd, short what, void *arg)
{
	struct child_remains *remains = arg;

	(void)fd;
	(void)what;
	waitpid(remains->pid, NULL, WNOHANG);
	child_close(&remains->end);
	mem_free(remains);
}

/* The process will not die just now; the loop reaps it when it does. */
static void
child_leave_remains(struct child *child)
{
	struct child_remains *remains = mem_new(1, sizeof *remains);

	remains->pid = child->pid;
	remains->end.fd = child->end.fd;
	loop_event_stop(&child->end.event);
	child->end.fd = -1;
	event_assign(&remains->end.event, child->loop, remains->end.fd, EV_READ, child_on_remains, remains);
	event_add(&remains->end.event, NULL);
}

/* The process is gone or given up: tells how it was. */
static void
child_finish(struct child *child)
{
	child_callback *callback = child->callback;
	char *output = child->output, *errors, *error, line[ENDING_LINE_SIZE];
	struct child_result result;
	void *arg = child->arg;

	errors = mem_copy_bytes(child->errors, child->errors_length);
	error = child->error[0] != '\0' ? mem_copy_text(child->error) : NULL;
	ending_last_line(errors, child->errors_length, line);
	result = (struct child_result){ .error = error, .output = output != NULL ? output : "",
		.output_length = child->output_length, .last_line = line, .errors = errors,
		.timed_out = child->timed_out, .status = child->status };
	child->output = NULL;
	child_free(child);
	callback(arg, &result);
	mem_free(output);
	mem_free(errors);
	mem_free(error);
}

static void
child_kill_now(struct child *child)
{
	child_kill(child, SIGKILL);
	child->state = CHILD_KILLED;
	loop_timer_at(&child->timer, clock_after(clock_now(), CHILD_KILL_TIMEOUT));
}

void
child_cancel(struct child *child)
{
	if (child == NULL)
		return;
	if (child->state != CHILD_FAILED) {
		child_kill(child, SIGKILL);
		if (!child_reap(child, CHILD_CANCEL_WAIT))
			child_leave_remains(child);
	}
	child_free(child);
}

/* Takes in bytes of standard output; what is beyond the limit ends it. */
static void
child_add_output(struct child *child, const char *bytes, size_t length)
{
	size_t room = child->output_max - child->output_length;

	if (length > room && child->error[0] == '\0')
		snprintf(child->error, sizeof child->error, "more than %zu bytes of output", child->output_max);
	if (length > room)
		length = room;
	if (child->output_length + length + 1 > child->output_room) {
		child->output_room = 2 * (child->output_length + length + 1);
		child->output = mem_resize(child->output, child->output_room, 1);
	}
	memcpy(child->output + child->output_length, bytes, length);
	child->output_length += length;
	child->output[child->output_length] = '\0';
}

/* Takes in bytes of standard error, at most CHILD_CHUNK; the last 4 KiB are kept. */
static void
child_add_errors(struct child *child, const char *bytes, size_t length)
{
	size_t excess;

	memcpy(child->errors + child->errors_length, bytes, length);
	child->errors_length += length;
	if (child->errors_length > CHILD_ERRORS_MAX) {
		excess = child->errors_length - CHILD_ERRORS_MAX;
		memmove(child->errors, child->errors + excess, CHILD_ERRORS_MAX);
		child->errors_length = CHILD_ERRORS_MAX;
	}
}

/* One read: how much came, 0 if nothing is there now or ever again (then the file is closed). */
static size_t
child_read(struct child *child, struct child_file *file)
{
	char chunk[CHILD_CHUNK];
	ssize_t n;

	if (file->fd == -1)
		return 0;
	n = read(file->fd, chunk, sizeof chunk);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		child_close(file);
		return 0;
	}
	if (file == &child->out)
		child_add_output(child, chunk, (size_t)n);
	else
		child_add_errors(child, chunk, (size_t)n);
	return (size_t)n;
}

/* Reads what is there at this moment and no more: a grandchild may write for ever. */
static void
child_drain(struct child *child, struct child_file *file)
{
	int waiting = 0;
	size_t n = 0, got;

	if (file->fd == -1 || ioctl(file->fd, FIONREAD, &waiting) == -1)
		return;
	while (n < (size_t)waiting && (got = child_read(child, file)) > 0)
		n += got;
}

static void
child_on_output(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;

	(void)fd;
	(void)what;
	child_read(child, &child->out);
	if (child->error[0] != '\0' && child->state == CHILD_RUNNING) {
		child_close(&child->out);
		child_kill_now(child);
	}
}

static void
child_on_errors(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;

	(void)fd;
	(void)what;
	child_read(child, &child->err);
}

/* The main process has ended.  Its group is killed before it is reaped, for until then the number is its own. */
static void
child_on_end(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;
	siginfo_t info = { 0 };

	(void)fd;
	(void)what;
	if (child->end.fd == -1 && waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid == 0)
		return;
	child_drain(child, &child->out);
	child_drain(child, &child->err);
	child_kill(child, SIGKILL);
	if (waitpid(child->pid, &child->status, WNOHANG) != child->pid)
		child->status = -1;
	if (WIFEXITED(child->status) && WEXITSTATUS(child->status) == SPAWN_FAILED && *child->exec_error != 0)
		child->status = -1;
	if (child->error[0] == '\0')
		ending_describe(child->status, *child->exec_error, child->program, child->error);
	child_finish(child);
}

static void
child_time_out(struct child *child)
{
	int64_t taken = child->patient ? clock_now() - child->began : child->timeout;

	child->timed_out = true;
	snprintf(child->error, sizeof child->error, "time-out after %.1f s", (double)taken / (double)CLOCK_SECOND);
	child_kill(child, SIGTERM);
	child->state = CHILD_TERMINATING;
	loop_timer_at(&child->timer, clock_after(clock_now(), CHILD_TERM_TIMEOUT));
}

static void
child_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;

	(void)fd;
	(void)what;
	switch (child->state) {
	case CHILD_RUNNING:
		if (child_is_overdue(child))
			child_time_out(child);
		else
			child_look_again(child);
		break;
	case CHILD_TERMINATING:
		child_kill_now(child);
		break;
	case CHILD_KILLED:
		if (!child_reap(child, 0))
			child_leave_remains(child);
		child_finish(child);
		break;
	case CHILD_FAILED:
		child_finish(child);
		break;
	}
}

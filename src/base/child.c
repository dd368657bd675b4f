#include "base/child.h"

#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/program.h"

#define CHILD_PATH          "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define CHILD_TEXT_SIZE     256
#define CHILD_LINE_SIZE     201
#define CHILD_NOT_EXECUTED  127 /* exit status */
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
	struct evbuffer *said;        /* owned; of the pidfd NULL */
};

struct child {
	struct event_base *loop;      /* borrowed */
	child_callback *callback;
	child_said *said;
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
	size_t output_max;
	char error[CHILD_TEXT_SIZE];  /* the cause so far, "" if none */
	bool timed_out;
	int status;
};

/* What a new process needs; all borrowed. */
struct child_plan {
	const struct child_job *job;
	const char *place; /* what is executed */
	int out, err;      /* write ends; out may be -1: /dev/null */
	pid_t parent;      /* getpid() of the caller */
	volatile pid_t *group; /* gets the process group as soon as there is one; NULL: nobody wants it */
	int *exec_error;   /* in memory that is shared with the process: gets the errno if it cannot execute */
};

void
child_add_variable(char ***environment, const char *setting)
{
	size_t length = strcspn(setting, "=") + 1;

	for (size_t i = 0; *environment != NULL && (*environment)[i] != NULL; i++) {
		if (strncmp((*environment)[i], setting, length) == 0) {
			mem_free((*environment)[i]);
			(*environment)[i] = mem_copy_text(setting);
			return;
		}
	}
	mem_list_add(environment, setting);
}

static void
child_set_variable(char ***environment, const char *name, const char *value)
{
	char *setting = mem_print("%s=%s", name, value);

	child_add_variable(environment, setting);
	mem_free(setting);
}

char **
child_environment(const char *const *values)
{
	const char *path = getenv("PATH"), *credentials = getenv("CREDENTIALS_DIRECTORY");
	char **environment = NULL;

	child_set_variable(&environment, "PATH", path != NULL ? path : CHILD_PATH);
	child_set_variable(&environment, "LANG", "C.UTF-8");
	if (credentials != NULL)
		child_set_variable(&environment, "CREDENTIALS_DIRECTORY", credentials);
	for (; values != NULL && values[0] != NULL; values += 2)
		child_set_variable(&environment, values[0], values[1]);
	return environment;
}

static void
child_reset_signals(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		sigaction(number, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Our own 0 to 2 may be closed, so that any of the pipes may have one of these numbers: move them up first. */
static int
child_place_files(const struct child_plan *plan)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int files[3] = { null, plan->out == -1 ? null : plan->out, plan->err };

	if (null == -1)
		return -1;
	for (int i = 0; i < 3; i++)
		if ((files[i] = fcntl(files[i], F_DUPFD_CLOEXEC, 3)) == -1)
			return -1;
	for (int i = 0; i < 3; i++)
		if (dup2(files[i], i) == -1)
			return -1;
	/* Everything is close-on-exec anyway; this is for what a library may have forgotten. */
	syscall(SYS_close_range, 3U, ~0U, 0U);
	return 0;
}

/* Ends in a way that runs no handler and lets valgrind look for no leak of what is the parent's, which takes long. */
static void __attribute__((noreturn))
child_run(const struct child_job *job)
{
	prctl(PR_SET_NAME, job->program);
	job->run(job->run_arg);
	kill(getpid(), SIGKILL);
	_exit(0);
}

static void __attribute__((noreturn))
child_become(const struct child_plan *plan, char *const *argv)
{
	/* A caller that has died by now is not told: what it named may be the next one's child. */
	bool lives = setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == plan->parent;

	if (lives && plan->group != NULL)
		*plan->group = getpid(); /* before there is anything that the caller's death could leave behind */
	if (lives && child_place_files(plan) == 0 && (plan->job->run != NULL || chdir("/") == 0)) {
		child_reset_signals();
		if (plan->job->run != NULL)
			child_run(plan->job);
		execve(plan->place, argv, plan->job->environment);
	}
	*plan->exec_error = errno;
	_exit(CHILD_NOT_EXECUTED);
}

/* The read end does not block.  0 or -errno. */
static int
child_pipe(int *ret_read, int *ret_write)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1)
		return -errno;
	fcntl(ends[0], F_SETFL, O_RDONLY | O_NONBLOCK);
	*ret_read = ends[0];
	*ret_write = ends[1];
	return 0;
}

/* Gives the process: leader of its own group, in the directory "/", standard input empty, no other files, all signals
 * as by default, killed when the caller dies.  Or -1 and errno.  A failure after vfork is seen in its exit status
 * CHILD_NOT_EXECUTED and in *exec_error.
 *
 * By hand, because posix_spawn can set neither the parent-death signal nor the directory everywhere, and because fork
 * would copy the page tables of everything that is mapped. */
static pid_t
child_spawn(const struct child_plan *plan)
{
	const struct child_job *job = plan->job;
	size_t count = mem_list_length(job->arguments);
	char **argv = mem_new(count + 2, sizeof *argv);
	sigset_t all, old;
	pid_t pid;

	argv[0] = (char *)(uintptr_t)job->program;
	for (size_t i = 0; i < count; i++)
		argv[i + 1] = job->arguments[i];

	/* No handler of ours may run in the child while it shares our memory. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = job->run != NULL ? fork() : vfork();
	if (pid == 0)
		child_become(plan, argv);
	/* Under valgrind vfork is fork, and the child may not have come so far. */
	if (pid > 0)
		setpgid(pid, pid);
	sigprocmask(SIG_SETMASK, &old, NULL);
	mem_free(argv);
	return pid;
}

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
child_launch(struct child *child, const struct child_job *job, struct child_plan *plan, const char **ret_what)
{
	int result;

	*ret_what = "pipe";
	if (job->output_max > 0 && (result = child_pipe(&child->out.fd, &plan->out)) != 0)
		return result;
	if ((result = child_pipe(&child->err.fd, &plan->err)) != 0)
		return result;
	*ret_what = "mmap";
	plan->exec_error = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (plan->exec_error == MAP_FAILED)
		return -errno;
	child->exec_error = plan->exec_error;
	plan->group = child->ret_group;
	*ret_what = "vfork";
	child->pid = child_spawn(plan);
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
static void child_on_said(evutil_socket_t fd, short what, void *arg);
static void child_on_timer(void *arg);

static void
child_watch(struct child *child, struct child_file *file, event_callback_fn callback)
{
	if (file->fd == -1)
		return;
	event_assign(&file->event, child->loop, file->fd, EV_READ | EV_PERSIST, callback, child);
	loop_event_add(&file->event);
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
	if (child->timeout > 0)
		loop_timer_at(&child->timer, clock_after(clock_now(), child->patient ? child->timeout / 4 :
		    child->timeout));
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

/* Whether the program may be run; where it is then.  Else child->error says why not. */
static bool
child_find(struct child *child, const struct child_job *job, char ret_place[PATH_MAX])
{
	char *fault = program_find(job->program, geteuid(), ret_place);

	if (fault != NULL)
		snprintf(child->error, sizeof child->error, "%s", fault);
	mem_free(fault);
	return fault == NULL;
}

static void
child_begin(struct child *child, const struct child_job *job)
{
	struct child_plan plan = { .job = job, .place = job->program, .out = -1, .err = -1, .parent = getpid() };
	char place[PATH_MAX];
	const char *what = "program";
	int result = -EPERM;

	if (job->guarded)
		plan.place = place;
	if (!job->guarded || child_find(child, job, place))
		result = child_launch(child, job, &plan, &what);
	if (plan.out != -1)
		close(plan.out);
	if (plan.err != -1)
		close(plan.err);
	if (result != 0) {
		if (child->error[0] == '\0')
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
	child_watch(child, &child->out, child_on_said);
	child_watch(child, &child->err, child_on_said);
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
	child->said = job->said;
	child->arg = arg;
	child->ret_group = ret_group;
	child->program = mem_copy_text(job->program);
	child->timeout = job->timeout;
	child->patient = job->patient;
	child->output_max = job->output_max;
	child->end.fd = child->out.fd = child->err.fd = -1;
	child->out.said = evbuffer_new();
	child->err.said = evbuffer_new();
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

/* Frees it but for the memory of what it said. */
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
	mem_free(child->program);
	mem_free(child);
}

static void
child_on_late_end(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	waitpid((pid_t)(intptr_t)arg, NULL, WNOHANG);
	close(fd);
}

/* The process will not die just now (it hangs in the kernel); the loop reaps it when it does. */
static void
child_leave_unreaped(struct child *child)
{
	loop_event_stop(&child->end.event);
	if (child->end.fd != -1)
		event_base_once(child->loop, child->end.fd, EV_READ, child_on_late_end, (void *)(intptr_t)child->pid,
		    NULL);
	child->end.fd = -1;
}

/* Why execve did not come about, in words that say what to mend. */
static const char *
child_describe_exec(int error, const char *program)
{
	struct stat st;
	bool exists = stat(program, &st) == 0;

	if (error == EACCES && exists)
		return S_ISDIR(st.st_mode) ? "is a directory" : "not executable: Permission denied";
	if (error == ENOENT && exists)
		return "its interpreter (the #! line): No such file or directory";
	return strerror(error);
}

/* The cause: "exit 1", "killed by SIGSEGV", "not executable"; "" for exit 0.  status is waitpid's, or -1 if the
 * program never ran; exec_error is then execve's errno, or 0 when nothing is known. */
static void
child_describe(int status, int exec_error, const char *program, char ret_text[CHILD_TEXT_SIZE])
{
	const char *name;

	ret_text[0] = '\0';
	if (status == -1 && exec_error == 0) {
		snprintf(ret_text, CHILD_TEXT_SIZE, "its end was lost");
	} else if (status == -1) {
		snprintf(ret_text, CHILD_TEXT_SIZE, "%s", child_describe_exec(exec_error, program));
	} else if (WIFSIGNALED(status)) {
		name = sigabbrev_np(WTERMSIG(status));
		snprintf(ret_text, CHILD_TEXT_SIZE, "killed by SIG%s", name != NULL ? name : "?");
	} else if (WEXITSTATUS(status) != 0) {
		snprintf(ret_text, CHILD_TEXT_SIZE, "exit %d", WEXITSTATUS(status));
	}
}

/* The last line of text that is not blank; what is not printable ASCII is escaped as \xNN. */
static void
child_last_line(const char *text, size_t length, char ret_line[CHILD_LINE_SIZE])
{
	size_t begin;

	while (length > 0 && memchr(" \t\r\n", text[length - 1], 4) != NULL)
		length--;
	for (begin = length; begin > 0 && text[begin - 1] != '\n'; begin--)
		continue;
	escape(text + begin, length - begin, ESCAPE_ASCII, ret_line, CHILD_LINE_SIZE);
}

/* The process is gone or given up: tells how it was. */
static void
child_finish(struct child *child)
{
	struct child ended = *child;
	size_t length = evbuffer_get_length(ended.out.said), errors_length = evbuffer_get_length(ended.err.said);
	struct child_result result = { .error = ended.error[0] != '\0' ? ended.error : NULL,
		.timed_out = ended.timed_out, .status = ended.status };
	char line[CHILD_LINE_SIZE], *output;

	child_free(child);
	evbuffer_add(ended.out.said, "", 1);
	evbuffer_add(ended.err.said, "", 1);
	output = (char *)evbuffer_pullup(ended.out.said, -1);
	result.output = output;
	result.output_length = length < ended.output_max ? length : ended.output_max;
	output[result.output_length] = '\0';
	result.errors = (const char *)evbuffer_pullup(ended.err.said, -1);
	result.last_line = line;
	child_last_line(result.errors, errors_length, line);
	ended.callback(ended.arg, &result);
	evbuffer_free(ended.out.said);
	evbuffer_free(ended.err.said);
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
			child_leave_unreaped(child);
	}
	evbuffer_free(child->out.said);
	evbuffer_free(child->err.said);
	child_free(child);
}

/* Of who stays no more is kept than who listens has taken. */
static void
child_pass_on(struct child *child)
{
	size_t length = evbuffer_get_length(child->out.said);
	const char *bytes = (const char *)evbuffer_pullup(child->out.said, -1);

	if (!child->said(child->arg, bytes, length) && child->error[0] == '\0')
		snprintf(child->error, sizeof child->error, "more than %zu bytes of output", child->output_max);
	evbuffer_drain(child->out.said, length);
}

/* One read: how much came, 0 if nothing is there now or ever again (then the file is closed).  Of standard error the
 * last 4 KiB are kept; of output, what is beyond the limit ends it. */
static size_t
child_read(struct child *child, struct child_file *file)
{
	size_t max = file == &child->out ? child->output_max : CHILD_ERRORS_MAX;
	size_t length = evbuffer_get_length(file->said);
	int n;

	if (file->fd == -1)
		return 0;
	n = evbuffer_read(file->said, file->fd, file == &child->out && max - length < CHILD_CHUNK
	    ? (int)(max - length) + 1 : CHILD_CHUNK);
	if (n == -1 && loop_is_busy(errno))
		return 0;
	length = evbuffer_get_length(file->said);
	if (length > max && file == &child->err)
		evbuffer_drain(file->said, length - max);
	else if (length > max && child->error[0] == '\0')
		snprintf(child->error, sizeof child->error, "more than %zu bytes of output", max);
	if (n <= 0 || (length > max && file == &child->out))
		child_close(file);
	else if (file == &child->out && child->said != NULL)
		child_pass_on(child);
	return n > 0 ? (size_t)n : 0;
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
child_on_said(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;

	(void)what;
	child_read(child, fd == child->out.fd ? &child->out : &child->err);
	if (child->error[0] != '\0' && child->state == CHILD_RUNNING)
		child_kill_now(child);
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
	if (WIFEXITED(child->status) && WEXITSTATUS(child->status) == CHILD_NOT_EXECUTED && *child->exec_error != 0)
		child->status = -1;
	if (child->error[0] == '\0')
		child_describe(child->status, *child->exec_error, child->program, child->error);
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
child_on_timer(void *arg)
{
	struct child *child = arg;

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
			child_leave_unreaped(child);
		child_finish(child);
		break;
	case CHILD_FAILED:
		child_finish(child);
		break;
	}
}

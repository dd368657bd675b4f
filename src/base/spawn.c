#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

static void
spawn_reset_signals(void)
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
spawn_place_files(const struct spawn_plan *plan)
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

static void __attribute__((noreturn))
spawn_become(const struct spawn_plan *plan, char *const *argv)
{
	bool leads = setpgid(0, 0) == 0;

	if (leads && plan->group != NULL)
		*plan->group = getpid(); /* before there is anything that the caller's death could leave behind */
	if (leads && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == plan->parent &&
	    spawn_place_files(plan) == 0 && chdir("/") == 0) {
		spawn_reset_signals();
		execve(plan->program, argv, plan->environment);
	}
	*plan->exec_error = errno;
	_exit(SPAWN_FAILED);
}

int
spawn_pipe(int *ret_read, int *ret_write)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1)
		return -errno;
	fcntl(ends[0], F_SETFL, O_RDONLY | O_NONBLOCK);
	*ret_read = ends[0];
	*ret_write = ends[1];
	return 0;
}

pid_t
spawn_process(const struct spawn_plan *plan)
{
	size_t count = mem_list_length(plan->arguments);
	char **argv = mem_new(count + 2, sizeof *argv);
	sigset_t all, old;
	pid_t pid;

	argv[0] = (char *)(uintptr_t)plan->program;
	for (size_t i = 0; i < count; i++)
		argv[i + 1] = plan->arguments[i];

	/* No handler of ours may run in the child while it shares our memory. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = vfork();
	if (pid == 0)
		spawn_become(plan, argv);
	/* Under valgrind vfork is fork, and the child may not have come so far. */
	if (pid > 0)
		setpgid(pid, pid);
	sigprocmask(SIG_SETMASK, &old, NULL);
	mem_free(argv);
	return pid;
}

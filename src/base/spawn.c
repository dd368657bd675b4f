#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

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
spawn_become(const struct spawn_plan *plan)
{
	if (setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == plan->parent &&
	    spawn_place_files(plan) == 0 && chdir("/") == 0) {
		spawn_reset_signals();
		execve(plan->program, plan->argv, plan->environment);
	}
	*plan->exec_error = errno;
	_exit(SPAWN_FAILED);
}

pid_t
spawn_process(const struct spawn_plan *plan)
{
	sigset_t all, old;
	pid_t pid;

	/* No handler of ours may run in the child while it shares our memory. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = vfork();
	if (pid == 0)
		spawn_become(plan);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

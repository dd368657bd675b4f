#include "keep/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "keep/clone.h"
#include "keep/deaths.h"
#include "keep/fdstore.h"
#include "keep/notify.h"
#include "keep/recover.h"
#include "keep/upgrade.h"
#include "keep/watchdog.h"

#define KEEPER_TICK        (250 * CLOCK_MILLISECOND)
#define KEEPER_AGAIN       (50 * CLOCK_MILLISECOND)
#define KEEPER_ECHO        CLOCK_SECOND /* one TERM for both processes arrives twice within this */
#define KEEPER_BACK        3            /* deaths before any worker was ready: an upgrade is taken back */
#define KEEPER_HOPELESS    4            /* young deaths in a row after which no worker can end the daemon in order */

#define KEEPER_TRIAL  30   /* seconds that the recovery may take in a child of the keeper's */
#define KEEPER_STATUS 4096 /* bytes of /proc/PID/status */
#define KEEPER_SCORE  200  /* a worker's oom_score_adj is so much higher */
#define KEEPER_SCORE_MOST 1000

/* Signals that mean something to the daemon; up to a 0. */
static const int keeper_forwarded[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, 0 };

struct keeper {
	struct table *table; /* borrowed */
	keeper_worker *worker;
	sigset_t signals;
	pid_t pid;           /* of the worker; 0 none */
	pid_t ended;         /* of the one that the keeper has ended itself; 0 none */
	int64_t born;        /* of the worker */
	struct watchdog watchdog;
	int64_t heard_at;    /* when its heartbeat was last seen to change */
	bool hung;           /* killed for lack of one */
	struct deaths deaths;
	unsigned unready;    /* deaths of its own making before any worker of an upgrade's program was ready */
	bool was_ready;      /* header.was_ready, in memory that no worker writes to */
	int64_t start_at;    /* of the next worker, when there is none */
	int64_t tick_at;     /* when to look at the heartbeat next */
	int64_t stopped_at;  /* when the first TERM came; 0 none */
	bool stopped_by_worker; /* it was handed on by the worker (K4) */
	int64_t killed_at;   /* when a second TERM came; 0 none */
	bool handed_over;    /* systemd has everything */
};

static void
keeper_activate(struct table *table, struct passed_fds *passed_fds)
{
	struct table_header *header = table->header;

	for (size_t i = 0; i < passed_fds->count && header->activated_count < TABLE_ACTIVATED; i++) {
		struct table_activated *activated = &header->activated[header->activated_count];

		if (passed_fds->files[i].fd == -1)
			continue;
		activated->fd = table_note_file(table, passed_fds->files[i].fd);
		snprintf(activated->name, sizeof activated->name, "%s", passed_fds->files[i].name);
		passed_fds->files[i].fd = -1;
		header->activated_count++;
	}
	passed_fds_clear(passed_fds);
}

int
keeper_prepare(struct table *table, struct passed_fds *passed_fds)
{
	volatile int32_t *request = &table->header->file[TABLE_FILE_REQUEST];
	int fd = *request != -1 ? *request : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd == -1)
		return -errno;
	*request = table->file[TABLE_FILE_REQUEST] = table_note_file(table, fd);
	keeper_activate(table, passed_fds);
	fd = notify_open(table);
	table->file[TABLE_FILE_NOTIFY] = table->header->file[TABLE_FILE_NOTIFY];
	return fd;
}

/* In the clone: becomes a worker (K3). */
static void
keeper_be_worker(struct keeper *keeper)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != keeper->table->header->keeper_pid)
		_exit(1);
	keeper->table->header->worker_pid = getpid(); /* it may be asked for before the keeper has noted it */
	prctl(PR_SET_NAME, "holdfastd");
	keeper_worker_signals(keeper->table);
	_exit(keeper->worker(keeper->table));
}

/* What the keeper knows by itself, and would end the daemon, or all workers, if it were damaged. */
static void
keeper_restore(struct keeper *keeper)
{
	struct table_header *header = keeper->table->header;

	header->shape = keeper->table->shape;
	for (int i = 0; i < TABLE_FILES; i++)
		if (keeper->table->file[i] != TABLE_FILE_UNKNOWN)
			header->file[i] = keeper->table->file[i];
	header->keeper_pid = getpid();
	header->stopping = keeper->stopped_at != 0;
	keeper->was_ready = keeper->was_ready || header->was_ready;
	header->was_ready = keeper->was_ready;
}

static void
keeper_start_worker(struct keeper *keeper)
{
	struct table_header *header = keeper->table->header;
	pid_t pid;

	keeper_restore(keeper);
	header->ready = 0;
	header->handling = 0;
	header->outside = 0;
	watchdog_begin(&keeper->watchdog, header->heartbeat);
	keeper->hung = false;
	keeper->born = keeper->heard_at = clock_now();
	pid = clone_with_files();
	if (pid == 0)
		keeper_be_worker(keeper);
	if (pid == -1) {
		keeper->start_at = clock_after(keeper->born, KEEPER_AGAIN); /* too many processes, just now */
		return;
	}
	keeper->pid = pid;
	header->worker_pid = pid;
}

/* Its next worker logs it too, but systemctl status says it also where none comes so far. */
static void
keeper_tell_hung(struct keeper *keeper, const struct table_death *death)
{
	char text[TABLE_STATUS_SIZE];

	snprintf(text, sizeof text, "worker %d did not respond for %.1f s and was killed; a new worker takes over",
	    (int)death->pid, (double)death->silent / (double)CLOCK_SECOND);
	table_status_set(keeper->table, text);
}

/* A program that hangs from its first worker on is as bad as one whose workers die again and again. */
static unsigned
keeper_count_unready(const struct keeper *keeper)
{
	if (keeper->table->header->file[TABLE_FILE_FORMER] == -1)
		return 0;
	return keeper->hung ? KEEPER_BACK : 1;
}

static void
keeper_worker_died(struct keeper *keeper, int status)
{
	struct table_header *header = keeper->table->header;
	struct table_death death = { .status = status, .hung = keeper->hung, .at = clock_now(), .pid = keeper->pid };
	int64_t delay = 0;

	death.silent = death.at - keeper->heard_at;
	if (keeper->hung)
		keeper_tell_hung(keeper, &death);

	keeper->pid = 0;
	header->worker_pid = 0;
	if (deaths_is_own_making(keeper->table, &death)) {
		keeper->unready += keeper_count_unready(keeper);
		delay = deaths_note(&keeper->deaths, keeper->table, &death, keeper->born);
	}
	header->last_death = death;
	header->last_death_new = 1;
	header->worker_restarts++;
	keeper->start_at = death.at + delay;
}

/* Reaps the worker and whoever a dead worker left behind.  true when the whole daemon has ended. */
static bool
keeper_reap(struct keeper *keeper, int *ret_code)
{
	struct table_header *header = keeper->table->header;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != keeper->pid)
			continue;
		keeper_restore(keeper);
		if (WIFEXITED(status) && (header->stopping || !header->was_ready)) {
			*ret_code = header->stopping ? 0 : WEXITSTATUS(status);
			return true;
		}
		if (keeper->killed_at != 0) {
			*ret_code = 0;
			return true;
		}
		keeper_worker_died(keeper, status);
		if (header->stopping && keeper->deaths.failures >= KEEPER_HOPELESS) {
			*ret_code = 1;
			return true;
		}
	}
	return false;
}

/* Whether somebody has stopped it (SIGSTOP): that is not of its own making. */
static bool
keeper_worker_is_stopped(pid_t worker)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)worker, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid == worker;
}

static long
keeper_read_tracer(pid_t worker)
{
	char path[64], text[KEEPER_STATUS];

	snprintf(path, sizeof path, "/proc/%d/status", (int)worker);
	file_read(path, text, sizeof text);
	return file_find_number(text, "TracerPid");
}

/* Whether a debugger has stopped the worker.  Asked in a child with files of its own (K1). */
static bool
keeper_worker_is_traced(pid_t worker)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(keeper_read_tracer(worker) > 0 ? 1 : 0);
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static void
keeper_end_hung(struct keeper *keeper, const struct watchdog_look *look)
{
	if (keeper_worker_is_traced(keeper->pid)) {
		watchdog_excuse(&keeper->watchdog);
		notify_watchdog(keeper->table);
		return;
	}
	keeper->hung = true;
	if (look->stopped)
		keeper->table->header->outside = 1;
	kill(keeper->pid, SIGKILL);
}

/* Once a tick: has the worker given a sign of life (K6)? */
static void
keeper_watch(struct keeper *keeper)
{
	struct table_header *header = keeper->table->header;
	struct watchdog_look look = { .heartbeat = header->heartbeat, .ready = header->ready, .used = -1 };

	if (keeper->pid == 0)
		return;
	if (look.heartbeat != keeper->watchdog.heartbeat) {
		keeper->heard_at = clock_now();
	} else {
		look.used = clock_used_by(keeper->pid);
		look.stopped = keeper_worker_is_stopped(keeper->pid);
	}
	switch (watchdog_tick(&keeper->watchdog, &look)) {
	case WATCHDOG_WELL:
		notify_watchdog(keeper->table);
		break;
	case WATCHDOG_QUIET:
		break;
	case WATCHDOG_HUNG:
		keeper_end_hung(keeper, &look);
		break;
	}
	if (keeper->killed_at != 0 && clock_now() - keeper->killed_at > CLOCK_SECOND)
		kill(keeper->pid, SIGKILL);
}

/* A terminal's ^C, or a service manager that signals all processes, reaches the worker too, which hands it on (K4):
 * that is no second one. */
static void
keeper_stop(struct keeper *keeper, bool by_worker)
{
	struct table_header *header = keeper->table->header;
	int64_t now = clock_now();

	if (!header->stopping) {
		header->stopping = 1;
		keeper->stopped_at = now;
		keeper->stopped_by_worker = by_worker;
		keeper->start_at = now;
		keeper_request(keeper->table, TABLE_REQUEST_STOP);
		notify_stopping(keeper->table);
	} else if (by_worker == keeper->stopped_by_worker || now - keeper->stopped_at > KEEPER_ECHO) {
		keeper->killed_at = now;
		keeper_request(keeper->table, TABLE_REQUEST_STOP_NOW);
	}
}

/* In a child with the same files.  The listeners that no record names are part of what goes to the next program: how
 * many, and they. */
static void
keeper_recover_apart(struct table *table, int32_t *ret_strays)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(KEEPER_TRIAL);
	recover_run(table);
	if (table->stray_count > table->shape.files)
		_exit(1);
	ret_strays[0] = (int32_t)table->stray_count;
	for (size_t i = 0; i < table->stray_count; i++)
		ret_strays[1 + i] = table->stray[i];
	_exit(0);
}

/* What a dead worker left is finished before another program, or systemd, gets it: by a child, for it takes memory,
 * and the keeper must not end for lack of it.  0 or -errno. */
static int
keeper_recover(struct table *table)
{
	int32_t *strays = calloc(table->shape.files, sizeof *strays);
	size_t size = (table->shape.files + 1) * sizeof *strays;
	int32_t *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0, error = -ENOMEM;
	pid_t pid = strays == NULL || shared == MAP_FAILED ? -1 : clone_with_files();

	if (pid == 0)
		keeper_recover_apart(table, shared);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0) {
		mem_free(table->stray);
		table->stray_count = (size_t)shared[0];
		table->stray = memcpy(strays, shared + 1, table->stray_count * sizeof *strays);
		strays = NULL;
		error = 0;
	}
	mem_free(strays);
	if (shared != MAP_FAILED)
		munmap(shared, size);
	return error;
}

/* 0, or -errno: then the next worker takes over, and nothing has happened. */
static int
keeper_end_worker(struct keeper *keeper)
{
	if (keeper->pid != 0) {
		kill(keeper->pid, SIGKILL);
		waitpid(keeper->pid, NULL, 0);
		keeper->ended = keeper->pid; /* what it has handed on may come yet */
	}
	keeper->pid = 0;
	keeper->table->header->worker_pid = 0;
	keeper_restore(keeper);
	return keeper_recover(keeper->table);
}

/* U1: ends the worker and executes the new program.  Comes back only if that cannot be. */
static void
keeper_upgrade(struct keeper *keeper)
{
	struct table_header *header = keeper->table->header;
	int error = keeper_end_worker(keeper);

	__atomic_fetch_and(&header->requests, ~TABLE_REQUEST_EXECUTE, __ATOMIC_SEQ_CST);
	if (error == 0)
		error = upgrade_execute(keeper->table);
	header->origin = TABLE_REFUSED;
	snprintf(header->upgrade_error, sizeof header->upgrade_error, "%.400s: %s", header->program,
	    strerror(-error));
	keeper->start_at = clock_now();
}

/* A new program whose workers die before any was ready gives way to the one before it. */
static void
keeper_take_back(struct keeper *keeper)
{
	if (keeper->unready < KEEPER_BACK || keeper->table->header->file[TABLE_FILE_FORMER] == -1)
		return;
	keeper->unready = 0;
	if (keeper_end_worker(keeper) == 0)
		upgrade_go_back(keeper->table, "its workers died before any was ready");
}

/* U3: ends the worker and leaves all with systemd.  Whether systemd has everything; if not, all continues. */
static bool
keeper_hand_over(struct keeper *keeper)
{
	int error;

	notify_stopping(keeper->table);
	error = keeper_end_worker(keeper);
	recover_end_programs(keeper->table);
	if (error == 0)
		error = fdstore_store(keeper->table);
	if (error == 0)
		return true;
	if (notify_is_systemd()) /* of others nobody expects it */
		keeper->table->header->restart_error = -error;
	keeper->start_at = clock_now();
	return false;
}

static void
keeper_handle(struct keeper *keeper, const siginfo_t *info)
{
	const struct table_header *header = keeper->table->header;
	bool by_worker = info->si_code == SI_USER && (info->si_pid == keeper->pid || info->si_pid == keeper->ended);

	switch (info->si_signo) {
	case SIGTERM:
		keeper->handed_over = !header->stopping && header->was_ready && notify_is_open(keeper->table) &&
		    keeper_hand_over(keeper);
		if (keeper->handed_over)
			break;
		/* fall through */
	case SIGINT:
		keeper_stop(keeper, by_worker);
		break;
	case SIGHUP:
		keeper_request(keeper->table, TABLE_REQUEST_RELOAD);
		break;
	case SIGUSR1:
		keeper_request(keeper->table, TABLE_REQUEST_DUMP);
		break;
	case SIGUSR2:
		keeper_request(keeper->table, TABLE_REQUEST_UPGRADE);
		break;
	default: /* SIGCHLD, SIGRTMIN: looked at anyway */
		break;
	}
}

/* Waits for a signal, a tick, or the time of the next start. */
static int
keeper_wait(const struct keeper *keeper, siginfo_t *ret_info)
{
	int64_t until = keeper->tick_at, left;
	struct timespec span;

	if (keeper->pid == 0 && keeper->start_at < until)
		until = keeper->start_at;
	left = until - clock_now();
	span = (struct timespec){ .tv_nsec = left > 0 ? (long)left * 1000 : 0 };
	return sigtimedwait(&keeper->signals, ret_info, &span);
}

/* One tick however late it comes: a machine that was stopped must not look like a hung worker (K6).  Signals that
 * come all the time must not keep ticks away. */
static void
keeper_tick(struct keeper *keeper)
{
	int64_t now = clock_now();

	if (now < keeper->tick_at)
		return;
	keeper->tick_at = now + KEEPER_TICK;
	keeper_watch(keeper);
}

static void
keeper_set(sigset_t *ret_signals)
{
	sigemptyset(ret_signals);
	for (size_t i = 0; keeper_forwarded[i] != 0; i++)
		sigaddset(ret_signals, keeper_forwarded[i]);
	sigaddset(ret_signals, SIGCHLD);
	sigaddset(ret_signals, SIGRTMIN);
}

void
keeper_block_signals(sigset_t *ret_before)
{
	sigset_t signals;

	keeper_set(&signals);
	sigprocmask(SIG_BLOCK, &signals, ret_before);
}

/* Whoever started us may have had some of them ignored; those would never come. */
static void
keeper_heed_signals(void)
{
	signal(SIGPIPE, SIG_IGN); /* or it would end all that it keeps */
	for (size_t i = 0; keeper_forwarded[i] != 0; i++)
		signal(keeper_forwarded[i], SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGRTMIN, SIG_DFL);
}

int
keeper_run(struct table *table, keeper_worker *worker)
{
	struct keeper keeper = { .table = table, .worker = worker };
	siginfo_t info;
	int code;

	keeper.tick_at = clock_now() + KEEPER_TICK;
	table->header->keeper_pid = getpid();
	prctl(PR_SET_NAME, "hf-keeper");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	keeper_block_signals(NULL);
	keeper_heed_signals();
	keeper_set(&keeper.signals);
	for (;;) {
		if (keeper.pid == 0 && clock_now() >= keeper.start_at)
			keeper_start_worker(&keeper);
		if (keeper_wait(&keeper, &info) > 0)
			keeper_handle(&keeper, &info);
		keeper_tick(&keeper);
		if (keeper_reap(&keeper, &code))
			return code;
		if (keeper.handed_over || (keeper.pid == 0 && keeper.killed_at != 0))
			return 0;
		if ((table->header->requests & TABLE_REQUEST_EXECUTE) && !table->header->stopping)
			keeper_upgrade(&keeper);
		if (keeper.pid == 0)
			keeper_take_back(&keeper);
		notify_update(table);
	}
}

/* The worker's side. */

void
keeper_request(struct table *table, uint32_t bits)
{
	uint64_t one = 1;
	ssize_t ignored;

	__atomic_fetch_or(&table->header->requests, bits, __ATOMIC_SEQ_CST);
	ignored = write(table->header->file[TABLE_FILE_REQUEST], &one, sizeof one);
	(void)ignored;
}

uint32_t
keeper_take_requests(struct table *table)
{
	volatile uint32_t *requests = &table->header->requests;
	uint32_t bits, left;
	uint64_t count;
	ssize_t ignored;

	ignored = read(table->header->file[TABLE_FILE_REQUEST], &count, sizeof count);
	(void)ignored;
	do {
		bits = *requests;
		left = bits & (TABLE_REQUEST_RELOAD | TABLE_REQUEST_RELOADING) ? TABLE_REQUEST_RELOADING : 0;
		left |= bits & TABLE_REQUEST_EXECUTE;
		left |= bits & (TABLE_REQUEST_UPGRADE | TABLE_REQUEST_UPGRADING) ? TABLE_REQUEST_UPGRADING : 0;
	} while (!__atomic_compare_exchange_n(requests, &bits, left, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return bits | left;
}

void
keeper_reloaded(struct table *table)
{
	__atomic_fetch_and(&table->header->requests, ~TABLE_REQUEST_RELOADING, __ATOMIC_SEQ_CST);
}

void
keeper_upgrade_tried(struct table *table, bool good)
{
	volatile uint32_t *requests = &table->header->requests;
	uint32_t bits = *requests, left;

	do
		left = (bits & ~TABLE_REQUEST_UPGRADING) | (good ? TABLE_REQUEST_EXECUTE : 0);
	while (!__atomic_compare_exchange_n(requests, &bits, left, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	keeper_nudge(table);
}

void
keeper_nudge(struct table *table)
{
	if (table->header->keeper_pid != 0)
		kill(table->header->keeper_pid, SIGRTMIN);
	else
		notify_update(table);
}

void
keeper_volunteer(const struct table *table)
{
	FILE *file = table->header->keeper_pid == 0 ? NULL : fopen("/proc/self/oom_score_adj", "r+e");
	int score;

	if (file == NULL)
		return;
	if (fscanf(file, "%d", &score) == 1) {
		score = score + KEEPER_SCORE < KEEPER_SCORE_MOST ? score + KEEPER_SCORE : KEEPER_SCORE_MOST;
		rewind(file);
		fprintf(file, "%d", score);
	}
	fclose(file);
}

static struct table *keeper_signal_table;

static uint32_t
keeper_request_of(int number)
{
	switch (number) {
	case SIGHUP: return TABLE_REQUEST_RELOAD;
	case SIGUSR1: return TABLE_REQUEST_DUMP;
	case SIGUSR2: return TABLE_REQUEST_UPGRADE;
	case SIGTERM:
	case SIGINT:
		return keeper_signal_table->header->stopping ? TABLE_REQUEST_STOP_NOW : TABLE_REQUEST_STOP;
	default: return 0;
	}
}

static void
keeper_on_signal(int number)
{
	struct table_header *header = keeper_signal_table->header;
	int error = errno;
	uint32_t bits;

	if (header->keeper_pid != 0) {
		kill(header->keeper_pid, number);
	} else {
		bits = keeper_request_of(number);
		if (bits & TABLE_REQUEST_STOP)
			header->stopping = 1;
		keeper_request(keeper_signal_table, bits);
	}
	errno = error;
}

#ifndef __SANITIZE_ADDRESS__
/* A fault that somebody sent is not the worker's own making (K7). */
static void
keeper_on_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (info->si_code <= 0 && info->si_pid != getpid())
		keeper_signal_table->header->outside = 1;
	signal(number, SIG_DFL);
	raise(number);
}

static void
keeper_watch_faults(void)
{
	struct sigaction action = { .sa_sigaction = keeper_on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	static char stack[16384];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };

	sigaltstack(&alternate, NULL);
	for (size_t i = 0; deaths_own_making[i] != 0; i++)
		sigaction(deaths_own_making[i], &action, NULL);
}
#else
static void
keeper_watch_faults(void)
{
}
#endif

void
keeper_worker_signals(struct table *table)
{
	struct sigaction action = { .sa_handler = keeper_on_signal, .sa_flags = SA_RESTART };
	sigset_t none;

	keeper_signal_table = table;
	for (size_t i = 0; keeper_forwarded[i] != 0; i++)
		sigaction(keeper_forwarded[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	keeper_watch_faults();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

#include "keep/keeper.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "keep/keeper_parts.h"
#include "keep/notify.h"

const int keeper_forwarded[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, 0 };
const int keeper_own_making[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, 0 };

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
	for (size_t i = 0; keeper_own_making[i] != 0; i++)
		sigaction(keeper_own_making[i], &action, NULL);
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

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "keep/keeper_parts.h"
#include "keep/notify.h"
#include "keep/recover.h"
#include "keep/upgrade.h"
#include "keep/vault.h"

/* What a dead worker left is finished by the keeper, before another program, or systemd, gets it. */
static void
keeper_end_worker(struct keeper *keeper)
{
	if (keeper->pid != 0) {
		kill(keeper->pid, SIGKILL);
		waitpid(keeper->pid, NULL, 0);
		keeper->ended = keeper->pid; /* what it has handed on may come yet */
	}
	keeper->pid = 0;
	keeper->table->header->worker_pid = 0;
	recover_run(keeper->table);
}

void
keeper_upgrade(struct keeper *keeper)
{
	struct table_header *header = keeper->table->header;
	int error;

	keeper_end_worker(keeper);
	__atomic_fetch_and(&header->requests, ~TABLE_REQUEST_EXECUTE, __ATOMIC_SEQ_CST);
	error = upgrade_execute(keeper->table);
	header->origin = TABLE_REFUSED;
	snprintf(header->upgrade_error, sizeof header->upgrade_error, "%.400s: %s", header->program,
	    strerror(-error));
	keeper->start_at = clock_now();
}

void
keeper_take_back(struct keeper *keeper)
{
	if (keeper->unready < KEEPER_BACK || keeper->table->header->file[TABLE_FILE_FORMER] == -1)
		return;
	keeper->unready = 0;
	keeper_end_worker(keeper);
	upgrade_go_back(keeper->table, "its workers died before any was ready");
}

bool
keeper_hand_over(struct keeper *keeper)
{
	notify_stopping(keeper->table);
	keeper_end_worker(keeper);
	recover_end_programs(keeper->table);
	if (vault_store(keeper->table) == 0)
		return true;
	keeper->start_at = clock_now();
	return false;
}

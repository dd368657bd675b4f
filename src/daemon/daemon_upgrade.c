/* The worker's part of an upgrade (U1): it tries the new program, and then leaves the rest to the keeper. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/child.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "daemon/daemon_parts.h"
#include "keep/keeper.h"
#include "keep/upgrade.h"

#define UPGRADE_TIMEOUT (10 * CLOCK_SECOND) /* for the new program to read table and configuration */
#define UPGRADE_OUTPUT  4096
#define UPGRADE_GRACE   (20 * CLOCK_MILLISECOND) /* for the answers to go out */

/* Tells who has asked; NULL: the program is good. */
static void
upgrade_tell(struct daemon *daemon, const char *error)
{
	pending_answer(&daemon->commands.pendings, COMMAND_UPGRADE, error);
}

static void
upgrade_refused(struct daemon *daemon, const char *why)
{
	struct table_header *header = daemon->table->header;

	upgrade_forget(daemon->table, TABLE_FILE_NEXT);
	snprintf(header->upgrade_error, sizeof header->upgrade_error, "%.500s", why);
	keeper_upgrade_tried(daemon->table, false);
	log_error(NULL, "upgrade refused, version %s goes on: %s", daemon->version, header->upgrade_error);
	upgrade_tell(daemon, header->upgrade_error);
}

static void upgrade_on_tried(void *arg, const struct child_result *result);

/* The very file that the keeper will execute, whatever comes to stand at its path meanwhile. */
static void
upgrade_try(struct daemon *daemon)
{
	struct table_header *header = daemon->table->header;
	char *table = mem_print("/proc/%d/fd/%d", (int)header->keeper_pid, (int)header->file[TABLE_FILE_MEMORY]);
	char *program = mem_print("/proc/%d/fd/%d", (int)header->keeper_pid, (int)header->file[TABLE_FILE_NEXT]);
	char *arguments[] = { "-t", "--check-table", table, NULL };
	char **environment = child_environment(NULL);
	struct child_job job = { .program = program, .arguments = arguments, .environment = environment,
		.timeout = UPGRADE_TIMEOUT, .patient = true, .output_max = UPGRADE_OUTPUT };

	daemon->trial = child_start(daemon->loop, &job, &header->trial, upgrade_on_tried, daemon);
	mem_list_free(environment);
	mem_free(program);
	mem_free(table);
}

static void
upgrade_open_and_try(struct daemon *daemon)
{
	struct table_header *header = daemon->table->header;
	int error;
	char *why;

	daemon->upgrade_again = false;
	header->upgrade_error[0] = '\0';
	error = upgrade_open(daemon->table);
	if (error == 0) {
		upgrade_try(daemon);
		return;
	}
	why = mem_print("%s: %s", header->program, strerror(-error));
	upgrade_refused(daemon, why);
	mem_free(why);
}

static void
upgrade_on_tried(void *arg, const struct child_result *result)
{
	struct daemon *daemon = arg;
	const char *program = daemon->table->header->program;
	const char *error = result->error;
	char *why;

	daemon->trial = NULL;
	if (error != NULL && daemon->upgrade_again) {
		upgrade_open_and_try(daemon);
		return;
	}
	if (error == NULL && strncmp(result->output, UPGRADE_CAN_GO_ON, strlen(UPGRADE_CAN_GO_ON)) != 0)
		error = "is not holdfastd";
	if (error != NULL) {
		why = mem_print("%s: %s%s%s", program, error, result->last_line[0] == '\0' ? "" : ": ",
		    result->last_line);
		upgrade_refused(daemon, why);
		mem_free(why);
		return;
	}
	log_notice(NULL, "upgrading: %s is executed now", program);
	upgrade_tell(daemon, NULL);
	loop_timer_at(&daemon->upgrading, clock_now() + UPGRADE_GRACE);
}

void
daemon_on_upgrading(void *arg)
{
	struct daemon *daemon = arg;

	if (daemon->upgrade_again)
		keeper_request(daemon->table, TABLE_REQUEST_UPGRADE); /* for the new program's worker (U2) */
	keeper_upgrade_tried(daemon->table, true);
}

void
daemon_try_upgrade(struct daemon *daemon)
{
	if (daemon->table->header->requests & TABLE_REQUEST_EXECUTE) {
		upgrade_tell(daemon, NULL); /* the new program's worker does it again (U2) */
	} else if (daemon->trial != NULL) {
		daemon->upgrade_again = true;
	} else if (loop_timer_is_set(&daemon->upgrading)) {
		daemon->upgrade_again = true;
		upgrade_tell(daemon, NULL);
	} else if (daemon->stopping || daemon->table->header->keeper_pid == 0) {
		upgrade_refused(daemon, daemon->stopping ? "the daemon is ending"
		    : "there is no keeper (--no-keeper) that could go on");
	} else {
		upgrade_open_and_try(daemon);
	}
}

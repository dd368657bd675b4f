#include "daemon/trial.h"

#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/keeper.h"
#include "keep/upgrade.h"

#define TRIAL_TIMEOUT (10 * CLOCK_SECOND) /* for the new program to read table and configuration */
#define TRIAL_OUTPUT  4096
#define TRIAL_GRACE   (20 * CLOCK_MILLISECOND) /* for the answers to go out */

struct trial {
	struct event_base *loop;     /* borrowed */
	struct table *table;         /* borrowed */
	const char *version;         /* borrowed */
	struct pendings *pendings;   /* borrowed */
	unsigned topic;
	struct child *child;         /* owned; the new program, tried; NULL none */
	struct loop_timer executing; /* it was good */
	bool held, good;             /* it was good, but waits */
	bool again;                  /* asked for since its file was opened: another one may stand there now */
};

/* Takes the text. */
static void
trial_refuse(struct trial *trial, char *why)
{
	struct table_header *header = trial->table->header;

	upgrade_forget(trial->table, TABLE_FILE_NEXT);
	snprintf(header->upgrade_error, sizeof header->upgrade_error, "%.500s", why);
	keeper_upgrade_tried(trial->table, false);
	log_error(NULL, "upgrade refused, version %s continues: %s", trial->version, header->upgrade_error);
	pending_answer(trial->pendings, trial->topic, header->upgrade_error);
	mem_free(why);
}

static void trial_on_tried(void *arg, const struct child_result *result);

/* The very file that the keeper will execute, whatever comes to stand at its path meanwhile. */
static void
trial_start(struct trial *trial)
{
	struct table_header *header = trial->table->header;
	char *table = mem_print("/proc/%d/fd/%d", (int)header->keeper_pid, (int)header->file[TABLE_FILE_MEMORY]);
	char *program = mem_print("/proc/%d/fd/%d", (int)header->keeper_pid, (int)header->file[TABLE_FILE_NEXT]);
	char *arguments[] = { "-t", "--check-table", table, NULL };
	char **environment = child_environment(NULL);
	struct child_job job = { .program = program, .arguments = arguments, .environment = environment,
		.timeout = TRIAL_TIMEOUT, .patient = true, .output_max = TRIAL_OUTPUT };

	trial->child = child_start(trial->loop, &job, &header->trial, trial_on_tried, trial);
	mem_list_free(environment);
	mem_free(program);
	mem_free(table);
}

static void
trial_begin(struct trial *trial)
{
	struct table_header *header = trial->table->header;
	int error;

	trial->again = false;
	header->upgrade_error[0] = '\0';
	error = upgrade_open(trial->table);
	if (error == 0)
		trial_start(trial);
	else
		trial_refuse(trial, mem_print("%s: %s", header->program, strerror(-error)));
}

static void
trial_on_tried(void *arg, const struct child_result *result)
{
	struct trial *trial = arg;
	const char *program = trial->table->header->program, *error = result->error;

	trial->child = NULL;
	if (error == NULL && strncmp(result->output, UPGRADE_CAN_GO_ON, strlen(UPGRADE_CAN_GO_ON)) != 0)
		error = "is not holdfastd";
	if (result->error != NULL && trial->again) {
		trial_begin(trial);
	} else if (error != NULL) {
		trial_refuse(trial, mem_print("%s: %s%s%s", program, error, result->last_line[0] == '\0' ? "" : ": ",
		    result->last_line));
	} else {
		log_notice(NULL, "upgrading: %s is executed now", program);
		pending_answer(trial->pendings, trial->topic, NULL);
		loop_timer_at(&trial->executing, clock_now() + TRIAL_GRACE);
	}
}

static void
trial_on_good(void *arg)
{
	struct trial *trial = arg;

	trial->good = trial->held;
	if (trial->held)
		return;
	if (trial->again)
		keeper_request(trial->table, TABLE_REQUEST_UPGRADE); /* for the new program's worker (U2) */
	keeper_upgrade_tried(trial->table, true);
}

void
trial_hold(struct trial *trial, bool held)
{
	trial->held = held;
	if (held || !trial->good)
		return;
	trial->good = false;
	loop_timer_at(&trial->executing, clock_now() + TRIAL_GRACE);
}

void
trial_ask(struct trial *trial)
{
	const struct table_header *header = trial->table->header;

	if (header->requests & TABLE_REQUEST_EXECUTE) {
		pending_answer(trial->pendings, trial->topic, NULL); /* the new program's worker does it again (U2) */
	} else if (trial->child != NULL) {
		trial->again = true;
	} else if (loop_timer_is_set(&trial->executing) || trial->good) {
		trial->again = true;
		pending_answer(trial->pendings, trial->topic, NULL);
	} else if (header->stop_deadline != 0 || header->keeper_pid == 0) {
		trial_refuse(trial, mem_copy_text(header->stop_deadline != 0 ? "the daemon is ending"
		    : "there is no keeper (--no-keeper) that could execute it"));
	} else {
		trial_begin(trial);
	}
}

struct trial *
trial_new(struct event_base *loop, struct table *table, const char *version, struct pendings *pendings,
    unsigned topic)
{
	struct trial *trial = mem_new(1, sizeof *trial);

	*trial = (struct trial){ .loop = loop, .table = table, .version = version, .pendings = pendings,
		.topic = topic };
	loop_timer_init(&trial->executing, loop, trial_on_good, trial);
	return trial;
}

void
trial_free(struct trial *trial)
{
	if (trial == NULL)
		return;
	loop_timer_stop(&trial->executing);
	child_cancel(trial->child);
	mem_free(trial);
}

#include "daemon/reloads.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "client/listener.h"
#include "config/load.h"
#include "daemon/command.h"
#include "daemon/listen_socket.h"
#include "keep/crash.h"
#include "keep/keeper.h"
#include "keep/recover.h"

struct reloads {
	struct reloads_daemon daemon;
	struct config_load *reading; /* owned; NULL none */
	bool dry, forced;               /* of the one that is read, or at work */
	bool at_work;
	struct config *config;          /* owned: what was read; NULL: it cannot be in force, or is */
	char *text;                     /* owned: of it, for the table */
	struct config_errors errors;    /* owned */
	struct reload_plan plan;        /* owned */
	struct prepared_socket metrics; /* owned: opened for them */
	bool asked;                     /* for the next, and not only for what it would do */
	bool asked_forced, dry_forced;  /* by one of those who asked: it may remove all services */
	struct loop_timer next;
	struct loop_work work;
};

/* For systemd, which is told by the keeper.  One at the start is part of it; one that a dead worker had begun, by the
 * control socket, ends with the next worker's start. */
static void
reloads_note(struct reloads *reloads, bool begins)
{
	struct table_header *header = reloads->daemon.table->header;

	if (reloads->dry || header->reloads % 2 == begins || (begins && !header->ready))
		return;
	header->reloads++;
	keeper_nudge(reloads->daemon.table);
}

static void
reloads_log(const struct reloads *reloads)
{
	const struct config_errors *errors = &reloads->errors;
	const struct reload_plan *plan = &reloads->plan;

	for (size_t i = 0; i < errors->warning_count; i++)
		log_warning(NULL, "%s", errors->warnings[i]);
	for (size_t i = 0; i < errors->count; i++)
		log_error(NULL, "%s", errors->errors[i]);
	if (errors->count > 0)
		log_error(NULL, "reload refused, the configuration in force stays errors=%zu", errors->count);
	else
		log_info(NULL, "reloaded added=%zu changed=%zu removed=%zu", plan->added_count, plan->changed_count,
		    plan->removed_count);
}

static void
reloads_clear(struct reloads *reloads)
{
	reload_plan_clear(&reloads->plan);
	prepared_socket_close(&reloads->metrics);
	config_errors_clear(&reloads->errors);
	config_free(reloads->config);
	mem_free(reloads->text);
	reloads->config = NULL;
	reloads->text = NULL;
	reloads->at_work = false;
}

static void
reloads_free_result(struct command_reload_result *result)
{
	config_errors_clear(&result->errors);
	reload_plan_clear(&result->plan);
	mem_free(result);
}

/* Only what it would do is told, or it was carried out or refused. */
static void
reloads_end(struct reloads *reloads)
{
	struct table *table = reloads->daemon.table;
	struct command_reload_result *result = mem_new(1, sizeof *result);

	if (!reloads->dry) {
		recover_close_strays(table); /* of a dead worker that had begun it */
		if (!reloads->asked)
			keeper_reloaded(table);
		snprintf(table->header->config_error, TABLE_STATUS_SIZE, "%s",
		    reloads->errors.count > 0 ? reloads->errors.errors[0] : "");
		reloads_log(reloads);
	}
	*result = (struct command_reload_result){ .holders = 1, .free = reloads_free_result,
		.errors = reloads->errors, .plan = reloads->plan };
	reloads->errors = (struct config_errors){ 0 };
	reloads->plan = (struct reload_plan){ 0 };
	pending_answer(reloads->daemon.pendings, COMMAND_READING, result);
	if (--result->holders == 0)
		result->free(result);
	reloads_clear(reloads);
	reloads_note(reloads, false);
	reloads->daemon.ended(reloads->daemon.arg);
	loop_timer_soon(&reloads->next); /* who has asked meanwhile wants what the files say now */
}

static bool
reloads_plan_bit(void *arg)
{
	struct reloads *reloads = arg;

	return services_plan_bit(reloads->daemon.services, &reloads->plan);
}

static bool
reloads_apply_bit(void *arg)
{
	struct reloads *reloads = arg;

	return services_apply_bit(reloads->daemon.services, &reloads->plan);
}

static bool
reloads_undo_bit(void *arg)
{
	struct reloads *reloads = arg;

	return services_undo_bit(reloads->daemon.services, &reloads->plan);
}

static void
reloads_on_applied(void *arg)
{
	struct reloads *reloads = arg;
	struct config *config = reloads->config;

	reloads->config = NULL;
	reloads->daemon.take(reloads->daemon.arg, config, &reloads->metrics);
	reloads_end(reloads);
}

/* The control socket is as this configuration says, or would be (dry): what is wrong, or NULL. */
static char *
reloads_guard_control(const struct reloads *reloads, const struct config *config, bool dry)
{
	const struct listener_settings *listener = &config->control.listener;

	if (listen_socket_is_missing(reloads->daemon.control))
		return NULL; /* it is tried again anyway */
	return dry ? listener_rehearse(listener, config->runtime_directory, true) : listener_guard(listener);
}

static void
reloads_on_undone(void *arg)
{
	struct reloads *reloads = arg;

	if (!reloads->dry)
		mem_free(reloads_guard_control(reloads, *reloads->daemon.config, false));
	reloads_end(reloads);
}

/* What the top level needs: the metrics' socket too; or adds errors. */
static void
reloads_prepare(struct reloads *reloads)
{
	const char *old = (*reloads->daemon.config)->metrics_listen, *new = reloads->config->metrics_listen;
	struct config_errors *errors = &reloads->errors;
	char *wrong = reloads_guard_control(reloads, reloads->config, reloads->dry);

	if (wrong != NULL)
		config_error(errors, "control: %s", wrong);
	mem_free(wrong);
	wrong = metrics_socket_prepare(reloads->daemon.metrics, reloads->config, &reloads->metrics);
	if (wrong != NULL && old != NULL && strcmp(old, new) == 0) /* it could not be opened before either */
		config_warning(errors, "%s; it is tried again", wrong);
	else if (wrong != NULL)
		config_error(errors, "%s", wrong);
	mem_free(wrong);
}

static void
reloads_on_planned(void *arg)
{
	struct reloads *reloads = arg;
	struct table *table = reloads->daemon.table;
	struct config_errors *errors = &reloads->errors;
	size_t length = strlen(reloads->text);

	if (!reloads->forced)
		reload_check_emptiness(&reloads->plan, table->header->config_path);
	if (errors->count == 0)
		reloads_prepare(reloads);
	if (length > TABLE_CONFIG_MAX)
		config_error(errors, "the whole configuration is larger than %u bytes", TABLE_CONFIG_MAX);
	if (reloads->dry || errors->count > 0) {
		prepared_socket_close(&reloads->metrics);
		loop_work_start(&reloads->work, reloads_undo_bit, reloads_on_undone);
		return;
	}
	table_config_set(table, reloads->text, length);
	CRASH_POINT(RELOAD_COMMITTED);
	loop_work_start(&reloads->work, reloads_apply_bit, reloads_on_applied);
}

static void
reloads_on_read(void *arg, struct config *config, char *text, struct config_errors *errors)
{
	struct reloads *reloads = arg;

	reloads->reading = NULL;
	reloads->at_work = true;
	reloads->config = config;
	reloads->text = text;
	reloads->errors = *errors;
	if (!reloads->dry)
		reloads->daemon.read(reloads->daemon.arg);
	if (reloads->daemon.table->header->stop_deadline != 0)
		config_error(&reloads->errors, "the daemon is ending");
	if (config == NULL || reloads->errors.count > 0) {
		reloads_end(reloads);
		return;
	}
	reload_plan_begin(*reloads->daemon.config, config, reloads->dry, &reloads->errors, &reloads->plan);
	loop_work_start(&reloads->work, reloads_plan_bit, reloads_on_planned);
}

static void
reloads_on_next(void *arg)
{
	struct reloads *reloads = arg;
	struct reloads_daemon *daemon = &reloads->daemon;
	bool dry = pending_waits(daemon->pendings, COMMAND_DRY_RUN);
	bool *forced = dry ? &reloads->dry_forced : &reloads->asked_forced;

	if (reloads->reading != NULL || reloads->at_work || (!dry && !reloads->asked))
		return;
	reloads->dry = dry;
	reloads->forced = *forced;
	*forced = false;
	if (!dry)
		reloads->asked = false;
	reloads_note(reloads, true);
	pending_move(daemon->pendings, dry ? COMMAND_DRY_RUN : COMMAND_RELOAD, COMMAND_READING);
	reloads->reading = config_load_start(daemon->loop, daemon->table->header->config_path,
	    CONFIG_LOAD_TIMEOUT, &daemon->table->header->reading, reloads_on_read, reloads);
}

void
reloads_ask(struct reloads *reloads, bool dry, bool force)
{
	reloads->asked |= !dry;
	*(dry ? &reloads->dry_forced : &reloads->asked_forced) |= force;
	loop_timer_soon(&reloads->next);
}

bool
reloads_is_at_work(const struct reloads *reloads)
{
	return reloads->at_work;
}

struct reloads *
reloads_new(const struct reloads_daemon *daemon)
{
	struct reloads *reloads = mem_new(1, sizeof *reloads);

	reloads->daemon = *daemon;
	loop_timer_init(&reloads->next, daemon->loop, reloads_on_next, reloads);
	loop_work_init(&reloads->work, daemon->loop, reloads);
	return reloads;
}

void
reloads_free(struct reloads *reloads)
{
	if (reloads == NULL)
		return;
	loop_timer_stop(&reloads->next);
	loop_work_stop(&reloads->work);
	config_load_cancel(reloads->reading);
	reloads_clear(reloads);
	mem_free(reloads);
}

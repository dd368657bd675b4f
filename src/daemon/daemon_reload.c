#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/memory_limit.h"
#include "config/write.h"
#include "daemon/daemon_parts.h"
#include "keep/budget.h"
#include "keep/crash.h"
#include "keep/keeper.h"
#include "keep/recover.h"

void
daemon_open_log(const struct daemon *daemon, const struct config *config)
{
	uint32_t set = daemon->table->header->log_level;

	log_open(config->log.target, set > 0 ? (enum log_level)(set - 1) : config->log.level);
}

/* The share of what may be used that is taken without being told. */
#define DAEMON_MEMORY_SHARE 4
#define DAEMON_MEMORY_LEAST (4u << 20)

void
daemon_bound_memory(const struct daemon *daemon, const struct config *config)
{
	uint64_t most = config->max_memory > 0 ? (uint64_t)config->max_memory : memory_limit() / DAEMON_MEMORY_SHARE;

	budget_set(daemon->table->budget, most > DAEMON_MEMORY_LEAST ? most : DAEMON_MEMORY_LEAST);
}

void
daemon_beat(void *arg)
{
	struct daemon *daemon = arg;

	table_beat(daemon->table);
}

static void
daemon_relay_buffer_out(struct daemon *daemon, struct config *config, struct reload_plan *plan, int metrics)
{
	services_apply(daemon->services, config, plan);
	daemon_open_log(daemon, config);
	daemon_bound_memory(daemon, config);
	control_set_admins(daemon->control, config->control.admin_users, config->control.admin_groups);
	metrics_socket_change(daemon->metrics, config, metrics);
	config_free(daemon->config);
	daemon->config = config;
	metrics_socket_set(daemon->metrics, config);
}

static void
daemon_log_reload(const struct config_errors *errors, const struct reload_plan *plan)
{
	for (size_t i = 0; i < errors->warning_count; i++)
		log_warning(NULL, "%s", errors->warnings[i]);
	for (size_t i = 0; i < errors->count; i++)
		log_error(NULL, "%s", errors->errors[i]);
	if (errors->count > 0)
		log_error(NULL, "reload refused, the configuration in force stays errors=%zu", errors->count);
	else
		log_info(NULL, "reloaded added=%zu changed=%zu removed=%zu", plan->added_count, plan->changed_count,
		    mem_list_length(plan->removed));
}

/* The control socket gets the new owner and mode; what is wrong with them, or would be, is an error. */
static void
daemon_guard_control(const struct daemon *daemon, const struct config *config, bool dry,
    struct config_errors *errors)
{
	const struct listener_settings *listener = &config->control.listener;
	char *wrong = NULL;

	if (daemon_has_control(daemon)) /* else it is tried again, whatever the reload does */
		wrong = dry ? listener_rehearse(listener, config->runtime_directory, true) : listener_guard(listener);

	if (wrong != NULL)
		config_error(errors, "control: %s", wrong);
	mem_free(wrong);
}

static bool
daemon_wants_same_metrics(const struct daemon *daemon, const struct config *config)
{
	const char *old = daemon->config->metrics_listen, *new = config->metrics_listen;

	return old != NULL && new != NULL && strcmp(old, new) == 0;
}

/* Makes a plan for which everything is ready, *ret_metrics too; or adds errors. */
static void
daemon_prepare_reload(struct daemon *daemon, const struct config *config, bool dry, struct reload_plan *plan,
    int *ret_metrics, struct config_errors *errors)
{
	char *wrong;

	services_plan(daemon->services, daemon->config, config, dry, plan, errors);
	if (!daemon->reading_is_forced)
		reload_check_emptiness(plan, config, daemon->table->header->config_path, errors);
	if (errors->count > 0)
		return;
	daemon_guard_control(daemon, config, dry, errors);
	wrong = metrics_socket_prepare(daemon->metrics, config, ret_metrics);
	if (wrong != NULL && daemon_wants_same_metrics(daemon, config)) /* it could not be opened before either */
		config_warning(errors, "%s; it is tried again", wrong);
	else if (wrong != NULL)
		config_error(errors, "%s", wrong);
	mem_free(wrong);
}

/* Puts the text in force, the commit of a reload; or adds an error. */
static void
daemon_commit(struct daemon *daemon, const struct config *config, bool dry, struct config_errors *errors)
{
	char *text = config_dump(config);
	size_t length = strlen(text);

	if (length > TABLE_CONFIG_MAX)
		config_error(errors, "the whole configuration is larger than %u bytes", TABLE_CONFIG_MAX);
	else if (!dry && errors->count == 0)
		table_config_set(daemon->table, text, length);
	mem_free(text);
}

/* After a configuration that is refused the sockets are as the one in force says. */
static void
daemon_undo_guards(struct daemon *daemon)
{
	services_guard(daemon->services);
	if (daemon_has_control(daemon))
		mem_free(listener_guard(&daemon->config->control.listener));
}

/* Plans what was read and, with no error and unless dry, carries it out. */
static void
daemon_try_reload(struct daemon *daemon, struct config *config, bool dry, struct config_errors *errors,
    struct reload_plan *plan)
{
	int metrics = -1;

	if (daemon->stopping)
		config_error(errors, "the daemon is ending");
	if (config != NULL && errors->count == 0)
		daemon_prepare_reload(daemon, config, dry, plan, &metrics, errors);
	if (config != NULL)
		daemon_commit(daemon, config, dry, errors);
	if (!dry && errors->count == 0) {
		CRASH_POINT(RELOAD_COMMITTED);
		daemon_relay_buffer_out(daemon, config, plan, metrics);
		return;
	}
	metrics_socket_undo(metrics);
	if (!dry)
		daemon_undo_guards(daemon);
	config_free(config);
}

/* Only what it would do is told, or it was carried out or refused. */
static void
daemon_end_reload(struct daemon *daemon, const struct config_errors *errors, const struct reload_plan *plan)
{
	recover_close_strays(daemon->table); /* of a dead worker that had begun it */
	if (!daemon->asked_to_reload)
		keeper_reloaded(daemon->table);
	snprintf(daemon->table->header->config_error, TABLE_STATUS_SIZE, "%s",
	    errors->count > 0 ? errors->errors[0] : "");
	daemon_update_status(daemon);
	daemon_log_reload(errors, plan);
}

/* For systemd, which is told by the keeper.  One at the start is part of it; one that a dead worker had begun, by the
 * control socket, ends with the next worker's start. */
static void
daemon_note_reload(struct daemon *daemon, bool begins)
{
	volatile uint32_t *reloads = &daemon->table->header->reloads;

	if (*reloads % 2 == begins || (begins && !daemon->table->header->ready))
		return;
	(*reloads)++;
	keeper_nudge(daemon->table);
}

static void
daemon_on_read(void *arg, struct config *config, struct config_errors *errors)
{
	struct daemon *daemon = arg;
	struct reload_plan plan = { 0 };
	struct command_reload_result result = { .plan = &plan };
	bool dry = daemon->reading_is_dry;

	daemon->reading = NULL;
	if (!dry)
		daemon_look_after_files(daemon);
	daemon_try_reload(daemon, config, dry, errors, &plan);
	if (!dry)
		daemon_end_reload(daemon, errors, &plan);
	result.errors = errors->errors;
	result.warnings = errors->warnings;
	pending_answer(&daemon->commands.pendings, COMMAND_READING, &result);
	reload_plan_clear(&plan);
	config_errors_clear(errors);
	if (!dry) {
		daemon_note_reload(daemon, false);
		daemon_say_ready(daemon); /* if it was begun before this worker: at a restart, an upgrade, a death */
	}
	loop_timer_soon(&daemon->reloading); /* who has asked meanwhile wants what the files say now */
}

void
daemon_on_reload(void *arg)
{
	struct daemon *daemon = arg;
	struct pendings *pendings = &daemon->commands.pendings;
	bool dry = pending_waits(pendings, COMMAND_DRY_RUN);
	bool *forced = dry ? &daemon->dry_forced : &daemon->reload_forced;

	if (daemon->reading != NULL || (!dry && !daemon->asked_to_reload))
		return;
	daemon->reading_is_dry = dry;
	daemon->reading_is_forced = *forced;
	*forced = false;
	if (!dry) {
		daemon->asked_to_reload = false;
		daemon_note_reload(daemon, true);
	}
	pending_move(pendings, dry ? COMMAND_DRY_RUN : COMMAND_RELOAD, COMMAND_READING);
	daemon->reading = config_reading_start(daemon->loop, daemon->table->header->config_path,
	    CONFIG_READING_TIMEOUT, &daemon->table->header->reading, daemon_on_read, daemon);
}

void
daemon_reload(void *arg, bool dry, bool force)
{
	struct daemon *daemon = arg;

	daemon->asked_to_reload |= !dry;
	*(dry ? &daemon->dry_forced : &daemon->reload_forced) |= force;
	loop_timer_soon(&daemon->reloading);
}

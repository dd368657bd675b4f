#include "daemon/daemon.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/memory_limit.h"
#include "config/load.h"
#include "config/write.h"
#include "daemon/command.h"
#include "daemon/lock.h"
#include "daemon/metrics_socket.h"
#include "daemon/trial.h"
#include "keep/buffers.h"
#include "keep/crash.h"
#include "keep/keeper.h"
#include "keep/pipes.h"
#include "keep/recover.h"
#include "keep/upgrade.h"

#define DAEMON_HEARTBEAT      (250 * CLOCK_MILLISECOND)
#define DAEMON_LOOK           (30 * CLOCK_SECOND) /* for removed files that inotify does not see */
#define DAEMON_CONTROL_RETRY  CLOCK_SECOND         /* of the control socket */
#define DAEMON_MEMORY_SHARE   4u /* the share of what may be used that is taken without being told */
#define DAEMON_MEMORY_LEAST   (4u << 20)

struct daemon {
	struct event_base *loop;
	struct table *table;          /* borrowed */
	const char *version;          /* borrowed */
	struct config *config;        /* owned; its services are taken */
	struct services *services;    /* owned */
	struct control *control;      /* owned */
	struct events *events;        /* owned */
	struct upstream_watcher watcher; /* of all upstreams: what happens is published */
	struct listen_socket *control_socket; /* owned */
	struct metrics_socket *metrics; /* owned */
	struct trial *trial;          /* owned */
	struct command_context commands;
	struct config_load *reading; /* owned; of a reload; NULL none */
	bool reading_is_dry, reading_is_forced;
	bool asked_to_reload;         /* not only for what a reload would do */
	bool reload_forced, dry_forced; /* by one of those who asked: it may remove all services */
	struct event requests;
	struct loop_timer heartbeat, reloading;
	struct loop_timer stop;       /* stop_timeout */
	struct loop_timer looking;    /* for files that somebody has removed */
	struct lock_keeper *lock;     /* owned */
	bool stopping;
	int64_t want_told;            /* when it was logged that buffers are at their bound; 0 never */
};

static void
daemon_on_event(void *arg, const struct table_service *service, const struct upstream_event *event)
{
	const struct daemon *daemon = arg;

	events_publish(daemon->events, service, event);
}

static void
daemon_end_if_done(void *arg)
{
	struct daemon *daemon = arg;
	struct services_sum sum;

	services_get_sum(daemon->services, &sum);
	if (daemon->stopping && sum.clients == 0 && sum.lingering == 0)
		event_base_loopbreak(daemon->loop);
}

static char *
daemon_config(void *arg, const char *name)
{
	const struct daemon *daemon = arg;
	const struct service *service;

	if (name == NULL)
		return config_text(daemon->config, setting_show); /* its services are taken */
	service = services_find(daemon->services, name);
	return service == NULL ? NULL : config_service_text(service_get_settings(service), setting_show);
}

static struct metrics *
daemon_take_metrics(void *arg, enum metrics_format format)
{
	const struct daemon *daemon = arg;

	return commands_take_metrics(&daemon->commands, format);
}

static enum log_level
daemon_log_level(void *arg)
{
	const struct daemon *daemon = arg;

	return daemon->config->log.level;
}

static void
daemon_on_stop_timeout(void *arg)
{
	struct daemon *daemon = arg;

	services_stop(daemon->services, true);
	event_base_loopbreak(daemon->loop);
}

static void
daemon_stop(struct daemon *daemon)
{
	struct table_header *header = daemon->table->header;

	if (daemon->stopping)
		return;
	daemon->stopping = true;
	if (header->stop_deadline == 0)
		header->stop_deadline = clock_after(clock_now(), daemon->config->stop_timeout);
	log_info(NULL, "stopping; attached clients have %.1f s",
	    (double)daemon->config->stop_timeout / (double)CLOCK_SECOND);
	table_status_set(daemon->table, "stopping");
	services_stop(daemon->services, false);
	loop_timer_at(&daemon->stop, header->stop_deadline);
	daemon_end_if_done(daemon);
}

static void
daemon_on_requests(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *daemon = arg;
	uint32_t bits = keeper_take_requests(daemon->table);

	(void)fd;
	(void)what;
	if (bits & TABLE_REQUEST_DUMP)
		services_dump(daemon->services);
	if (bits & TABLE_REQUEST_RELOADING) {
		daemon->asked_to_reload = true;
		loop_timer_soon(&daemon->reloading);
	}
	if (bits & TABLE_REQUEST_UPGRADING)
		trial_ask(daemon->trial);
	if (bits & TABLE_REQUEST_STOP_NOW)
		daemon_on_stop_timeout(daemon);
	else if (bits & TABLE_REQUEST_STOP)
		daemon_stop(daemon);
}

/* In words, for systemd.  What is cut off at the end stands in the log. */
static void
daemon_describe(const struct daemon *daemon, char ret_text[TABLE_STATUS_SIZE])
{
	const char *error = daemon->table->header->config_error;
	const char *given = daemon->table->header->passed_fds_error;
	const char *wrong[] = { listen_socket_error(daemon->control_socket), lock_keeper_error(daemon->lock),
		listen_socket_error(metrics_socket_listen_socket(daemon->metrics)), given[0] != '\0' ? given : NULL };
	struct services_sum sum;
	size_t n;

	services_get_sum(daemon->services, &sum);
	n = (size_t)snprintf(ret_text, TABLE_STATUS_SIZE, "%zu of %zu services up, %u clients, %u held", sum.up,
	    sum.services, sum.clients, sum.held);
	if (error[0] != '\0')
		n += (size_t)snprintf(ret_text + n, TABLE_STATUS_SIZE - n, "; reload refused: %.200s", error);
	if (sum.shut > 0)
		n += (size_t)snprintf(ret_text + n, TABLE_STATUS_SIZE - n, "; service %s is down: %.120s",
		    sum.shut_service, sum.shut_error);
	if (sum.shut > 1)
		n += (size_t)snprintf(ret_text + n, TABLE_STATUS_SIZE - n, " (and %zu more)", sum.shut - 1);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (wrong[i] != NULL && n < TABLE_STATUS_SIZE)
			n += (size_t)snprintf(ret_text + n, TABLE_STATUS_SIZE - n, "; %.160s", wrong[i]);
}

static void
daemon_update_status(struct daemon *daemon)
{
	char text[TABLE_STATUS_SIZE];

	daemon_describe(daemon, text);
	if (strcmp(text, daemon->table->header->status) != 0) {
		table_status_set(daemon->table, text);
		keeper_nudge(daemon->table);
	}
}

/* Once a minute: buffers are at their bound, and whose connections are slower for that. */
static void
daemon_tell_want(struct daemon *daemon)
{
	const struct budget *budget = daemon->table->budget;
	uint32_t services = table_services_used(daemon->table);
	int64_t now = clock_now();

	if (budget_short_all(budget) == 0 ||
	    (daemon->want_told != 0 && now - daemon->want_told < 60 * CLOCK_SECOND))
		return;
	daemon->want_told = now;
	for (uint16_t i = 0; i < services; i++)
		if (budget_short(budget, i) > 0)
			log_warning(daemon->table->services[i].name, "%u connections are slowed down: buffers use "
			    "%.1f MiB, max_memory is %.1f MiB",
			    budget_short(budget, i), (double)budget_taken(budget) / (1 << 20),
			    (double)budget_most(budget) / (1 << 20));
}

static void
daemon_on_heartbeat(void *arg)
{
	struct daemon *daemon = arg;
	struct table_header *header = daemon->table->header;

	table_beat(daemon->table);
	log_tell_suppressed(clock_now());
	if (header->heartbeat % 4 == 0) {
		pipes_trim(daemon->table); /* what the clients of a busy time needed is given back */
		buffers_trim(daemon->table);
		mem_trim();
		daemon_tell_want(daemon);
	}
	if (header->heartbeat % 4 == 0 && header->ready && !daemon->stopping)
		daemon_update_status(daemon);
	if (daemon->stopping)
		daemon_end_if_done(daemon);
	loop_timer_at(&daemon->heartbeat, clock_now() + DAEMON_HEARTBEAT);
}

static void
daemon_log_death(struct table_header *header)
{
	const struct table_death *death = &header->last_death;
	char cause[64];

	if (!header->last_death_new)
		return;
	if (death->hung)
		snprintf(cause, sizeof cause, "did not respond for %.1f s and was killed",
		    (double)death->silent / (double)CLOCK_SECOND);
	else if (WIFSIGNALED(death->status) && sigabbrev_np(WTERMSIG(death->status)) != NULL)
		snprintf(cause, sizeof cause, "died of SIG%s", sigabbrev_np(WTERMSIG(death->status)));
	else if (WIFSIGNALED(death->status))
		snprintf(cause, sizeof cause, "died of signal %d", WTERMSIG(death->status));
	else
		snprintf(cause, sizeof cause, "exited with %d", WEXITSTATUS(death->status));
	log_warning(NULL, "worker %d %s; a new worker has taken over restarts=%u", (int)death->pid, cause,
	    header->worker_restarts);
	if (death->condemned)
		log_error(NULL, "%s %u was being handled at three such deaths within 10 s: it is closed",
		    death->handled & TABLE_HANDLING_CONN ? "connection" : "client",
		    death->handled & ~TABLE_HANDLING_CONN);
	header->last_death_new = 0;
}

/* How this program has come to the table, once. */
static void
daemon_log_origin(const struct daemon *daemon)
{
	struct table_header *header = daemon->table->header;
	enum table_origin origin = (enum table_origin)header->origin;

	if (origin == TABLE_RESTARTED)
		log_notice(NULL, "restarted as version %s, with all that was connected before", daemon->version);
	else if (origin == TABLE_UPGRADED)
		log_notice(NULL, "upgraded: version %s has taken over", daemon->version);
	else if (origin == TABLE_REFUSED)
		log_error(NULL, "the upgrade is taken back, version %s continues: %s", daemon->version,
		    header->upgrade_error);
	header->origin = TABLE_NEW;
}

/* Log and memory.  The level that an operator has set goes before the configured one. */
static void
daemon_obey(const struct daemon *daemon, const struct config *config)
{
	uint32_t set = daemon->table->header->log_level;
	uint64_t most = config->max_memory > 0 ? (uint64_t)config->max_memory : memory_limit() / DAEMON_MEMORY_SHARE;

	log_open(config->log.target, set > 0 ? (enum log_level)(set - 1) : config->log.level);
	budget_set(daemon->table->budget, most > DAEMON_MEMORY_LEAST ? most : DAEMON_MEMORY_LEAST);
}

/* What others have removed of our sockets' files and the lock is made again, and told: now, after a change in the
 * runtime directory, at the place of a socket, and every 30 s. */
static void
daemon_look(void *arg)
{
	struct daemon *daemon = arg;

	if (daemon->stopping || daemon->table->header->stopping)
		return;
	loop_timer_at(&daemon->looking, clock_now() + DAEMON_LOOK);
	lock_keeper_look(daemon->lock);
	listen_socket_look_after(daemon->control_socket);
	listen_socket_look_after(metrics_socket_listen_socket(daemon->metrics));
	services_look_after_sockets(daemon->services);
	daemon_update_status(daemon);
}

/* Once, when all that the configuration says is begun: the keeper tells systemd. */
static void
daemon_say_ready(struct daemon *daemon)
{
	struct table_header *header = daemon->table->header;

	if (header->ready)
		return;
	services_refuse_passed_fds(daemon->services);
	header->was_ready = 1;
	header->reloads += header->reloads % 2; /* one that died with its worker */
	header->ready = 1;
	upgrade_forget(daemon->table, TABLE_FILE_FORMER); /* nobody will go back */
	CRASH_POINT(RECOVER_READY);
	daemon_update_status(daemon);
	keeper_nudge(daemon->table); /* the status may be as before, but it is ready now */
	log_info(NULL, "ready services=%zu worker_pid=%d", daemon->config->service_count, (int)getpid());
}

static void
daemon_carry_out(struct daemon *daemon, struct config *config, struct reload_plan *plan,
    struct prepared_socket *metrics)
{
	services_apply(daemon->services, config, plan);
	daemon_obey(daemon, config);
	control_set_admins(daemon->control, config->control.admin_users, config->control.admin_groups);
	listen_socket_settle(daemon->control_socket, &config->control.listener, DAEMON_CONTROL_RETRY, NULL);
	metrics_socket_set(daemon->metrics, config, metrics);
	config_free(daemon->config);
	daemon->config = config;
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

	if (!listen_socket_is_missing(daemon->control_socket)) /* else it is tried again anyway */
		wrong = dry ? listener_rehearse(listener, config->runtime_directory, true) : listener_guard(listener);
	if (wrong != NULL)
		config_error(errors, "control: %s", wrong);
	mem_free(wrong);
}

/* Makes a plan for which everything is ready, *ret_metrics too; or adds errors. */
static void
daemon_prepare_reload(struct daemon *daemon, const struct config *config, bool dry, struct reload_plan *plan,
    struct prepared_socket *ret_metrics, struct config_errors *errors)
{
	const char *old = daemon->config->metrics_listen, *new = config->metrics_listen;
	char *wrong;

	services_plan(daemon->services, daemon->config, config, dry, plan, errors);
	if (!daemon->reading_is_forced)
		reload_check_emptiness(plan, config, daemon->table->header->config_path, errors);
	if (errors->count > 0)
		return;
	daemon_guard_control(daemon, config, dry, errors);
	wrong = metrics_socket_prepare(daemon->metrics, config, ret_metrics);
	if (wrong != NULL && old != NULL && strcmp(old, new) == 0) /* it could not be opened before either */
		config_warning(errors, "%s; it is tried again", wrong);
	else if (wrong != NULL)
		config_error(errors, "%s", wrong);
	mem_free(wrong);
}

/* Puts the text in force, the commit of a reload; or adds an error. */
static void
daemon_commit(struct daemon *daemon, const struct config *config, bool dry, struct config_errors *errors)
{
	char *text = config_text(config, setting_print);
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
	if (!listen_socket_is_missing(daemon->control_socket))
		mem_free(listener_guard(&daemon->config->control.listener));
}

/* Plans what was read and, with no error and unless dry, carries it out. */
static void
daemon_try_reload(struct daemon *daemon, struct config *config, bool dry, struct config_errors *errors,
    struct reload_plan *plan)
{
	struct prepared_socket metrics = { .there = false };

	if (daemon->stopping)
		config_error(errors, "the daemon is ending");
	if (config != NULL && errors->count == 0)
		daemon_prepare_reload(daemon, config, dry, plan, &metrics, errors);
	if (config != NULL)
		daemon_commit(daemon, config, dry, errors);
	if (!dry && errors->count == 0) {
		CRASH_POINT(RELOAD_COMMITTED);
		daemon_carry_out(daemon, config, plan, &metrics);
		return;
	}
	prepared_socket_close(&metrics);
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
		daemon_look(daemon);
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

static void
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
	daemon->reading = config_load_start(daemon->loop, daemon->table->header->config_path,
	    CONFIG_LOAD_TIMEOUT, &daemon->table->header->reading, daemon_on_read, daemon);
}

static void
daemon_reload(void *arg, bool dry, bool force)
{
	struct daemon *daemon = arg;

	daemon->asked_to_reload |= !dry;
	*(dry ? &daemon->dry_forced : &daemon->reload_forced) |= force;
	loop_timer_soon(&daemon->reloading);
}

static bool
daemon_read_config(struct daemon *daemon)
{
	struct config_errors errors = { 0 };

	daemon->config = config_in_force(daemon->table, &errors);
	for (size_t i = 0; i < errors.count; i++)
		log_error(NULL, "%s", errors.errors[i]);
	config_errors_clear(&errors);
	return daemon->config != NULL;
}

static void
daemon_listen(void *arg, int fd)
{
	struct daemon *daemon = arg;
	const struct config_control *settings = &daemon->config->control;

	if (fd == -1) {
		control_free(daemon->control);
		daemon->control = NULL;
	} else if (daemon->control != NULL) {
		control_listen(daemon->control, fd);
	} else {
		daemon->control = control_new(daemon->loop, fd, settings->admin_users, settings->admin_groups,
		    commands_register, &daemon->commands);
	}
}

/* Of the control socket. */
static void
daemon_tell(void *arg, enum listen_socket_news news, const char *text)
{
	(void)arg;
	if (news == LISTEN_SOCKET_FAILED)
		log_error(NULL, "%s; it is tried again", text);
	else if (news == LISTEN_SOCKET_MADE_AGAIN)
		log_warning(NULL, "control socket %s was removed; created again", text);
}

/* The control socket: the one that an earlier worker opened, or a new one. */
static bool
daemon_start_control(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	struct listen_socket_user user = { .kind = LISTEN_SOCKET_CONTROL, .record = &daemon->table->header->control,
		.wrong = "the control socket was removed, and cannot be created again: ", .listen = daemon_listen,
		.tell = daemon_tell, .arg = daemon };
	struct prepared_socket prepared = { .there = false };
	char *wrong = user.record->fd != -1 ? NULL : listen_socket_prepare(daemon->table, user.kind, NULL,
	    &config->control.listener, config->runtime_directory, &prepared);

	if (wrong != NULL) {
		log_error(NULL, "control socket: %s; holdfastd cannot run without it", wrong);
		mem_free(wrong);
		return false;
	}
	daemon->commands = (struct command_context){
		.table = daemon->table, .version = daemon->version, .events = daemon->events,
		.services = daemon->services, .daemon = daemon, .config = daemon_config,
		.log_level = daemon_log_level, .reload = daemon_reload,
	};
	pendings_init(&daemon->commands.pendings, daemon->loop);
	daemon->trial = trial_new(daemon->loop, daemon->table, daemon->version, &daemon->commands.pendings,
	    COMMAND_UPGRADE);
	daemon->control_socket = listen_socket_new(daemon->loop, daemon->table, config->runtime_directory, &user);
	listen_socket_settle(daemon->control_socket, &config->control.listener, DAEMON_CONTROL_RETRY, &prepared);
	return true;
}

static bool
daemon_start(struct daemon *daemon)
{
	struct table_header *header = daemon->table->header;

	daemon->events = events_new();
	daemon->watcher = (struct upstream_watcher){ .event = daemon_on_event, .arg = daemon };
	daemon->services = services_new(daemon->loop, daemon->table, &daemon->watcher, daemon_end_if_done, daemon);
	loop_timer_init(&daemon->heartbeat, daemon->loop, daemon_on_heartbeat, daemon);
	loop_timer_init(&daemon->reloading, daemon->loop, daemon_on_reload, daemon);
	loop_timer_init(&daemon->stop, daemon->loop, daemon_on_stop_timeout, daemon);
	event_assign(&daemon->requests, daemon->loop, header->file[TABLE_FILE_REQUEST], EV_READ | EV_PERSIST,
	    daemon_on_requests, daemon);
	loop_timer_init(&daemon->looking, daemon->loop, daemon_look, daemon);
	header->heartbeat++;
	log_count_in(&header->log);
	if (!daemon_read_config(daemon))
		return false;
	daemon_obey(daemon, daemon->config);
	budget_run(daemon->table->budget, daemon->loop);
	log_set_starting(!header->was_ready);
	daemon_log_death(header);
	daemon_log_origin(daemon);
	recover_end_group(&header->trial);
	recover_end_group(&header->reading);
	daemon->lock = lock_keeper_new(daemon->loop, daemon->config->runtime_directory, &(struct lock){
		.file = header->file[TABLE_FILE_LOCK], .directory = header->file[TABLE_FILE_DIRECTORY] },
	    daemon_look, daemon);
	if (!daemon_start_control(daemon))
		return false;
	daemon->metrics = metrics_socket_new(daemon->loop, daemon->table, daemon_take_metrics, daemon);
	metrics_socket_set(daemon->metrics, daemon->config, NULL);
	services_start(daemon->services, daemon->config);
	daemon_look(daemon);
	if (!(header->requests & TABLE_REQUEST_RELOADING)) /* else the reload may want them */
		recover_close_strays(daemon->table);
	CRASH_POINT(RECOVER_EVENTS);
	event_add(&daemon->requests, NULL);
	event_active(&daemon->requests, EV_READ, 0); /* what a dead worker did not come to do */
	daemon_on_heartbeat(daemon);
	return true;
}

static void
daemon_end(struct daemon *daemon)
{
	listen_socket_close(daemon->control_socket);
	pendings_end(&daemon->commands.pendings);
	metrics_socket_free(daemon->metrics);
	loop_timer_stop(&daemon->looking);
	lock_keeper_free(daemon->lock);
	services_free(daemon->services);
	pipes_clear(daemon->table);
	events_free(daemon->events);
	loop_event_stop(&daemon->requests);
	loop_timer_stop(&daemon->heartbeat);
	loop_timer_stop(&daemon->reloading);
	loop_timer_stop(&daemon->stop);
	trial_free(daemon->trial);
	config_load_cancel(daemon->reading);
	config_free(daemon->config);
	budget_run(daemon->table->budget, NULL);
	loop_free(daemon->loop);
	log_end();
}

int
daemon_run(struct table *table)
{
	struct daemon daemon = { .table = table, .version = table->header->version };
	struct table_header *header = table->header;

	recover_run(table);
	keeper_volunteer(table);
	daemon.loop = loop_new();
	if (!daemon_start(&daemon)) {
		daemon_end(&daemon);
		return 1;
	}
	if (!header->was_ready)
		log_info(NULL, "at most %u file descriptors can be open: enough for %u clients",
		    header->shape.files - 1, (header->shape.files - 1) / 2);
	if (!header->was_ready)
		log_info(NULL, "buffers use at most %.1f MiB (max_memory)",
		    (double)budget_most(table->budget) / (1 << 20));
	log_set_starting(false);
	if (!(header->requests & TABLE_REQUEST_RELOADING))
		daemon_say_ready(&daemon); /* else the reload does, which comes when clients are served again */
	if (header->stopping)
		daemon_stop(&daemon);
	event_base_dispatch(daemon.loop);
	daemon_end(&daemon);
	return 0;
}

#include "daemon/daemon_parts.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/sink.h"
#include "config/write.h"
#include "keep/budget.h"
#include "keep/buffers.h"
#include "keep/crash.h"
#include "keep/keeper.h"
#include "keep/pipes.h"
#include "keep/recover.h"
#include "keep/upgrade.h"
#include "keep/victim.h"

#define DAEMON_HEARTBEAT (250 * CLOCK_MILLISECOND)

static void
daemon_on_event(void *arg, const struct table_service *service, const struct upstream_event *event)
{
	const struct daemon *daemon = arg;

	events_publish(daemon->events, service, event);
}

static void
daemon_end_if_done(struct daemon *daemon)
{
	struct services_sum sum;

	services_get_sum(daemon->services, &sum);
	if (daemon->stopping && sum.clients == 0 && sum.lingering == 0)
		event_base_loopbreak(daemon->loop);
}

static void
daemon_on_drained(void *arg)
{
	daemon_end_if_done(arg);
}

static char *
daemon_config(void *arg, const char *name)
{
	const struct daemon *daemon = arg;
	const struct service *service;

	if (name == NULL)
		return config_show(daemon->config); /* its services are taken */
	service = services_find(daemon->services, name);
	return service == NULL ? NULL : config_show_settings(service_get_settings(service));
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
	log_info(NULL, "stopping; sessions have %.1f s", (double)daemon->config->stop_timeout / (double)CLOCK_SECOND);
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
		daemon_try_upgrade(daemon);
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
	const char *wrong[] = { daemon->control_error, daemon->lock_error, metrics_socket_error(daemon->metrics),
		given[0] != '\0' ? given : NULL };
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

void
daemon_update_status(struct daemon *daemon)
{
	char text[TABLE_STATUS_SIZE];

	daemon_describe(daemon, text);
	if (strcmp(text, daemon->table->header->status) != 0) {
		table_status_set(daemon->table, text);
		keeper_nudge(daemon->table);
	}
}

/* What the clients of a busy time needed is given back. */
static void
daemon_tidy(struct daemon *daemon)
{
	pipes_trim(daemon->table);
	buffers_trim(daemon->table);
	mem_trim();
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

	daemon_beat(daemon);
	log_tell_suppressed(clock_now());
	if (header->heartbeat % 4 == 0) {
		daemon_tidy(daemon);
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
		    death->handled & TABLE_HANDLING_CONN ? "connection" : "session",
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
		log_notice(NULL, "upgraded: version %s goes on", daemon->version);
	else if (origin == TABLE_REFUSED)
		log_error(NULL, "the upgrade is taken back, version %s goes on again: %s", daemon->version,
		    header->upgrade_error);
	header->origin = TABLE_NEW;
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

/* The control socket: the one that an earlier worker opened, or a new one. */
static bool
daemon_start_control(struct daemon *daemon)
{
	struct config_control *settings = &daemon->config->control;
	char *wrong = daemon_open_control(daemon);

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
	daemon->control = control_new(daemon->loop, daemon->table->header->file[TABLE_FILE_CONTROL],
	    settings->admin_users, settings->admin_groups, commands_register, &daemon->commands);
	return true;
}

static bool
daemon_start(struct daemon *daemon)
{
	struct table_header *header = daemon->table->header;

	daemon->events = events_new();
	daemon->watcher = (struct upstream_watcher){ .event = daemon_on_event, .arg = daemon };
	daemon->services = services_new(daemon->loop, daemon->table, &daemon->watcher, daemon_on_drained, daemon);
	loop_timer_init(&daemon->heartbeat, daemon->loop, daemon_on_heartbeat, daemon);
	loop_timer_init(&daemon->reloading, daemon->loop, daemon_on_reload, daemon);
	loop_timer_init(&daemon->upgrading, daemon->loop, daemon_on_upgrading, daemon);
	loop_timer_init(&daemon->stop, daemon->loop, daemon_on_stop_timeout, daemon);
	event_assign(&daemon->requests, daemon->loop, header->file[TABLE_FILE_REQUEST], EV_READ | EV_PERSIST,
	    daemon_on_requests, daemon);
	daemon_begin_watching(daemon);
	header->heartbeat++;
	sink_count_in(&header->log);
	if (!daemon_read_config(daemon))
		return false;
	daemon_open_log(daemon, daemon->config);
	daemon_bound_memory(daemon, daemon->config);
	budget_run(daemon->table->budget, daemon->loop);
	log_set_starting(!header->was_ready);
	daemon_log_death(header);
	daemon_log_origin(daemon);
	recover_end_group(&header->trial);
	recover_end_group(&header->reading);
	if (!daemon_start_control(daemon))
		return false;
	daemon->metrics = metrics_socket_new(daemon->loop, daemon->table, daemon_take_metrics, daemon);
	metrics_socket_set(daemon->metrics, daemon->config);
	services_start(daemon->services, daemon->config);
	daemon_look_after_files(daemon);
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
	control_free(daemon->control);
	pendings_end(&daemon->commands.pendings);
	metrics_socket_free(daemon->metrics);
	daemon_end_watching(daemon);
	services_free(daemon->services);
	pipes_clear(daemon->table);
	events_free(daemon->events);
	loop_event_stop(&daemon->requests);
	loop_timer_stop(&daemon->heartbeat);
	loop_timer_stop(&daemon->reloading);
	loop_timer_stop(&daemon->upgrading);
	loop_timer_stop(&daemon->stop);
	child_cancel(daemon->trial);
	config_reading_cancel(daemon->reading);
	if (daemon->config != NULL && daemon->table->header->file[TABLE_FILE_CONTROL] != -1)
		place_unlink(&daemon->table->header->control_place, daemon->config->control.listener.path);
	config_free(daemon->config);
	budget_run(daemon->table->budget, NULL);
	loop_free(daemon->loop);
	log_end();
}

void
daemon_say_ready(struct daemon *daemon)
{
	struct table_header *header = daemon->table->header;

	if (header->ready)
		return;
	daemon_refuse_passed_fds(daemon);
	header->was_ready = 1;
	header->reloads += header->reloads % 2; /* one that died with its worker */
	header->ready = 1;
	upgrade_forget(daemon->table, TABLE_FILE_MIGRATE); /* nobody will go back */
	CRASH_POINT(RECOVER_READY);
	daemon_update_status(daemon);
	keeper_nudge(daemon->table); /* the status may be as before, but it is ready now */
	log_info(NULL, "ready services=%zu worker_pid=%d", daemon->config->service_count, (int)getpid());
}

int
daemon_run(struct table *table, const char *version)
{
	struct daemon daemon = { .table = table, .version = version };
	struct table_header *header = table->header;

	recover_run(table);
	if (header->keeper_pid != 0)
		victim_volunteer();
	daemon.loop = loop_new();
	if (!daemon_start(&daemon)) {
		daemon_end(&daemon);
		return 1;
	}
	if (!header->was_ready)
		log_info(NULL, "at most %u files can be open: enough for %u sessions", header->shape.files - 1,
		    (header->shape.files - 1) / 2);
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

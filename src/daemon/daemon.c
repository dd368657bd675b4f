#include "daemon/daemon.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/memory_limit.h"
#include "config/load.h"
#include "config/write.h"
#include "daemon/command.h"
#include "daemon/listen_socket.h"
#include "daemon/lock.h"
#include "daemon/metrics_socket.h"
#include "daemon/pages.h"
#include "daemon/reloads.h"
#include "daemon/service_sockets.h"
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
	struct prepared_socket control_prepared; /* owned: for it */
	struct metrics_socket *metrics; /* owned */
	struct trial *trial;          /* owned */
	struct command_context commands;
	struct reloads *reloads;      /* owned */
	struct event requests;
	struct loop_timer heartbeat;
	struct loop_work starting;    /* of services */
	struct loop_timer stop;       /* stop_timeout */
	struct loop_timer looking;    /* for files that somebody has removed */
	struct loop_work looking_at;  /* services' */
	size_t looked_at;             /* so many of them */
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
	if (bits & TABLE_REQUEST_RELOADING)
		reloads_ask(daemon->reloads, false, false);
	if (bits & TABLE_REQUEST_UPGRADING)
		trial_ask(daemon->trial);
	if (bits & TABLE_REQUEST_STOP_NOW)
		daemon_on_stop_timeout(daemon);
	else if ((bits & TABLE_REQUEST_STOP) && !reloads_is_at_work(daemon->reloads)) /* else it ends first */
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
	char made[TABLE_STATUS_SIZE], text[TABLE_STATUS_SIZE];

	daemon_describe(daemon, made);
	escape(made, strlen(made), 0, text, sizeof text); /* a newline would end what systemd takes for the status */
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

/* What of the table could not be followed, once. */
static void
daemon_log_damage(struct table_header *header)
{
	const struct table_damage found = header->damage;

	if (found.all)
		log_error(NULL, "worker after worker has died of what is in memory: all clients and "
		    "connections are closed; the daemon starts afresh");
	else if ((found.words | found.services | found.clients | found.conns) != 0)
		log_error(NULL, "what is in memory is damaged: %u clients, %u connections and the queues of %u "
		    "services are given up, %u numbers are put right; all else is taken over", found.clients,
		    found.conns, found.services, found.words);
	header->damage = (struct table_damage){ 0 };
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
	if (header->restart_error != 0)
		log_error(NULL, "systemd cannot keep the connections over this restart: %s; all are closed",
		    strerror(header->restart_error));
	header->restart_error = 0;
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

static bool
daemon_look_bit(void *arg)
{
	struct daemon *daemon = arg;
	const struct service *service = services_at(daemon->services, daemon->looked_at++);

	if (service == NULL || reloads_is_at_work(daemon->reloads)) /* which looks itself */
		return false;
	service_sockets_look_after(service_get_sockets(service));
	return true;
}

static void
daemon_on_looked(void *arg)
{
	daemon_update_status(arg);
}

/* The daemon's own files. */
static void
daemon_look_at_own(struct daemon *daemon)
{
	lock_keeper_look(daemon->lock);
	listen_socket_look_after(daemon->control_socket);
	listen_socket_look_after(metrics_socket_listen_socket(daemon->metrics));
}

/* What others have removed of our sockets' files and the lock is made again, and told: now, after a change in the
 * runtime directory, at the place of a socket, and every 30 s. */
static void
daemon_look(void *arg)
{
	struct daemon *daemon = arg;

	if (daemon->stopping || daemon->table->header->stopping || daemon->reloads == NULL) /* it is starting */
		return;
	loop_timer_at(&daemon->looking, clock_now() + DAEMON_LOOK);
	daemon_look_at_own(daemon);
	daemon->looked_at = 0;
	loop_work_start(&daemon->looking_at, daemon_look_bit, daemon_on_looked);
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
daemon_take_config(void *arg, struct config *config, struct prepared_socket *metrics)
{
	struct daemon *daemon = arg;

	daemon_obey(daemon, config);
	control_set_admins(daemon->control, config->control.admin_users, config->control.admin_groups);
	listen_socket_settle(daemon->control_socket, &config->control.listener, DAEMON_CONTROL_RETRY, NULL);
	metrics_socket_set(daemon->metrics, config, metrics);
	config_free(daemon->config);
	daemon->config = config;
}

/* Of a reload that changes something. */
static void
daemon_on_files_read(void *arg)
{
	struct daemon *daemon = arg;

	trial_hold(daemon->trial, true);
	if (!daemon->stopping && !daemon->table->header->stopping)
		daemon_look_at_own(daemon);
}

static void
daemon_on_reloaded(void *arg)
{
	struct daemon *daemon = arg;

	daemon_update_status(daemon);
	daemon_say_ready(daemon); /* if it was begun before this worker: at a restart, an upgrade, a death */
	trial_hold(daemon->trial, false);
	if (daemon->table->header->stopping)
		daemon_stop(daemon);
}

static void
daemon_reload(void *arg, bool dry, bool force)
{
	const struct daemon *daemon = arg;

	reloads_ask(daemon->reloads, dry, force);
}

/* The text in the table is damaged: its files are read again, and what they say is in force. */
static struct config *
daemon_read_files(struct daemon *daemon, struct config_errors *errors)
{
	const char *path = daemon->table->header->config_path;
	struct config *config = config_load(path, false, errors);
	char *text;

	log_error(NULL, "the configuration in memory is damaged; %s %s", path,
	    config != NULL ? "is read again" : "cannot be read again, either");
	if (config == NULL)
		return NULL;
	config_number_names(config);
	text = config_text(config, setting_print);
	table_config_set(daemon->table, text, strlen(text));
	mem_free(text);
	return config;
}

static bool
daemon_read_config(struct daemon *daemon)
{
	struct config_errors errors = { 0 };

	if (!table_config_is_whole(daemon->table))
		daemon->config = daemon_read_files(daemon, &errors);
	if (daemon->config == NULL)
		daemon->config = config_in_force(daemon->table, false, &errors);
	for (size_t i = 0; i < errors.count; i++)
		log_error(NULL, "%s", errors.errors[i]);
	config_errors_clear(&errors);
	return daemon->config != NULL;
}

static void
daemon_listen(void *arg, int fd, bool last)
{
	struct daemon *daemon = arg;
	const struct config_control *settings = &daemon->config->control;

	(void)last; /* control_listen() does */
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
		log_error(NULL, "%s; it is tried again every second", text);
	else if (news == LISTEN_SOCKET_MADE_AGAIN)
		log_warning(NULL, "control socket %s was removed; created again", text);
}

/* The control socket: the one that an earlier worker opened, or a new one.  Who connects waits until all services
 * have been started. */
static bool
daemon_open_control(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	char *wrong = daemon->table->header->control.fd != -1 ? NULL : listen_socket_prepare(daemon->table,
	    LISTEN_SOCKET_CONTROL, NULL, &config->control.listener, config->runtime_directory,
	    &daemon->control_prepared);

	if (wrong == NULL)
		return true;
	log_error(NULL, "control socket: %s; holdfastd cannot run without it", wrong);
	mem_free(wrong);
	return false;
}

static void
daemon_start_control(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	struct listen_socket_user user = { .kind = LISTEN_SOCKET_CONTROL, .record = &daemon->table->header->control,
		.wrong = "the control socket was removed, and cannot be created again: ", .listen = daemon_listen,
		.tell = daemon_tell, .arg = daemon };

	daemon->commands = (struct command_context){
		.table = daemon->table, .version = daemon->version, .events = daemon->events,
		.services = daemon->services, .daemon = daemon, .config = daemon_config,
		.log_level = daemon_log_level, .reload = daemon_reload,
	};
	pendings_init(&daemon->commands.pendings, daemon->loop);
	daemon->trial = trial_new(daemon->loop, daemon->table, daemon->version, &daemon->commands.pendings,
	    COMMAND_UPGRADE);
	daemon->control_socket = listen_socket_new(daemon->loop, daemon->table, config->runtime_directory, &user);
	listen_socket_settle(daemon->control_socket, &config->control.listener, DAEMON_CONTROL_RETRY,
	    &daemon->control_prepared);
}

static void
daemon_start_reloads(struct daemon *daemon)
{
	daemon->reloads = reloads_new(&(struct reloads_daemon){
		.loop = daemon->loop, .table = daemon->table, .services = daemon->services,
		.control = daemon->control_socket, .metrics = daemon->metrics,
		.pendings = &daemon->commands.pendings, .config = &daemon->config, .arg = daemon,
		.read = daemon_on_files_read, .take = daemon_take_config, .ended = daemon_on_reloaded,
	});
}

/* All services serve: now orders are taken. */
static void
daemon_on_started(void *arg)
{
	struct daemon *daemon = arg;
	struct table_header *header = daemon->table->header;
	bool reloads = header->requests & TABLE_REQUEST_RELOADING;

	daemon_start_control(daemon);
	daemon->metrics = metrics_socket_new(daemon->loop, daemon->table, pages_answer, &daemon->commands);
	metrics_socket_set(daemon->metrics, daemon->config, NULL);
	daemon_start_reloads(daemon);
	daemon_look(daemon);
	if (!reloads) /* else the reload may want them */
		recover_close_strays(daemon->table);
	CRASH_POINT(RECOVER_EVENTS);
	loop_event_add(&daemon->requests);
	event_active(&daemon->requests, EV_READ, 0); /* what a dead worker did not come to do */
	log_set_starting(false);
	if (!reloads) /* else it does, which comes when clients are served again */
		daemon_say_ready(daemon);
	if (header->stopping)
		daemon_stop(daemon);
}

static bool
daemon_start_bit(void *arg)
{
	const struct daemon *daemon = arg;

	return services_start_bit(daemon->services, daemon->config);
}

static void
daemon_tell_limits(const struct daemon *daemon)
{
	const struct table_header *header = daemon->table->header;

	if (header->was_ready)
		return;
	log_info(NULL, "at most %u file descriptors can be open: enough for %u clients",
	    daemon->table->shape.files - 1, (daemon->table->shape.files - 1) / 2);
	log_info(NULL, "buffers use at most %.1f MiB (max_memory)",
	    (double)budget_most(daemon->table->budget) / (1 << 20));
}

static bool
daemon_start(struct daemon *daemon)
{
	struct table_header *header = daemon->table->header;

	daemon->events = events_new(daemon->loop);
	daemon->watcher = (struct upstream_watcher){ .event = daemon_on_event, .arg = daemon };
	daemon->services = services_new(daemon->loop, daemon->table, &daemon->watcher, daemon_end_if_done, daemon);
	loop_timer_init(&daemon->heartbeat, daemon->loop, daemon_on_heartbeat, daemon);
	loop_work_init(&daemon->starting, daemon->loop, daemon);
	loop_work_init(&daemon->looking_at, daemon->loop, daemon);
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
	daemon_log_damage(header);
	daemon_log_origin(daemon);
	recover_end_group(&header->trial);
	upgrade_forget(daemon->table, TABLE_FILE_NEXT); /* what was tried is tried again, from its path */
	recover_end_group(&header->reading);
	daemon->lock = lock_keeper_new(daemon->loop, daemon->config->runtime_directory, &(struct lock){
		.file = header->file[TABLE_FILE_LOCK], .directory = header->file[TABLE_FILE_DIRECTORY] },
	    daemon_look, daemon);
	if (!daemon_open_control(daemon))
		return false;
	daemon_on_heartbeat(daemon);
	daemon_tell_limits(daemon);
	services_resume(daemon->services, daemon->config);
	loop_work_start(&daemon->starting, daemon_start_bit, daemon_on_started);
	return true;
}

static void
daemon_end(struct daemon *daemon)
{
	loop_work_stop(&daemon->starting);
	loop_work_stop(&daemon->looking_at);
	prepared_socket_close(&daemon->control_prepared);
	listen_socket_close(daemon->control_socket);
	reloads_free(daemon->reloads);
	pendings_end(&daemon->commands.pendings);
	metrics_socket_free(daemon->metrics);
	loop_timer_stop(&daemon->looking);
	lock_keeper_free(daemon->lock);
	services_free(daemon->services);
	pipes_clear(daemon->table);
	events_free(daemon->events);
	loop_event_stop(&daemon->requests);
	loop_timer_stop(&daemon->heartbeat);
	loop_timer_stop(&daemon->stop);
	trial_free(daemon->trial);
	config_free(daemon->config);
	budget_run(daemon->table->budget, NULL);
	loop_free(daemon->loop);
	log_end();
}

int
daemon_run(struct table *table)
{
	struct daemon daemon = { .table = table, .version = table->header->version };

	json_set_alloc_funcs(mem_malloc, mem_free);
	recover_run(table);
	keeper_volunteer(table);
	daemon.loop = loop_new();
	if (!daemon_start(&daemon)) {
		daemon_end(&daemon);
		return 1;
	}
	event_base_dispatch(daemon.loop);
	daemon_end(&daemon);
	return 0;
}

/* daemon_parts.h - the inside of the daemon, for daemon.c (its life), daemon_reload.c (new configurations),
 * daemon_upgrade.c (new programs), daemon_watch.c (what somebody removes) alone. */
#ifndef HOLDFAST_DAEMON_DAEMON_PARTS_H
#define HOLDFAST_DAEMON_DAEMON_PARTS_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "base/child.h"
#include "base/loop.h"
#include "base/watch.h"
#include "config/load.h"
#include "control/control.h"
#include "control/events.h"
#include "daemon/command.h"
#include "daemon/daemon.h"
#include "daemon/metrics_socket.h"
#include "daemon/services.h"

struct daemon {
	struct event_base *loop;
	struct table *table;          /* borrowed */
	const char *version;
	struct config *config;        /* owned; its services are taken */
	struct upstream_watcher watcher;
	struct services *services;          /* owned */
	struct control *control;      /* owned */
	struct events *events;        /* owned */
	struct metrics_socket *metrics; /* owned */
	struct command_context commands;
	struct config_reading *reading; /* owned; of a reload; NULL none */
	bool reading_is_dry, reading_is_forced;
	struct child *trial;          /* owned; the new program of an upgrade, tried; NULL none */
	struct loop_timer upgrading;  /* it was good */
	bool upgrade_again;           /* asked for since its file was opened: another one may stand there now */
	struct event requests;
	struct loop_timer heartbeat;
	struct loop_timer reloading;
	bool asked_to_reload;         /* not only for what a reload would do */
	bool reload_forced, dry_forced; /* by one of those who asked: it may remove all services */
	struct loop_timer stop;       /* stop_timeout */
	struct loop_timer watching;   /* for files that somebody has removed */
	struct watch *control_watch, *lock_watch, *metrics_watch; /* owned: likewise */
	char *control_error, *lock_error; /* owned: why it cannot be made again; NULL none */
	bool stopping;
	int64_t want_told;            /* when it was logged that buffers are at their bound; 0 never */
};

/* The level that an operator has set goes before the configured one. */
void daemon_open_log(const struct daemon *daemon, const struct config *config);

/* Bounds the buffers as the configuration says. */
void daemon_bound_memory(const struct daemon *daemon, const struct config *config);

/* A sign of life for the keeper, also in the midst of long work (K6).  arg is the daemon. */
void daemon_beat(void *arg);

/* Tells systemd what has changed of the status. */
void daemon_update_status(struct daemon *daemon);

/* Once, when all that the configuration says is begun: the keeper tells systemd. */
void daemon_say_ready(struct daemon *daemon);

/* The timer's callback that does a reload; arg is the daemon. */
void daemon_on_reload(void *arg);

/* Tries the program file; if it is good the keeper executes it. */
void daemon_try_upgrade(struct daemon *daemon);
void daemon_on_upgrading(void *arg);

/* If there is no control socket yet: the one that a dead worker had opened, or a new one.  NULL, or what is wrong: a
 * text to free with mem_free(). */
char *daemon_open_control(struct daemon *daemon);

/* Whether the path of the control socket leads to it. */
bool daemon_has_control(const struct daemon *daemon);

/* Closes the sockets that systemd has handed over under a name that no service has, or under one twice, and tells. */
void daemon_refuse_passed_fds(struct daemon *daemon);

/* What others have removed of our sockets' files and the lock is made again, and told: now, at a change, and every
 * 30 s. */
void daemon_begin_watching(struct daemon *daemon);
void daemon_look_after_files(struct daemon *daemon);
void daemon_end_watching(struct daemon *daemon);

/* For struct command_context. */
void daemon_reload(void *arg, bool dry, bool force);

#endif

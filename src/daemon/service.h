/* service.h - one configured service: where the local side (client/) meets the remote side (upstream/). */
#ifndef HOLDFAST_DAEMON_SERVICE_H
#define HOLDFAST_DAEMON_SERVICE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/clients.h"
#include "client/mux.h"
#include "config/settings.h"
#include "keep/table.h"
#include "upstream/upstream.h"

struct service;
struct service_sockets;
struct prepared_socket;

/* For status. */
struct service_status {
	const struct table_service *record; /* borrowed: what it counts, and what was ordered of it */
	struct upstream_status upstream;
	unsigned clients;            /* without the held */
	unsigned held;
	unsigned lingering;          /* turned away, and still being told why */
	int64_t held_longest;        /* microseconds, 0 none */
	uint64_t bytes[2];
	struct mux_status shared; /* zero in session mode */
	enum service_mode mode;
	enum table_pause accepting_paused; /* why nobody is accepted for now */
	bool removed;                /* by a reload: its last clients end */
	const char *socket;          /* path, or "@name"; of several all, a comma between them */
	struct service_socket_status { /* of each; none once removed or stopped */
		const char *path, *error; /* borrowed; NULL: it is open */
	} sockets[TABLE_LISTENERS];
	unsigned socket_count;
	const char *socket_error;    /* borrowed: why one could not be opened; NULL: all are open */
	unsigned sockets_missing;    /* how many could not */
	bool shut;                   /* for that reason nobody can connect: it is down, whatever its upstream is */
};

/* Begins or (a record in the table has this name and is LIVE) resumes a service.  settings become the service's;
 * prepared, unless NULL, has the sockets that were opened for its listeners.  A socket that cannot be opened is
 * tried again: service_status.socket_error.  NULL and *ret_service, or what is wrong, to be freed with mem_free(). */
char *service_new(struct event_base *loop, struct table *table, const char *runtime_directory,
    struct service_settings *settings, struct prepared_socket *prepared, bool log_clients,
    const struct upstream_watcher *watcher, void (*gone)(void *arg, struct service *service), void *arg,
    struct service **ret_service);

/* A service that an earlier worker was removing: its clients go on to their end; then gone is called, as for one that
 * is removed now: it is to be freed. */
struct service *service_resume_removed(struct event_base *loop, struct table *table, uint16_t index,
    void (*gone)(void *arg, struct service *service), void *arg);

/* Frees the process's side only; the table still holds the service and its clients. */
void service_free(struct service *service);

/* Closes listener and held clients at once.  true: nobody is left, it has ended and is to be freed; false: attached
 * clients may end by themselves (drain_timeout), then gone is called. */
bool service_remove(struct service *service);

/* Changed settings (same name), which become the service's; prepared has its new listening sockets.
 * Clients stay; the upstream side restarts only if settings changed that it cannot take over in place. */
void service_renew(struct service *service, struct service_settings *settings, struct prepared_socket *prepared,
    bool log_clients);

/* Whether a line is logged per client from now on. */
void service_log_clients(struct service *service, bool log_clients);

/* Ends it with the daemon: all clients are closed, or only the held ones while the others may end by themselves. */
void service_stop(struct service *service, bool all);

/* NULL once it is removed or stopped. */
struct service_sockets *service_get_sockets(const struct service *service);

const char *service_name(const struct service *service);
const struct service_settings *service_get_settings(const struct service *service);
struct upstream *service_upstream(const struct service *service);
uint16_t service_index(const struct service *service); /* of its record in the table */
void service_get_status(const struct service *service, struct service_status *ret_status);

/* What operators do; uid is theirs.  close: new and held clients are refused; kill also ends the attached. */
void service_close(struct service *service, uid_t uid, bool kill);
void service_drain(struct service *service, uid_t uid);
void service_open(struct service *service, uid_t uid);

/* pause: new work is held, in-flight work ends, then the upstream connections go; kill ends in-flight work at once.
 * May be asked again: who paused it first, and when, stays.  resume: whether it was paused. */
void service_pause(struct service *service, uid_t uid, bool kill);
bool service_resume(struct service *service, uid_t uid);

/* The upstream is treated as down for so many microseconds from now on; 0: no more. */
void service_fail(struct service *service, uid_t uid, int64_t span);

/* What keeps a paused service from rest. */
struct service_left {
	unsigned clients;  /* attached; in shared mode those with requests in flight */
	uint64_t requests; /* shared mode: in flight, also of clients that have gone */
	bool connecting;   /* an attempt is under way, or a connection not closed yet */
};
void service_get_left(struct service *service, struct service_left *ret_left);

/* One client, for "clients" and "kill". */
struct service_client {
	uint64_t id;
	uint32_t index;    /* of its record */
	int fd;            /* borrowed: peer_get() */
	const struct table_conn *upstream; /* borrowed, in shared mode that of all; NULL while held or down */
	bool held;
	bool own;          /* it has a connection of its own, though others of its service share one */
	int64_t since;     /* monotonic */
	uint64_t bytes[2];
};

/* Calls visit for each client until it gives false; it may service_kill() the client it is shown. */
void service_each_client(struct service *service, bool (*visit)(void *arg, const struct service_client *client),
    void *arg);
void service_kill(struct service *service, uint32_t index);

/* A client that was shown before, as it is now; false if it has gone. */
bool service_get_client(const struct service *service, uint32_t index, uint64_t id,
    struct service_client *ret_client);

/* Likewise for each of service_left.clients, none of whom may be killed; visit may be NULL.  How many there were. */
unsigned service_each_left(struct service *service, bool (*visit)(void *arg, const struct service_client *client),
    void *arg);

#endif

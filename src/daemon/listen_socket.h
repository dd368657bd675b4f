/* listen_socket.h - where somebody comes in: clients of a service, operators, whoever reads the metrics.  The socket
 * is made here, or handed over by systemd; prepared, committed, moved to another path, made again when somebody has
 * removed its file, given to another service.
 *
 * A reload opens all new sockets before it changes anything, so that one that cannot be opened changes nothing.
 * Otherwise one that cannot be opened is tried again after a delay; until then it stays where it is, or nobody can
 * connect.
 */
#ifndef HOLDFAST_DAEMON_LISTEN_SOCKET_H
#define HOLDFAST_DAEMON_LISTEN_SOCKET_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/listener.h"
#include "keep/table.h"

/* Whose it is. */
enum listen_socket_kind { LISTEN_SOCKET_SERVICE, LISTEN_SOCKET_CONTROL, LISTEN_SOCKET_METRICS };

/* A listening socket that no record names yet.  Zero is none. */
struct prepared_socket {
	bool there;
	bool passed; /* another service's until the plan is carried out: never unlinked or closed, as systemd's */
	struct table_socket socket;
};

/* Takes the socket that systemd has handed over for this name (NULL: none), or what a dead worker had opened, or
 * opens the one of the settings.  NULL, or what is wrong, to be freed with mem_free(). */
char *listen_socket_prepare(struct table *table, enum listen_socket_kind kind, const char *name,
    const struct listener_settings *settings, const char *runtime_directory, struct prepared_socket *ret_prepared);

/* Whether the socket of this service with these settings is systemd's: one was handed over under the service's name,
 * wherever its path leads unless there are others beside it, or one of TCP at this address. */
bool listen_socket_is_activated(const struct table *table, const char *name,
    const struct listener_settings *settings);

/* Whether this file that systemd has handed over is that socket. */
bool listen_socket_is_passed(const char *name, const struct listener_settings *settings,
    const struct table_activated *activated);

/* The socket of another service's record, which is to be this one's with these settings; sets its owner, mode and
 * backlog.  NULL, or what is wrong; likewise. */
char *listen_socket_prepare_passed(const struct table_socket *giver, const struct listener_settings *settings,
    struct prepared_socket *ret_prepared);

/* What listen_socket_prepare() would complain about; opens nothing that stays.  Likewise. */
char *listen_socket_rehearse(const struct table *table, const char *name, const struct listener_settings *settings,
    const char *runtime_directory);

/* Unlinks and closes; systemd's are left to it, none is fine. */
void prepared_socket_close(struct prepared_socket *prepared);

/* Unlinks and closes the record's socket, which it names no more then; systemd's is left to it, none is fine. */
void listen_socket_end(struct table_socket *record);

/* Whether the record's socket is a socket of our own at this path, or "@name". */
bool listen_socket_is_named(const struct table_socket *record, const char *path);

/* Whether the record's socket is where the settings want it. */
bool listen_socket_is_at(const struct table_socket *record, const struct listener_settings *settings);

/* What its user is told, with a text. */
enum listen_socket_news {
	LISTEN_SOCKET_FAILED,     /* it cannot be opened, and why: once for each reason */
	LISTEN_SOCKET_OPEN,       /* it is now, at this path */
	LISTEN_SOCKET_MADE_AGAIN  /* somebody had removed this path */
};

struct listen_socket_user {
	enum listen_socket_kind kind;
	struct table_socket *record; /* borrowed: the table's */
	const char *name;            /* borrowed: under which systemd may have handed it over; NULL none */
	const char *wrong;           /* borrowed: what a text of what is wrong begins with */
	/* Accepts from this socket from now on, -1: from none.  With last set all who have connected to the one
	 * before are accepted at once: it goes. */
	void (*listen)(void *arg, int fd, bool last);
	void (*tell)(void *arg, enum listen_socket_news news, const char *text);
	void *arg;                   /* borrowed */
};

struct listen_socket;

/* At the socket that the record names, if any. */
struct listen_socket *listen_socket_new(struct event_base *loop, struct table *table, const char *runtime_directory,
    const struct listen_socket_user *user);

/* Frees the process's side only; or its socket is closed and removed as well.  NULL is fine, here and below but for
 * settle and give: of a service that ends, whose socket is gone. */
void listen_socket_free(struct listen_socket *self);
void listen_socket_close(struct listen_socket *self);

/* As close, of one of several: who has connected is let in, and the record says nothing of it any more. */
void listen_socket_drop(struct listen_socket *self);

/* To the socket that was prepared, unless none or NULL; else to where these settings (borrowed) want it, unless it is
 * there: one that begins has none, and a dead worker may have left one in the midst of a reload that moves it.
 * delay: before it is tried again. */
void listen_socket_settle(struct listen_socket *self, const struct listener_settings *settings, int64_t delay,
    struct prepared_socket *prepared);

/* Its socket is to be another service's: it takes no clients, and opens no socket, until listen_socket_settle() or
 * listen_socket_close(), which must come. */
void listen_socket_give(struct listen_socket *self);

/* Whether the socket is not where the settings say: it could not be opened, or its file was removed.  Tries now, if
 * so; makes it again if somebody has removed it. */
bool listen_socket_is_missing(const struct listen_socket *self);
void listen_socket_retry(struct listen_socket *self);
void listen_socket_look_after(struct listen_socket *self);

/* Why it could not be opened (borrowed), NULL: it is open; whether nobody can connect for that reason; when it is
 * tried again. */
const char *listen_socket_error(const struct listen_socket *self);
bool listen_socket_is_shut(const struct listen_socket *self);
int64_t listen_socket_next(const struct listen_socket *self);

#endif

/* door.h - the listening socket of a service: made here, or handed over by systemd; prepared, then committed.
 *
 * A reload opens all new doors before it changes anything, so that one that cannot be opened changes nothing.
 */
#ifndef HOLDFAST_DAEMON_DOOR_H
#define HOLDFAST_DAEMON_DOOR_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "client/listener.h"
#include "keep/table.h"

/* A listening socket that no record names yet, or not any more.  Zero is none. */
struct door {
	bool there;
	bool activated;           /* systemd's: never unlinked or closed */
	bool given;               /* another service's until the plan is carried out: likewise */
	int fd;
	struct sockaddr_un bound;
	socklen_t length;
	struct place place;       /* of its file */
};

/* Takes the socket that systemd has handed over under the service's name, or opens the one of the settings.  NULL, or
 * what is wrong, to be freed with mem_free(). */
char *door_prepare(struct table *table, const char *name, const struct listener_settings *settings,
    const char *runtime_directory, struct door *ret_door);

/* Whether this service's door is systemd's, wherever its path leads. */
bool door_is_activated(const struct table *table, const char *name);

/* The door of another service's record, which is to be this one's with these settings; sets its owner, mode and
 * backlog.  NULL, or what is wrong; likewise. */
char *door_prepare_given(const struct table_service *giver, const struct listener_settings *settings,
    struct door *ret_door);

/* What door_prepare() would complain about; opens nothing that stays.  Likewise. */
char *door_rehearse(const struct table *table, const char *name, const struct listener_settings *settings,
    const char *runtime_directory);

/* The record names the door from now on; the one that it named before is given in *ret_before. */
void door_commit(struct table_service *record, struct door *door, struct door *ret_before);

/* The record names no door from now on. */
void door_take_away(struct table_service *record, struct door *ret_before);

/* The record's door leads nowhere from now on: its name is gone, nobody can connect.  Who has connected can still be
 * accepted.  Not of systemd's. */
void door_shut(const struct table_service *record);

/* Unlinks and closes; systemd's are left to it, none is fine. */
void door_close(struct door *door);

/* Unlinks and closes the record's door, which it names no more then; systemd's is left to it, none is fine. */
void door_end(struct table_service *record);

/* Only closes one that was shut. */
void door_drop(struct door *door);

/* Whether the record's door is a socket of our own at this path, or "@name". */
bool door_is_named(const struct table_service *record, const char *path);

/* Whether the path of the record's door, if it has one, still leads to it: nobody has removed or replaced it. */
bool door_is_there(const struct table_service *record);

/* Whether the record's door is where the settings want it. */
bool door_is_at(const struct table_service *record, const struct listener_settings *settings);

#endif

/* door.h - the listening socket of a service as the table names it: made here, or handed over by systemd. */
#ifndef HOLDFAST_DAEMON_DOOR_H
#define HOLDFAST_DAEMON_DOOR_H

#include "client/listener.h"
#include "keep/table.h"

/* Takes the socket that systemd has handed over under the record's name, or opens the one of the settings, and
 * names it in the record in place of an earlier one.  NULL, or what is wrong, to be freed with mem_free(). */
char *door_open(struct table *table, struct table_service *record, const struct listener_settings *settings,
    const char *runtime_directory);

/* Brings the socket in line with new settings.  If another path made another socket, the record names that one, and
 * the earlier one is the caller's to door_close().  NULL, or what is wrong, the earlier one being kept. */
char *door_renew(struct table *table, struct table_service *record, const struct listener_settings *before,
    const struct listener_settings *settings, const char *runtime_directory);

/* Unlinks and closes a listener that the record does not name any more; systemd's are left to it. */
void door_close(const struct table_service *record, int fd, const char *path);

#endif

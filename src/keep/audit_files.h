/* audit_files.h - whether the file descriptors that the table names can be what it says.
 *
 * Pure: what each is, the caller tells.
 */
#ifndef HOLDFAST_KEEP_AUDIT_FILES_H
#define HOLDFAST_KEEP_AUDIT_FILES_H

#include "keep/layout.h"

enum audit_file { AUDIT_CLOSED, AUDIT_SOCKET, AUDIT_LISTENER /* or for datagrams */, AUDIT_PIPE, AUDIT_OTHER };

/* What file descriptor number fd is. */
typedef enum audit_file audit_look(int fd);

/* The daemon's own and listeners go before all others.  A number that is none, or that two records name, is none of
 * theirs: their places in bad_client and bad_conn, by index, become 1.  services: how many records there are. */
void audit_files(struct table *table, audit_look *look, uint32_t services, unsigned char *bad_client,
    unsigned char *bad_conn);

#endif

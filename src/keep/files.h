/* files.h - every file that the table names, one after the other, always in the same order.
 *
 * What a new worker's sweep leaves open, what goes along to another program (U1), and what is put into the vault and
 * taken out of it again (U3).
 */
#ifndef HOLDFAST_KEEP_FILES_H
#define HOLDFAST_KEEP_FILES_H

#include "keep/table.h"

enum files_kind {
	FILES_DAEMON,    /* header.file[] */
	FILES_ACTIVATED, /* sockets of systemd's, also where a service listens on one */
	FILES_LISTENER,  /* a service's own, or a stray one (keep/recover.h) */
	FILES_PIPE,
	FILES_CLIENT,
	FILES_CONN,      /* an upstream connection's */
};

/* fd is where the table names the file, which may be changed; it is not -1. */
typedef void files_visit(void *arg, enum files_kind kind, volatile int32_t *fd);

/* All, each once. */
void files_each(const struct table *table, files_visit *visit, void *arg);

#endif

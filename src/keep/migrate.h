/* migrate.h - opens a table that another program left: of this layout, or of the one before.
 *
 * A layout adds to the one before only at the end of the header and of the records, so what the previous program knew
 * lies where this one looks for it, and what it did not know is 0.
 */
#ifndef HOLDFAST_KEEP_MIGRATE_H
#define HOLDFAST_KEEP_MIGRATE_H

#include "keep/table.h"

/* Opens the table in fd, a memfd that nobody else changes now.  One of this layout is taken over in place, and fd
 * is the table's; one of the layout before is copied into a new memory, and fd stays the caller's.  0 and
 * *ret_copied, or -errno: -EPROTO for any other layout (U4). */
int migrate_open(int fd, struct table *ret_table, bool *ret_copied);

/* The same for a copy, to be looked at while another program works on the table. */
int migrate_look(int fd, struct table *ret_table);

#endif

/* audit.h - whether what another process left in the table can be followed.
 *
 * A record that cannot is given up: it becomes CLOSING, and names nothing that is not its own.  A number that nothing
 * depends on is put right.  So whoever takes over may use each index, length and file descriptor of the table as it
 * stands.  Bytes of users are not looked at, nor what the layers above keep in their parts of a service's record;
 * those judge it themselves (client/mux_audit, upstream/record_audit).
 *
 * Pure: what each file descriptor is, the caller tells.
 */
#ifndef HOLDFAST_KEEP_AUDIT_H
#define HOLDFAST_KEEP_AUDIT_H

#include "keep/audit_files.h"
#include "keep/layout.h"

/* The change of several words that was under way (keep/redo): dropped, if it is none. */
void audit_redo(struct table *table);

/* The call that was under way (keep/io_journal): forgotten, if it is none. */
void audit_journal(struct table *table);

/* All else; to be called when both are done with.  Counts in header->damage.  now: monotonic; nothing was before a
 * time that is still to come. */
void audit_records(struct table *table, audit_look *look, int64_t now);

/* Whether the listener's name can be used as one. */
bool audit_is_name(const struct table_socket *listener);

/* Whether anything of the table was damaged and is not told of yet: who is connected may be anybody's. */
static inline bool
audit_has_found(const struct table *table)
{
	const struct table_damage *damage = &table->header->damage;

	return (damage->words | damage->services | damage->clients | damage->conns | damage->all) != 0;
}

/* Gives everything up but what operators have set and the sockets that clients come in by; what recover_run() does
 * then closes the rest. */
void audit_give_up(struct table *table);

#endif

/* fdstore.h - systemd keeps all file descriptors and the table for the next start (U3).
 *
 * They lie in socket pairs, as messages, in the table's order (table_each_file()).  What is taken out is only looked
 * at until all of it is there, so that a start that dies can be repeated.
 */
#ifndef HOLDFAST_KEEP_FDSTORE_H
#define HOLDFAST_KEEP_FDSTORE_H

#include "keep/passed_fds.h"
#include "keep/table.h"

/* Puts everything into systemd's file descriptor store and waits until systemd has it.  For the keeper, with no
 * worker, after recover_run().  0 or -errno, when nothing is lost yet. */
int fdstore_store(struct table *table);

/* Whether something was stored. */
bool fdstore_is_given(const struct passed_fds *passed_fds);

/* Claims all that was stored; systemd's sockets are left.  0, or -errno when there is nothing to take over, and all
 * that was stored is closed: -ENOENT without a table, -EPROTO for one of an unknown layout (U4), -ENODATA for
 * one that was taken before, -EMFILE if not all files could be opened.  *ret_config is then the configuration that
 * was in force, a text for mem_free(), or NULL. */
int fdstore_take(struct passed_fds *passed_fds, struct table *ret_table, char **ret_config);

/* Closes all that was stored and has not been taken. */
void fdstore_decline(struct passed_fds *passed_fds);

/* To be called once all is taken, or will never be: systemd forgets what was stored, by way of this table's notify
 * socket.  false if systemd could not be told. */
bool fdstore_forget(struct table *table);

#endif

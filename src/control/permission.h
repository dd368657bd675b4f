/* permission.h - which commands change something, and who may run those.
 *
 * Reading needs no more than to be able to open the socket.  What changes something is for root, the daemon's own
 * user, and who is named in control.admin_users or is a member of control.admin_groups: nobody else, if both are
 * empty.  Who somebody is the kernel says, as of when the connection was made; what may be done is asked before each
 * command.
 */
#ifndef HOLDFAST_CONTROL_PERMISSION_H
#define HOLDFAST_CONTROL_PERMISSION_H

#include <stdbool.h>

#include "client/peer.h"

/* When a command changes something. */
enum permission_changes {
	PERMISSION_reads,
	PERMISSION_changes,
	PERMISSION_changes_with_words, /* alone it only shows */
	PERMISSION_changes_unless_dry, /* not with --dry-run */
};

/* Whether it does with these words, of which the first is its name. */
bool permission_is_needed(enum permission_changes changes, int argc, char *const *argv);

/* NULL if the peer at the other end of fd may change something; else why it may not run the command of this name, to
 * be freed with mem_free().  The lists may be NULL. */
char *permission_refuse(int fd, const struct peer *peer, char *const *admin_users, char *const *admin_groups,
    const char *name);

#endif

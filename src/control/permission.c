#include "control/permission.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define PERMISSION_NAME_SIZE 64 /* of a user's name that is told */

static bool
permission_has_word(int argc, char *const *argv, const char *word)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], word) == 0)
			return true;
	return false;
}

bool
permission_is_needed(enum permission_changes changes, int argc, char *const *argv)
{
	switch (changes) {
	case PERMISSION_reads: return false;
	case PERMISSION_changes_with_words: return argc > 1;
	case PERMISSION_changes_unless_dry: return !permission_has_word(argc, argv, "--dry-run");
	case PERMISSION_changes: break;
	}
	return true;
}

/* Without lists nobody is an administrator: peer_allowed() would let everybody in. */
static bool
permission_is_administrator(int fd, const struct peer *peer, char *const *users, char *const *groups)
{
	return mem_list_length(users) + mem_list_length(groups) > 0 && peer_allowed(fd, peer, users, groups);
}

char *
permission_refuse(int fd, const struct peer *peer, char *const *admin_users, char *const *admin_groups,
    const char *name)
{
	bool none = mem_list_length(admin_users) + mem_list_length(admin_groups) == 0;
	char user[PERMISSION_NAME_SIZE], own[PERMISSION_NAME_SIZE];

	if (peer->uid == 0 || (peer->uid == geteuid() && !peer_is_unknown_user(geteuid())) ||
	    permission_is_administrator(fd, peer, admin_users, admin_groups))
		return NULL;
	peer_user(peer->uid, user, sizeof user);
	peer_user(geteuid(), own, sizeof own);
	return mem_print("permission denied: user %s may read, but \"%s\" changes something; that is for root%s%s, "
	    "control.admin_users and control.admin_groups%s", user, name, geteuid() == 0 ? "" : ", user ",
	    geteuid() == 0 ? "" : own, none ? " (both empty)" : "");
}

/* peer.h - who is at the other end of a Unix socket, by the kernel's word. */
#ifndef HOLDFAST_CLIENT_PEER_H
#define HOLDFAST_CLIENT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PEER_UNIT_SIZE 256

struct peer {
	pid_t pid; /* 0: in a pid namespace that is not seen from here */
	uid_t uid;
	gid_t gid;
};

/* The credentials the peer had when it connected (SO_PEERCRED).  0 or -errno. */
int peer_get(int fd, struct peer *ret_peer);

/* Whether the number names nobody: the kernel shows a user or group of another user namespace so that has none here
 * (/proc/sys/kernel/overflowuid, overflowgid), whoever it is.  (uid_t)-1, which no user can have, too. */
bool peer_is_unknown_user(uid_t uid);

/* Whether the name or number in a list of users, or groups, stands for such a one, which is never found then. */
bool peer_name_is_unknown(const char *name, bool group);

/* Who is allowed: users and groups by number. */
struct peer_rules;

/* From lists of names or numbers, ended by NULL, used during the call only.  Names are looked up here, once: that may
 * ask other hosts and wait for them (NSS).  An unknown one is ignored.  NULL if both lists are empty or NULL:
 * everybody may; with unknown names alone nobody may. */
struct peer_rules *peer_rules_new(char *const *users, char *const *groups);
void peer_rules_free(struct peer_rules *rules);

/* Whether the peer is one of the users or in one of the groups, supplementary ones included (SO_PEERGROUPS).  An
 * unknown user or group is none of them. */
bool peer_rules_allow(const struct peer_rules *rules, int fd, const struct peer *peer);

/* The three in one, for who asks seldom. */
bool peer_allowed(int fd, const struct peer *peer, char *const *users, char *const *groups);

/* The systemd unit of a process, from /proc/PID/cgroup, or "" if there is none. */
void peer_unit(pid_t pid, char ret_unit[PEER_UNIT_SIZE]);

/* The container's name or identifier of a process (docker-, libpod-, machine.slice scopes), or "". */
void peer_container(pid_t pid, char ret_container[PEER_UNIT_SIZE]);

/* The user's name, its number as text, or "unknown".  May wait (NSS), so not for each client. */
void peer_user(uid_t uid, char *ret_name, size_t size);

#endif

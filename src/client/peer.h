/* peer.h - who is at the other end of a Unix socket, by the kernel's word. */
#ifndef HOLDFAST_CLIENT_PEER_H
#define HOLDFAST_CLIENT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PEER_UNIT_SIZE 256

struct peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/* The credentials the peer had when it connected (SO_PEERCRED).  0 or -errno. */
int peer_get(int fd, struct peer *ret_peer);

/* Whether the peer is one of the users (names or numbers) or in one of the groups, supplementary ones
 * included (SO_PEERGROUPS).  Both lists empty: everybody may. */
bool peer_allowed(int fd, const struct peer *peer, char *const *users, char *const *groups);

/* The systemd unit of a process, from /proc/PID/cgroup, or "" if there is none. */
void peer_unit(pid_t pid, char ret_unit[PEER_UNIT_SIZE]);

/* The container's name or identifier of a process (docker-, libpod-, machine.slice scopes), or "". */
void peer_container(pid_t pid, char ret_container[PEER_UNIT_SIZE]);

/* The user's name, or its number as text. */
void peer_user(uid_t uid, char *ret_name, size_t size);

#endif

/* tcp_owner.h - which user and process a TCP socket of this host belongs to, by /proc/net/tcp and tcp6 and the
 * files of all processes that /proc shows: for people only, since the kernel lists everything for each question.
 */
#ifndef HOLDFAST_BASE_TCP_OWNER_H
#define HOLDFAST_BASE_TCP_OWNER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/address.h"

#define TCP_OWNERS_MAX 65536         /* sockets that are looked at */
#define TCP_OWNERS_FILES (1u << 20)  /* files of processes */
#define TCP_OWNERS_BIT 32            /* of either in one bit */

/* The sockets as they are when they are listed.  With processes set their processes are looked for too. */
struct tcp_owners;

struct tcp_owners *tcp_owners_new(bool processes);
void tcp_owners_free(struct tcp_owners *owners);

/* Lists the next ones, in a fraction of a millisecond.  Whether there is more: nothing is found before it was all. */
bool tcp_owners_list_bit(struct tcp_owners *owners);

/* Whose the other end of a connection is, and the first process that has it, 0 if none is seen; false: it is not TCP,
 * not of this host, or came later. */
bool tcp_owners_find_peer(const struct tcp_owners *owners, int fd, uid_t *ret_uid, pid_t *ret_pid);

/* Who listens where one of this name (base/tcp_listen.h) cannot be opened: his address in words, which may be one
 * that means all.  false: nobody is found. */
bool tcp_owners_find_listener(const struct tcp_owners *owners, const char *name, char ret_name[ADDRESS_TEXT_SIZE],
    uid_t *ret_uid);

#endif

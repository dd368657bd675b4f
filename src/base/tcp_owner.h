/* tcp_owner.h - which user a TCP socket of this host belongs to, by /proc/net/tcp and tcp6: for people only, since
 * the kernel lists all sockets for each question.
 */
#ifndef HOLDFAST_BASE_TCP_OWNER_H
#define HOLDFAST_BASE_TCP_OWNER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/address.h"

#define TCP_OWNERS_MAX 65536 /* sockets that are looked at */

/* The sockets as they are when they are listed. */
struct tcp_owners;

struct tcp_owners *tcp_owners_new(void);
void tcp_owners_free(struct tcp_owners *owners);

/* Whose the other end of a connection is; false: it is not TCP, not of this host, or came later. */
bool tcp_owners_find_peer(const struct tcp_owners *owners, int fd, uid_t *ret_uid);

/* Who listens where one of this name (base/tcp_listen.h) cannot be opened: his address in words, which may be one
 * that means all.  false: nobody is found. */
bool tcp_owners_find_listener(const struct tcp_owners *owners, const char *name, char ret_name[ADDRESS_TEXT_SIZE],
    uid_t *ret_uid);

#endif

/* tcp_listen.h - a listening TCP socket, and its name: the address and port in words.
 *
 * "127.0.0.1:5432", "[::1]:5432", any other address of this host, or "localhost:5432".  That one is a single socket
 * of both families that takes only what comes over the interface lo, so that it is one file like any other.
 */
#ifndef HOLDFAST_BASE_TCP_LISTEN_H
#define HOLDFAST_BASE_TCP_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/address.h"

/* Whether a path stands for an address: it has a colon and is neither a file's nor "@name". */
bool tcp_listen_is_meant(const char *path);

/* Writes the name of an address, the same however the address is written.  NULL, or what is wrong with it: a static
 * text. */
const char *tcp_listen_parse(const char *text, char ret_name[ADDRESS_TEXT_SIZE]);

/* Whether other hosts can reach it; false of what is no name. */
bool tcp_listen_is_public(const char *name);

/* Whether not both can be listened at: the same port, and the same address or one that means all.  false if one of
 * them is no name. */
bool tcp_listen_meets(const char *a, const char *b);

/* Whether who dials the address comes to the one of this name.  If that means all addresses, those that may be
 * another host's do not count. */
bool tcp_listen_leads_to(const char *address, const char *name);

/* Opens one.  Accepted sockets do not wait to fill a packet (TCP_NODELAY) and ask whether a silent peer lives.  With
 * a backlog of 0 nobody can connect yet: to try whether the port is free.  0 and *ret_fd, or -errno. */
int tcp_listen_open(const char *name, int backlog, int *ret_fd);

/* The same of a socket that somebody else has opened, or that was shut: it accepts again. */
void tcp_listen_set(int fd);

/* The name of a listening socket; false: it is not one of TCP. */
bool tcp_listen_name_of(int fd, char ret_name[ADDRESS_TEXT_SIZE]);

/* Whether a socket with this address of its own was accepted from the one of this name. */
bool tcp_listen_has_taken(const struct sockaddr *own, const char *name);

/* Nobody begins to connect any more; who has connected is still to be accepted.  false: it is not a socket of TCP. */
bool tcp_listen_shut(int fd);

#endif

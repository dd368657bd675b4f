/* peer_closed.h - has the other end of a Unix stream socket gone altogether?  More than a shut-down of its side: it
 * neither speaks nor hears any more. */
#ifndef HOLDFAST_BASE_PEER_CLOSED_H
#define HOLDFAST_BASE_PEER_CLOSED_H

#include <stdbool.h>

/* Whether it is gone; what it said before may still be unread. */
bool peer_closed_has_come(int fd);

/* Whether a listening socket, or one for datagrams, was shut for reading (SHUT_RD). */
bool peer_closed_was_shut(int fd);

/* Whether it is gone and nothing that it said is left unread. */
bool peer_closed_is_final(int fd);

/* The other end says nothing more, perhaps still listens, and all that it said has been read. */
bool peer_closed_is_silence(int fd);

#endif

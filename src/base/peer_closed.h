/* peer_closed.h - has the other end of a stream socket gone altogether?  More than a shut-down of its side: it
 * neither speaks nor hears any more.  Of TCP a peer that closes is not told from one that shuts down its side. */
#ifndef HOLDFAST_BASE_PEER_CLOSED_H
#define HOLDFAST_BASE_PEER_CLOSED_H

#include <stdbool.h>

/* Whether it is gone; what it said before may still be unread. */
bool peer_closed_has_come(int fd);

/* Whether a listening socket, or one for datagrams, was shut for reading (SHUT_RD). */
bool peer_closed_was_shut(int fd);

/* The same of one that waits for us to begin: of TCP one that says nothing more, and has said nothing, is gone. */
bool peer_closed_has_left(int fd);

/* Whether it is gone and nothing that it said is left unread. */
bool peer_closed_is_final(int fd);

/* The other end says nothing more, perhaps still listens, and all that it said has been read. */
bool peer_closed_is_silence(int fd);

#endif

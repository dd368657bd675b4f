/* own_socket.h - whether an address leads to one of our own sockets: a connection there would come back to us. */
#ifndef HOLDFAST_UPSTREAM_OWN_SOCKET_H
#define HOLDFAST_UPSTREAM_OWN_SOCKET_H

#include <stdbool.h>

#include "base/address.h"
#include "keep/table.h"

/* True for the socket of any service of this daemon, of its control and of its metrics, by whatever path. */
bool own_socket_is(const struct table *table, const struct address *address);

/* What is wrong with it, for people: a static text. */
extern const char own_socket_error[];

#endif

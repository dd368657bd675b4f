/* resolver.h - the addresses of a host name, without blocking (c-ares; /etc/hosts counts).
 *
 * A name server that answers for one kind of addresses alone and drops the questions for the other delays the look-up
 * by 50 ms (RFC 8305).
 *
 * Each query has a c-ares channel of its own: so a changed resolv.conf counts at once, which c-ares 1.18 does not
 * notice by itself, and a query can be cancelled alone.
 */
#ifndef HOLDFAST_UPSTREAM_RESOLVER_H
#define HOLDFAST_UPSTREAM_RESOLVER_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

#define RESOLVER_ADDRESSES 64 /* further ones are left out */

/* error: NULL, or "resolve NAME: ...".  addresses, count of them (at least 1 on success) in the order of
 * RFC 6724, are valid during the callback only. */
typedef void resolver_callback(void *arg, const char *error, const struct address *addresses, size_t count);

struct resolver;

/* Resolves host (an ADDRESS_HOST), whose port the results get. */
struct resolver *resolver_start(struct event_base *loop, const struct address *host, int64_t timeout,
    resolver_callback *callback, void *arg);
void resolver_cancel(struct resolver *resolver);

#endif

/* resolver.h - the addresses of a host name, without blocking (c-ares; /etc/hosts counts).
 *
 * A name server that answers for one kind of addresses alone and drops the questions for the other delays the lookup
 * by 50 ms (RFC 8305); one for which nobody waits, till its time-out.  The answer is incomplete if there were
 * addresses of the other kind before: that there is none of a kind now must be said.
 *
 * Each query has a c-ares channel of its own: so a changed resolv.conf counts at once, which c-ares 1.18 does not
 * notice by itself, and a query can be cancelled alone.
 */
#ifndef HOLDFAST_UPSTREAM_RESOLVER_H
#define HOLDFAST_UPSTREAM_RESOLVER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

#define RESOLVER_ADDRESSES 64 /* further ones are left out */

/* Kinds of addresses. */
#define RESOLVER_IPV4 1u
#define RESOLVER_IPV6 2u

/* The end of it.  Valid during the callback only. */
struct resolver_result {
	const char *error;                /* NULL, or "resolve NAME: ..." */
	const char *incomplete;           /* not NULL: likewise, of an expected kind that was not answered for */
	const struct address *addresses;  /* in the order of RFC 6724, the kinds taking turns (RFC 8305, 4) */
	size_t count;                     /* at least 1 on success, at most RESOLVER_ADDRESSES */
	int64_t ttl;                      /* microseconds, the shortest in the answer; CLOCK_NEVER: no server's */
};

typedef void resolver_callback(void *arg, const struct resolver_result *result);

struct resolver;

/* The kind of a socket's family, or 0. */
unsigned resolver_kind(int family);

/* Resolves host (an ADDRESS_HOST), whose port the results get, within timeout microseconds.  expected: the kinds of
 * which addresses are known; patient: a slow kind is waited for, till resolver_hurry(), which takes NULL too. */
struct resolver *resolver_start(struct event_base *loop, const struct address *host, int64_t timeout,
    unsigned expected, bool patient, resolver_callback *callback, void *arg);
void resolver_hurry(struct resolver *resolver);
void resolver_cancel(struct resolver *resolver);

#endif

#include "upstream/resolver.h"

#include <ares.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"

#define RESOLVER_DELAY (50 * CLOCK_MILLISECOND) /* RFC 8305, 3: the resolution delay */
#define RESOLVER_TRIES 4 /* c-ares' default: a server is asked so often within the time-out */

/* One kind of addresses, asked for alone. */
struct resolver_part {
	struct resolver *resolver; /* borrowed */
	unsigned kind;
};

/* A socket of c-ares' own that we watch for it. */
struct resolver_socket {
	LIST_ENTRY(resolver_socket) next;
	struct resolver *resolver; /* borrowed */
	ares_socket_t fd;          /* borrowed from c-ares */
	struct event event;
};

struct resolver {
	struct event_base *loop; /* borrowed */
	resolver_callback *callback;
	void *arg;               /* borrowed */
	ares_channel channel;    /* owned; NULL if it could not be made */
	LIST_HEAD(, resolver_socket) sockets;
	struct loop_timer timer; /* c-ares' next time-out, or ours, or the report of the end */
	int64_t deadline, timeout;
	int64_t apart_at;        /* when the kinds of addresses are asked for one by one too; CLOCK_NEVER: done */
	struct address host;
	struct address *addresses; /* owned */
	size_t count;
	int64_t ttl;             /* of the answer */
	char *error;             /* owned */
	struct resolver_part parts[2];
	unsigned expected;       /* kinds of which there were addresses before */
	unsigned answered;       /* kinds of which there was an answer; that there are none is one */
	unsigned pending;        /* kinds that are being asked for alone */
	bool asked, ended;       /* asked: a server was */
	bool whole;              /* the question for both kinds is over, of which one may have failed */
	bool patient;
};

static unsigned
resolver_missing(const struct resolver *resolver)
{
	return resolver->expected & ~resolver->answered;
}

/* Reports through the loop, for c-ares may answer before ares_getaddrinfo() returns. */
static void
resolver_end(struct resolver *resolver, const char *error)
{
	unsigned missing = resolver_missing(resolver);

	resolver->ended = true;
	if (resolver->count == 0)
		resolver->error = mem_print("resolve %s: %s", resolver->host.host, error);
	else if (missing != 0)
		resolver->error = mem_print("resolve %s: no answer for %s addresses", resolver->host.host,
		    missing == RESOLVER_IPV4 ? "IPv4" : "IPv6");
	loop_timer_soon(&resolver->timer);
}

static void
resolver_set_timer(struct resolver *resolver)
{
	int64_t deadline = resolver->apart_at < resolver->deadline ? resolver->apart_at : resolver->deadline;
	struct timeval tv, *next;

	if (resolver->ended)
		return;
	next = ares_timeout(resolver->channel, NULL, &tv);
	if (next != NULL) {
		int64_t at = clock_now() + next->tv_sec * CLOCK_SECOND + next->tv_usec;

		if (at < deadline)
			deadline = at;
	}
	loop_timer_at(&resolver->timer, deadline);
}

static void
resolver_on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct resolver_socket *socket = arg;
	struct resolver *resolver = socket->resolver;

	/* The socket's record may be gone after this. */
	ares_process_fd(resolver->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
	    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	resolver_set_timer(resolver);
}

static void
resolver_forget_socket(struct resolver_socket *socket)
{
	loop_event_stop(&socket->event);
	LIST_REMOVE(socket, next);
	mem_free(socket);
}

/* c-ares tells what it waits for; neither means that it closes the socket. */
static void
resolver_on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *resolver = arg;
	struct resolver_socket *socket;
	short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));

	LIST_FOREACH(socket, &resolver->sockets, next)
		if (socket->fd == fd)
			break;
	if (what == 0) {
		if (socket != NULL)
			resolver_forget_socket(socket);
		return;
	}
	resolver->asked = true;
	if (socket == NULL) {
		socket = mem_new(1, sizeof *socket);
		socket->resolver = resolver;
		socket->fd = fd;
		LIST_INSERT_HEAD(&resolver->sockets, socket, next);
	}
	loop_event_stop(&socket->event);
	event_assign(&socket->event, resolver->loop, fd, (short)(what | EV_PERSIST), resolver_on_socket, socket);
	loop_event_add(&socket->event);
}

unsigned
resolver_kind(int family)
{
	return family == AF_INET ? RESOLVER_IPV4 : family == AF_INET6 ? RESOLVER_IPV6 : 0;
}

static void
resolver_add(struct resolver *resolver, const struct ares_addrinfo_node *node)
{
	struct address *address = &resolver->addresses[resolver->count];

	if (resolver->count == RESOLVER_ADDRESSES || node->ai_addrlen > sizeof address->socket)
		return;
	memset(address, 0, sizeof *address);
	address->kind = ADDRESS_SOCKET;
	address->port = resolver->host.port;
	memcpy(&address->socket, node->ai_addr, node->ai_addrlen);
	address->socket_length = (socklen_t)node->ai_addrlen;
	if (node->ai_family == AF_INET)
		((struct sockaddr_in *)(void *)&address->socket)->sin_port = htons(address->port);
	else
		((struct sockaddr_in6 *)(void *)&address->socket)->sin6_port = htons(address->port);
	resolver->answered |= resolver_kind(node->ai_family);
	for (size_t i = 0; i < resolver->count; i++)
		if (address_equal(&resolver->addresses[i], address))
			return;
	resolver->count++;
}

/* The first one from here on that is IPv4, or IPv6; NULL if there is none. */
static const struct ares_addrinfo_node *
resolver_seek(const struct ares_addrinfo_node *node, bool ipv4)
{
	while (node != NULL && node->ai_family != (ipv4 ? AF_INET : AF_INET6))
		node = node->ai_next;
	return node;
}

/* RFC 8305, 4: a kind that leads nowhere, IPv6 most likely, does not come before all of the other. */
static void
resolver_interleave(struct resolver *resolver, const struct ares_addrinfo_node *nodes)
{
	const struct ares_addrinfo_node *next[2] = { resolver_seek(nodes, false), resolver_seek(nodes, true) };
	bool ipv4 = nodes != NULL && nodes->ai_family == AF_INET;

	for (; next[0] != NULL || next[1] != NULL; ipv4 = !ipv4)
		if (next[ipv4] != NULL) {
			resolver_add(resolver, next[ipv4]);
			next[ipv4] = resolver_seek(next[ipv4]->ai_next, ipv4);
		}
}

/* What no server was asked for, /etc/hosts has, and that knows of no ttl. */
static void
resolver_note_ttl(struct resolver *resolver, const struct ares_addrinfo *answer)
{
	int ttl = INT32_MAX;
	int64_t span;

	if (!resolver->asked || answer->nodes == NULL)
		return;
	for (const struct ares_addrinfo_node *node = answer->nodes; node != NULL; node = node->ai_next)
		ttl = node->ai_ttl < ttl ? node->ai_ttl : ttl;
	for (const struct ares_addrinfo_cname *name = answer->cnames; name != NULL; name = name->next)
		ttl = name->ttl < ttl ? name->ttl : ttl;
	span = ttl > 0 ? ttl * CLOCK_SECOND : 0; /* RFC 2181, 8: one with the first bit set is 0 */
	if (span < resolver->ttl)
		resolver->ttl = span;
}

/* Takes what the answer holds and frees it; not when the channel is being destroyed, by us. */
static bool
resolver_take(struct resolver *resolver, int status, struct ares_addrinfo *answer)
{
	bool wanted = status != ARES_EDESTRUCTION && !resolver->ended;

	if (wanted && answer != NULL) {
		resolver_interleave(resolver, answer->nodes);
		resolver_note_ttl(resolver, answer);
	}
	ares_freeaddrinfo(answer);
	return wanted;
}

static void
resolver_ask(struct resolver *resolver, int family, ares_addrinfo_callback callback, void *arg)
{
	struct ares_addrinfo_hints hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };

	ares_getaddrinfo(resolver->channel, resolver->host.host, NULL, &hints, callback, arg);
}

/* Who does not wait does so no longer than for the kinds to be asked for alone. */
static void
resolver_bound(struct resolver *resolver)
{
	int64_t soon = clock_now() + RESOLVER_DELAY;

	if (resolver->whole && !resolver->patient && soon < resolver->deadline)
		resolver->deadline = soon;
}

/* Whether what has come is enough. */
static void
resolver_look(struct resolver *resolver)
{
	if (resolver->count == 0 || resolver->ended)
		return;
	if (resolver->whole ? (resolver_missing(resolver) & resolver->pending) == 0 : !resolver->patient)
		resolver_end(resolver, "");
}

/* Of one kind alone.  That there are none at all is for the whole answer to say. */
static void
resolver_on_part(void *arg, int status, int timeouts, struct ares_addrinfo *answer)
{
	const struct resolver_part *part = arg;
	struct resolver *resolver = part->resolver;

	(void)timeouts;
	if (!resolver_take(resolver, status, answer))
		return;
	resolver->pending &= ~part->kind;
	if (status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND)
		resolver->answered |= part->kind;
	resolver_look(resolver);
}

/* c-ares gives the addresses of both kinds together, in order, when both have come.  A server that drops the
 * questions for one kind would keep the other from us: so, when the resolution delay is over, each kind is asked for
 * alone, and who does not wait takes what is answered first.  It comes the delay after that kind's answer to the
 * first question. */
static void
resolver_ask_apart(struct resolver *resolver)
{
	resolver->apart_at = CLOCK_NEVER;
	resolver->pending = RESOLVER_IPV4 | RESOLVER_IPV6;
	resolver->parts[0] = (struct resolver_part){ resolver, RESOLVER_IPV6 };
	resolver->parts[1] = (struct resolver_part){ resolver, RESOLVER_IPV4 };
	resolver_ask(resolver, AF_INET6, resolver_on_part, &resolver->parts[0]);
	resolver_ask(resolver, AF_INET, resolver_on_part, &resolver->parts[1]);
}

/* c-ares does not tell whether a kind that is not in it was answered: if there were addresses of it before, it is
 * asked for alone, for which nobody waits long who does not wait. */
static void
resolver_on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *answer)
{
	struct resolver *resolver = arg;

	(void)timeouts;
	if (!resolver_take(resolver, status, answer))
		return;
	if (!resolver->asked)
		resolver->answered = RESOLVER_IPV4 | RESOLVER_IPV6;
	if (resolver->count == 0) {
		resolver_end(resolver, status == ARES_SUCCESS ? "no address" : ares_strerror(status));
		return;
	}
	resolver->whole = true;
	resolver_bound(resolver);
	if (resolver_missing(resolver) != 0 && resolver->apart_at != CLOCK_NEVER)
		resolver_ask_apart(resolver);
	resolver->apart_at = CLOCK_NEVER;
	resolver_look(resolver);
}

static void
resolver_free(struct resolver *resolver)
{
	struct resolver_socket *socket;

	resolver->ended = true;
	if (resolver->channel != NULL)
		ares_destroy(resolver->channel);
	while ((socket = LIST_FIRST(&resolver->sockets)) != NULL)
		resolver_forget_socket(socket);
	loop_timer_stop(&resolver->timer);
	mem_free(resolver->addresses);
	mem_free(resolver->error);
	mem_free(resolver);
	ares_library_cleanup();
}

static void
resolver_finish(struct resolver *resolver)
{
	resolver_callback *callback = resolver->callback;
	struct address *addresses = resolver->addresses;
	char *error = resolver->error;
	struct resolver_result result = { .error = resolver->count == 0 ? error : NULL,
		.incomplete = resolver->count > 0 ? error : NULL, .addresses = addresses, .count = resolver->count,
		.ttl = resolver->ttl };
	void *arg = resolver->arg;

	resolver->addresses = NULL;
	resolver->error = NULL;
	resolver_free(resolver);
	callback(arg, &result);
	mem_free(addresses);
	mem_free(error);
}

static void
resolver_on_timer(void *arg)
{
	struct resolver *resolver = arg;
	char text[40];

	if (resolver->ended) {
		resolver_finish(resolver);
		return;
	}
	if (clock_now() >= resolver->deadline) {
		snprintf(text, sizeof text, "time-out after %.1f s",
		    (double)resolver->timeout / (double)CLOCK_SECOND);
		resolver_end(resolver, text);
		return;
	}
	if (clock_now() >= resolver->apart_at)
		resolver_ask_apart(resolver);
	ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	resolver_set_timer(resolver);
}

/* c-ares' own time-out of a server is so short that each is asked within ours. */
struct resolver *
resolver_start(struct event_base *loop, const struct address *host, int64_t timeout, unsigned expected, bool patient,
    resolver_callback *callback, void *arg)
{
	struct resolver *resolver = mem_new(1, sizeof *resolver);
	int64_t each = timeout / RESOLVER_TRIES / CLOCK_MILLISECOND;
	struct ares_options options = { .timeout = each < 250 ? 250 : each > 5000 ? 5000 : (int)each,
		.tries = RESOLVER_TRIES, .sock_state_cb = resolver_on_state, .sock_state_cb_data = resolver };
	int status;

	*resolver = (struct resolver){ .loop = loop, .callback = callback, .arg = arg, .host = *host,
		.timeout = timeout, .expected = expected, .patient = patient, .ttl = CLOCK_NEVER,
		.deadline = clock_after(clock_now(), timeout), .apart_at = clock_now() + RESOLVER_DELAY,
		.addresses = mem_new(RESOLVER_ADDRESSES, sizeof *resolver->addresses) };
	LIST_INIT(&resolver->sockets);
	loop_timer_init(&resolver->timer, loop, resolver_on_timer, resolver);
	ares_library_init(ARES_LIB_INIT_ALL);
	status = ares_init_options(&resolver->channel, &options,
	    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
	if (status != ARES_SUCCESS) {
		resolver->channel = NULL;
		resolver_end(resolver, ares_strerror(status));
		return resolver;
	}
	resolver_ask(resolver, AF_UNSPEC, resolver_on_answer, resolver);
	resolver_set_timer(resolver);
	return resolver;
}

void
resolver_hurry(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	resolver->patient = false;
	resolver_bound(resolver);
	resolver_look(resolver);
	resolver_set_timer(resolver);
}

void
resolver_cancel(struct resolver *resolver)
{
	if (resolver != NULL)
		resolver_free(resolver);
}

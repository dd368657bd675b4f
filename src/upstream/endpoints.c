#include "upstream/endpoints.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/un.h>

#include "base/clock.h"
#include "upstream/pconn.h"

#define GENERATIONS  1023 /* a number has 16 bits, 6 of them for the place */

/* T4: what is above is stored before what is below. */
static void
barrier(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

const struct endpoint *
endpoints_find(const struct endpoints *e, uint16_t number)
{
	const struct endpoint *endpoint = &e->list[number % ENDPOINTS_MAX];

	return number != 0 && endpoint->number == number ? endpoint : NULL;
}

bool
endpoints_is_listed(const struct endpoints *e, const struct endpoint *endpoint)
{
	return endpoint->number != 0 && e->listing != 0 && endpoint->listing[e->listing & 1].in == e->listing;
}

const struct endpoint_listing *
endpoints_listing(const struct endpoints *e, const struct endpoint *endpoint)
{
	const struct endpoint_listing *now = &endpoint->listing[e->listing & 1];
	const struct endpoint_listing *before = &endpoint->listing[~e->listing & 1];

	/* That of a lookup which was never put in force has a higher number than any. */
	return now->in >= before->in || before->in > e->listing ? now : before;
}

enum endpoint_state
endpoints_state(const struct endpoints *e, const struct endpoint *endpoint)
{
	if (endpoint->withdrawn_at != 0 && !endpoints_is_listed(e, endpoint))
		return ENDPOINT_WITHDRAWN;
	return endpoint->failed_until != 0 ? ENDPOINT_FAILED : ENDPOINT_OK;
}

/* A text that a death cuts is an empty one. */
static void
store_text(char *place, size_t size, const char *text)
{
	size_t length = strnlen(text, size - 1);

	place[0] = '\0';
	barrier();
	if (length == 0)
		return;
	memcpy(place + 1, text + 1, length - 1);
	place[length] = '\0';
	barrier();
	place[0] = text[0];
}

static void
make_key(struct endpoint_key *key, const struct address *address)
{
	struct sockaddr_in *to4 = (void *)&key->socket;
	struct sockaddr_in6 *to6 = (void *)&key->socket;

	memset(key, 0, sizeof *key);
	key->length = address->socket_length;
	memcpy(key->interface, address->host, strnlen(address->host, sizeof key->interface - 1));
	memcpy(&key->socket, &address->socket, address->socket_length);
	if (key->socket.ss_family == AF_INET)
		memset(to4->sin_zero, 0, sizeof to4->sin_zero);
	else if (key->socket.ss_family == AF_INET6)
		to6->sin6_flowinfo = 0;
}

void
endpoint_address(const struct endpoint *endpoint, struct address *ret_address)
{
	const struct sockaddr_in *from4 = (const void *)&endpoint->key.socket;
	const struct sockaddr_in6 *from6 = (const void *)&endpoint->key.socket;

	memset(ret_address, 0, sizeof *ret_address);
	ret_address->kind = ADDRESS_SOCKET;
	ret_address->socket = endpoint->key.socket;
	ret_address->socket_length = endpoint->key.length;
	memcpy(ret_address->host, endpoint->key.interface, sizeof endpoint->key.interface);
	if (endpoint->key.socket.ss_family == AF_INET)
		ret_address->port = ntohs(from4->sin_port);
	else if (endpoint->key.socket.ss_family == AF_INET6)
		ret_address->port = ntohs(from6->sin6_port);
}

static bool
is_used(const struct endpoint *endpoint)
{
	return endpoint->open + endpoint->dialling > 0;
}

/* A place for an endpoint that is new with this lookup: a free one, or that of one which is not in it, rather of one
 * that nothing uses, the one that was missed first.  There is one, for at most 64 are. */
static struct endpoint *
claim(struct endpoints *e, uint32_t look_up)
{
	struct endpoint *least = NULL;

	for (uint32_t i = 0; i < e->high; i++) {
		struct endpoint *endpoint = &e->list[i];

		if (endpoint->number == 0)
			return endpoint;
		if (endpoint->listing[look_up & 1].in == look_up)
			continue;
		if (least == NULL || (is_used(endpoint) != is_used(least) ? is_used(least) : /* 0, not yet, is last */
		    (uint64_t)endpoint->missed_at - 1 < (uint64_t)least->missed_at - 1))
			least = endpoint;
	}
	if (e->high < ENDPOINTS_MAX)
		return &e->list[e->high++];
	return least;
}

static struct endpoint *
make(struct endpoints *e, const struct endpoint_key *key, uint32_t look_up, int64_t now)
{
	struct endpoint *endpoint = claim(e, look_up);

	endpoint->number = 0;
	barrier();
	endpoint->generation = (uint16_t)(endpoint->generation % GENERATIONS + 1);
	memset(&endpoint->open, 0, sizeof *endpoint - offsetof(struct endpoint, open));
	memcpy(&endpoint->key, key, sizeof *key);
	endpoint->listed_at = now;
	barrier();
	endpoint->number = (uint16_t)(endpoint->generation * ENDPOINTS_MAX + (endpoint - e->list));
	return endpoint;
}

/* Writes down what the lookup says of an endpoint that has its place.  Whether the shares of a rotation change. */
static bool
mark(struct endpoints *e, struct endpoint *endpoint, uint32_t look_up, const struct endpoint_listed *listed,
    bool *ret_reordered)
{
	struct endpoint_listing *listing = &endpoint->listing[look_up & 1];
	const struct endpoint_listing *before = &endpoint->listing[~look_up & 1];
	bool changed;

	if (listing->in == look_up)
		return false;
	listing->priority = listed->priority;
	listing->weight = listed->weight;
	listing->order = listed->order;
	if (strncmp(endpoint->from, listed->from, sizeof endpoint->from - 1) != 0)
		store_text(endpoint->from, sizeof endpoint->from, listed->from);
	barrier();
	listing->in = look_up;
	if (before->in != e->listing)
		return true;
	changed = before->priority != listed->priority || before->weight != listed->weight;
	*ret_reordered |= changed || before->order != listed->order;
	return changed;
}

/* First all that have a place, so that none of them loses it to a new one.  Adds new ones to *ret_made. */
static bool
mark_all(struct endpoints *e, uint32_t look_up, const struct endpoint_listed *listed, size_t count, int64_t now,
    uint64_t *ret_made, bool *ret_reordered)
{
	bool changed = false;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < count && i < ENDPOINTS_MAX; i++) {
			struct endpoint_key key;
			struct endpoint *endpoint = NULL;

			make_key(&key, &listed[i].address);
			for (uint32_t k = 0; k < e->high && endpoint == NULL; k++)
				if (e->list[k].number != 0 && memcmp(&e->list[k].key, &key, sizeof key) == 0)
					endpoint = &e->list[k];
			if (endpoint == NULL && pass == 1) {
				endpoint = make(e, &key, look_up, now);
				*ret_made |= ENDPOINTS_BIT(endpoint->number);
			}
			if (endpoint != NULL)
				changed |= mark(e, endpoint, look_up, &listed[i], ret_reordered);
		}
	}
	return changed;
}

static uint64_t
listed_bits(const struct endpoints *e)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < e->high; i++)
		if (endpoints_is_listed(e, &e->list[i]))
			bits |= ENDPOINTS_BIT(i);
	return bits;
}

uint64_t
endpoints_unused(const struct endpoints *e)
{
	uint64_t bits = listed_bits(e);

	for (uint32_t i = 0; i < e->high; i++)
		if (is_used(&e->list[i]))
			bits &= ~ENDPOINTS_BIT(i);
	return bits;
}

/* P33: what is not listed is missed, and withdrawn by a second lookup; unused, it is shown until the one behind that.
 * A dead worker's half of a lookup is none. */
struct endpoints_changes
endpoints_list(struct endpoints *e, const struct endpoint_listed *listed, size_t count, int64_t now)
{
	uint32_t look_up = e->listing + 1;
	uint64_t before = listed_bits(e), made = 0;
	struct endpoints_changes changes = { 0, 0, false };
	bool turns;

	for (uint32_t i = 0; i < e->high; i++) {
		struct endpoint *endpoint = &e->list[i];

		if (endpoint->listing[look_up & 1].in == look_up)
			endpoint->listing[look_up & 1].in = 0;
		if (endpoint->number != 0 && endpoints_state(e, endpoint) == ENDPOINT_WITHDRAWN && !is_used(endpoint))
			endpoint->number = 0;
	}
	turns = mark_all(e, look_up, listed, count, now, &made, &changes.reordered);
	barrier();
	e->listing = look_up;
	barrier();
	for (uint32_t i = 0; i < e->high; i++) {
		struct endpoint *endpoint = &e->list[i];

		if (endpoints_is_listed(e, endpoint)) {
			endpoint->missed_at = endpoint->withdrawn_at = 0;
		} else if (endpoint->number != 0 && endpoint->missed_at == 0) {
			endpoint->missed_at = now;
		} else if (endpoint->number != 0 && endpoint->withdrawn_at == 0 &&
		    now - endpoint->missed_at >= ENDPOINTS_GRACE) {
			endpoint->withdrawn_at = now;
			changes.withdrawn |= ENDPOINTS_BIT(i);
		}
		if (turns)
			endpoint->turn = 0;
	}
	changes.fresh = listed_bits(e) & (~before | made);
	return changes;
}

/* One word un-lists all. */
void
endpoints_renew(struct endpoints *e)
{
	e->listing += 2;
	e->put_off_until = 0;
	barrier();
	for (uint32_t i = 0; i < e->high; i++) {
		struct endpoint *endpoint = &e->list[i];

		endpoint->failed_until = endpoint->slow_until = 0;
		endpoint->failures = endpoint->failures_before = 0;
	}
}

void
endpoints_resume(struct endpoints *e, int64_t now)
{
	for (uint32_t i = 0; i < e->high; i++) {
		struct endpoint *endpoint = &e->list[i];

		endpoint->open = endpoint->dialling = 0;
		endpoint->turn = 0;
		if (endpoint->failed_until != 0)
			endpoint->slow_until = 0;
		if (endpoints_is_listed(e, endpoint))
			endpoint->missed_at = endpoint->withdrawn_at = 0;
		else if (endpoint->missed_at == 0)
			endpoint->missed_at = now;
	}
}

/* What damage can have made of an endpoint, or what it tells people, is put right. */
static void
end_text(char *text, size_t size)
{
	text[size - 1] = '\0';
}

static int64_t
soon(int64_t moment, int64_t latest, int64_t now)
{
	return moment > latest || moment < 0 ? now : moment;
}

static bool
is_key(const struct endpoint_key *key)
{
	const struct sockaddr_un *local = (const void *)&key->socket;

	switch (key->socket.ss_family) {
	case AF_INET:
		return key->length == sizeof(struct sockaddr_in);
	case AF_INET6:
		return key->length == sizeof(struct sockaddr_in6);
	case AF_UNIX:
		return key->length > offsetof(struct sockaddr_un, sun_path) && key->length <= sizeof *local &&
		    memchr(local->sun_path, '\0', sizeof local->sun_path) != NULL;
	default:
		return false;
	}
}

static void
audit_session(struct tls_session *session)
{
	unsigned char resumed;

	memcpy(&resumed, &session->resumed, sizeof resumed);
	session->resumed = resumed != 0;
	end_text(session->protocol, sizeof session->protocol);
	end_text(session->cipher, sizeof session->cipher);
	end_text(session->peer, sizeof session->peer);
}

static void
audit_endpoint(struct endpoint *endpoint, uint32_t place, int64_t latest, int64_t now)
{
	end_text(endpoint->error, sizeof endpoint->error);
	end_text(endpoint->from, sizeof endpoint->from);
	end_text(endpoint->key.interface, sizeof endpoint->key.interface);
	audit_session(&endpoint->tls);
	endpoint->failed_until = soon(endpoint->failed_until, latest, now);
	endpoint->slow_until = soon(endpoint->slow_until, latest, now);
	endpoint->listed_at = soon(endpoint->listed_at, now, now);
	endpoint->result_at = soon(endpoint->result_at, now, now);
	endpoint->connected_at = soon(endpoint->connected_at, now, now);
	endpoint->good_since = soon(endpoint->good_since, now, now);
	if (endpoint->number % ENDPOINTS_MAX != place || !is_key(&endpoint->key))
		endpoint->number = 0;
}

bool
endpoints_audit(struct endpoints *e, int64_t latest, int64_t now)
{
	bool good = e->high <= ENDPOINTS_MAX;

	if (!good)
		e->high = ENDPOINTS_MAX;
	e->put_off_until = soon(e->put_off_until, latest, now);
	for (uint32_t i = 0; i < e->high; i++)
		if (e->list[i].number != 0)
			audit_endpoint(&e->list[i], i, latest, now);
	return good;
}

int64_t
endpoints_found_at(const struct endpoints *e, int64_t listed_at)
{
	int64_t at = 0;

	for (uint32_t i = 0; i < e->high; i++) {
		const struct endpoint *endpoint = &e->list[i];
		int64_t found = endpoint->connected_at > listed_at ? endpoint->connected_at : listed_at;

		if (endpoints_is_listed(e, endpoint) && endpoint->failed_until == 0 && found > at)
			at = found;
	}
	return at;
}

bool
endpoints_elsewhere(const struct endpoints *e)
{
	return endpoints_found_at(e, 1) != 0;
}

/* Whether one of those has answered already, so that a connection can move there without an outage. */
static bool
is_proven_elsewhere(const struct endpoints *e)
{
	return endpoints_found_at(e, 0) != 0;
}

/* P31.  What began before the last failure tells nothing new, so that many dials that fail together are one
 * failure.  Nor does a success which ends unused at once end a row of failures (P27). */
static unsigned
fail(struct endpoint *endpoint, const struct endpoints_settings *s, const struct endpoints_input *in, bool young)
{
	bool good = endpoint->failed_until == 0;
	uint32_t before = endpoint->failures;

	endpoint->failures_total++;
	if (!good && in->began < endpoint->failed_at)
		return 0;
	store_text(endpoint->error, sizeof endpoint->error, in->error);
	if (good && young && in->began - endpoint->good_since < endpoint->quarantine)
		before = endpoint->failures_before;
	endpoint->failures = before + 1;
	endpoint->quarantine = delay_draw(&s->retry, before, in->roll);
	endpoint->failed_at = in->now;
	barrier();
	endpoint->failed_until = in->now + endpoint->quarantine;
	barrier();
	endpoint->slow_until = 0;
	return good ? ENDPOINTS_FELL : 0;
}

/* A dial that was begun before it was found late is no new answer: it is dialled again at once.  One that answers
 * late then too is left alone for retry.max: it is healthy, and clients' dials tell the same. */
static void
answer(struct endpoint *endpoint, const struct endpoints_settings *s, const struct endpoints_input *in)
{
	int64_t rest = s->retry.max < s->retry.delay ? s->retry.delay : s->retry.max;

	if (s->stagger == 0 || endpoint->took < s->stagger)
		endpoint->slow_until = 0;
	else if (endpoint->slow_until != 0 && in->began >= endpoint->slow_until)
		endpoint->slow_until = in->now + delay_jitter(rest, s->retry.jitter, in->roll);
}

static void
note_tls(struct endpoint *endpoint, const struct tls_session *session)
{
	static const struct tls_session none;

	endpoint->tls = session != NULL ? *session : none;
	endpoint->tls_opened += session != NULL;
	endpoint->tls_resumed += session != NULL && session->resumed;
}

/* P31: only a dial that was begun after the failure makes it good, or any when nothing else is. */
static unsigned
succeed(struct endpoints *e, struct endpoint *endpoint, const struct endpoints_settings *s,
    const struct endpoints_input *in)
{
	endpoint->connects++;
	endpoint->connected_at = endpoint->result_at = in->now;
	endpoint->took = in->now - in->began;
	note_tls(endpoint, in->tls);
	answer(endpoint, s, in);
	if (endpoint->failed_until == 0) {
		endpoint->failures = 0;
		return 0;
	}
	if (in->began < endpoint->failed_at && endpoints_elsewhere(e))
		return 0;
	endpoint->failures_before = endpoint->failures;
	endpoint->failures = 0;
	endpoint->good_since = in->now;
	barrier();
	endpoint->failed_until = 0;
	return ENDPOINTS_ROSE;
}

/* A dial that has ended is not counted any more, one that a dead worker began never was. */
unsigned
endpoints_tell(struct endpoints *e, const struct endpoints_settings *s, const struct endpoints_input *in)
{
	struct endpoint *endpoint = &e->list[in->number % ENDPOINTS_MAX];

	if (endpoints_find(e, in->number) == NULL)
		return 0;
	if (in->event != ENDPOINTS_BEGAN && in->event != ENDPOINTS_LATE && in->event != ENDPOINTS_ENDED)
		endpoint->dialling -= endpoint->dialling > 0;
	switch (in->event) {
	case ENDPOINTS_BEGAN:
		endpoint->dialling++;
		return 0;
	case ENDPOINTS_CONNECTED:
		return succeed(e, endpoint, s, in);
	case ENDPOINTS_FAILED:
		endpoint->result_at = in->now;
		return fail(endpoint, s, in, false);
	case ENDPOINTS_PUT_OFF:
		e->put_off_until = in->now + delay_draw(&s->retry, 0, in->roll);
		return 0;
	case ENDPOINTS_CANCELLED:
		return 0;
	case ENDPOINTS_LATE:
		if (endpoint->failed_until == 0)
			endpoint->slow_until = in->now;
		return 0;
	case ENDPOINTS_ENDED:
		return in->now - in->began < PCONN_YOUNG ? fail(endpoint, s, in, true) : 0;
	}
	return 0;
}

/* When it is to be dialled in the background; CLOCK_NEVER: not, or a dial under way will tell. */
static int64_t
due_at(const struct endpoints *e, const struct endpoints_settings *s, const struct endpoint *endpoint, bool prove)
{
	if (!endpoints_is_listed(e, endpoint) || endpoint->dialling > 0)
		return CLOCK_NEVER;
	if (endpoint->failed_until != 0)
		return endpoint->failed_until;
	if (endpoint->slow_until != 0)
		return endpoint->slow_until;
	if (prove)
		return endpoint->listed_at;
	if (s->health_interval == 0 || endpoint->open > 0)
		return CLOCK_NEVER;
	return endpoint->result_at == 0 ? endpoint->listed_at : endpoint->result_at + s->health_interval;
}

/* P33: proof is wanted where a connection is to move, and it is not known of any endpoint that it is well. */
int64_t
endpoints_due(const struct endpoints *e, const struct endpoints_settings *s, uint16_t *ret_number)
{
	bool moves = false, prove;
	int64_t deadline = CLOCK_NEVER;

	for (uint32_t i = 0; i < e->high && s->on_withdrawn == ENDPOINTS_ON_DRAIN; i++)
		moves = moves || (e->list[i].open > 0 && endpoints_state(e, &e->list[i]) == ENDPOINT_WITHDRAWN);
	prove = moves && !is_proven_elsewhere(e);
	for (uint32_t i = 0; i < e->high; i++) {
		int64_t due = due_at(e, s, &e->list[i], prove);

		if (due < deadline) {
			deadline = due;
			*ret_number = e->list[i].number;
		}
	}
	return deadline < e->put_off_until ? e->put_off_until : deadline;
}

int64_t
endpoints_doubtful_until(const struct endpoints *e)
{
	int64_t until = CLOCK_NEVER;

	for (uint32_t i = 0; i < e->high; i++) {
		const struct endpoint *endpoint = &e->list[i];

		if (endpoint->number == 0 || endpoints_is_listed(e, endpoint) || endpoint->withdrawn_at != 0)
			continue;
		if (endpoint->missed_at + ENDPOINTS_GRACE < until)
			until = endpoint->missed_at + ENDPOINTS_GRACE;
	}
	return until;
}

bool
endpoints_is_left(const struct endpoints *e, const struct endpoints_settings *s, uint16_t number)
{
	const struct endpoint *endpoint = endpoints_find(e, number);

	return s->on_withdrawn != ENDPOINTS_ON_KEEP && endpoints_elsewhere(e) &&
	    (endpoint == NULL || endpoints_state(e, endpoint) == ENDPOINT_WITHDRAWN);
}

int64_t
endpoints_leaves_at(const struct endpoints *e, const struct endpoints_settings *s, uint16_t number, int64_t left_at)
{
	const struct endpoint *endpoint = endpoints_find(e, number);
	int64_t since = endpoint != NULL ? endpoint->withdrawn_at : left_at;

	if (!endpoints_is_left(e, s, number))
		return CLOCK_NEVER;
	if (s->on_withdrawn == ENDPOINTS_ON_DROP)
		return since;
	return s->withdrawn_timeout == 0 || since == 0 ? CLOCK_NEVER : since + s->withdrawn_timeout;
}

enum endpoints_verdict
endpoints_judge(const struct endpoints *e, const struct endpoints_settings *s, uint16_t number, bool idle,
    int64_t now)
{
	const struct endpoint *endpoint = endpoints_find(e, number);

	if (idle)
		return endpoint != NULL && endpoints_is_listed(e, endpoint) &&
		    (endpoint->failed_until == 0 || !endpoints_elsewhere(e)) ? ENDPOINTS_KEEP : ENDPOINTS_DROP;
	if (now >= endpoints_leaves_at(e, s, number, 0))
		return ENDPOINTS_DROP;
	return endpoints_is_left(e, s, number) && (endpoint == NULL || is_proven_elsewhere(e)) ? ENDPOINTS_MOVE :
	    ENDPOINTS_KEEP;
}

#include "framing/resp_track.h"

#include <string.h>

/* An argument that is not known, or does not fit. */
#define TRACK_UNKNOWN UINT32_MAX

/* Of HELLO, beside its protocol: it has options, which may be carried out although it fails. */
#define TRACK_OPTIONS 0x100u

void
resp_track_begin(struct resp_track *track, const struct resp_connection *shared, unsigned protocol)
{
	memset(track, 0, sizeof *track);
	track->shared_database = track->database = shared->database;
	track->shared_protocol = shared->protocol;
	track->shared_authenticated = shared->authenticated;
	track->protocol = protocol;
	resp_stream_begin(&track->request, RESP_STREAM_REQUEST);
	resp_stream_begin(&track->reply, RESP_STREAM_REPLY);
}

static bool
track_is_lost(const struct resp_track *track)
{
	return track->states & RESP_TRACK_LASTING;
}

static void
track_lose(struct resp_track *track)
{
	track->states |= RESP_TRACK_LASTING;
}

void
resp_track_give_up(struct resp_track *track)
{
	track_lose(track);
}

static struct resp_track_entry *
track_entry(struct resp_track *track, uint32_t place)
{
	return &track->queue[(track->first + place) % RESP_TRACK_QUEUE];
}

static bool
track_is_queue(const struct resp_track *track)
{
	if (track->first >= RESP_TRACK_QUEUE || track->count > RESP_TRACK_QUEUE)
		return false;
	for (uint32_t i = 0; i < track->count; i++) {
		const struct resp_track_entry *entry = &track->queue[(track->first + i) % RESP_TRACK_QUEUE];

		if (entry->count == 0 || entry->effect > RESP_EFFECT_LOST)
			return false;
	}
	return true;
}

bool
resp_track_is_sane(const struct resp_track *track)
{
	unsigned char flags[2];

	memcpy(&flags[0], &track->shared_authenticated, 1);
	memcpy(&flags[1], &track->chosen, 1);
	return flags[0] <= 1 && flags[1] <= 1 && track_is_queue(track) &&
	    track->request.kind == RESP_STREAM_REQUEST && track->reply.kind == RESP_STREAM_REPLY &&
	    (track_is_lost(track) ||
	    (resp_stream_is_sane(&track->request) && resp_stream_is_sane(&track->reply)));
}

static bool
track_is_subscribed(const struct resp_track *track)
{
	return track->channels + track->patterns > 0;
}

/* The word of this place as a number. */
static uint32_t
track_number(const struct resp_stream *stream, unsigned place)
{
	struct resp_word word = resp_kept_word(&stream->words[place]);
	unsigned number;

	return stream->count > place && resp_word_number(&word, &number) ? number : TRACK_UNKNOWN;
}

static uint32_t
track_argument(const struct resp_stream *request, enum resp_effect effect)
{
	switch (effect) {
	case RESP_EFFECT_SELECT:
		return track_number(request, 1);
	case RESP_EFFECT_HELLO:
		if (request->count < 2)
			return 0;
		return request->count > 2 ? TRACK_OPTIONS : track_number(request, 1);
	case RESP_EFFECT_SUBSCRIBE: case RESP_EFFECT_PSUBSCRIBE:
	case RESP_EFFECT_UNSUBSCRIBE: case RESP_EFFECT_PUNSUBSCRIBE:
		return (uint32_t)(request->count - 1);
	default:
		return 0;
	}
}

/* The request is owed a reply.  Those of (UN)SUBSCRIBE are owed several, and stand alone. */
static void
track_owe(struct resp_track *track, enum resp_effect effect, uint32_t number)
{
	struct resp_track_entry *last = track->count > 0 ? track_entry(track, track->count - 1) : NULL;

	if (effect == RESP_EFFECT_NONE && last != NULL && last->effect == RESP_EFFECT_NONE &&
	    last->count < UINT32_MAX) {
		last->count++;
		return;
	}
	if (track->count == RESP_TRACK_QUEUE) {
		track_lose(track);
		return;
	}
	*track_entry(track, track->count++) = (struct resp_track_entry){ 1, number, (uint8_t)effect };
}

/* A whole request has passed.  One without a word has no reply. */
static void
track_asked(struct resp_track *track)
{
	enum resp_effect effect = resp_effect_of(track->request.words, track->request.count);

	if (effect == RESP_EFFECT_LOST)
		track_lose(track);
	else if (track->request.count > 0)
		track_owe(track, effect, track_argument(&track->request, effect));
}

static bool
track_reply_is(const struct resp_track *track, unsigned char first, const char *word)
{
	const struct resp_kept *kept = &track->reply.words[0];

	return track->reply.first == first && track->reply.count > 0 && kept->length == strlen(word) &&
	    memcmp(kept->bytes, word, strlen(word)) == 0;
}

/* Whether it is one of a subscription's messages, which may come at any time and are no reply.  RESP2 has them as
 * arrays: while it is subscribed, no reply looks like one. */
static bool
track_is_message(const struct resp_track *track)
{
	unsigned char type = track->protocol == 3 ? '>' : '*';

	if (type == '*' && !track_is_subscribed(track))
		return false;
	return (track_reply_is(track, type, "message") && track->reply.count == 3) ||
	    (track_reply_is(track, type, "pmessage") && track->reply.count == 4);
}

/* The first word of what answers such a request. */
static const char *
track_frame_name(enum resp_effect effect)
{
	switch (effect) {
	case RESP_EFFECT_SUBSCRIBE: return "subscribe";
	case RESP_EFFECT_PSUBSCRIBE: return "psubscribe";
	case RESP_EFFECT_UNSUBSCRIBE: return "unsubscribe";
	case RESP_EFFECT_PUNSUBSCRIBE: return "punsubscribe";
	default: return NULL;
	}
}

/* A frame says how many subscriptions of both kinds there are. */
static bool
track_count_subscriptions(struct resp_track *track, enum resp_effect effect)
{
	bool of_patterns = effect == RESP_EFFECT_PSUBSCRIBE || effect == RESP_EFFECT_PUNSUBSCRIBE;
	uint64_t *kind = of_patterns ? &track->patterns : &track->channels;
	uint64_t others = of_patterns ? track->channels : track->patterns;
	uint32_t all = track_number(&track->reply, 2);

	if (track->reply.count != 3 || all == TRACK_UNKNOWN || all < others)
		return false;
	*kind = all - others;
	return true;
}

static void
track_paid(struct resp_track *track)
{
	struct resp_track_entry *head = track_entry(track, 0);

	if (--head->count > 0)
		return;
	track->first = (track->first + 1) % RESP_TRACK_QUEUE;
	track->count--;
	track->frames = 0;
}

/* Each channel has a frame of its own; without one named, each that is subscribed to, or one for none. */
static void
track_frame(struct resp_track *track, const struct resp_track_entry *head)
{
	enum resp_effect effect = (enum resp_effect)head->effect;

	if (track->frames == 0)
		track->frames = head->number > 0 ? head->number :
		    effect == RESP_EFFECT_UNSUBSCRIBE ? track->channels : track->patterns;
	if (track->frames == 0)
		track->frames = 1;
	if (!track_count_subscriptions(track, effect))
		track_lose(track);
	else if (--track->frames == 0)
		track_paid(track);
}

/* What answers (UN)SUBSCRIBE: its frames, or an error alone. */
static void
track_subscribed(struct resp_track *track, const struct resp_track_entry *head)
{
	unsigned char type = track->protocol == 3 ? '>' : '*';

	if (track->reply.first == '-' && track->frames == 0)
		track_paid(track);
	else if (track_reply_is(track, type, track_frame_name((enum resp_effect)head->effect)))
		track_frame(track, head);
	else
		track_lose(track);
}

/* EXEC ends the transaction if it says what became of it; so does nil, and the one error that says so. */
static bool
track_exec_ends(const struct resp_track *track)
{
	static const char aborted[] = "EXECABORT ";

	return track->reply.first == '*' || resp_stream_is_null(&track->reply) || (track->reply.first == '-' &&
	    memcmp(track->reply.words[0].bytes, aborted, sizeof aborted - 1) == 0);
}

/* RESET has made it what a new connection is, before hello. */
static void
track_reset(struct resp_track *track)
{
	track->states &= ~(RESP_TRACK_MULTI | RESP_TRACK_WATCH | RESP_TRACK_USER);
	if (track->shared_authenticated)
		track->states |= RESP_TRACK_USER;
	track->channels = track->patterns = 0;
	track->database = 0;
	track->chosen = true;
	track->protocol = 2;
}

/* HELLO has been granted.  Its answer is a map in the protocol that it has chosen. */
static void
track_hello(struct resp_track *track, uint32_t protocol)
{
	if (protocol == 0)
		return;
	if (protocol != 2 && protocol != 3)
		track_lose(track);
	else
		track->protocol = protocol;
}

/* The reply that grants the request: the state is there now, or over. */
static void
track_granted(struct resp_track *track, const struct resp_track_entry *head)
{
	switch ((enum resp_effect)head->effect) {
	case RESP_EFFECT_MULTI: track->states |= RESP_TRACK_MULTI; break;
	case RESP_EFFECT_WATCH: track->states |= RESP_TRACK_WATCH; break;
	case RESP_EFFECT_UNWATCH: track->states &= ~RESP_TRACK_WATCH; break;
	case RESP_EFFECT_EXEC: case RESP_EFFECT_DISCARD:
		track->states &= ~(RESP_TRACK_MULTI | RESP_TRACK_WATCH);
		break;
	case RESP_EFFECT_SELECT:
		track->database = head->number;
		track->chosen = true;
		break;
	case RESP_EFFECT_HELLO: track_hello(track, head->number); break;
	case RESP_EFFECT_AUTH: track->states |= RESP_TRACK_USER; break;
	case RESP_EFFECT_RESET: track_reset(track); break;
	default: track_lose(track); break;
	}
}

static bool
track_grants(const struct resp_track *track, enum resp_effect effect)
{
	if (effect == RESP_EFFECT_EXEC)
		return track_exec_ends(track);
	if (effect == RESP_EFFECT_HELLO)
		return track->reply.first == '*' || track->reply.first == '%';
	return track_reply_is(track, '+', effect == RESP_EFFECT_RESET ? "RESET" : "OK");
}

/* A reply to a request that could leave something.  Queued, it will have its effect at EXEC, or not: that is not
 * followed, but for UNWATCH, as EXEC does the same. */
static void
track_settle(struct resp_track *track, const struct resp_track_entry *head)
{
	enum resp_effect effect = (enum resp_effect)head->effect;
	bool queued = effect == RESP_EFFECT_UNWATCH && track_reply_is(track, '+', "QUEUED");

	if (track_grants(track, effect))
		track_granted(track, head);
	else if (track->reply.first != '-' && !queued)
		track_lose(track);
	if (effect == RESP_EFFECT_HELLO && head->number == TRACK_OPTIONS)
		track_lose(track);
	track_paid(track);
}

/* Requests are queued in a transaction alone: another reply that says so tells that one was overlooked. */
static void
track_settle_plain(struct resp_track *track)
{
	if (track_reply_is(track, '+', "QUEUED") && !(track->states & RESP_TRACK_MULTI))
		track_lose(track);
	track_paid(track);
}

/* Whether it says that something has been, or no more is, subscribed to. */
static bool
track_is_frame(const struct resp_track *track)
{
	static const char tail[] = "subscribe";
	const struct resp_kept *word = &track->reply.words[0];
	size_t length = sizeof tail - 1;

	return word->length >= length && word->length <= RESP_WORD_SIZE &&
	    memcmp(word->bytes + word->length - length, tail, length) == 0;
}

/* A whole message of the server's has passed.  A push that is no frame is nobody's. */
static void
track_answered(struct resp_track *track)
{
	const struct resp_track_entry *head = track_entry(track, 0);
	bool push = track->reply.first == '>';

	if (track_is_message(track) || (push && !track_is_frame(track)))
		return;
	if (track->count == 0)
		track_lose(track);
	else if (track_frame_name((enum resp_effect)head->effect) != NULL)
		track_subscribed(track, head);
	else if (push)
		track_lose(track);
	else if (head->effect == RESP_EFFECT_NONE)
		track_settle_plain(track);
	else
		track_settle(track, head);
}

/* One direction's bytes, which mean something as long as no place was lost. */
static void
track_feed(struct resp_track *track, struct resp_stream *stream, const unsigned char *bytes, size_t length)
{
	size_t used;

	for (; length > 0 && !track_is_lost(track); bytes += used, length -= used) {
		enum framing_result result = resp_stream_feed(stream, bytes, length, &used);

		if (result == FRAMING_MORE)
			continue;
		if (result != FRAMING_WHOLE)
			track_lose(track);
		else if (stream == &track->request)
			track_asked(track);
		else
			track_answered(track);
		resp_stream_begin(stream, (enum resp_stream_kind)stream->kind);
	}
}

void
resp_track_request(struct resp_track *track, const unsigned char *bytes, size_t length)
{
	track_feed(track, &track->request, bytes, length);
}

void
resp_track_reply(struct resp_track *track, const unsigned char *bytes, size_t length)
{
	track_feed(track, &track->reply, bytes, length);
}

uint64_t
resp_track_ahead_request(const struct resp_track *track)
{
	return track_is_lost(track) ? UINT64_MAX : resp_stream_ahead(&track->request);
}

uint64_t
resp_track_ahead_reply(const struct resp_track *track)
{
	return track_is_lost(track) ? UINT64_MAX : resp_stream_ahead(&track->reply);
}

void
resp_track_pass_request(struct resp_track *track, uint64_t length)
{
	if (!track_is_lost(track))
		resp_stream_pass(&track->request, length);
}

void
resp_track_pass_reply(struct resp_track *track, uint64_t length)
{
	if (!track_is_lost(track))
		resp_stream_pass(&track->reply, length);
}

unsigned
resp_track_states(const struct resp_track *track)
{
	return track->states | (track_is_subscribed(track) ? RESP_TRACK_SUBSCRIBED : 0) |
	    (track->database != track->shared_database ? RESP_TRACK_DATABASE : 0) |
	    (track->protocol != track->shared_protocol ? RESP_TRACK_PROTOCOL : 0);
}

bool
resp_track_is_busy(const struct resp_track *track)
{
	return track->count > 0 || track->request.length > 0 || track->reply.length > 0;
}

bool
resp_track_is_free(const struct resp_track *track)
{
	return !resp_track_is_busy(track) && resp_track_states(track) == 0;
}

bool
resp_track_fits(const struct resp_track *track, const struct resp_connection *shared)
{
	return !track->chosen || track->database == shared->database;
}

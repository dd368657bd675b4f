#include "client/shared_settings.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "framing/memcache.h"

/* With framing resp: what a server's slowest command, but no endless script, comes to. */
#define SHARED_REPLY_PATIENCE (30 * CLOCK_SECOND)

void
shared_note(struct table_shared *record, const struct shared_settings *settings)
{
	record->framing = (uint8_t)settings->framing;
	record->replies = (uint8_t)settings->replies;
	record->type = (uint8_t)settings->type;
	record->on_full = (uint8_t)settings->on_full;
	record->max_message = settings->max_message;
	record->queue_size = settings->queue_size;
}

bool
shared_recall(const struct table_shared *record, struct shared_settings *ret_settings)
{
	bool sane = record->framing < FRAMING_KINDS && record->replies <= SHARED_BROADCAST &&
	    record->type <= LISTENER_DGRAM && record->on_full <= SHARED_DROP_OLDEST;

	if (record->framing == FRAMING_NONE)
		return false;
	if (!sane) { /* damaged: whatever they are, its clients end */
		*ret_settings = (struct shared_settings){ .framing = FRAMING_LINE, .max_in_flight = 1 };
		return true;
	}
	*ret_settings = (struct shared_settings){ .framing = (enum framing_kind)record->framing,
		.replies = (enum shared_replies)record->replies, .type = (enum listener_type)record->type,
		.max_message = record->max_message, .max_in_flight = 1,
		.on_full = (enum shared_on_full)record->on_full, .queue_size = record->queue_size };
	return true;
}

int64_t
shared_reply_timeout(const struct shared_settings *settings, bool *ret_spares)
{
	bool automatic = settings->reply_timeout == SHARED_REPLY_AUTO, ordered = settings->replies == SHARED_ORDERED;

	*ret_spares = automatic && ordered && settings->framing == FRAMING_RESP;
	if (*ret_spares)
		return SHARED_REPLY_PATIENCE;
	return ordered && !automatic ? settings->reply_timeout : 0;
}

/* A message that is one already, or one to be made of these bytes.  None for NULL, or if none can be made. */
static struct shared_text
shared_frame(const struct shared_settings *settings, const char *text, bool request)
{
	const struct framing *framing = framing_of(settings->framing);
	framing_parser *parse = request ? framing->request : framing->reply;
	struct framing_progress progress = { 0 };
	struct shared_text framed = { 0 };
	size_t length, whole;

	if (text == NULL)
		return framed;
	length = strlen(text);
	framed.bytes = mem_new(1, length + FRAMING_OVERHEAD);
	if ((settings->framing == FRAMING_LINE || framing->protocol) &&
	    parse(&progress, (const unsigned char *)text, length, length, &whole) == FRAMING_WHOLE &&
	    whole == length) {
		memcpy(framed.bytes, text, length);
		framed.length = length;
	} else if (!framing->protocol) {
		framed.length = framing->wrap((const unsigned char *)text, length, (unsigned char *)framed.bytes);
	}
	if (framed.length == 0) {
		mem_free(framed.bytes);
		framed.bytes = NULL;
	}
	return framed;
}

/* What is sent as it is would have no reply: memcached's noreply, and q. */
static bool
shared_is_silent(const struct shared_settings *settings, const struct shared_text *request)
{
	struct memcache_judgement judgement;

	return settings->framing == FRAMING_MEMCACHE && request->bytes != NULL &&
	    memcache_judge((const unsigned char *)request->bytes, request->length, &judgement) == FRAMING_FORWARD &&
	    judgement.silence != 0;
}

char *
shared_check(const struct shared_settings *settings, const char *text, bool request)
{
	struct shared_text framed = shared_frame(settings, text, request);
	char *wrong = NULL;

	if (text != NULL && framed.bytes == NULL)
		wrong = mem_print("is not one message of framing %s", framing_of(settings->framing)->name);
	else if (request && shared_is_silent(settings, &framed))
		wrong = mem_copy_text("has no reply: leave out noreply, or the flag q");
	mem_free(framed.bytes);
	return wrong;
}

void
shared_make_loss_reply(const struct shared_settings *settings, struct shared_text *text)
{
	const struct framing *framing = framing_of(settings->framing);
	char error[256];

	mem_free(text->bytes);
	*text = (struct shared_text){ 0 };
	if (settings->replies != SHARED_ORDERED)
		return;
	if (settings->loss_reply != NULL) {
		*text = shared_frame(settings, settings->loss_reply, false);
	} else if (framing->error != NULL) {
		text->length = framing->error(FRAMING_FAULT_SERVER,
		    "holdfast: connection to the service was lost", error, sizeof error);
		text->bytes = mem_copy_bytes(error, text->length);
	}
}

void
shared_make_heartbeat(const struct shared_settings *settings, struct shared_text *text)
{
	mem_free(text->bytes);
	*text = shared_frame(settings, settings->heartbeat_send, true);
}

void
shared_make_confirmation(const struct shared_settings *settings, struct shared_text *text)
{
	bool confirms = settings->replies == SHARED_NONE && settings->spool_path != NULL &&
	    settings->spool_fsync == SHARED_FSYNC_ALWAYS && settings->on_full != SHARED_DROP_OLDEST;

	mem_free(text->bytes);
	*text = shared_frame(settings, confirms ? "accepted" : NULL, true);
}

bool
shared_is_pulse(const struct shared_settings *settings, const unsigned char *message, size_t length)
{
	const char *expect = settings->heartbeat_expect;
	size_t contents, offset = framing_of(settings->framing)->unwrap(message, length, &contents);

	return expect == NULL ||
	    (contents >= strlen(expect) && memcmp(message + offset, expect, strlen(expect)) == 0);
}

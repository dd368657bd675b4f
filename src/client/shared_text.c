/* What shared mode says by itself: to a client whose request is lost, to an upstream that may be dead. */
#include <string.h>

#include "base/mem.h"
#include "client/shared_parts.h"

/* A message that is one already, or one to be made of these bytes. */
static char *
text_frame(const struct shared_settings *settings, const char *text, bool request, size_t *ret_length)
{
	const struct framing *framing = framing_of(settings->framing);
	framing_parser *parse = request ? framing->request : framing->reply;
	struct framing_progress progress = { 0 };
	size_t length = strlen(text), whole;
	unsigned char *framed = mem_new(1, length + FRAMING_OVERHEAD);

	*ret_length = 0;
	if ((settings->framing == FRAMING_LINE || settings->framing == FRAMING_RESP) &&
	    parse(&progress, (const unsigned char *)text, length, length, &whole) == FRAMING_WHOLE &&
	    whole == length) {
		memcpy(framed, text, length);
		*ret_length = length;
	} else if (settings->framing != FRAMING_RESP) {
		*ret_length = framing->wrap((const unsigned char *)text, length, framed);
	}
	if (*ret_length == 0) {
		mem_free(framed);
		return NULL;
	}
	return (char *)framed;
}

static char *
text_check(const struct shared_settings *settings, const char *text, bool request)
{
	size_t length;
	char *framed;

	if (text == NULL)
		return NULL;
	framed = text_frame(settings, text, request, &length);
	if (framed == NULL)
		return mem_print("is not one message of framing %s", framing_of(settings->framing)->name);
	mem_free(framed);
	return NULL;
}

char *
shared_check_loss_reply(const struct shared_settings *settings)
{
	return text_check(settings, settings->loss_reply, false);
}

char *
shared_check_heartbeat(const struct shared_settings *settings)
{
	return text_check(settings, settings->heartbeat_send, true);
}

static void
text_make_loss(struct shared *shared)
{
	const struct shared_settings *settings = shared->settings;
	char error[256];

	mem_free(shared->loss_text);
	shared->loss_text = NULL;
	shared->loss_length = 0;
	if (!shared_is_ordered(shared))
		return;
	if (settings->loss_reply != NULL) {
		shared->loss_text = text_frame(settings, settings->loss_reply, false,
		    &shared->loss_length);
	} else if (shared->framing->error != NULL) {
		shared->loss_length = shared->framing->error("holdfast: connection to the service was lost", error,
		    sizeof error);
		shared->loss_text = mem_copy_bytes(error, shared->loss_length);
	}
}

void
shared_make_texts(struct shared *shared)
{
	const struct shared_settings *settings = shared->settings;

	text_make_loss(shared);
	mem_free(shared->beat_text);
	shared->beat_text = NULL;
	if (settings->heartbeat_send != NULL)
		shared->beat_text = text_frame(settings, settings->heartbeat_send, true, &shared->beat_length);
}

/* Anything will do if nothing is expected. */
bool
shared_is_pulse(const struct shared *shared, const unsigned char *message, size_t length)
{
	const char *expect = shared->settings->heartbeat_expect;
	size_t contents, offset = shared->framing->unwrap(message, length, &contents);

	return expect == NULL ||
	    (contents >= strlen(expect) && memcmp(message + offset, expect, strlen(expect)) == 0);
}

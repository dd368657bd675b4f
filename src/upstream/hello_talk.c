#include "upstream/hello_talk.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/mem.h"

#define HELLO_TEXTS 4 /* of a step */

/* The text with this number, all steps' counted through. */
static char **
hello_text(const struct hello_settings *settings, size_t number)
{
	struct hello_step *step = &settings->steps[number / HELLO_TEXTS];
	char **texts[HELLO_TEXTS] = { &step->send, &step->send_file, &step->expect, &step->abort_on };

	return texts[number % HELLO_TEXTS];
}

void
hello_settings_copy(struct hello_settings *to, const struct hello_settings *from)
{
	*to = (struct hello_settings){ .count = from->count };
	if (from->count == 0)
		return;
	to->steps = mem_new(from->count, sizeof *to->steps);
	memcpy(to->steps, from->steps, from->count * sizeof *to->steps);
	for (size_t i = 0; i < HELLO_TEXTS * from->count; i++)
		*hello_text(to, i) = mem_copy_text(*hello_text(from, i));
}

void
hello_settings_clear(struct hello_settings *settings)
{
	for (size_t i = 0; i < HELLO_TEXTS * settings->count; i++)
		mem_free(*hello_text(settings, i));
	mem_free(settings->steps);
	*settings = (struct hello_settings){ 0 };
}

bool
hello_settings_are_same(const struct hello_settings *a, const struct hello_settings *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++)
		same = a->steps[i].timeout == b->steps[i].timeout;
	for (size_t i = 0; same && i < HELLO_TEXTS * a->count; i++) {
		const char *one = *hello_text(a, i), *other = *hello_text(b, i);

		same = strcmp(one == NULL ? "" : one, other == NULL ? "" : other) == 0;
	}
	return same;
}

static void
hello_end(struct hello_talk *talk, enum hello_end end)
{
	talk->wants = HELLO_OVER;
	talk->end = end;
	talk->deadline = CLOCK_NEVER;
}

void
hello_talk_failed(struct hello_talk *talk, const char *format, ...)
{
	size_t length = (size_t)snprintf(talk->error, sizeof talk->error, talk->probing ? "probe: " : "hello: ");
	va_list args;

	va_start(args, format);
	vsnprintf(talk->error + length, sizeof talk->error - length, format, args);
	va_end(args);
	hello_end(talk, HELLO_FAILED);
}

/* Whether these letters and digits are a word of what was sent. */
static bool
hello_was_sent(const struct hello_talk *talk, const char *word, size_t length)
{
	const char *sent = talk->sent;
	size_t run;

	for (size_t i = 0; i < talk->sent_length; i += run + (run == 0)) {
		for (run = 0; i + run < talk->sent_length && isalnum((unsigned char)sent[i + run]);)
			run++;
		if (run == length && memcmp(sent + i, word, length) == 0)
			return true;
	}
	return false;
}

/* The line as people may see it: a server may well repeat what it does not understand, and that may be a password. */
static void
hello_show(const struct hello_talk *talk, char ret_text[ESCAPE_SAID_SIZE])
{
	char shown[ESCAPE_SAID_MAX];
	size_t at = 0, run;

	for (size_t i = 0; i < talk->length && at < sizeof shown; i += run) {
		const char *from = talk->line + i;
		bool hidden;

		for (run = 0; i + run < talk->length && isalnum((unsigned char)from[run]);)
			run++;
		hidden = run > 0 && hello_was_sent(talk, from, run);
		run += run == 0;
		for (size_t k = 0; k < (hidden ? 3 : run) && at < sizeof shown; k++)
			shown[at++] = hidden ? '*' : from[k];
	}
	escape_said(shown, at, ret_text);
}

static bool
hello_is_answered(const struct hello_step *step)
{
	return step->expect != NULL || step->abort_on != NULL;
}

/* The first step from this one on that does something. */
static void
hello_begin_step(struct hello_talk *talk, const struct hello_settings *settings, size_t step, int64_t now)
{
	for (; step < settings->count; step++) {
		const struct hello_step *s = &settings->steps[step];
		bool says = s->send != NULL || s->send_file != NULL;

		if (!says && !hello_is_answered(s))
			continue;
		talk->wants = says ? HELLO_SAY : HELLO_HEAR;
		talk->step = step;
		talk->deadline = clock_after(now, s->timeout);
		return;
	}
	if (talk->probe == PROBE_NONE || talk->probing) {
		hello_end(talk, HELLO_DONE);
		return;
	}
	talk->probing = true;
	talk->wants = HELLO_SAY;
	talk->deadline = clock_after(now, talk->probe_timeout);
}

void
hello_talk_begin(struct hello_talk *talk, const struct hello_settings *settings, int64_t now)
{
	talk->length = 0;
	hello_begin_step(talk, settings, 0, now);
}

void
hello_talk_said(struct hello_talk *talk, const struct hello_settings *settings, int64_t now)
{
	if (talk->probing || hello_is_answered(&settings->steps[talk->step]))
		talk->wants = HELLO_HEAR;
	else
		hello_begin_step(talk, settings, talk->step + 1, now);
}

static bool
hello_begins_with(const struct hello_talk *talk, const char *text)
{
	size_t length = strlen(text);

	return talk->length >= length && memcmp(talk->line, text, length) == 0;
}

/* What a line of a reply says is still to come (RESP3's kinds included). */
static void
hello_note_element(struct hello_talk *talk)
{
	uint64_t count;

	talk->line[talk->length < HELLO_LINE_MAX ? talk->length : HELLO_LINE_MAX - 1] = '\0';
	count = talk->length > 1 && talk->line[1] != '-' ? strtoull(talk->line + 1, NULL, 10) : 0;
	talk->pending--;
	switch (talk->length > 0 ? talk->line[0] : '\0') {
	case '*': case '~': case '>':
		talk->pending += count;
		break;
	case '%':
		talk->pending += 2 * count;
		break;
	case '|': /* comes before the element that it belongs to */
		talk->pending += 2 * count + 1;
		break;
	case '$': case '=': case '!':
		talk->skip = talk->length > 1 && talk->line[1] != '-' ? count + 2 : 0;
		break;
	}
	talk->length = 0;
	if (count > HELLO_TEXT_MAX)
		hello_talk_failed(talk, "the server's reply is longer than 64 KiB");
}

static void
hello_go_on(struct hello_talk *talk, const struct hello_settings *settings, int64_t now)
{
	if (talk->wants != HELLO_OVER && talk->pending == 0 && talk->skip == 0)
		hello_begin_step(talk, settings, talk->step + 1, now);
}

/* The line is whole. */
static void
hello_judge(struct hello_talk *talk, const struct hello_settings *settings, int64_t now)
{
	const struct hello_step *step = &settings->steps[talk->step];
	char said[ESCAPE_SAID_SIZE], expected[ESCAPE_SAID_SIZE];

	if (talk->length > 0 && talk->line[talk->length - 1] == '\r')
		talk->length--;
	hello_show(talk, said);
	if (step->abort_on != NULL && hello_begins_with(talk, step->abort_on)) {
		hello_talk_failed(talk, "the server said \"%s\"", said);
		talk->end = HELLO_ABORTED;
	} else if (step->expect != NULL && !hello_begins_with(talk, step->expect)) {
		escape_said(step->expect, strlen(step->expect), expected);
		hello_talk_failed(talk, "expected \"%s\", got \"%s\"", expected, said);
	} else {
		talk->pending = settings->whole_replies;
		if (settings->whole_replies)
			hello_note_element(talk);
		talk->length = 0;
		hello_go_on(talk, settings, now);
	}
}

/* What is there of an answer that is not whole is kept for people. */
static size_t
hello_judge_probe(struct hello_talk *talk, const char *bytes, size_t length)
{
	char why[PROBE_WHY_SIZE];
	size_t taken;

	length = length < PROBE_ANSWER_MAX ? length : PROBE_ANSWER_MAX;
	switch (probe_judge(talk->probe, (const unsigned char *)bytes, length, &taken, why)) {
	case PROBE_MORE:
		memcpy(talk->line, bytes, length);
		talk->length = length;
		break;
	case PROBE_NOT_READY:
		hello_talk_failed(talk, "%s", why);
		break;
	case PROBE_READY:
		hello_end(talk, HELLO_DONE);
		break;
	}
	return taken;
}

size_t
hello_talk_heard(struct hello_talk *talk, const struct hello_settings *settings, const char *bytes, size_t length,
    int64_t now)
{
	const char *end = memchr(bytes, '\n', length);
	size_t taken = end == NULL ? length : (size_t)(end - bytes);

	if (talk->probing)
		return hello_judge_probe(talk, bytes, length);
	if (talk->skip > 0) { /* bytes of a text whose length was said */
		taken = length < talk->skip ? length : (size_t)talk->skip;
		talk->skip -= taken;
		hello_go_on(talk, settings, now);
		return taken;
	}
	if (talk->length + taken > HELLO_LINE_MAX) {
		hello_talk_failed(talk, "the server's line is longer than %u bytes", HELLO_LINE_MAX);
		return 0;
	}
	memcpy(talk->line + talk->length, bytes, taken);
	talk->length += taken;
	if (end == NULL)
		return taken;
	if (talk->pending > 0) {
		hello_note_element(talk);
		hello_go_on(talk, settings, now);
	} else {
		hello_judge(talk, settings, now);
	}
	return taken + 1;
}

void
hello_talk_late(struct hello_talk *talk, const struct hello_settings *settings)
{
	int64_t timeout = talk->probing ? talk->probe_timeout : settings->steps[talk->step].timeout;
	double seconds = (double)timeout / CLOCK_SECOND;
	int digits = seconds < 0.1 ? 3 : 1;
	char said[ESCAPE_SAID_SIZE];

	hello_show(talk, said);
	if (talk->wants == HELLO_SAY)
		hello_talk_failed(talk, "the server takes nothing within %.*f s", digits, seconds);
	else if (talk->length > 0 && !talk->probing)
		hello_talk_failed(talk, "no whole line within %.*f s, got \"%s\"", digits, seconds, said);
	else
		hello_talk_failed(talk, "no answer within %.*f s", digits, seconds);
}

void
hello_talk_closed(struct hello_talk *talk)
{
	char said[ESCAPE_SAID_SIZE];

	hello_show(talk, said);
	if (talk->length > 0)
		hello_talk_failed(talk, "the server closed the connection after \"%s\"", said);
	else
		hello_talk_failed(talk, "the server closed the connection");
}

/* ask_line.c - lines: asked for an answer each, told one way, or heard from a feed. */
#include "ask.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES (1u << 20)

static char wanted[LINE_BYTES + 64];

/* "CLIENT N xxx...\n", as long as the number says. */
static size_t line_make(const struct client *client, uint64_t n)
{
	int head = snprintf(wanted, sizeof(wanted), "%u %" PRIu64 " ", client->number, n);
	size_t more = (size_t)((n * 7919 + client->number) % (ask.value_bytes + 1));

	memset(wanted + head, 'a' + (int)(n % 26), more);
	wanted[(size_t)head + more] = '\n';
	return (size_t)head + more + 1;
}

static void line_ask(struct client *client, struct question *question)
{
	question->kind = LINE;
	question->n = client->asked;
	bytes_append(&client->out, wanted, line_make(client, question->n));
}

static ssize_t line_length(const char *bytes, size_t length)
{
	const char *end = memchr(bytes, '\n', length);

	if (end == NULL)
		return length > LINE_BYTES ? -1 : 0;
	return end - bytes + 1;
}

/* The line itself, or with a word before it: the server's name. */
static bool line_right(struct client *client, const struct question *question, const char *reply, size_t length)
{
	size_t expected = line_make(client, question->n), before = length - expected;

	if (length < expected || memcmp(reply + before, wanted, expected) != 0 ||
	    (before > 0 && memchr(reply, ' ', length) != reply + before - 1)) {
		complain(client, "asked %.60s, was answered %.*s", wanted, length > 60 ? 60 : (int)length, reply);
		return false;
	}
	return true;
}

static void line_lost(struct client *client, const struct question *question)
{
	(void)client;
	(void)question;
}

static void feed_acknowledge(struct client *client, uint64_t n)
{
	if (ask.ack > 0 && n % ask.ack == 0)
		bytes_print(&client->out, "ack %u %" PRIu64 "\n", client->number, n);
}

/* "feed N xxx...\n": the first number may be any, then each is one more. */
static bool feed_right(struct client *client, const struct question *question, const char *reply, size_t length)
{
	uint64_t n = 0;
	char *end = NULL;

	(void)question;
	if (length > 6 && memcmp(reply, "feed ", 5) == 0)
		n = strtoull(reply + 5, &end, 10);
	if (end == NULL || end == reply + 5 || *end != ' ') {
		complain(client, "heard %.*s", length > 60 ? 60 : (int)length, reply);
		return false;
	}
	for (size_t at = (size_t)(end - reply) + 1; at + 1 < length; at++) {
		if (reply[at] != 'a' + (int)(n % 26)) {
			complain(client, "message %" PRIu64 " is torn at %zu of %zu", n, at, length);
			return false;
		}
	}
	if (client->heard > 0 && n != client->next) {
		complain(client, "message %" PRIu64 " came where %" PRIu64 " was due", n, client->next);
		return false;
	}
	client->next = n + 1;
	feed_acknowledge(client, client->next);
	return true;
}

const struct ask_mode mode_line = { .name = "line", .hears = true, .asks = true, .ask = line_ask,
	.length = line_length, .right = line_right, .lost = line_lost };
const struct ask_mode mode_tell = { .name = "tell", .asks = true, .ask = line_ask, .length = line_length,
	.lost = line_lost };
const struct ask_mode mode_feed = { .name = "feed", .hears = true, .length = line_length, .right = feed_right };

/* ask_redis.c - what clients of Redis ask, and whether the answers can be theirs.
 *
 * Every value names its client, its key and its number among those of the key, and is padded with text that
 * follows from these.  A reply in its turn must be the last value that was set; where the answer of a SET was a
 * tolerated error, or where requests are sent again, it may be a later one that was asked for, never an earlier.
 */
#include "ask.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_KEY ASK_KEYS       /* names in values: the list, */
#define ECHO_KEY (ASK_KEYS + 1) /* what is only echoed */

static const char *const kind_names[] = { "set", "get", "mset", "mget", "lpush", "lrange", "echo" };

static char value[(1u << 20) + 64];

/* Makes the value; gives its length. */
static size_t value_make(unsigned number, unsigned key, uint64_t n)
{
	int head = snprintf(value, sizeof(value), "client %u key %u number %" PRIu64 ".", number, key, n);
	size_t more = (size_t)((n * 7919 + number * 31 + key) % (ask.value_bytes + 1));

	for (size_t at = 0; at < more; at++)
		value[(size_t)head + at] = (char)('a' + (at + n + number) % 26);
	return (size_t)head + more;
}

static void put_value(struct client *client, unsigned key, uint64_t n)
{
	size_t length = value_make(client->number, key, n);

	bytes_print(&client->out, "$%zu\r\n", length);
	bytes_append(&client->out, value, length);
	bytes_append(&client->out, "\r\n", 2);
}

static void put_word(struct client *client, const char *word)
{
	bytes_print(&client->out, "$%zu\r\n%s\r\n", strlen(word), word);
}

static void put_key(struct client *client, unsigned key)
{
	char name[128];

	snprintf(name, sizeof(name), "%s:%u:%u", ask.prefix, client->number, key);
	put_word(client, name);
}

static void put_command(struct client *client, unsigned words, const char *name)
{
	bytes_print(&client->out, "*%u\r\n", words);
	put_word(client, name);
}

static void put_all_keys(struct client *client)
{
	put_command(client, 1 + ASK_KEYS, "MGET");
	for (unsigned key = 0; key < ASK_KEYS; key++)
		put_key(client, key);
}

/* Two keys that are neighbours; both get the question's number. */
static void put_two(struct client *client, struct question *question)
{
	unsigned other = (question->key + 1) % ASK_KEYS;
	struct known *a = &client->keys[question->key], *b = &client->keys[other];

	question->n = (a->asked > b->asked ? a->asked : b->asked) + 1;
	a->asked = b->asked = question->n;
	put_command(client, 5, "MSET");
	put_key(client, question->key);
	put_value(client, question->key, question->n);
	put_key(client, other);
	put_value(client, other, question->n);
}

static void put_list(struct client *client, struct question *question)
{
	question->n = ++client->list.asked;
	put_command(client, 3, "LPUSH");
	put_key(client, LIST_KEY);
	put_value(client, LIST_KEY, question->n);
}

static void put_range(struct client *client)
{
	put_command(client, 4, "LRANGE");
	put_key(client, LIST_KEY);
	put_word(client, "0");
	put_word(client, "3");
}

static void own_ask(struct client *client, struct question *question)
{
	question->kind = client->leaver ? ECHO : ask.mix[ask_random() % ask.mixed];
	question->key = (unsigned)(ask_random() % ASK_KEYS);
	switch (question->kind) {
	case SET:
		question->n = ++client->keys[question->key].asked;
		put_command(client, 3, "SET");
		put_key(client, question->key);
		put_value(client, question->key, question->n);
		break;
	case GET:
		put_command(client, 2, "GET");
		put_key(client, question->key);
		break;
	case MSET: put_two(client, question); break;
	case MGET: put_all_keys(client); break;
	case LPUSH: put_list(client, question); break;
	case LRANGE: put_range(client); break;
	default:
		question->n = client->asked;
		put_command(client, 2, "ECHO");
		put_value(client, ECHO_KEY, question->n);
	}
}

/* A line's number, behind its type; *after is what comes behind the line's end. */
static bool number_parse(const char *bytes, size_t length, int64_t *number, size_t *after)
{
	const char *end = memchr(bytes, '\n', length);
	char *stop;

	if (end == NULL || end - bytes < 3)
		return false;
	*number = strtoll(bytes + 1, &stop, 10);
	*after = (size_t)(end - bytes) + 1;
	return stop == end - 1 && *stop == '\r';
}

/* Bytes of the first reply: RESP2. */
static ssize_t resp_length(const char *bytes, size_t length)
{
	uint64_t pending = 1;
	size_t at = 0, after;
	int64_t number;

	for (; pending > 0; pending--) {
		if (at >= length || memchr(bytes + at, '\n', length - at) == NULL)
			return 0;
		switch (bytes[at]) {
		case '+': case '-':
			at += (size_t)((char *)memchr(bytes + at, '\n', length - at) - (bytes + at)) + 1;
			break;
		case ':': case '$': case '*':
			if (!number_parse(bytes + at, length - at, &number, &after))
				return -1;
			if (bytes[at] == '*')
				pending += number > 0 ? (uint64_t)number : 0;
			at += after + (bytes[at] == '$' && number >= 0 ? (size_t)number + 2 : 0);
			break;
		default:
			return -1;
		}
	}
	return at <= length ? (ssize_t)at : 0;
}

/* Takes a bulk string that is a value of this client's key; its number is 0 for nil. */
static bool value_take(const char **at, size_t *left, unsigned number, unsigned key, uint64_t *n)
{
	char head[64];
	size_t head_length = (size_t)snprintf(head, sizeof(head), "client %u key %u number ", number, key), after;
	int64_t length;

	*n = 0;
	if (*left == 0 || **at != '$' || !number_parse(*at, *left, &length, &after))
		return false;
	*at += after;
	*left -= after;
	if (length < 0)
		return true;
	if (*left < (size_t)length + 2 || (size_t)length <= head_length || memcmp(*at, head, head_length) != 0)
		return false;
	*n = strtoull(*at + head_length, NULL, 10);
	if (value_make(number, key, *n) != (size_t)length || memcmp(*at, value, (size_t)length) != 0)
		return false;
	*at += length + 2;
	*left -= (size_t)length + 2;
	return true;
}

static bool known_allows(const struct known *known, uint64_t n)
{
	if (n == 0 && ask.forgets)
		return true;
	return n >= known->low && n <= (ask.again ? known->asked : known->high);
}

static bool keys_right(struct client *client, unsigned first, unsigned count, const char *at, size_t left)
{
	for (unsigned key = first; key < first + count; key++) {
		const struct known *known = &client->keys[key];
		uint64_t n;

		if (!value_take(&at, &left, client->number, key, &n))
			return false;
		if (!known_allows(known, n)) {
			complain(client, "key %u has number %" PRIu64 ", may have %" PRIu64 " to %" PRIu64, key, n,
			    known->low, ask.again ? known->asked : known->high);
			return false;
		}
	}
	return left == 0;
}

static bool many_right(struct client *client, const char *reply, size_t length)
{
	int64_t count;
	size_t after;

	return reply[0] == '*' && number_parse(reply, length, &count, &after) && count == ASK_KEYS &&
	    keys_right(client, 0, ASK_KEYS, reply + after, length - after);
}

/* What was pushed last comes first, and each only once. */
static bool range_right(struct client *client, const char *reply, size_t length)
{
	const struct known *list = &client->list;
	uint64_t n, before = UINT64_MAX;
	int64_t count;
	size_t after;

	if (reply[0] != '*' || !number_parse(reply, length, &count, &after))
		return false;
	reply += after;
	length -= after;
	for (int64_t i = 0; i < count; i++) {
		if (!value_take(&reply, &length, client->number, LIST_KEY, &n) || n >= before || n > list->high ||
		    (i == 0 && n < list->low && !ask.forgets))
			return false;
		before = n;
	}
	return length == 0;
}

/* A number that a request has raised by one: nothing may have been lost, or done twice. */
static bool raised_right(struct client *client, struct known *known, const char *reply, size_t length)
{
	int64_t number;
	size_t after;
	uint64_t most = ask.again ? UINT64_MAX : known->high + 1;

	if (reply[0] != ':' || !number_parse(reply, length, &number, &after) || after != length || number < 1)
		return false;
	if ((uint64_t)number > most || ((uint64_t)number <= known->low && !ask.forgets)) {
		complain(client, "counts %" PRId64 ", may be %" PRIu64 " to %" PRIu64, number, known->low + 1, most);
		return false;
	}
	known->low = known->high = (uint64_t)number;
	return true;
}

static void known_done(struct known *known, uint64_t n)
{
	known->low = known->high = n;
}

static bool text_is(const char *reply, size_t length, const char *text)
{
	return length == strlen(text) && memcmp(reply, text, length) == 0;
}

static bool set_right(struct client *client, const struct question *question, const char *reply, size_t length)
{
	if (!text_is(reply, length, "+OK\r\n"))
		return false;
	known_done(&client->keys[question->key], question->n);
	if (question->kind == MSET)
		known_done(&client->keys[(question->key + 1) % ASK_KEYS], question->n);
	return true;
}

/* The list's length is not the number of its values where one of them was lost: only the order is checked. */
static bool push_right(struct client *client, const struct question *question, const char *reply, size_t length)
{
	int64_t number;
	size_t after;

	if (reply[0] != ':' || !number_parse(reply, length, &number, &after) || after != length || number < 1 ||
	    (uint64_t)number > question->n)
		return false;
	if (!ask.forgets && client->list.low == client->list.high && client->list.low == question->n - 1 &&
	    ask.error == NULL && (uint64_t)number != question->n)
		return false;
	known_done(&client->list, question->n);
	return true;
}

static bool own_right(struct client *client, const struct question *question, const char *reply, size_t length)
{
	uint64_t n;

	switch (question->kind) {
	case SET: case MSET: return set_right(client, question, reply, length);
	case GET: return keys_right(client, question->key, 1, reply, length);
	case MGET: return many_right(client, reply, length);
	case LPUSH: return push_right(client, question, reply, length);
	case LRANGE: return range_right(client, reply, length);
	default:
		return value_take(&reply, &length, client->number, ECHO_KEY, &n) && n == question->n && length == 0;
	}
}

static void own_lost(struct client *client, const struct question *question)
{
	if (question->kind == SET || question->kind == MSET)
		client->keys[question->key].high = question->n;
	if (question->kind == MSET)
		client->keys[(question->key + 1) % ASK_KEYS].high = question->n;
	if (question->kind == LPUSH)
		client->list.high = question->n;
}

static void incr_ask(struct client *client, struct question *question)
{
	char name[128];

	if (client->leaver) {
		own_ask(client, question);
		return;
	}
	snprintf(name, sizeof(name), "%s:%u", ask.prefix, client->number);
	question->kind = INCR;
	put_command(client, 2, "INCR");
	put_word(client, name);
}

static bool incr_right(struct client *client, const struct question *question, const char *reply, size_t length)
{
	if (question->kind == ECHO)
		return own_right(client, question, reply, length);
	return raised_right(client, &client->counter, reply, length);
}

static void incr_lost(struct client *client, const struct question *question)
{
	if (question->kind == INCR)
		client->counter.high++;
}

bool mix_parse(const char *names)
{
	ask.mixed = 0;
	while (*names != '\0' && ask.mixed < sizeof(ask.mix) / sizeof(ask.mix[0])) {
		size_t length = strcspn(names, ",");
		unsigned kind = SET;

		while (kind <= ECHO && (strlen(kind_names[kind]) != length ||
		    strncmp(names, kind_names[kind], length)))
			kind++;
		if (kind > ECHO)
			return false;
		ask.mix[ask.mixed++] = kind;
		names += length + (names[length] == ',');
	}
	return ask.mixed > 0;
}

const struct ask_mode mode_own = { .name = "redis-own", .hears = true, .asks = true, .ask = own_ask,
	.length = resp_length, .right = own_right, .lost = own_lost };
const struct ask_mode mode_incr = { .name = "redis-incr", .hears = true, .asks = true, .ask = incr_ask,
	.length = resp_length, .right = incr_right, .lost = incr_lost };

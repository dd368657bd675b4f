/* memcache: memcached's text protocol, with its meta commands.
 *
 * Stricter than memcached, which takes what follows an error for requests: all connections' fate hangs on where they
 * end.  See https://github.com/memcached/memcached/blob/master/doc/protocol.txt. */
#include "framing/memcache.h"

#include <stdio.h>
#include <string.h>

#include "framing/memcache_stream.h"
#include "framing/memcache_words.h"

#define MEMCACHE_BINARY 0x80 /* begins a request of the binary protocol */

/* What the client is not told; FRAMING_SILENT_ALL is the first. */
enum { MEMCACHE_SILENT_MISS = FRAMING_SILENT_ALL + 1, MEMCACHE_SILENT_DONE, MEMCACHE_SILENT_VALUE };

enum memcache_kind {
	MEMCACHE_UNKNOWN,
	MEMCACHE_PLAIN,   /* its replies are always one; noreply is a word as any other */
	MEMCACHE_NOREPLY, /* can say noreply */
	MEMCACHE_STORE,   /* the same, and has data */
	MEMCACHE_META,    /* can say q */
	MEMCACHE_META_SET,
	MEMCACHE_QUIT,
	MEMCACHE_REFUSED, /* is for the server's operator, or makes the connection its own */
};

/* NOREPLY: how many words there may be, and from how many on the last can be noreply.  STORE: all words without it.
 * META: what q silences. */
struct memcache_command {
	const char *name;
	unsigned char length, kind, least, most, more;
};

#define COMMAND(NAME, KIND, LEAST, MOST, MORE) { NAME, sizeof NAME - 1, MEMCACHE_##KIND, LEAST, MOST, MORE }

static const struct memcache_command commands[] = {
	COMMAND("get", PLAIN, 0, 0, 0), COMMAND("set", STORE, 5, 0, 0),
	COMMAND("mg", META, 0, 0, MEMCACHE_SILENT_MISS), COMMAND("ms", META_SET, 0, 0, MEMCACHE_SILENT_DONE),
	COMMAND("gets", PLAIN, 0, 0, 0), COMMAND("incr", NOREPLY, 3, 4, 3), COMMAND("decr", NOREPLY, 3, 4, 3),
	COMMAND("delete", NOREPLY, 2, 4, 3), COMMAND("add", STORE, 5, 0, 0), COMMAND("cas", STORE, 6, 0, 0),
	COMMAND("touch", NOREPLY, 3, 4, 3), COMMAND("replace", STORE, 5, 0, 0), COMMAND("append", STORE, 5, 0, 0),
	COMMAND("prepend", STORE, 5, 0, 0), COMMAND("gat", PLAIN, 0, 0, 0), COMMAND("gats", PLAIN, 0, 0, 0),
	COMMAND("md", META, 0, 0, MEMCACHE_SILENT_DONE), COMMAND("ma", META, 0, 0, MEMCACHE_SILENT_VALUE),
	COMMAND("mn", PLAIN, 0, 0, 0), COMMAND("me", PLAIN, 0, 0, 0), COMMAND("version", PLAIN, 0, 0, 0),
	COMMAND("stats", PLAIN, 0, 0, 0), COMMAND("verbosity", NOREPLY, 2, 3, 2),
	COMMAND("flush_all", NOREPLY, 1, 3, 2), COMMAND("quit", QUIT, 0, 0, 0),
	COMMAND("cache_memlimit", REFUSED, 0, 0, 0), COMMAND("lru", REFUSED, 0, 0, 0),
	COMMAND("lru_crawler", REFUSED, 0, 0, 0), COMMAND("slabs", REFUSED, 0, 0, 0),
	COMMAND("extstore", REFUSED, 0, 0, 0), COMMAND("watch", REFUSED, 0, 0, 0),
	COMMAND("shutdown", REFUSED, 0, 0, 0), COMMAND("refresh_certs", REFUSED, 0, 0, 0),
	COMMAND("misbehave", REFUSED, 0, 0, 0), COMMAND("debugtime", REFUSED, 0, 0, 0),
};

/* A line in words; of more than there is room for only their number is known to be more. */
struct memcache_line {
	size_t count;
	struct memcache_word word[MEMCACHE_WORDS_MAX + 1];
};

/* length is without the newline and a return before it. */
static void
line_split(struct memcache_line *line, const unsigned char *bytes, size_t length)
{
	size_t at = 0;

	line->count = 0;
	while (line->count <= MEMCACHE_WORDS_MAX && word_next(bytes, length, &at, &line->word[line->count]))
		line->count++;
}

/* Without the return that may be its last byte. */
static size_t
line_trim(const unsigned char *bytes, size_t length)
{
	return length > 0 && bytes[length - 1] == '\r' ? length - 1 : length;
}

static const struct memcache_command *
command_find(const struct memcache_word *name)
{
	static const struct memcache_command unknown = { .kind = MEMCACHE_UNKNOWN };

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (commands[i].length == name->length && memcmp(commands[i].name, name->bytes, name->length) == 0)
			return &commands[i];
	return &unknown;
}

static const struct memcache_command *
command_of(const unsigned char *bytes, size_t length)
{
	struct memcache_word name;
	size_t at = 0;

	word_next(bytes, length, &at, &name);
	return command_find(&name);
}

/* How many bytes of data follow the line of a command that has some.  false: memcached would not take it for such a
 * line, and the data for requests. */
static bool
line_data(const struct memcache_command *command, const unsigned char *bytes, size_t length, uint64_t *ret_data)
{
	struct memcache_line line;

	line_split(&line, bytes, length);
	if (command->kind == MEMCACHE_META_SET)
		return line.count >= 3 && line.count <= MEMCACHE_WORDS_MAX &&
		    word_number(&line.word[2], UINT32_MAX, ret_data);
	if (line.count != command->least && (line.count != command->least + 1u ||
	    !word_is(&line.word[line.count - 1], "noreply")))
		return false;
	return word_number(&line.word[4], UINT32_MAX, ret_data);
}

static enum framing_result
request_data(const struct framing_progress *progress, const unsigned char *bytes, size_t *ret_length)
{
	if (memcmp(bytes + progress->expected - 2, "\r\n", 2) != 0)
		return FRAMING_MALFORMED;
	*ret_length = progress->expected;
	return FRAMING_WHOLE;
}

/* A whole line of end bytes with its newline. */
static enum framing_result
request_line(struct framing_progress *progress, const unsigned char *bytes, size_t end, size_t view, size_t max,
    size_t *ret_length)
{
	size_t length = line_trim(bytes, end - 1);
	const struct memcache_command *command = command_of(bytes, length);
	uint64_t data;

	if (memchr(bytes, '\0', length) != NULL)
		return FRAMING_MALFORMED;
	if (command->kind != MEMCACHE_STORE && command->kind != MEMCACHE_META_SET) {
		*ret_length = end;
		return FRAMING_WHOLE;
	}
	if (!line_data(command, bytes, length, &data))
		return FRAMING_MALFORMED;
	if (max - end < 2 || data > max - end - 2)
		return FRAMING_TOO_LONG;
	progress->at = end;
	progress->expected = end + (size_t)data + 2;
	return view < progress->expected ? FRAMING_MORE : request_data(progress, bytes, ret_length);
}

/* memcached ends a connection over a longer line, but for these two. */
static bool
request_may_be_long(const unsigned char *bytes)
{
	return memcmp(bytes, "get ", 4) == 0 || memcmp(bytes, "gets ", 5) == 0;
}

static enum framing_result
request_begin(struct framing_progress *progress, const unsigned char *bytes, size_t view, size_t max,
    size_t *ret_length)
{
	size_t limit = view > MEMCACHE_LINE_MAX && !request_may_be_long(bytes) ? MEMCACHE_LINE_MAX : view;
	const unsigned char *end;

	if (bytes[0] == MEMCACHE_BINARY)
		return FRAMING_MALFORMED;
	end = memchr(bytes + progress->at, '\n', limit - progress->at);
	if (end != NULL)
		return request_line(progress, bytes, (size_t)(end - bytes) + 1, view, max, ret_length);
	progress->at = limit;
	return limit < view ? FRAMING_TOO_LONG : FRAMING_MORE;
}

/* Nothing beyond max is looked at, so that what continues there is too long whatever it is. */
static enum framing_result
memcache_request(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
    size_t *ret_length)
{
	size_t view = length < max ? length : max;
	enum framing_result result = FRAMING_MORE;

	if (progress->at > view) /* max has become less */
		*progress = (struct framing_progress){ 0 };
	if (view > 0 && view >= progress->expected)
		result = progress->expected > 0 ? request_data(progress, bytes, ret_length) :
		    request_begin(progress, bytes, view, max, ret_length);
	return result == FRAMING_MORE && length >= max ? FRAMING_TOO_LONG : result;
}

/* Replies.  Data follows this line, which ends at end in the reply. */
static enum framing_result
reply_data(struct framing_progress *progress, const struct memcache_word *line, size_t end, size_t max)
{
	unsigned number = memcache_reply_word((uint8_t)progress->pending);
	struct memcache_word word = { 0 };
	size_t at = 0;
	uint64_t data;

	for (unsigned i = 0; i <= number; i++)
		word_next(line->bytes, line->length, &at, &word);
	if (!word_number(&word, UINT32_MAX, &data))
		return FRAMING_MALFORMED;
	if (max - end < 2 || data > max - end - 2)
		return FRAMING_TOO_LONG;
	progress->expected = end + (size_t)data + 2;
	return FRAMING_WHOLE;
}

static enum framing_result
reply_line(struct framing_progress *progress, const unsigned char *bytes, size_t view, size_t max, bool *ret_last)
{
	const unsigned char *end = memchr(bytes + progress->at, '\n', view - progress->at);
	struct memcache_word line = { .bytes = bytes + progress->element };
	uint8_t kind = (uint8_t)progress->pending;
	enum memcache_reply_line judged;

	if (end == NULL) {
		progress->at = view;
		return FRAMING_MORE;
	}
	if (end == line.bytes || end[-1] != '\r')
		return FRAMING_MALFORMED;
	line.length = (size_t)(end - line.bytes) - 1;
	progress->at = progress->element = (size_t)(end - bytes) + 1;
	judged = memcache_reply_line(&kind, &line);
	progress->pending = kind;
	*ret_last = judged == MEMCACHE_LINE_LAST;
	if (judged == MEMCACHE_LINE_DATA)
		return reply_data(progress, &line, progress->at, max);
	return judged == MEMCACHE_LINE_WRONG ? FRAMING_MALFORMED : FRAMING_WHOLE;
}

static enum framing_result
reply_value(struct framing_progress *progress, const unsigned char *bytes, size_t view, bool *ret_last)
{
	if (view < progress->expected)
		return FRAMING_MORE;
	if (memcmp(bytes + progress->expected - 2, "\r\n", 2) != 0)
		return FRAMING_MALFORMED;
	progress->at = progress->element = progress->expected;
	progress->expected = 0;
	*ret_last = progress->pending == MEMCACHE_REPLY_VALUE;
	return FRAMING_WHOLE;
}

/* As with requests, nothing beyond max is looked at. */
static enum framing_result
memcache_reply(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
    size_t *ret_length)
{
	size_t view = length < max ? length : max;
	struct framing_progress now = *progress; /* bytes could alias what progress points to */
	enum framing_result result = FRAMING_WHOLE;
	bool last = false;

	if (now.at > view) /* max has become less */
		now = (struct framing_progress){ 0 };
	while (result == FRAMING_WHOLE && !last) {
		if (now.expected > 0)
			result = reply_value(&now, bytes, view, &last);
		else
			result = now.at == view ? FRAMING_MORE : reply_line(&now, bytes, view, max, &last);
	}
	if (result == FRAMING_WHOLE)
		*ret_length = now.at;
	else
		*progress = now;
	return result == FRAMING_MORE && length >= max ? FRAMING_TOO_LONG : result;
}

static bool
memcache_is_silent(unsigned silence, const unsigned char *reply, size_t length)
{
	if (length < 2)
		return false;
	switch (silence) {
	case FRAMING_SILENT_ALL:
		return true;
	case MEMCACHE_SILENT_MISS:
		return memcmp(reply, "EN", 2) == 0 && memcmp(reply, "END", 3) != 0;
	case MEMCACHE_SILENT_VALUE:
		return memcmp(reply, "HD", 2) == 0 || memcmp(reply, "VA ", 3) == 0;
	case MEMCACHE_SILENT_DONE:
		return memcmp(reply, "HD", 2) == 0;
	default:
		return false;
	}
}

/* Judging. */
static enum framing_verdict
judge_answer(struct memcache_judgement *judgement, enum framing_verdict verdict, const char *text)
{
	judgement->length = (size_t)snprintf(judgement->answer, sizeof judgement->answer, "%s\r\n", text);
	return verdict;
}

/* The word, and one space before it, is left out. */
static void
judge_cut(struct memcache_judgement *judgement, const unsigned char *request, const struct memcache_word *word,
    unsigned silence)
{
	judgement->silence = silence;
	judgement->cut = (size_t)(word->bytes - request) - 1;
	judgement->cut_length = word->length + 1;
}

static bool
judge_noreply(struct memcache_judgement *judgement, const unsigned char *request, const struct memcache_line *line,
    size_t least)
{
	const struct memcache_word *last = &line->word[line->count - 1];
	bool silent = line->count >= least && word_is(last, "noreply");

	if (silent)
		judge_cut(judgement, request, last, FRAMING_SILENT_ALL);
	return silent;
}

/* All that memcached refuses in the line of one that has data: it would not skip the data with it. */
static bool
judge_store(const struct memcache_line *line, bool cas)
{
	const struct memcache_word *expiry = &line->word[3];
	bool negative = expiry->bytes[0] == '-';
	struct memcache_word seconds = { expiry->bytes + negative, expiry->length - negative };
	uint64_t number;

	return line->word[1].length <= MEMCACHE_KEY_MAX && word_number(&line->word[2], UINT32_MAX, &number) &&
	    word_number(&seconds, INT32_MAX, &number) && (!cas || word_number(&line->word[5], UINT64_MAX, &number));
}

/* Two of q are an error, as memcached has it for any flag: one that were left would silence the server. */
static enum framing_verdict
judge_meta(struct memcache_judgement *judgement, const unsigned char *request, const struct memcache_line *line,
    size_t flags, unsigned silence)
{
	const struct memcache_word *quiet = NULL;

	if (line->count < 2)
		return judge_answer(judgement, FRAMING_ANSWER, "ERROR");
	if (line->count > MEMCACHE_WORDS_MAX || line->word[1].length > MEMCACHE_KEY_MAX)
		return judge_answer(judgement, FRAMING_ANSWER, "CLIENT_ERROR bad command line format");
	for (size_t i = flags; i < line->count; i++) {
		if (line->word[i].bytes[0] != 'q')
			continue;
		if (quiet != NULL)
			return judge_answer(judgement, FRAMING_ANSWER, "CLIENT_ERROR duplicate flag");
		quiet = &line->word[i];
	}
	if (quiet != NULL)
		judge_cut(judgement, request, quiet, silence);
	return FRAMING_FORWARD;
}

static enum framing_verdict
judge_unknown(struct memcache_judgement *judgement, const struct memcache_word *name, bool known)
{
	char text[MEMCACHE_ANSWER_SIZE - 2], command[24];
	size_t length = 0;

	for (; length < name->length && length + 1 < sizeof command; length++)
		command[length] = name->bytes[length] > ' ' && name->bytes[length] <= '~' ?
		    (char)name->bytes[length] : '?';
	command[length] = '\0';
	if (known)
		snprintf(text, sizeof text, "CLIENT_ERROR holdfast: %s is not for a connection that others share",
		    command);
	else
		snprintf(text, sizeof text, "ERROR holdfast: unknown command %s", command);
	return judge_answer(judgement, known ? FRAMING_ANSWER : FRAMING_REFUSE, text);
}

static enum framing_verdict
judge_words(struct memcache_judgement *judgement, const struct memcache_command *command,
    const unsigned char *request, const struct memcache_line *line)
{
	switch (command->kind) {
	case MEMCACHE_NOREPLY:
		if (line->count < command->least || line->count > command->most)
			return judge_answer(judgement, FRAMING_ANSWER, "ERROR");
		judge_noreply(judgement, request, line, command->more);
		return FRAMING_FORWARD;
	case MEMCACHE_STORE:
		judge_noreply(judgement, request, line, command->least + 1u);
		if (judge_store(line, command->least == 6))
			return FRAMING_FORWARD;
		if (judgement->silence == 0)
			return judge_answer(judgement, FRAMING_ANSWER, "CLIENT_ERROR bad command line format");
		judgement->silence = 0;
		return FRAMING_ANSWER;
	case MEMCACHE_META:
	case MEMCACHE_META_SET:
		return judge_meta(judgement, request, line, command->kind == MEMCACHE_META ? 2 : 3, command->more);
	default:
		return judge_unknown(judgement, &line->word[0], command->kind == MEMCACHE_REFUSED);
	}
}

enum framing_verdict
memcache_judge(const unsigned char *request, size_t length, struct memcache_judgement *judgement)
{
	const unsigned char *end = memchr(request, '\n', length);
	size_t text = line_trim(request, (size_t)(end - request));
	const struct memcache_command *command = command_of(request, text);
	struct memcache_line line;

	judgement->length = 0;
	judgement->silence = 0;
	if (command->kind == MEMCACHE_PLAIN)
		return FRAMING_FORWARD;
	if (command->kind == MEMCACHE_QUIT)
		return FRAMING_QUIT;
	line_split(&line, request, text);
	if (line.count == 0)
		return judge_answer(judgement, FRAMING_ANSWER, "ERROR");
	return judge_words(judgement, command, request, &line);
}

static const char *
memcache_complaint(const unsigned char *message, size_t length, char room[FRAMING_COMPLAINT_SIZE])
{
	const unsigned char *end = length > 0 ? memchr(message, '\n', length) : NULL;
	const struct memcache_command *command;
	uint64_t data;
	size_t text;

	(void)room;
	if (length > 0 && message[0] == MEMCACHE_BINARY)
		return "holdfast: the binary protocol is not for a connection that others share";
	if (end == NULL)
		return NULL;
	text = line_trim(message, (size_t)(end - message));
	command = command_of(message, text);
	if (memchr(message, '\0', text) != NULL)
		return "bad command line format";
	if (command->kind != MEMCACHE_STORE && command->kind != MEMCACHE_META_SET)
		return NULL;
	if (!line_data(command, message, text, &data))
		return "bad command line format";
	return data + 2 > length - ((size_t)(end - message) + 1) ? NULL : "bad data chunk";
}

static size_t
memcache_wrap(const unsigned char *contents, size_t length, unsigned char *to)
{
	return framing_wrap_whole(memcache_request, contents, length, to);
}

static size_t
memcache_error(enum framing_fault fault, const char *text, char *to, size_t size)
{
	return framing_print_error(fault == FRAMING_FAULT_CLIENT ? "CLIENT_ERROR " : "SERVER_ERROR ", text, to, size);
}

const struct framing framing_memcache = {
	.name = "memcache",
	.protocol = true,
	.request = memcache_request,
	.reply = memcache_reply,
	.wrap = memcache_wrap,
	.unwrap = framing_unwrap_whole,
	.is_silent = memcache_is_silent,
	.stream_begin = memcache_stream_begin,
	.stream_is_sane = memcache_stream_is_sane,
	.stream_feed = memcache_stream_feed,
	.error = memcache_error,
	.complaint = memcache_complaint,
};

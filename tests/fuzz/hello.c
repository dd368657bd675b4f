/* What a server says to hello, in any pieces: the talk ends in the same way, having taken as many bytes.  An input's
 * first byte chooses the steps, the second the pieces. */
#include "base/clock.h"
#include "pieces.h"
#include "upstream/hello_talk.h"

static struct hello_step steps[] = {
	{ .send = "AUTH secret\r\n", .expect = "+OK", .abort_on = "-WRONGPASS", .timeout = CLOCK_SECOND },
	{ .send = "HELLO 3\r\n", .expect = "", .timeout = CLOCK_SECOND },
	{ .expect = "220 ", .timeout = CLOCK_SECOND },
};

/* What the talk has come to. */
struct outcome {
	enum hello_wants wants;
	enum hello_end end;
	size_t taken;
	char error[HELLO_ERROR_SIZE];
};

static void
listen_to(struct hello_talk *talk, const struct hello_settings *settings, const char *bytes, size_t size,
    size_t piece, struct outcome *ret_outcome)
{
	size_t at = 0;

	memset(talk, 0, sizeof *talk);
	talk->sent = steps[0].send;
	talk->sent_length = strlen(talk->sent);
	hello_talk_begin(talk, settings, 0);
	while (talk->wants != HELLO_OVER) {
		size_t length = piece < size - at ? piece : size - at, used;

		if (talk->wants == HELLO_SAY) {
			hello_talk_said(talk, settings, 1);
			continue;
		}
		if (length == 0)
			break;
		used = hello_talk_heard(talk, settings, bytes + at, length, 1);
		assert(used <= length);
		at += used;
		assert(used > 0 || talk->wants != HELLO_HEAR);
	}
	*ret_outcome = (struct outcome){ .wants = talk->wants, .taken = at };
	if (talk->wants != HELLO_OVER)
		return;
	ret_outcome->end = talk->end;
	assert(memchr(talk->error, '\0', sizeof talk->error) != NULL);
	if (talk->end != HELLO_DONE)
		strcpy(ret_outcome->error, talk->error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hello_talk talk;
	struct hello_settings settings = { .steps = steps, .count = 3 };
	struct outcome whole, pieces;
	char *bytes;

	if (size < PIECES_HEAD)
		return 0;
	settings.whole_replies = data[0] & 1;
	settings.count = 1 + (data[0] >> 1) % 3u;
	size -= PIECES_HEAD;
	bytes = malloc(size + 1);
	memcpy(bytes, data + PIECES_HEAD, size);
	listen_to(&talk, &settings, bytes, size, size, &whole);
	listen_to(&talk, &settings, bytes, size, data[1] % 7u + 1, &pieces);
	assert(whole.wants == pieces.wants && whole.end == pieces.end && whole.taken == pieces.taken);
	assert(strcmp(whole.error, pieces.error) == 0);
	free(bytes);
	return 0;
}

/* Both directions of a connection to Redis.  An input's first two bytes choose the shared connection and the pieces;
 * then each byte below 0x80 is the length of some bytes that one side sends, which follow; from 0x80 on, it stands
 * for a whole text that brings the tracker into its states.  Any split gives the same; what is free owes nothing. */
#include "framing/resp_track.h"
#include "pieces.h"

static const struct {
	bool reply;
	const char *text;
} texts[] = {
	{ false, "MULTI\n" }, { false, "EXEC\n" }, { false, "GET a\n" }, { false, "DISCARD\n" },
	{ false, "WATCH a\n" }, { false, "UNWATCH\n" }, { false, "SELECT 1\n" }, { false, "SELECT 0\n" },
	{ false, "SUBSCRIBE a b\n" }, { false, "UNSUBSCRIBE\n" }, { false, "PSUBSCRIBE a\n" },
	{ false, "PUNSUBSCRIBE a\n" }, { false, "RESET\n" }, { false, "HELLO 3\n" }, { false, "HELLO 2\n" },
	{ false, "AUTH a b\n" }, { false, "HELLO 2 AUTH a b\n" }, { true, "+OK\r\n" }, { true, "-ERR x\r\n" },
	{ true, "+QUEUED\r\n" }, { true, "*0\r\n" }, { true, "*-1\r\n" }, { true, "-EXECABORT x\r\n" },
	{ true, "$1\r\na\r\n" }, { true, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n" },
	{ true, "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n" },
	{ true, "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n" },
	{ true, "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n" },
	{ true, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n" },
	{ true, ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n" },
	{ true, ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n" },
	{ true, ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n" }, { true, "%1\r\n+a\r\n+b\r\n" },
	{ true, "+RESET\r\n" }, { true, "*3\r\n$10\r\npsubscribe\r\n$1\r\na\r\n:3\r\n" },
	{ true, "*3\r\n$12\r\npunsubscribe\r\n$1\r\na\r\n:0\r\n" },
};

static void
feed(struct resp_track *track, bool reply, const uint8_t *bytes, size_t length)
{
	if (reply)
		resp_track_reply(track, bytes, length);
	else
		resp_track_request(track, bytes, length);
}

static void
feed_in_pieces(struct resp_track *track, bool reply, const uint8_t *bytes, size_t length, unsigned roll)
{
	while (length > 0) {
		uint64_t ahead = reply ? resp_track_ahead_reply(track) : resp_track_ahead_request(track);
		size_t piece = roll % 7 + 1 < length ? roll % 7 + 1 : length;

		if (ahead >= piece && roll % 2 == 0) {
			if (reply)
				resp_track_pass_reply(track, piece);
			else
				resp_track_pass_request(track, piece);
		} else {
			PIECES_HIDE(bytes + piece, length - piece);
			feed(track, reply, bytes, piece);
			PIECES_SHOW(bytes + piece, length - piece);
		}
		bytes += piece;
		length -= piece;
		roll = roll * 1103515245 + 12345;
	}
}

static void
check(const struct resp_track *one, const struct resp_track *other)
{
	assert(resp_track_states(one) == resp_track_states(other));
	assert(resp_track_is_free(one) == resp_track_is_free(other));
	if (!(one->states & RESP_TRACK_LASTING))
		assert(resp_track_is_busy(one) == resp_track_is_busy(other));
	assert(!resp_track_is_free(one) || (!resp_track_is_busy(one) && resp_track_states(one) == 0));
	for (unsigned database = 0; database < 3; database++) {
		const struct resp_connection shared = { .database = database };

		assert(resp_track_fits(one, &shared) == resp_track_fits(other, &shared));
	}
	assert(one->count <= RESP_TRACK_QUEUE && one->first < RESP_TRACK_QUEUE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resp_connection shared = { .protocol = 2 };
	struct resp_track one, other;
	size_t at = PIECES_HEAD;

	if (size < PIECES_HEAD)
		return 0;
	shared.database = data[0] % 2;
	shared.protocol = 2 + data[0] / 2 % 2;
	shared.authenticated = data[0] / 4 % 2;
	resp_track_begin(&one, &shared, 2 + data[0] / 8 % 2);
	other = one;
	while (at < size) {
		uint8_t head = data[at++];
		size_t length = head % 64 < size - at ? head % 64 : size - at;
		const uint8_t *bytes = data + at;
		bool reply = head & 64;

		if (head >= 0x80) {
			size_t row = head % (sizeof texts / sizeof texts[0]);

			bytes = (const uint8_t *)texts[row].text;
			length = strlen(texts[row].text);
			reply = texts[row].reply;
		} else {
			at += length;
		}
		feed(&one, reply, bytes, length);
		feed_in_pieces(&other, reply, bytes, length, data[1]);
		check(&one, &other);
	}
	return 0;
}

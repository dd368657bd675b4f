/* What state a client's own connection has, told by what passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "framing/resp_track.h"

#define COUNT(ROWS) (sizeof ROWS / sizeof ROWS[0])

#define MULTI      RESP_TRACK_MULTI
#define WATCH      RESP_TRACK_WATCH
#define SUBSCRIBED RESP_TRACK_SUBSCRIBED
#define DATABASE   RESP_TRACK_DATABASE
#define PROTOCOL   RESP_TRACK_PROTOCOL
#define USER       RESP_TRACK_USER
#define LASTING    RESP_TRACK_LASTING

static const struct resp_connection plain = { .protocol = 2 };

/* What passes, lines parted by ";", and what is known then.  ">" is to the server; "<" from it, where a frame of a
 * subscription stands as "<F subscribe a 1" in RESP2, as "<P subscribe a 1" in RESP3. */
struct step {
	const char *passes;
	unsigned states;
	bool busy;
};

#define BUSY true
#define IDLE false

static size_t
make_frame(const char *words, char type, char *to)
{
	char copy[200], *word, *rest = copy;
	size_t count = 1, length;

	strcpy(copy, words);
	for (const char *at = words; *at != '\0'; at++)
		count += *at == ' ';
	length = (size_t)sprintf(to, "%c%zu\r\n", type, count);
	while ((word = strsep(&rest, " ")) != NULL)
		if (*word >= '0' && *word <= '9')
			length += (size_t)sprintf(to + length, ":%s\r\n", word);
		else if (strcmp(word, "nil") == 0)
			length += (size_t)sprintf(to + length, "%s\r\n", type == '>' ? "_" : "$-1");
		else
			length += (size_t)sprintf(to + length, "$%zu\r\n%s\r\n", strlen(word), word);
	return length;
}

static void
pass(struct resp_track *track, const char *line, size_t step)
{
	char text[400];
	size_t length;

	if (line[0] == '<' && (line[1] == 'F' || line[1] == 'P'))
		length = make_frame(line + 3, line[1] == 'F' ? '*' : '>', text);
	else
		length = (size_t)sprintf(text, "%s\r\n", line + 1);
	for (size_t at = 0; at < length; at += step) {
		size_t piece = step < length - at ? step : length - at;

		if (line[0] == '>')
			resp_track_request(track, (unsigned char *)text + at, piece);
		else
			resp_track_reply(track, (unsigned char *)text + at, piece);
	}
}

static void
check_story(const struct resp_connection *shared, unsigned protocol, const struct step *steps, size_t count)
{
	for (size_t size = 1; size <= 400; size += 133) {
		struct resp_track track;

		resp_track_begin(&track, shared, protocol);
		for (size_t i = 0; i < count; i++) {
			char lines[400], *line, *rest = lines;

			strcpy(lines, steps[i].passes);
			while (*lines != '\0' && (line = strsep(&rest, ";")) != NULL)
				pass(&track, line, size);
			if (resp_track_states(&track) != steps[i].states)
				fail_msg("\"%s\": %#x instead of %#x", steps[i].passes, resp_track_states(&track),
				    steps[i].states);
			if (!(steps[i].states & LASTING) && resp_track_is_busy(&track) != steps[i].busy)
				fail_msg("\"%s\": busy is %d", steps[i].passes, !steps[i].busy);
			assert_int_equal(resp_track_is_free(&track), steps[i].states == 0 && !steps[i].busy);
		}
	}
}

#define STORY(NAME, SHARED, PROTOCOL, ...)                                 \
	static void                                                        \
	NAME(void **state)                                                 \
	{                                                                  \
		static const struct step steps[] = { __VA_ARGS__ };        \
                                                                           \
		(void)state;                                               \
		check_story(&(SHARED), PROTOCOL, steps, COUNT(steps));     \
	}

STORY(a_request_owes_one_reply, plain, 2,
    { "", 0, IDLE }, { ">GET a", 0, BUSY }, { "<+OK", 0, IDLE }, { ">GET a;>GET b;<$-1", 0, BUSY },
    { "<:1", 0, IDLE },
    { ">;>;>  ", 0, IDLE }, { ">BLPOP a 0", 0, BUSY }, { "<*2;<+a;<*1", 0, BUSY }, { "<+b", 0, IDLE })

STORY(a_transaction_ends_with_exec_or_discard, plain, 2,
    { ">MULTI", 0, BUSY }, { "<+OK", MULTI, IDLE }, { ">SET a b;<+QUEUED", MULTI, IDLE }, { ">EXEC", MULTI, BUSY },
    { "<*1;<+OK", 0, IDLE }, { ">MULTI;<+OK;>DISCARD;<+OK", 0, IDLE }, { ">MULTI;<+OK;>EXEC;<*0", 0, IDLE },
    { ">MULTI;<+OK;>EXEC;<*-1", 0, IDLE }, { ">MULTI;<+OK;>NONE;<-ERR unknown;>EXEC", MULTI, BUSY },
    { "<-EXECABORT Transaction discarded", 0, IDLE }, { ">MULTI;<+OK;>MULTI;<-ERR nested", MULTI, IDLE },
    { ">EXEC;<-NOPERM no", MULTI, IDLE }, { ">EXEC;<*0", 0, IDLE }, { ">EXEC;<-ERR EXEC without MULTI", 0, IDLE },
    { ">DISCARD;<-ERR DISCARD without MULTI", 0, IDLE })

STORY(a_pipelined_transaction_is_followed_by_its_replies, plain, 2,
    { ">MULTI;>SET a b;>SET b c;>EXEC;>GET a", 0, BUSY }, { "<+OK", MULTI, BUSY },
    { "<+QUEUED;<+QUEUED", MULTI, BUSY },
    { "<*2;<+OK;<+OK", 0, BUSY }, { "<$1;<x", 0, IDLE })

STORY(watching_ends_with_the_transaction_or_unwatch, plain, 2,
    { ">WATCH a;<+OK", WATCH, IDLE }, { ">GET a;<$-1", WATCH, IDLE }, { ">UNWATCH;<+OK", 0, IDLE },
    { ">WATCH a;<+OK;>MULTI;<+OK", MULTI | WATCH, IDLE }, { ">EXEC;<*-1", 0, IDLE },
    { ">WATCH a;<+OK;>MULTI;<+OK;>DISCARD;<+OK", 0, IDLE }, { ">WATCH a;<-ERR no", 0, IDLE },
    { ">MULTI;<+OK;>WATCH a;<-ERR inside;>UNWATCH;<+QUEUED", MULTI, IDLE }, { ">EXEC;<*1;<+OK", 0, IDLE })

STORY(a_database_is_another_until_it_is_the_same, plain, 2,
    { ">SELECT 1", 0, BUSY }, { "<+OK", DATABASE, IDLE },
    { ">SELECT 99;<-ERR DB index is out of range", DATABASE, IDLE },
    { ">SELECT 0;<+OK", 0, IDLE }, { ">SELECT x;<-ERR value", 0, IDLE },
    { ">SELECT 3;>SELECT 0;<+OK", DATABASE, BUSY },
    { "<+OK", 0, IDLE })

STORY(what_is_queued_and_leaves_a_state_is_not_followed, plain, 2,
    { ">MULTI;<+OK;>SELECT 1;<+QUEUED", MULTI | LASTING, IDLE }, { ">DISCARD;<+OK", MULTI | LASTING, IDLE })

STORY(a_transaction_that_was_overlooked_is_noticed, plain, 2,
    { ">RENAMED", 0, BUSY }, { "<+OK;>GET a;<+QUEUED", LASTING, IDLE })

STORY(subscriptions_are_counted_by_their_frames, plain, 2,
    { ">SUBSCRIBE a b", 0, BUSY }, { "<F subscribe a 1", SUBSCRIBED, BUSY }, { "<F subscribe b 2", SUBSCRIBED, IDLE },
    { "<F message a x;<F message b 1", SUBSCRIBED, IDLE }, { ">PSUBSCRIBE x;<F psubscribe x 3", SUBSCRIBED, IDLE },
    { "<F pmessage x xa y", SUBSCRIBED, IDLE }, { ">PING;<F message a x", SUBSCRIBED, BUSY },
    { "<F pong x", SUBSCRIBED, IDLE }, { ">GET a;<-ERR Can't execute", SUBSCRIBED, IDLE },
    { ">UNSUBSCRIBE a;<F unsubscribe a 2", SUBSCRIBED, IDLE }, { ">SUBSCRIBE b;<F subscribe b 2", SUBSCRIBED, IDLE },
    { ">PUNSUBSCRIBE", SUBSCRIBED, BUSY }, { "<F punsubscribe x 1", SUBSCRIBED, IDLE },
    { ">UNSUBSCRIBE b;<F unsubscribe b 0", 0, IDLE })

/* With a pattern left, the count does not come to 0: how many channels there are is known from the frames before. */
STORY(unsubscribing_from_all_owes_a_frame_for_each, plain, 2,
    { ">SUBSCRIBE a b a;>PSUBSCRIBE x", 0, BUSY },
    { "<F subscribe a 1;<F subscribe b 2;<F subscribe a 2;<F psubscribe x 3", SUBSCRIBED, IDLE },
    { ">UNSUBSCRIBE;>PING", SUBSCRIBED, BUSY }, { "<F unsubscribe a 2", SUBSCRIBED, BUSY },
    { "<F unsubscribe b 1", SUBSCRIBED, BUSY }, { "<F pong x", SUBSCRIBED, IDLE },
    { ">PUNSUBSCRIBE;<F punsubscribe x 0", 0, IDLE }, { ">UNSUBSCRIBE;<F unsubscribe nil 0", 0, IDLE },
    { ">PUNSUBSCRIBE;>UNSUBSCRIBE;>LRANGE a 0 1", 0, BUSY }, { "<F punsubscribe nil 0", 0, BUSY },
    { "<F unsubscribe nil 0", 0, BUSY }, { "<F message a x", 0, IDLE })

STORY(in_resp3_frames_are_pushes_and_replies_may_look_like_them, plain, 3,
    { "", PROTOCOL, IDLE }, { ">SUBSCRIBE a;<P subscribe a 1", PROTOCOL | SUBSCRIBED, IDLE },
    { ">LRANGE a 0 -1;<P message a x", PROTOCOL | SUBSCRIBED, BUSY },
    { "<F message a x", PROTOCOL | SUBSCRIBED, IDLE }, { ">UNSUBSCRIBE;<P unsubscribe a 0", PROTOCOL, IDLE },
    { ">HELLO 2;<*0", 0, IDLE }, { ">UNSUBSCRIBE;<F unsubscribe nil 0", 0, IDLE }, { "<P invalidate nil", 0, IDLE })

STORY(a_subscription_that_is_refused_is_none, plain, 2,
    { ">SUBSCRIBE;<-ERR wrong number", 0, IDLE }, { ">SUBSCRIBE a b;<-NOPERM no", 0, IDLE },
    { ">UNSUBSCRIBE a b;<F unsubscribe a 0", 0, BUSY }, { "<-ERR x", LASTING, IDLE })

STORY(a_frame_that_nobody_asked_for_is_trusted_in_nothing, plain, 2,
    { ">GET a;<P unsubscribe a 0", LASTING, IDLE })

STORY(a_subscription_in_a_transaction_is_not_followed, plain, 2,
    { ">MULTI;<+OK;>SUBSCRIBE a;<+QUEUED", MULTI | LASTING, IDLE })

STORY(who_changes_the_protocol_goes_back_with_the_same, plain, 2,
    { ">HELLO 3;<%1;<+proto;<:3", PROTOCOL, IDLE }, { ">HELLO;<%0", PROTOCOL, IDLE },
    { ">HELLO 4;<-NOPROTO x", PROTOCOL, IDLE }, { ">HELLO 2;<*0", 0, IDLE },
    { ">HELLO 3 SETNAME x;<%0", LASTING, IDLE })

/* Redis has named the user before it takes offence at the name. */
STORY(hello_with_options_may_be_half_carried_out, plain, 2,
    { ">HELLO 2 AUTH a b SETNAME x;<-ERR name", LASTING, IDLE })

STORY(a_user_stays_until_reset, plain, 2,
    { ">AUTH x;<-WRONGPASS x", 0, IDLE }, { ">AUTH x;<+OK", USER, IDLE }, { ">RESET;<+RESET", 0, IDLE },
    { ">MULTI;<+OK;>RESET;<+RESET", 0, IDLE }, { ">RESET x;<-ERR wrong number", 0, IDLE },
    { ">SUBSCRIBE a;<F subscribe a 1;>RESET;<+RESET", 0, IDLE }, { ">SELECT 1;<+OK;>RESET;<+RESET", 0, IDLE })

static const struct resp_connection with_user = { .database = 4, .protocol = 3, .authenticated = true };
STORY(reset_takes_away_what_hello_has_said, with_user, 3,
    { "", 0, IDLE }, { ">SELECT 4;<+OK", 0, IDLE }, { ">RESET;<+RESET", USER | DATABASE | PROTOCOL, IDLE },
    { ">SELECT 4;<+OK;>HELLO 3;<%0", USER, IDLE })

static void
what_lasts_lasts(void **state)
{
	static const char *const lost[] = { "MONITOR", "CLIENT REPLY OFF", "CLIENT REPLY ON", "QUIT", "SYNC",
	"PSYNC ? -1",
		"REPLCONF x y", "SCRIPT DEBUG YES", "SSUBSCRIBE a", "SUNSUBSCRIBE", "POST x", "x \"", "*1\r\n+x" };
	static const char *const granted[] = { "CLIENT TRACKING ON", "CLIENT NO-EVICT ON", "CLIENT NO-TOUCH ON",
		"CLIENT CACHING YES", "READONLY", "READWRITE", "ASKING", "CLIENT SETNAME x",
		"CLIENT SETINFO LIB-NAME x" };
	char line[100];

	(void)state;
	for (size_t i = 0; i < COUNT(lost); i++) {
		struct step step = { line, LASTING, IDLE };

		sprintf(line, ">%s", lost[i]);
		check_story(&plain, 2, &step, 1);
	}
	for (size_t i = 0; i < COUNT(granted); i++) {
		struct step steps[] = { { line, 0, BUSY }, { "<-ERR no", 0, IDLE }, { line, 0, BUSY },
			{ "<+OK", LASTING, IDLE }, { ">RESET;<+RESET", LASTING, IDLE } };

		sprintf(line, ">%s", granted[i]);
		check_story(&plain, 2, steps, COUNT(steps));
	}
}

STORY(what_is_no_reply_is_trusted_in_nothing, plain, 2, { "<+OK", LASTING, IDLE })
STORY(what_is_no_message_is_trusted_in_nothing, plain, 2, { ">GET a;<hello", LASTING, IDLE })
STORY(an_odd_reply_is_trusted_in_nothing, plain, 2, { ">MULTI;<:1", LASTING, IDLE })

static void
more_in_flight_than_can_be_noted_is_never_free_again(void **state)
{
	struct resp_track track;

	(void)state;
	resp_track_begin(&track, &plain, 2);
	for (unsigned i = 0; i < 100000; i++)
		resp_track_request(&track, (const unsigned char *)"GET a\r\n", 7);
	for (unsigned i = 0; i < 100000; i++) {
		assert_true(resp_track_is_busy(&track));
		resp_track_reply(&track, (const unsigned char *)"+x\r\n", 4);
	}
	assert_true(resp_track_is_free(&track));
	for (unsigned i = 0; i < RESP_TRACK_QUEUE; i++)
		resp_track_request(&track, (const unsigned char *)"SELECT 0\r\n", 10);
	assert_int_equal(resp_track_states(&track), 0);
	resp_track_request(&track, (const unsigned char *)"SELECT 0\r\n", 10);
	assert_int_equal(resp_track_states(&track), LASTING);
	assert_true(resp_track_ahead_reply(&track) == UINT64_MAX);
	resp_track_pass_reply(&track, 1000);
}

static void
who_has_chosen_a_database_goes_back_to_no_other(void **state)
{
	const struct resp_connection same = { .database = 0 }, other = { .database = 2 };
	const char *const chosen[] = { ">SELECT 0;<+OK", ">SELECT 2;<+OK;>SELECT 0;<+OK", ">RESET;<+RESET" };
	struct resp_track track;

	(void)state;
	resp_track_begin(&track, &plain, 2);
	pass(&track, ">MULTI", 400);
	pass(&track, "<+OK", 400);
	pass(&track, ">EXEC", 400);
	pass(&track, "<*0", 400);
	assert_true(resp_track_is_free(&track));
	assert_true(resp_track_fits(&track, &same) && resp_track_fits(&track, &other));
	for (size_t i = 0; i < COUNT(chosen); i++) {
		char lines[80], *line, *rest = lines;

		strcpy(lines, chosen[i]);
		resp_track_begin(&track, &plain, 2);
		while ((line = strsep(&rest, ";")) != NULL)
			pass(&track, line, 400);
		assert_true(resp_track_is_free(&track));
		assert_true(resp_track_fits(&track, &same));
		assert_false(resp_track_fits(&track, &other));
	}
}

static void
long_contents_pass_without_a_look(void **state)
{
	struct resp_track track;

	(void)state;
	resp_track_begin(&track, &plain, 2);
	resp_track_request(&track, (const unsigned char *)"*4\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n$1000\r\n", 34);
	assert_int_equal(resp_track_ahead_request(&track), 1000);
	resp_track_pass_request(&track, 1000);
	resp_track_request(&track, (const unsigned char *)"\r\n", 2);
	resp_track_reply(&track, (const unsigned char *)"$1000\r\n012345678901234567890123", 31);
	assert_int_equal(resp_track_ahead_reply(&track), 976);
	resp_track_pass_reply(&track, 976);
	assert_true(resp_track_is_busy(&track));
	resp_track_reply(&track, (const unsigned char *)"\r\n", 2);
	assert_true(resp_track_is_free(&track));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_owes_one_reply),
		cmocka_unit_test(a_transaction_ends_with_exec_or_discard),
		cmocka_unit_test(a_pipelined_transaction_is_followed_by_its_replies),
		cmocka_unit_test(watching_ends_with_the_transaction_or_unwatch),
		cmocka_unit_test(a_database_is_another_until_it_is_the_same),
		cmocka_unit_test(what_is_queued_and_leaves_a_state_is_not_followed),
		cmocka_unit_test(a_transaction_that_was_overlooked_is_noticed),
		cmocka_unit_test(subscriptions_are_counted_by_their_frames),
		cmocka_unit_test(unsubscribing_from_all_owes_a_frame_for_each),
		cmocka_unit_test(in_resp3_frames_are_pushes_and_replies_may_look_like_them),
		cmocka_unit_test(a_subscription_that_is_refused_is_none),
		cmocka_unit_test(a_frame_that_nobody_asked_for_is_trusted_in_nothing),
		cmocka_unit_test(a_subscription_in_a_transaction_is_not_followed),
		cmocka_unit_test(who_changes_the_protocol_goes_back_with_the_same),
		cmocka_unit_test(hello_with_options_may_be_half_carried_out),
		cmocka_unit_test(a_user_stays_until_reset),
		cmocka_unit_test(reset_takes_away_what_hello_has_said),
		cmocka_unit_test(what_lasts_lasts),
		cmocka_unit_test(what_is_no_reply_is_trusted_in_nothing),
		cmocka_unit_test(what_is_no_message_is_trusted_in_nothing),
		cmocka_unit_test(an_odd_reply_is_trusted_in_nothing),
		cmocka_unit_test(more_in_flight_than_can_be_noted_is_never_free_again),
		cmocka_unit_test(who_has_chosen_a_database_goes_back_to_no_other),
		cmocka_unit_test(long_contents_pass_without_a_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A client that is turned away: it hears why, says what it will, and is closed when it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "client/client.h"
#include "keep/recover.h"
#include "keep_side.h"

#define REPLY "HTTP/1.0 503 Down\r\n\r\n"

static struct event_base *loop;
static struct table table;
static struct client_owner owner;
static struct client *turned_away; /* NULL: none, or it has been closed */
static int client; /* the far end */
static uint32_t session;
static unsigned ended;
static const char *answer;

static void
close_turned_away(void)
{
	client_close(turned_away);
	turned_away = NULL;
}

static bool
on_event(void *arg, struct client *which, enum client_event event)
{
	(void)arg;
	assert_ptr_equal(which, turned_away);
	assert_int_equal(event, CLIENT_HEARD);
	ended++;
	close_turned_away();
	return false;
}

static void
turn_away_with(const char *text)
{
	turned_away = client_new(&owner, session);
	if (client_turn_away(turned_away, text))
		close_turned_away();
}

static void
begin(void)
{
	int pair[2];

	side_pair(pair);
	client = pair[1];
	session = side_client(&table, pair[0]);
}

static void
loop_begin(void)
{
	loop = loop_new();
	client_owner_init(&owner, loop, &table);
	owner.on_event = on_event;
	owner.drops = LINGERING_REQUEST;
}

static void
loop_end(void)
{
	client_free(turned_away);
	turned_away = NULL;
	client_owner_clear(&owner);
	loop_free(loop);
}

static int
set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (table_new(10, &table) < 0)
		return -1;
	answer = REPLY;
	loop_begin();
	ended = 0;
	begin();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	close_turned_away();
	loop_end();
	close(client);
	table_free(&table);
	return 0;
}

static enum table_state
state_of(uint32_t index)
{
	return table_client_state(&table, index);
}

static void
settle(void)
{
	side_settle(loop);
}

static void
it_hears_why_may_speak_on_and_is_closed_when_it_ends(void **state)
{
	(void)state;
	side_say(client, "GET / HTTP/1.0\r\n");
	turn_away_with(REPLY);
	assert_string_equal(side_hear(client), REPLY);
	assert_string_equal(side_hear(client), "EOF");
	for (int i = 0; i < 10; i++) {
		side_say(client, "a header\r\n");
		settle();
	}
	assert_int_equal(state_of(session), TABLE_LINGERING);
	shutdown(client, SHUT_WR);
	settle();
	assert_int_equal(state_of(session), TABLE_FREE);
	assert_int_equal(ended, 1);
	assert_int_equal(table.lingering, 0);
}

static void
one_that_has_ended_is_closed_at_once_and_hears_why(void **state)
{
	(void)state;
	side_say(client, "do it");
	shutdown(client, SHUT_WR);
	turn_away_with(REPLY);
	assert_int_equal(state_of(session), TABLE_FREE);
	assert_int_equal(ended, 0);
	assert_string_equal(side_hear(client), REPLY);
	assert_string_equal(side_hear(client), "EOF");
}

/* What it says beyond is left where it is: it is stopped, not broken, and can still read. */
static void
no_more_than_64_kib_are_read_and_nothing_spins(void **state)
{
	char words[4096] = "";
	size_t taken = 0;
	ssize_t n;

	(void)state;
	turn_away_with(REPLY);
	for (int i = 0; i < 1000; i++) {
		n = send(client, words, sizeof words, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == -1)
			assert_int_equal(errno, EAGAIN);
		taken += n == -1 ? 0 : (size_t)n;
		event_base_loop(loop, EVLOOP_NONBLOCK);
	}
	assert_in_range(taken, 64 << 10, 1 << 20);
	assert_in_range(side_turns(loop, 30 * CLOCK_MILLISECOND), 0, 3);
	assert_string_equal(side_hear(client), REPLY);
	close(client);
	client = -1;
	settle();
	assert_int_equal(state_of(session), TABLE_FREE);
}

static void
a_message_that_is_too_long_is_dropped_whole_but_not_in_one_turn(void **state)
{
	static char words[1 << 16];
	size_t taken = 0;
	ssize_t n;

	(void)state;
	owner.drops = LINGERING_MESSAGE;
	turn_away_with(REPLY);
	for (unsigned turns = 0; taken < 8 << 20; turns++) {
		assert_in_range(turns, 0, 1000);
		while ((n = send(client, words, sizeof words, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
			taken += (size_t)n;
		assert_int_equal(errno, EAGAIN);
		event_base_loop(loop, EVLOOP_NONBLOCK);
	}
	assert_string_equal(side_hear(client), REPLY);
	assert_string_equal(side_hear(client), "EOF");
}

static void
an_answer_that_does_not_fit_goes_as_the_client_reads(void **state)
{
	static char text[1 << 20], heard[1 << 20];
	size_t length = 0;
	ssize_t n;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	turn_away_with(text);
	shutdown(client, SHUT_WR);
	while ((n = recv(client, heard, sizeof heard, MSG_DONTWAIT)) != 0 && length < sizeof text) {
		length += n == -1 ? 0 : (size_t)n;
		settle();
	}
	assert_int_equal(length, sizeof text - 1);
	assert_int_equal(state_of(session), TABLE_FREE);
}

static void
what_it_had_is_let_go(void **state)
{
	int other = side_file();

	(void)state;
	side_conn(&table, TABLE_READY, other);
	side_put(&table, session, TABLE_UP, "kept for the next");
	turn_away_with(REPLY);
	assert_int_equal(table.clients[session].buffer[TABLE_UP], 0);
	assert_int_equal(table.clients[session].buffer[TABLE_DOWN], 0);
	close_turned_away();
	assert_true(side_is_open(other));
	close(other);
}

/* The far end, which must live through the sweep, is named by a session of its own. */
static void
before_a_death(void *arg)
{
	(void)arg;
	side_clear(&table);
	memset(&table.header->io_journal, 0, sizeof table.header->io_journal);
	begin();
	side_session(&table, client, -1);
	side_say(client, "GET / HTTP/1.0\r\n\r\n");
	loop_begin();
}

static void
turn_away(void *arg)
{
	(void)arg;
	turn_away_with(answer);
}

/* As a new worker does it: turned away anew as long as that had not been settled. */
static void
after_a_death(void *arg, bool finished)
{
	(void)arg;
	(void)finished;
	loop_end();
	recover_run(&table);
	loop_begin();
	if (state_of(session) == TABLE_LIVE)
		turn_away_with(answer);
	else if (state_of(session) == TABLE_LINGERING)
		turn_away_with(REPLY);
	if (answer[0] != '\0')
		assert_string_equal(side_hear(client), answer);
	assert_string_equal(side_hear(client), "EOF");
	side_say(client, "and more");
	close(client);
	settle();
	assert_int_equal(state_of(session), TABLE_FREE);
	assert_int_equal(table.lingering, 0);
	loop_end();
}

static void
over_deaths(const char *text)
{
	bool can_trace;

	loop_end();
	close(client);
	answer = text;
	table.shape.services = 2; /* fewer to be looked at */
	can_trace = side_every_step(before_a_death, turn_away, after_a_death, NULL);
	loop_begin();
	client = -1;
	if (!can_trace)
		skip();
}

static void
t4_whenever_the_worker_dies_the_answer_is_heard_once(void **state)
{
	(void)state;
	over_deaths(REPLY);
}

/* A client of shared mode has had its error: it is not told down_reply on top. */
static void
t4_whenever_the_worker_dies_who_was_told_nothing_is_told_nothing(void **state)
{
	(void)state;
	over_deaths("");
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(it_hears_why_may_speak_on_and_is_closed_when_it_ends),
		ROW(one_that_has_ended_is_closed_at_once_and_hears_why),
		ROW(no_more_than_64_kib_are_read_and_nothing_spins),
		ROW(a_message_that_is_too_long_is_dropped_whole_but_not_in_one_turn),
		ROW(an_answer_that_does_not_fit_goes_as_the_client_reads),
		ROW(what_it_had_is_let_go),
		ROW(t4_whenever_the_worker_dies_the_answer_is_heard_once),
		ROW(t4_whenever_the_worker_dies_who_was_told_nothing_is_told_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* PostgreSQL's clients that ask for encryption are told no, once, whenever the worker dies. */
#include "client_stage.h"

#include "client/decline.h"
#include "keep/io_journal.h"

#define SSL_REQUEST "\0\0\0\x08\x04\xd2\x16\x2f"
#define GSS_REQUEST "\0\0\0\x08\x04\xd2\x16\x30"
#define STARTUP     "\0\0\0\x08\0\3\0\0"

static void
say(const char *bytes, size_t length)
{
	assert_int_equal(send(far, bytes, length, 0), length);
}

static size_t
hear(int fd, char ret_bytes[64])
{
	ssize_t n = recv(fd, ret_bytes, 64, MSG_DONTWAIT);

	return n == -1 ? 0 : (size_t)n;
}

static void
nothing_but_a_whole_request_is_meant(void **state)
{
	(void)state;
	assert_true(decline_is_meant((const unsigned char *)SSL_REQUEST "x", 9));
	assert_true(decline_is_meant((const unsigned char *)GSS_REQUEST, 8));
	assert_false(decline_is_meant((const unsigned char *)SSL_REQUEST, 7));
	assert_false(decline_is_meant((const unsigned char *)STARTUP, 8));
	assert_false(decline_is_meant((const unsigned char *)"", 0));
	assert_false(decline_is_meant((const unsigned char *)"\0\0\0\x08\x04\xd2\x16\x2e", 8)); /* CancelRequest */
}

static void
requests_are_answered_and_what_follows_goes_to_the_server(void **state)
{
	char bytes[64];
	int upstream;

	(void)state;
	owner.declines = true;
	upstream = open_with(false);
	say(GSS_REQUEST, 8);
	settle();
	assert_int_equal(hear(far, bytes), 1);
	assert_int_equal(bytes[0], 'N');
	say(SSL_REQUEST STARTUP, 16);
	settle();
	assert_int_equal(hear(far, bytes), 1);
	assert_int_equal(bytes[0], 'N');
	assert_int_equal(hear(upstream, bytes), 8);
	assert_memory_equal(bytes, STARTUP, 8);
	assert_int_equal(record->bytes[TABLE_UP], 8);
	assert_int_equal(record->bytes[TABLE_DOWN], 0);
	close(upstream);
}

static void
later_bytes_that_look_like_one_are_the_clients(void **state)
{
	char bytes[64];
	int upstream;

	(void)state;
	owner.declines = true;
	upstream = open_with(false);
	say(STARTUP, 8);
	settle();
	say(SSL_REQUEST, 8);
	settle();
	assert_int_equal(hear(far, bytes), 0);
	assert_int_equal(hear(upstream, bytes), 16);
	close(upstream);
}

static void
elsewhere_a_request_is_the_servers_to_answer(void **state)
{
	char bytes[64];
	int upstream = open_with(false);

	(void)state;
	say(SSL_REQUEST, 8);
	settle();
	assert_int_equal(hear(far, bytes), 0);
	assert_int_equal(hear(upstream, bytes), 8);
	close(upstream);
}

static void
a_client_that_was_declined_and_loses_its_server_gets_another(void **state)
{
	char bytes[64];
	int upstream;

	(void)state;
	owner.declines = true;
	gives_back = true;
	upstream = open_with(false);
	say(SSL_REQUEST, 8);
	settle();
	close(upstream);
	settle();
	assert_true(client_is_held(client));
	upstream = open_with(false);
	say(STARTUP, 8);
	settle();
	assert_int_equal(hear(far, bytes), 1);
	assert_int_equal(hear(upstream, bytes), 8);
	close(upstream);
}

static void
act(void *arg)
{
	(void)arg;
	decline_requests(&table, client->index);
}

static void
prepare(void *arg)
{
	uint32_t buffer = record->buffer[TABLE_UP];

	(void)arg;
	if (buffer == 0)
		record->buffer[TABLE_UP] = buffer = buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE);
	buffers_open(&table, buffer, 0, 16);
	memcpy(buffers_bytes(&table, buffer), SSL_REQUEST STARTUP, 16);
	table.buffers[buffer].head = 0;
	table.buffers[buffer].tail = 16;
}

/* What the next worker does first, and then with the buffer. */
static void
check(void *arg, bool finished)
{
	char bytes[64];

	(void)arg;
	(void)finished;
	io_journal_replay(&table);
	decline_requests(&table, client->index);
	assert_int_equal(hear(far, bytes), 1);
	assert_int_equal(table.buffers[record->buffer[TABLE_UP]].head, 8);
}

static void
no_death_answers_twice_or_not_at_all(void **state)
{
	(void)state;
	owner.declines = true;
	if (!side_every_step(prepare, act, check, NULL))
		skip();
}

int
main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ROW(nothing_but_a_whole_request_is_meant),
		ROW(requests_are_answered_and_what_follows_goes_to_the_server),
		ROW(later_bytes_that_look_like_one_are_the_clients),
		ROW(elsewhere_a_request_is_the_servers_to_answer),
		ROW(a_client_that_was_declined_and_loses_its_server_gets_another),
		ROW(no_death_answers_twice_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_endpoints.c - the list of endpoints, their health, and withdrawal: P27, P31, P33. */
#include "endpoints_story.h"

static struct endpoints e;

static int
setup(void **state)
{
	(void)state;
	memset(&e, 0, sizeof e);
	return 0;
}

static void
all_zero_is_empty(void **state)
{
	(void)state;
	assert_int_equal(race_choose(&e, &usual, 0, 7), 0);
	assert_int_equal(due(&e, &usual, 1000), '-');
	expect_deadline(&e, &usual, NEVER);
	assert_int_equal(endpoints_doubtful_until(&e), CLOCK_NEVER);
	assert_false(endpoints_elsewhere(&e));
	assert_null(endpoints_find(&e, 0));
	assert_null(endpoints_find(&e, 64));
	assert_int_equal(endpoints_unused(&e), 0);
}

static void
a_lookup_tells_what_is_fresh(void **state)
{
	struct endpoints_changes changes;

	(void)state;
	changes = list(&e, "ab", 1000);
	assert_int_equal(changes.fresh, bit_of(&e, 'a') | bit_of(&e, 'b'));
	assert_int_equal(changes.withdrawn, 0);
	changes = list(&e, "ba", 2000);
	assert_int_equal(changes.fresh, 0);
	changes = list(&e, "cba", 3000);
	assert_int_equal(changes.fresh, bit_of(&e, 'c'));
	assert_int_equal(choose(&e, &usual, ""), 'c');
}

static void
a_place_is_the_same_however_its_bytes_were_made(void **state)
{
	static const char *const texts[] = { "10.0.0.1:80", "[fe80::1%eth0]:80", "[::1]:80", "unix:/run/a.sock" };
	struct address addresses[4], again[4];
	struct endpoint_listed listed[4];
	struct endpoints_changes changes;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_null(address_parse(texts[i], &addresses[i]));
		again[i] = addresses[i];
		if (again[i].socket.ss_family == AF_INET)
			memset(((struct sockaddr_in *)(void *)&again[i].socket)->sin_zero, 0xff, 8);
		memset((char *)&again[i].socket + again[i].socket_length, 0xff,
		    sizeof again[i].socket - again[i].socket_length);
		listed[i] = (struct endpoint_listed){ addresses[i], "", 0, 1, (uint16_t)i };
	}
	changes = endpoints_list(&e, listed, 4, CLOCK_SECOND);
	assert_int_equal(__builtin_popcountll(changes.fresh), 4);
	for (size_t i = 0; i < 4; i++)
		listed[i].address = again[i];
	changes = endpoints_list(&e, listed, 4, 2 * CLOCK_SECOND);
	assert_int_equal(changes.fresh, 0);
	for (unsigned i = 0; i < 4; i++) {
		endpoint_address(&e.list[i], &again[i]);
		assert_true(address_equal(&again[i], &addresses[i]));
	}
}

static void
of_equal_addresses_the_first_counts(void **state)
{
	static const uint16_t weights[] = { 3, 4, 5 };

	(void)state;
	list_weights(&e, "aba", weights, 1000);
	assert_int_equal(endpoints_listing(&e, endpoint_of(&e, 'a'))->weight, 3);
	assert_int_equal(endpoints_listing(&e, endpoint_of(&e, 'a'))->order, 0);
	assert_int_equal(e.high, 2);
}

/* A name server gives a name's addresses, which are of one order, in another order each time. */
static void
another_order_is_told_where_one_is_meant(void **state)
{
	static const struct {
		const char *had, *found; /* letter, order */
		bool reordered;
	} rows[] = {
		{ "a0", "a0", false }, { "a0b0", "b0a0", false }, { "a0b1", "b0a1", true }, { "a0b1", "a0b1", false },
		{ "a0b0c1d1", "b0a0d1c1", false }, { "a0b0c1d1", "c0d0a1b1", true }, { "a0", "a0b1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		memset(&e, 0, sizeof e);
		list_orders(&e, rows[i].had, 1000);
		if (list_orders(&e, rows[i].found, 2000).reordered != rows[i].reordered)
			fail_msg("%s, %s", rows[i].had, rows[i].found);
	}
}

static void
of_a_long_list_the_first_64_count(void **state)
{
	char letters[ENDPOINTS_MAX + 7] = "";

	(void)state;
	for (size_t i = 0; i < sizeof letters - 1; i++)
		letters[i] = (char)('0' + i);
	list(&e, letters, 1000);
	assert_int_not_equal(number_of(&e, letters[63]), 0);
	assert_int_equal(number_of(&e, letters[64]), 0);
	assert_int_equal(e.high, ENDPOINTS_MAX);
}

static void
p33_two_lookups_a_second_apart_withdraw(void **state)
{
	(void)state;
	list(&e, "ab", 1000);
	assert_int_equal(list(&e, "b", 2000).withdrawn, 0);
	assert_int_equal(endpoints_state(&e, endpoint_of(&e, 'a')), ENDPOINT_OK);
	assert_int_equal(endpoints_doubtful_until(&e), 3000 * MS);
	assert_int_equal(list(&e, "b", 2999).withdrawn, 0);
	assert_int_equal(list(&e, "b", 3000).withdrawn, bit_of(&e, 'a'));
	assert_int_equal(endpoints_state(&e, endpoint_of(&e, 'a')), ENDPOINT_WITHDRAWN);
	assert_int_equal(endpoint_of(&e, 'a')->withdrawn_at, 3000 * MS);
	assert_int_equal(endpoints_doubtful_until(&e), CLOCK_NEVER);
	assert_int_equal(list(&e, "b", 4000).withdrawn, 0);
	assert_int_equal(number_of(&e, 'a'), 0); /* nothing uses it */
}

static void
p33_one_that_is_listed_again_is_not_withdrawn_and_has_its_grace_anew(void **state)
{
	uint16_t number;

	(void)state;
	list(&e, "ab", 1000);
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
	number = number_of(&e, 'a');
	list(&e, "b", 2000);
	list(&e, "b", 3000);
	assert_int_equal(list(&e, "ab", 4000).fresh, bit_of(&e, 'a'));
	assert_int_equal(endpoints_state(&e, endpoint_of(&e, 'a')), ENDPOINT_OK);
	assert_int_equal(list(&e, "b", 5000).withdrawn, 0);
	assert_int_equal(number_of(&e, 'a'), number);
}

static void
p33_from_the_first_lookup_on_no_new_connection_goes_there(void **state)
{
	(void)state;
	list(&e, "ab", 1000);
	assert_int_equal(choose(&e, &usual, ""), 'a');
	list(&e, "b", 2000);
	assert_int_equal(choose(&e, &usual, ""), 'b');
	assert_int_equal(choose(&e, &usual, "b"), '-');
	dial(&e, &usual, ENDPOINTS_FAILED, 'b', 2000, 2001);
	assert_int_equal(choose(&e, &usual, ""), 'b');
}

/* What becomes of a connection to a, in use and idle, when a lookup says b: K keep, M move, D drop. */
static void
p33_connections_are_judged(void **state)
{
	static const struct {
		enum endpoints_on_withdrawn on_withdrawn;
		int64_t timeout_ms;
		bool good;
		const char *missed, *withdrawn, *later;
	} rows[] = {
		{ ENDPOINTS_ON_KEEP, 0, true, "KD", "KD", "KD" },
		{ ENDPOINTS_ON_KEEP, 5000, true, "KD", "KD", "KD" },
		{ ENDPOINTS_ON_DRAIN, 0, true, "KD", "MD", "MD" },
		{ ENDPOINTS_ON_DRAIN, 5000, true, "KD", "MD", "DD" },
		{ ENDPOINTS_ON_DROP, 0, true, "KD", "DD", "DD" },
		{ ENDPOINTS_ON_KEEP, 0, false, "KD", "KD", "KD" },
		{ ENDPOINTS_ON_DRAIN, 5000, false, "KD", "KD", "KD" },
		{ ENDPOINTS_ON_DROP, 0, false, "KD", "KD", "KD" },
	};
	static const char letters[] = { [ENDPOINTS_KEEP] = 'K', [ENDPOINTS_MOVE] = 'M', [ENDPOINTS_DROP] = 'D' };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct endpoints_settings s = usual;
		char text[3][3] = { "", "", "" };
		uint16_t a;

		s.on_withdrawn = rows[i].on_withdrawn;
		s.withdrawn_timeout = rows[i].timeout_ms * MS;
		memset(&e, 0, sizeof e);
		list(&e, "a", 1000);
		dial(&e, &s, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
		a = number_of(&e, 'a');
		for (int64_t k = 0; k < 3; k++) {
			int64_t ms = (int64_t[]){ 2000, 3000, 8000 }[k];

			if (k < 2)
				list(&e, "b", ms);
			if (k == 0)
				dial(&e, &s, rows[i].good ? ENDPOINTS_CONNECTED : ENDPOINTS_FAILED, 'b', ms, ms);
			text[k][0] = letters[endpoints_judge(&e, &s, a, false, ms * MS)];
			text[k][1] = letters[endpoints_judge(&e, &s, a, true, ms * MS)];
		}
		assert_string_equal(text[0], rows[i].missed);
		assert_string_equal(text[1], rows[i].withdrawn);
		assert_string_equal(text[2], rows[i].later);
	}
}

static void
p33_the_timeout_is_a_deadline_while_somebody_is_there_and_can_go_elsewhere(void **state)
{
	struct endpoints_settings s = usual;

	(void)state;
	s.withdrawn_timeout = 5 * CLOCK_SECOND;
	list(&e, "a", 1000);
	dial(&e, &s, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
	list(&e, "b", 2000);
	expect_deadline(&e, &s, NEVER);
	list(&e, "b", 3000);
	tell(&e, &s, ENDPOINTS_BEGAN, 'b', 3000, 3000);
	expect_deadline(&e, &s, 8000);
	tell(&e, &s, ENDPOINTS_FAILED, 'b', 3000, 3000);
	expect_deadline(&e, &s, 13000); /* b's dial in the background */
	dial(&e, &s, ENDPOINTS_CONNECTED, 'b', 13000, 13000);
	expect_deadline(&e, &s, 8000);
	count_open(&e, 'a', -1);
	expect_deadline(&e, &s, NEVER);
}

static void
p33_a_connection_moves_where_an_endpoint_has_answered(void **state)
{
	uint16_t a;

	(void)state;
	list(&e, "a", 1000);
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
	a = number_of(&e, 'a');
	list(&e, "b", 2000);
	expect_deadline(&e, &usual, NEVER);
	list(&e, "b", 3000);
	assert_int_equal(endpoints_judge(&e, &usual, a, false, 3000 * MS), ENDPOINTS_KEEP);
	expect_deadline(&e, &usual, 2000); /* nobody else dials b */
	dial(&e, &usual, ENDPOINTS_FAILED, 'b', 3000, 3001);
	assert_int_equal(endpoints_judge(&e, &usual, a, false, 3001 * MS), ENDPOINTS_KEEP);
	expect_deadline(&e, &usual, 13001);
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'b', 13001, 13002);
	assert_int_equal(endpoints_judge(&e, &usual, a, false, 13002 * MS), ENDPOINTS_MOVE);
	expect_deadline(&e, &usual, NEVER);
}

static void
numbers_stay_while_used_and_are_known_when_stale(void **state)
{
	uint16_t a, c;

	(void)state;
	list(&e, "a", 1000);
	a = number_of(&e, 'a');
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
	for (int64_t ms = 2000; ms <= 5000; ms += 1000)
		list(&e, "b", ms);
	assert_int_equal(number_of(&e, 'a'), a);
	count_open(&e, 'a', -1);
	assert_int_equal(number_of(&e, 'a'), a); /* shown until the next lookup */
	list(&e, "bc", 7000);
	c = number_of(&e, 'c');
	assert_int_equal(c % ENDPOINTS_MAX, a % ENDPOINTS_MAX);
	assert_int_not_equal(c, a);
	assert_null(endpoints_find(&e, a));
	assert_int_equal(endpoint_of(&e, 'c')->connects, 0);
	assert_int_equal(endpoint_of(&e, 'c')->open, 0);
	assert_int_equal(endpoints_judge(&e, &usual, a, false, 7000 * MS), ENDPOINTS_MOVE);
	assert_int_equal(endpoints_judge(&e, &usual, a, true, 7000 * MS), ENDPOINTS_DROP);
}

/* Clients that stay for ever at what was withdrawn do not keep new endpoints out. */
static void
sixty_four_in_use_give_way_to_those_that_are_listed(void **state)
{
	char first[ENDPOINTS_MAX + 1] = "", second[ENDPOINTS_MAX + 1] = "";
	uint16_t number, kept;

	(void)state;
	for (size_t i = 0; i < ENDPOINTS_MAX; i++) {
		first[i] = (char)(1 + i);
		second[i] = (char)(64 + i);
	}
	list(&e, first, 1000);
	for (size_t i = 0; i < ENDPOINTS_MAX; i++)
		dial(&e, &usual, ENDPOINTS_CONNECTED, first[i], 1000, 1001);
	number = number_of(&e, first[0]);
	list(&e, second, 2000);
	for (size_t i = 0; i < ENDPOINTS_MAX; i++)
		assert_int_not_equal(number_of(&e, second[i]), 0);
	assert_null(endpoints_find(&e, number));
	assert_int_equal(choose(&e, &usual, ""), second[0]);
	second[63] = second[0];
	second[0] = 1;
	kept = number_of(&e, second[1]);
	list(&e, second, 3000);
	assert_int_equal(choose(&e, &usual, ""), 1);
	assert_int_equal(number_of(&e, second[1]), kept);
}

static void
the_place_of_one_that_nothing_uses_is_taken_first(void **state)
{
	char letters[ENDPOINTS_MAX + 1] = "";
	uint16_t used, idle;

	(void)state;
	for (size_t i = 0; i < ENDPOINTS_MAX; i++)
		letters[i] = (char)(1 + i);
	list(&e, letters, 1000);
	dial(&e, &usual, ENDPOINTS_CONNECTED, 1, 1000, 1001);
	used = number_of(&e, 1);
	idle = number_of(&e, 2);
	list(&e, letters + 1, 2000);
	list(&e, letters + 2, 2500);
	letters[1] = 'z';
	list(&e, letters + 1, 2600);
	assert_non_null(endpoints_find(&e, used));
	assert_null(endpoints_find(&e, idle));
	assert_int_equal(number_of(&e, 'z') % ENDPOINTS_MAX, idle % ENDPOINTS_MAX);
}

static void
p31_a_failed_one_is_not_chosen_while_another_is_in_good_health(void **state)
{
	(void)state;
	list(&e, "abc", 1000);
	assert_int_equal(dial(&e, &usual, ENDPOINTS_FAILED, 'a', 1000, 1200), ENDPOINTS_FELL);
	assert_int_equal(endpoints_state(&e, endpoint_of(&e, 'a')), ENDPOINT_FAILED);
	assert_int_equal(endpoint_of(&e, 'a')->failed_until, 11200 * MS);
	assert_string_equal(endpoint_of(&e, 'a')->error, "Connection refused");
	assert_int_equal(choose(&e, &usual, ""), 'b');
	assert_int_equal(choose(&e, &usual, "b"), 'c');
	assert_int_equal(choose(&e, &usual, "bc"), 'a');
	assert_int_equal(choose(&e, &usual, "abc"), '-');
	assert_int_equal(due(&e, &usual, 11199), '-');
	expect_deadline(&e, &usual, 11200);
	assert_int_equal(choose(&e, &usual, ""), 'b'); /* though its time is over */
}

static void
p31_only_a_dial_in_the_background_makes_it_good_again(void **state)
{
	(void)state;
	list(&e, "ab", 1000);
	tell(&e, &usual, ENDPOINTS_BEGAN, 'a', 1000, 1000);
	dial(&e, &usual, ENDPOINTS_FAILED, 'a', 1000, 1200);
	assert_int_equal(tell(&e, &usual, ENDPOINTS_CONNECTED, 'a', 1300, 1000), 0);
	assert_int_equal(choose(&e, &usual, ""), 'b');
	assert_int_equal(due(&e, &usual, 11200), 'a');
	tell(&e, &usual, ENDPOINTS_BEGAN, 'a', 11200, 11200);
	assert_int_equal(due(&e, &usual, 11200), '-'); /* one at a time */
	expect_deadline(&e, &usual, NEVER);
	assert_int_equal(tell(&e, &usual, ENDPOINTS_CONNECTED, 'a', 11300, 11200), ENDPOINTS_ROSE);
	assert_int_equal(choose(&e, &usual, ""), 'a');
	assert_int_equal(endpoint_of(&e, 'a')->failures, 0);
	assert_string_equal(endpoint_of(&e, 'a')->error, "Connection refused");
}

static void
p31_when_all_have_failed_any_success_counts(void **state)
{
	(void)state;
	list(&e, "ab", 1000);
	tell(&e, &usual, ENDPOINTS_BEGAN, 'a', 1000, 1000);
	dial(&e, &usual, ENDPOINTS_FAILED, 'a', 1000, 1200);
	dial(&e, &usual, ENDPOINTS_FAILED, 'b', 1000, 1200);
	assert_int_equal(tell(&e, &usual, ENDPOINTS_CONNECTED, 'a', 1300, 1000), ENDPOINTS_ROSE);
}

static void
p31_a_failure_grows_the_delay_by_the_factor_up_to_max(void **state)
{
	static const int64_t seconds[] = { 10, 20, 40, 60, 60 };
	struct endpoints_settings s = usual;
	int64_t ms = 1000;

	(void)state;
	s.retry.factor = 2;
	list(&e, "ab", ms);
	for (uint32_t i = 0; i < 5; i++) {
		dial(&e, &s, ENDPOINTS_FAILED, 'a', ms, ms);
		assert_int_equal(endpoint_of(&e, 'a')->failures, i + 1);
		assert_int_equal(endpoint_of(&e, 'a')->failed_until, ms * MS + seconds[i] * CLOCK_SECOND);
		ms += 100000;
	}
	dial(&e, &s, ENDPOINTS_CONNECTED, 'a', ms, ms);
	dial(&e, &s, ENDPOINTS_FAILED, 'a', ms + 1, ms + 1);
	assert_int_equal(endpoint_of(&e, 'a')->failures, 1);
	assert_int_equal(endpoint_of(&e, 'a')->failures_total, 6);
}

static void
p5_the_quarantine_is_jittered(void **state)
{
	struct endpoints_input in = { .event = ENDPOINTS_FAILED, .now = CLOCK_SECOND, .began = CLOCK_SECOND,
		.error = "x", .roll = 0x80000001u };

	(void)state;
	list(&e, "ab", 1000);
	in.number = number_of(&e, 'a');
	endpoints_tell(&e, &usual, &in);
	assert_int_equal(endpoint_of(&e, 'a')->failed_until, 12500 * MS);
	in.number = number_of(&e, 'b');
	in.roll = 0x80000000u;
	endpoints_tell(&e, &usual, &in);
	assert_int_equal(endpoint_of(&e, 'b')->failed_until, 9500 * MS);
}

static void
p31_dials_that_fail_together_are_one_failure(void **state)
{
	struct endpoints_settings s = usual;

	(void)state;
	s.retry.factor = 2;
	list(&e, "ab", 1000);
	for (unsigned i = 0; i < 10; i++)
		tell(&e, &s, ENDPOINTS_BEGAN, 'a', 1000, 1000);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(tell(&e, &s, ENDPOINTS_FAILED, 'a', 1005 + i, 1000), i == 0 ? ENDPOINTS_FELL : 0);
	assert_int_equal(endpoint_of(&e, 'a')->failures, 1);
	assert_int_equal(endpoint_of(&e, 'a')->failures_total, 10);
	assert_int_equal(endpoint_of(&e, 'a')->failed_until, 11005 * MS);
	assert_int_equal(endpoint_of(&e, 'a')->dialling, 0);
}

static void
p27_an_unused_connection_that_ends_within_a_second_is_a_failure(void **state)
{
	(void)state;
	list(&e, "ab", 1000);
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
	count_open(&e, 'a', -1);
	assert_int_equal(tell(&e, &usual, ENDPOINTS_ENDED, 'a', 2001, 1001), 0);
	assert_int_equal(endpoints_state(&e, endpoint_of(&e, 'a')), ENDPOINT_OK);
	assert_int_equal(tell(&e, &usual, ENDPOINTS_ENDED, 'a', 2000, 1001), ENDPOINTS_FELL);
	assert_int_equal(endpoint_of(&e, 'a')->open, 0);
	assert_int_equal(choose(&e, &usual, ""), 'b');
}

/* A port that accepts with nobody behind it does not begin anew with each connect. */
static void
p27_a_row_of_young_ends_grows_the_delay(void **state)
{
	struct endpoints_settings s = usual;
	int64_t ms = 1000;

	(void)state;
	s.retry.factor = 2;
	list(&e, "ab", ms);
	for (uint32_t i = 0; i < 3; i++) {
		dial(&e, &s, ENDPOINTS_CONNECTED, 'a', ms, ms);
		dial(&e, &s, ENDPOINTS_CONNECTED, 'a', ms, ms);
		assert_int_equal(tell(&e, &s, ENDPOINTS_ENDED, 'a', ms + 5, ms), ENDPOINTS_FELL);
		assert_int_equal(tell(&e, &s, ENDPOINTS_ENDED, 'a', ms + 6, ms), 0);
		assert_int_equal(endpoint_of(&e, 'a')->failures, i + 1);
		assert_int_equal(endpoint_of(&e, 'a')->failed_until, (ms + 5) * MS + (CLOCK_SECOND * 10 << i));
		ms += 100000;
	}
	dial(&e, &s, ENDPOINTS_CONNECTED, 'a', ms, ms);
	dial(&e, &s, ENDPOINTS_CONNECTED, 'a', ms + 60000, ms + 60000);
	tell(&e, &s, ENDPOINTS_ENDED, 'a', ms + 60005, ms + 60000);
	assert_int_equal(endpoint_of(&e, 'a')->failures, 1); /* it was good for longer than it had been failed */
}

static void
p31_an_idle_connection_to_a_failed_one_is_not_given_away(void **state)
{
	uint16_t a;

	(void)state;
	list(&e, "ab", 1000);
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
	a = number_of(&e, 'a');
	assert_int_equal(endpoints_judge(&e, &usual, a, true, 2000 * MS), ENDPOINTS_KEEP);
	dial(&e, &usual, ENDPOINTS_FAILED, 'a', 2000, 2001);
	assert_int_equal(endpoints_judge(&e, &usual, a, true, 2001 * MS), ENDPOINTS_DROP);
	assert_int_equal(endpoints_judge(&e, &usual, a, false, 2001 * MS), ENDPOINTS_KEEP);
	dial(&e, &usual, ENDPOINTS_FAILED, 'b', 2000, 2001);
	assert_int_equal(endpoints_judge(&e, &usual, a, true, 2001 * MS), ENDPOINTS_KEEP);
}

static void
health_interval_dials_those_without_a_connection(void **state)
{
	struct endpoints_settings s = usual;

	(void)state;
	s.health_interval = 5 * CLOCK_SECOND;
	list(&e, "ab", 1000);
	expect_deadline(&e, &s, 1000);
	assert_int_equal(due(&e, &s, 1000), 'a');
	dial(&e, &s, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
	assert_int_equal(due(&e, &s, 1001), 'b');
	dial(&e, &s, ENDPOINTS_CONNECTED, 'b', 1001, 1002);
	count_open(&e, 'b', -1);
	expect_deadline(&e, &s, 6002);
	assert_int_equal(due(&e, &s, 6002), 'b');
	dial(&e, &s, ENDPOINTS_FAILED, 'b', 6002, 6010);
	expect_deadline(&e, &s, 16010); /* failed: P31's time, not the interval's */
	count_open(&e, 'a', -1);
	expect_deadline(&e, &s, 6001);
	expect_deadline(&e, &usual, 16010);
}

static void
one_that_could_not_be_dialled_here_is_not_blamed_and_tried_later(void **state)
{
	struct endpoints_settings s = usual;

	(void)state;
	s.health_interval = 5 * CLOCK_SECOND;
	list(&e, "abc", 1000);
	dial(&e, &s, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
	dial(&e, &s, ENDPOINTS_FAILED, 'b', 1000, 1002);
	assert_int_equal(dial(&e, &s, ENDPOINTS_PUT_OFF, 'c', 1003, 1004), 0); /* health.interval */
	expect_deadline(&e, &s, 11004);
	assert_int_equal(choose(&e, &s, "a"), 'c');
	assert_int_equal(endpoint_of(&e, 'c')->failures_total, 0);
	dial(&e, &s, ENDPOINTS_CONNECTED, 'c', 11004, 11005);
	assert_int_equal(due(&e, &s, 11005), 'b');
	dial(&e, &s, ENDPOINTS_PUT_OFF, 'b', 11005, 11006); /* failed before */
	expect_deadline(&e, &s, 21006);
	assert_int_equal(endpoint_of(&e, 'b')->failures_total, 1);
	endpoints_resume(&e, 11007 * MS);
	count_open(&e, 'a', 1);
	count_open(&e, 'c', 1);
	expect_deadline(&e, &s, 21006);
	tell(&e, &s, ENDPOINTS_BEGAN, 'c', 11010, 11010);
	tell(&e, &s, ENDPOINTS_LATE, 'c', 11260, 11010);
	tell(&e, &s, ENDPOINTS_CANCELLED, 'c', 11270, 11010); /* a client's */
	expect_deadline(&e, &s, 21006);
	dial(&e, &s, ENDPOINTS_CONNECTED, 'b', 21006, 21007);
	assert_int_equal(due(&e, &s, 21007), 'c');
	dial(&e, &s, ENDPOINTS_PUT_OFF, 'c', 21007, 21008); /* late before */
	expect_deadline(&e, &s, 31008);
	assert_int_equal(due(&e, &s, 31008), 'c');
}

static void
one_that_is_late_is_the_last_choice_of_the_good_ones_and_dialled_at_once(void **state)
{
	(void)state;
	list(&e, "abc", 1000);
	tell(&e, &usual, ENDPOINTS_BEGAN, 'a', 1000, 1000);
	tell(&e, &usual, ENDPOINTS_LATE, 'a', 1250, 1000);
	assert_int_equal(choose(&e, &usual, ""), 'b');
	assert_int_equal(choose(&e, &usual, "bc"), 'a');
	assert_true(endpoints_elsewhere(&e));
	assert_int_equal(endpoints_state(&e, endpoint_of(&e, 'a')), ENDPOINT_OK);
	assert_int_equal(due(&e, &usual, 1260), '-'); /* its dial is under way */
	dial(&e, &usual, ENDPOINTS_FAILED, 'b', 1260, 1261);
	dial(&e, &usual, ENDPOINTS_FAILED, 'c', 1260, 1261);
	assert_int_equal(choose(&e, &usual, ""), 'a');
	tell(&e, &usual, ENDPOINTS_CANCELLED, 'a', 1270, 1000);
	expect_deadline(&e, &usual, 1250);
	assert_int_equal(due(&e, &usual, 1270), 'a');
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'a', 1270, 1280);
	expect_deadline(&e, &usual, 11261);
	assert_int_equal(choose(&e, &usual, ""), 'a');
	tell(&e, &usual, ENDPOINTS_LATE, 'b', 1290, 1200); /* failed already */
	assert_int_equal(endpoint_of(&e, 'b')->slow_until, 0);
}

static void
after_a_renewal_nothing_is_listed_and_no_failure_is_known(void **state)
{
	(void)state;
	list(&e, "ab", 1000);
	dial(&e, &usual, ENDPOINTS_FAILED, 'a', 1000, 1001);
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'b', 1000, 1001);
	endpoints_renew(&e);
	assert_int_equal(choose(&e, &usual, ""), '-');
	expect_deadline(&e, &usual, NEVER);
	assert_int_equal(endpoints_judge(&e, &usual, number_of(&e, 'b'), false, 2000 * MS), ENDPOINTS_KEEP);
	assert_int_equal(list(&e, "ac", 2001).withdrawn, 0); /* b has its grace */
	assert_int_equal(choose(&e, &usual, ""), 'a');
	assert_int_equal(list(&e, "c", 3001).withdrawn, bit_of(&e, 'b')); /* a has its own */
}

static void
a_new_worker_counts_anew(void **state)
{
	uint16_t a;

	(void)state;
	list(&e, "ab", 1000);
	a = number_of(&e, 'a');
	assert_int_equal(endpoints_unused(&e), bit_of(&e, 'a') | bit_of(&e, 'b'));
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
	assert_int_equal(endpoints_unused(&e), bit_of(&e, 'b'));
	tell(&e, &usual, ENDPOINTS_BEGAN, 'a', 1000, 1000);
	dial(&e, &usual, ENDPOINTS_FAILED, 'b', 1000, 1001);
	tell(&e, &usual, ENDPOINTS_BEGAN, 'b', 11001, 11001);
	assert_int_equal(endpoints_unused(&e), 0);
	endpoints_resume(&e, 12000 * MS);
	assert_int_equal(number_of(&e, 'a'), a);
	count_open(&e, 'a', 1);
	assert_int_equal(endpoint_of(&e, 'a')->open, 1);
	assert_int_equal(endpoint_of(&e, 'a')->dialling, 0);
	assert_int_equal(due(&e, &usual, 12000), 'b'); /* its dial went with the worker */
	assert_int_equal(choose(&e, &usual, ""), 'a');
	tell(&e, &usual, ENDPOINTS_CANCELLED, 'a', 12000, 1000);
	assert_int_equal(endpoint_of(&e, 'a')->dialling, 0);
}

static void
texts_are_cut(void **state)
{
	char text[300];
	struct endpoint_listed listed = { .weight = 1 };
	struct endpoints_input in = { ENDPOINTS_FAILED, 0, 1, 1, text, DELAY_EXACT };

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	address_of('a', &listed.address);
	memset(listed.from, 'y', sizeof listed.from);
	endpoints_list(&e, &listed, 1, 1);
	in.number = number_of(&e, 'a');
	endpoints_tell(&e, &usual, &in);
	assert_int_equal(strlen(endpoint_of(&e, 'a')->error), ENDPOINT_ERROR_SIZE - 1);
	assert_int_equal(strlen(endpoint_of(&e, 'a')->from), ENDPOINT_FROM_SIZE - 1);
	in.error = "";
	endpoints_tell(&e, &usual, &in);
	assert_string_equal(endpoint_of(&e, 'a')->error, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_zero_is_empty, setup),
		cmocka_unit_test_setup(a_lookup_tells_what_is_fresh, setup),
		cmocka_unit_test_setup(a_place_is_the_same_however_its_bytes_were_made, setup),
		cmocka_unit_test_setup(of_equal_addresses_the_first_counts, setup),
		cmocka_unit_test(another_order_is_told_where_one_is_meant),
		cmocka_unit_test_setup(of_a_long_list_the_first_64_count, setup),
		cmocka_unit_test_setup(p33_two_lookups_a_second_apart_withdraw, setup),
		cmocka_unit_test_setup(p33_one_that_is_listed_again_is_not_withdrawn_and_has_its_grace_anew, setup),
		cmocka_unit_test_setup(p33_from_the_first_lookup_on_no_new_connection_goes_there, setup),
		cmocka_unit_test_setup(p33_connections_are_judged, setup),
		cmocka_unit_test_setup(p33_a_connection_moves_where_an_endpoint_has_answered, setup),
		cmocka_unit_test_setup(p33_the_timeout_is_a_deadline_while_somebody_is_there_and_can_go_elsewhere,
		    setup),
		cmocka_unit_test_setup(numbers_stay_while_used_and_are_known_when_stale, setup),
		cmocka_unit_test_setup(sixty_four_in_use_give_way_to_those_that_are_listed, setup),
		cmocka_unit_test_setup(the_place_of_one_that_nothing_uses_is_taken_first, setup),
		cmocka_unit_test_setup(p31_a_failed_one_is_not_chosen_while_another_is_in_good_health, setup),
		cmocka_unit_test_setup(p31_only_a_dial_in_the_background_makes_it_good_again, setup),
		cmocka_unit_test_setup(p31_when_all_have_failed_any_success_counts, setup),
		cmocka_unit_test_setup(p31_a_failure_grows_the_delay_by_the_factor_up_to_max, setup),
		cmocka_unit_test_setup(p5_the_quarantine_is_jittered, setup),
		cmocka_unit_test_setup(p31_dials_that_fail_together_are_one_failure, setup),
		cmocka_unit_test_setup(p27_an_unused_connection_that_ends_within_a_second_is_a_failure, setup),
		cmocka_unit_test_setup(p27_a_row_of_young_ends_grows_the_delay, setup),
		cmocka_unit_test_setup(p31_an_idle_connection_to_a_failed_one_is_not_given_away, setup),
		cmocka_unit_test_setup(health_interval_dials_those_without_a_connection, setup),
		cmocka_unit_test_setup(one_that_could_not_be_dialled_here_is_not_blamed_and_tried_later, setup),
		cmocka_unit_test_setup(one_that_is_late_is_the_last_choice_of_the_good_ones_and_dialled_at_once,
		    setup),
		cmocka_unit_test_setup(after_a_renewal_nothing_is_listed_and_no_failure_is_known, setup),
		cmocka_unit_test_setup(a_new_worker_counts_anew, setup),
		cmocka_unit_test_setup(texts_are_cut, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

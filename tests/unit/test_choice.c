/* test_choice.c - which endpoint is next: priorities, weights, and pick; P31. */
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
p31_when_all_have_failed_the_one_that_failed_longest_ago_is_first(void **state)
{
	(void)state;
	list(&e, "abc", 1000);
	dial(&e, &usual, ENDPOINTS_FAILED, 'b', 1000, 1001);
	dial(&e, &usual, ENDPOINTS_FAILED, 'c', 1000, 1002);
	dial(&e, &usual, ENDPOINTS_FAILED, 'a', 1000, 1003);
	assert_false(endpoints_elsewhere(&e));
	assert_int_equal(choose(&e, &usual, ""), 'b');
	assert_int_equal(choose(&e, &usual, "b"), 'c');
	dial(&e, &usual, ENDPOINTS_FAILED, 'b', 1100, 1101);
	assert_int_equal(choose(&e, &usual, ""), 'c');
}

static void
the_best_priority_with_one_in_good_health_is_used(void **state)
{
	(void)state;
	list_priorities(&e, "abCdE", 1000);
	assert_int_equal(choose(&e, &usual, ""), 'a');
	dial(&e, &usual, ENDPOINTS_FAILED, 'a', 1000, 1001);
	assert_int_equal(choose(&e, &usual, ""), 'b');
	dial(&e, &usual, ENDPOINTS_FAILED, 'b', 1000, 1002);
	assert_int_equal(choose(&e, &usual, ""), 'c');
	assert_int_equal(choose(&e, &usual, "cd"), 'e');
	dial(&e, &usual, ENDPOINTS_FAILED, 'c', 1000, 1003);
	dial(&e, &usual, ENDPOINTS_FAILED, 'd', 1000, 1004);
	dial(&e, &usual, ENDPOINTS_FAILED, 'e', 900, 901);
	assert_int_equal(choose(&e, &usual, ""), 'a'); /* all have failed: by priority again */
	dial(&e, &usual, ENDPOINTS_CONNECTED, 'd', 2000, 2001);
	assert_int_equal(choose(&e, &usual, ""), 'd');
}

/* Counts of 10,000 choices. */
static void
count_choices(const struct endpoints_settings *s, unsigned ret_count[4], bool chance)
{
	uint64_t random = UINT64_C(88172645463325252);

	memset(ret_count, 0, 4 * sizeof *ret_count);
	for (uint32_t i = 0; i < 10000; i++) {
		uint32_t roll = i * UINT32_C(2654435769); /* evenly spread */

		if (chance) {
			random ^= random >> 12;
			random ^= random << 25;
			random ^= random >> 27;
			roll = (uint32_t)((random * UINT64_C(2685821657736338717)) >> 32);
		}
		ret_count[letter_of(&e, race_choose(&e, s, 0, roll)) - 'a']++;
	}
}

static void
shares_go_by_weight(void **state)
{
	static const uint16_t weights[] = { 1, 1, 2, 4 };
	static const unsigned wanted[] = { 1250, 1250, 2500, 5000 };
	struct endpoints_settings s = usual;
	unsigned count[4];

	(void)state;
	list_weights(&e, "abcd", weights, 1000);
	s.pick = ENDPOINTS_ROTATE;
	count_choices(&s, count, false);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(count[i], wanted[i]);
	s.pick = ENDPOINTS_RANDOM;
	count_choices(&s, count, false);
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(count[i], wanted[i] - wanted[i] / 50, wanted[i] + wanted[i] / 50);
	count_choices(&s, count, true);
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(count[i], wanted[i] - 200, wanted[i] + 200); /* 2 % of all */
}

static void
rotate_is_smooth(void **state)
{
	static const uint16_t weights[] = { 5, 1, 1 };
	struct endpoints_settings s = usual;
	char text[15] = "";

	(void)state;
	s.pick = ENDPOINTS_ROTATE;
	list_weights(&e, "abc", weights, 1000);
	for (unsigned i = 0; i < 14; i++)
		text[i] = choose(&e, &s, "");
	assert_string_equal(text, "aabacaaaabacaa");
}

static void
shares_hold_among_those_in_good_health_and_again_when_all_are(void **state)
{
	static const uint16_t weights[] = { 1, 1, 2, 4 };
	struct endpoints_settings s = usual;
	unsigned count[4];

	(void)state;
	s.pick = ENDPOINTS_ROTATE;
	list_weights(&e, "abcd", weights, 1000);
	choose(&e, &s, "");
	dial(&e, &s, ENDPOINTS_FAILED, 'd', 1000, 1001);
	count_choices(&s, count, false);
	assert_int_equal(count[3], 0);
	assert_in_range(count[0], 2499, 2501);
	assert_in_range(count[2], 4999, 5001);
	dial(&e, &s, ENDPOINTS_CONNECTED, 'd', 2000, 2001);
	count_choices(&s, count, false);
	assert_in_range(count[0], 1249, 1251);
	assert_in_range(count[3], 4999, 5001);
}

static void
weight_0_is_a_small_chance_and_all_0_are_equal(void **state)
{
	static const uint16_t some[] = { 0, 1, 1, 0 }, none[] = { 0, 0, 0, 0 };
	struct endpoints_settings s = usual;
	unsigned count[4];

	(void)state;
	for (s.pick = ENDPOINTS_RANDOM; s.pick <= ENDPOINTS_ROTATE; s.pick++) {
		list_weights(&e, "abcd", some, 1000);
		count_choices(&s, count, false);
		assert_in_range(count[0], 70, 84); /* 1 of 130 */
		assert_in_range(count[1], 4900, 4950);
		list_weights(&e, "abcd", none, 1000);
		count_choices(&s, count, false);
		for (unsigned i = 0; i < 4; i++)
			assert_in_range(count[i], 2490, 2510);
	}
}

static void
least_counts_connections_and_dials_and_takes_turns_among_equals(void **state)
{
	struct endpoints_settings s = usual;
	unsigned count[3] = { 0 };

	(void)state;
	s.pick = ENDPOINTS_LEAST;
	list(&e, "abc", 1000);
	for (unsigned i = 0; i < 6; i++) {
		char letter = choose(&e, &s, "");

		count[letter - 'a']++;
		tell(&e, &s, ENDPOINTS_BEGAN, letter, 1000, 1000);
		if (i % 2 == 0)
			tell(&e, &s, ENDPOINTS_CONNECTED, letter, 1000, 1000);
	}
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(count[i], 2);
	if (endpoint_of(&e, 'b')->open > 0)
		count_open(&e, 'b', -1);
	else
		tell(&e, &s, ENDPOINTS_CANCELLED, 'b', 1001, 1000);
	assert_int_equal(choose(&e, &s, ""), 'b');
	assert_int_equal(choose(&e, &s, ""), 'b');
}

/* Each connection to a lasts ten times as long. */
static void
least_gives_the_slow_one_the_fewest(void **state)
{
	struct endpoints_settings s = usual;
	struct { int64_t end; char letter; } open[40] = { { 0, 0 } };
	unsigned count[4] = { 0 };

	(void)state;
	s.pick = ENDPOINTS_LEAST;
	list(&e, "abcd", 1000);
	for (int64_t ms = 1000; ms < 11000; ms++) {
		size_t free = 0;

		for (size_t i = 0; i < 40; i++) {
			if (open[i].letter != 0 && open[i].end <= ms) {
				count_open(&e, open[i].letter, -1);
				open[i].letter = 0;
			}
			free = open[i].letter == 0 ? i : free;
		}
		open[free].letter = choose(&e, &s, "");
		open[free].end = ms + (open[free].letter == 'a' ? 100 : 10);
		dial(&e, &s, ENDPOINTS_CONNECTED, open[free].letter, ms, ms);
		count[open[free].letter - 'a']++;
	}
	for (unsigned i = 1; i < 4; i++)
		assert_true(count[i] > 5 * count[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(p31_when_all_have_failed_the_one_that_failed_longest_ago_is_first, setup),
		cmocka_unit_test_setup(the_best_priority_with_one_in_good_health_is_used, setup),
		cmocka_unit_test_setup(shares_go_by_weight, setup),
		cmocka_unit_test_setup(rotate_is_smooth, setup),
		cmocka_unit_test_setup(shares_hold_among_those_in_good_health_and_again_when_all_are, setup),
		cmocka_unit_test_setup(weight_0_is_a_small_chance_and_all_0_are_equal, setup),
		cmocka_unit_test_setup(least_counts_connections_and_dials_and_takes_turns_among_equals, setup),
		cmocka_unit_test_setup(least_gives_the_slow_one_the_fewest, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

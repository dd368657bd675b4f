#include "top_stage.h"

static struct top_state view;
static struct sample *sample;

static int
setup(void **state)
{
	(void)state;
	top_state_init(&view);
	sample = take(NULL, json_pack("[o, o, o, o]", with(service("web-10", "connected", true, 100), "clients",
	    json_integer(5)), with(service("web-2", "connected", true, 50), "clients", json_integer(7)),
	    down("cache", 20, "Connection refused"), with(down("mail", 30, "timed out"), "held", json_integer(3))));
	top_state_arrange(&view, sample);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	top_state_free(&view);
	sample_free(sample);
	return 0;
}

/* The names in their order, the chosen one in brackets. */
static const char *
shown(void)
{
	static char text[256];

	text[0] = '\0';
	for (size_t i = 0; i < view.row_count; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), i == view.chosen ? "%s[%s]" : "%s%s",
		    i == 0 ? "" : " ", sample->services[view.rows[i]].name);
	return text;
}

static bool
press(int key)
{
	bool stays = top_state_key(&view, key);

	top_state_arrange(&view, sample);
	return stays;
}

static void
type(const char *keys)
{
	for (; *keys != '\0'; keys++)
		press(*keys);
}

static void
what_must_be_seen_comes_first_and_numbers_in_names_count(void **state)
{
	(void)state;
	assert_string_equal(shown(), "[mail] cache web-2 web-10");
}

static void
each_column_sorts_and_its_second_key_reverses(void **state)
{
	static const struct { int key; const char *order; } rows[] = {
		{ 'n', "cache [mail] web-2 web-10" }, { 'n', "web-10 web-2 [mail] cache" },
		{ 'c', "web-2 web-10 cache [mail]" }, { 'h', "[mail] cache web-2 web-10" },
		{ 't', "cache [mail] web-2 web-10" }, { 'e', "cache [mail] web-2 web-10" },
		{ 'r', "web-10 web-2 [mail] cache" }, { '<', "cache [mail] web-2 web-10" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		press(rows[i].key);
		assert_string_equal(shown(), rows[i].order);
	}
	for (int i = 0; i < TOP_SORTS; i++)
		press(TOP_KEY_RIGHT);
	assert_int_equal(view.sort, TOP_BY_WORK);
}

static void
the_chosen_service_stays_chosen_wherever_it_goes(void **state)
{
	(void)state;
	press('j');
	assert_string_equal(shown(), "mail [cache] web-2 web-10");
	press('n');
	assert_string_equal(shown(), "[cache] mail web-2 web-10");
	press(TOP_KEY_END);
	press(TOP_KEY_DOWN);
	assert_string_equal(shown(), "cache mail web-2 [web-10]");
	press('g');
	press('k');
	assert_string_equal(shown(), "[cache] mail web-2 web-10");
}

static void
a_chosen_service_that_goes_leaves_its_place_chosen(void **state)
{
	struct sample *after = take(sample, json_pack("[o]", service("other", "connected", true, 1)));

	(void)state;
	press('G');
	sample_free(sample);
	sample = after;
	top_state_arrange(&view, sample);
	assert_string_equal(shown(), "[other]");
	sample_free(sample);
	sample = take(NULL, json_array());
	top_state_arrange(&view, sample);
	assert_string_equal(shown(), "");
	assert_true(press(TOP_KEY_ENTER));
	assert_int_equal(view.page, TOP_TABLE);
}

static void
the_filter_looks_at_name_state_and_error(void **state)
{
	(void)state;
	type("/WEB");
	assert_string_equal(shown(), "[web-2] web-10");
	press(TOP_KEY_ENTER);
	assert_false(view.typing);
	press(TOP_KEY_ESCAPE);
	type("/refused");
	assert_string_equal(shown(), "[cache]");
	press(TOP_KEY_ESCAPE);
	type("/hold");
	assert_string_equal(shown(), "[mail]");
	press(TOP_KEY_ESCAPE);
	assert_int_equal(view.row_count, 4);
}

static void
keys_of_commands_are_text_while_the_filter_is_typed(void **state)
{
	(void)state;
	type("/q?r");
	assert_string_equal(view.filter, "q?r");
	assert_true(press(TOP_KEY_ERASE));
	assert_string_equal(view.filter, "q?");
	press(TOP_KEY_ERASE);
	press(TOP_KEY_ERASE);
	assert_true(view.typing);
	press(TOP_KEY_ERASE);
	assert_false(view.typing);
	type("/");
	for (int i = 0; i < 200; i++)
		press('x');
	assert_int_equal(strlen(view.filter), TOP_FILTER_SIZE - 1);
}

static void
pages_are_opened_scrolled_and_left(void **state)
{
	(void)state;
	press(TOP_KEY_ENTER);
	assert_int_equal(view.page, TOP_EXPLAIN);
	assert_string_equal(view.explained, "mail");
	assert_true(view.follow);
	view.scroll = view.scroll_most = 20;
	view.page_rows = 8;
	press(TOP_KEY_PAGE_UP);
	assert_int_equal(view.scroll, 12);
	assert_false(view.follow);
	press(TOP_KEY_END);
	assert_true(view.follow);
	assert_true(press('q'));
	assert_int_equal(view.page, TOP_TABLE);
	press('?');
	assert_int_equal(view.page, TOP_HELP);
	press(TOP_KEY_ESCAPE);
	assert_int_equal(view.page, TOP_TABLE);
	assert_false(press('q'));
}

static void
rates_are_growth_per_second_also_of_counters_that_began_anew(void **state)
{
	json_t *first = with(service("a", "connected", true, 1), "bytes_from_clients", json_integer(5000));
	json_t *second = with(service("a", "connected", true, 1), "bytes_from_clients", json_integer(7000));
	json_t *third = with(service("a", "connected", true, 1), "bytes_from_clients", json_integer(300));
	struct sample *one = take(NULL, json_pack("[o]", first)), *two, *three;

	(void)state;
	assert_false(one->services[0].has_rates);
	two = take(one, json_pack("[o, o]", service("new", "connected", true, 1), second));
	assert_false(two->services[0].has_rates);
	assert_float_equal(two->services[1].rates[SAMPLE_IN], 2000, 0.001);
	three = take(two, json_pack("[o]", third));
	assert_float_equal(three->services[0].rates[SAMPLE_IN], 300, 0.001);
	sample_free(one);
	sample_free(two);
	sample_free(three);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_must_be_seen_comes_first_and_numbers_in_names_count),
		TEST(each_column_sorts_and_its_second_key_reverses),
		TEST(the_chosen_service_stays_chosen_wherever_it_goes),
		TEST(a_chosen_service_that_goes_leaves_its_place_chosen),
		TEST(the_filter_looks_at_name_state_and_error),
		TEST(keys_of_commands_are_text_while_the_filter_is_typed),
		TEST(pages_are_opened_scrolled_and_left),
		TEST(rates_are_growth_per_second_also_of_counters_that_began_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

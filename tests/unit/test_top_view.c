#include "screen_lines.h"
#include "top_stage.h"

#include "ctl/top_view.h"

static struct top_state view;
static struct sample *sample;
static struct screen *screen;
static struct top_scene scene;

static int
setup(void **state)
{
	json_t *held = with(down("database-of-the-north-sea-pilots", 125, "10.0.0.5:5432: Connection refused"),
	    "held", json_integer(7));

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	top_state_init(&view);
	sample = take(NULL, json_pack("[o, o, o]", with(service("web", "connected", true, 4000), "clients",
	    json_integer(1234)), held, with(service("old", "closed", false, 90), "administered",
	    json_pack("{s:s, s:s, s:s}", "what", "closed", "by", "ann", "since", ago(90)))));
	top_state_arrange(&view, sample);
	scene = (struct top_scene){ .sample = sample, .wall = WALL };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	top_state_free(&view);
	sample_free(sample);
	screen_free(screen);
	screen = NULL;
	return 0;
}

static void
show(int width, int height)
{
	screen_free(screen);
	screen = screen_new(width, height, false);
	top_view_show(screen, &view, &scene);
}

/* The first line that begins with this, or "". */
static const char *
line(const char *begin)
{
	for (int i = 0; i < screen->height; i++)
		if (strncmp(seen_line(screen, i)->text, begin, strlen(begin)) == 0)
			return seen_line(screen, i)->text;
	return "";
}

static const char *
line_at(int number)
{
	return seen_line(screen, number)->text;
}

/* How a text of the screen looks. */
static enum screen_look
look(const char *text)
{
	for (int i = 0; i < screen->height; i++) {
		const struct seen *seen = seen_line(screen, i);
		const char *at = strstr(seen->text, text);

		if (at != NULL)
			return seen->looks[at - seen->text];
	}
	return SCREEN_LOOKS;
}

static void
a_terminal_of_80_columns_has_the_main_ones(void **state)
{
	(void)state;
	show(80, 24);
	assert_string_equal(line("holdfastd"), "holdfastd 0.1.0  up 2h 3min  pid 812  worker never restarted");
	assert_string_equal(line("3 services"), "3 services  1 UP  0 DOWN  1 HOLD  0 PAUSED  1 CLOSED");
	assert_string_equal(line("1234 clients"),
	    "1234 clients  7 held  in 0B/s  out 0B/s  0 clients/s  0 messages/s");
	assert_string_equal(line("SERVICE"),
	    "SERVICE          STATE\u25bc  SINCE CLIENTS HELD IN/s OUT/s WORK/s  LAST ERROR       ");
	assert_string_equal(line("database-of-the\u2026"),
	    "database-of-the\u2026 HOLD     2min       0    7    -     -      -  10.0.0.5:5432: C\u2026");
	assert_string_equal(line("web"),
	    "web              UP         1h    1234    0    -     -      -                   ");
	assert_string_equal(line("old"),
	    "old              CLOSED   1min       0    0    -     -      -  closed by ann    ");
	assert_string_equal(line("database-of-the-north-sea-pilots HOLD"),
	    "database-of-the-north-sea-pilots HOLD  10.0.0.5:5432: Connection refused");
}

static void
a_wide_terminal_has_more_and_whole_errors(void **state)
{
	(void)state;
	show(200, 60);
	assert_non_null(strstr(line("SERVICE"), "MODE"));
	assert_non_null(strstr(line("SERVICE"), "ADDRESS"));
	assert_non_null(strstr(line("SERVICE"), "OUTAGES"));
	assert_null(strstr(line("SERVICE"), "WORK/s"));
	assert_non_null(strstr(line("database-of-the-north-sea-pilots session HOLD      2min 5s"),
	    "10.0.0.5:5432: Connection refused"));
}

static void
states_have_their_looks(void **state)
{
	(void)state;
	show(80, 24);
	assert_int_equal(look("UP         1h"), SCREEN_UP);
	assert_int_equal(look("HOLD     2min"), SCREEN_HOLD);
	assert_int_equal(look("CLOSED   1min"), SCREEN_CLOSED);
	assert_int_equal(top_view_look("DOWN"), SCREEN_DOWN);
	assert_int_equal(top_view_look("PAUSED"), SCREEN_PAUSED);
	assert_int_equal(look("SERVICE"), SCREEN_HEAD);
	assert_true(seen_line(screen, 5)->chosen);
}

/* Whatever the size and the page, lines have their width, the right number, and nothing else. */
static void
every_size_is_kept(void **state)
{
	static const enum top_page pages[] = { TOP_TABLE, TOP_EXPLAIN, TOP_HELP };

	(void)state;
	scene.away = "nobody listens";
	scene.history = json_pack("{s:[{s:s, s:s, s:s}]}", "entries", "time", ago(5), "event", "disconnected", "text",
	    "10.0.0.5:5432: ended by the server after a long time");
	for (size_t page = 0; page < sizeof pages / sizeof pages[0]; page++)
		for (int width = 1; width < 240; width++)
			for (int height = 1; height < 40; height += height < 18 ? 1 : 7) {
				view.page = pages[page];
				show(width, height);
				assert_true(screen->count <= height + 1);
				for (int i = 0; i < height; i++)
					assert_true(screen_width(screen, line_at(i)) <= width);
			}
	json_decref((json_t *)(uintptr_t)scene.history);
}

static void
many_services_scroll_so_that_the_chosen_one_is_seen(void **state)
{
	json_t *services = json_array();
	char name[32];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "s%d", i);
		json_array_append_new(services, service(name, "connected", true, 60));
	}
	sample_free(sample);
	scene.sample = sample = take(NULL, services);
	top_state_arrange(&view, sample);
	show(80, 24);
	assert_string_equal(line("s16 "),
	    "s16     UP       1min       0    0    -     -      -                            ");
	assert_non_null(strstr(line("q quit"), "1-17 of 1000"));
	top_state_key(&view, TOP_KEY_END);
	top_state_arrange(&view, sample);
	show(80, 24);
	assert_non_null(strstr(line("q quit"), "984-1000 of 1000"));
	assert_true(seen_line(screen, 21)->chosen);
	assert_memory_equal(line_at(21), "s999", 4);
}

static void
an_absent_daemon_and_bad_files_are_said(void **state)
{
	(void)state;
	json_object_set_new(sample->answer, "config_error", json_string("a.conf:3: mode: bad"));
	scene.away = "nobody listens at /run/x";
	scene.away_seconds = 65;
	show(80, 24);
	assert_string_equal(line("configuration"),
	    "configuration files are bad, the one before is in force: a.conf:3: mode: bad");
	assert_int_equal(look("no answer for 1min 5s: nobody listens at /run/x"), SCREEN_ALARM);
	scene.sample = NULL;
	show(80, 24);
	assert_int_equal(look("no answer for"), SCREEN_ALARM);
}

static void
a_filter_says_how_many_it_hides(void **state)
{
	(void)state;
	snprintf(view.filter, sizeof view.filter, "web");
	top_state_arrange(&view, sample);
	show(80, 24);
	assert_non_null(strstr(line("filter: web  hides 2 of 3"), "1-1 of 1"));
	view.typing = true;
	show(80, 24);
	assert_non_null(strstr(line("filter: web_"), "Esc clear"));
	snprintf(view.filter, sizeof view.filter, "nothing");
	top_state_arrange(&view, sample);
	show(80, 24);
	assert_string_equal(line("No service"), "No service matches the filter.");
}

static void
the_story_of_a_service_is_folded_and_followed(void **state)
{
	json_t *entries = json_array();

	(void)state;
	for (int i = 0; i < 30; i++)
		json_array_append_new(entries, json_pack("{s:s, s:s, s:s}", "time", ago(100 - i), "event",
		    "failed_to_connect", "text", "10.0.0.5:5432: Connection refused; next attempt in 9.1 s"));
	scene.history = json_pack("{s:o}", "entries", entries);
	top_state_key(&view, TOP_KEY_ENTER);
	show(80, 24);
	assert_string_equal(line("database"),
	    "database-of-the-north-sea-pilots  HOLD for 2min 5s: 10.0.0.5:5432: Connection r\u2026");
	assert_string_equal(line_at(22), "                                       attempt in 9.1 s");
	assert_string_equal(line_at(21),
	    "11-25 23:58:49  failed_to_connect      10.0.0.5:5432: Connection refused; next");
	assert_non_null(strstr(line("Esc back"), "42-60 of 60"));
	top_state_key(&view, TOP_KEY_HOME);
	show(200, 60);
	assert_string_equal(line_at(4), "2025-11-25T23:58:20.000Z  failed_to_connect      10.0.0.5:5432: "
	    "Connection refused; next attempt in 9.1 s");
	json_decref((json_t *)(uintptr_t)scene.history);
}

static json_t *
endpoint(const char *address, const char *state, int connections)
{
	return json_pack("{s:s, s:s, s:i, s:s, s:s}", "address", address, "state", state, "connections", connections,
	    "failed_until", ago(-8), "last_error", "hello: no answer within 5.0 s");
}

static void
endpoints_have_their_stories_above_the_services(void **state)
{
	json_t *list = json_pack("[o, o, o]", endpoint("10.0.0.5:5432", "failed", 0),
	    endpoint("10.0.0.6:5432", "withdrawn", 3), endpoint("10.0.0.7:5432", "ok", 2));

	(void)state;
	scene.history = json_pack("{s:[], s:o}", "entries", "endpoints", list);
	top_state_key(&view, TOP_KEY_ENTER);
	show(100, 24);
	assert_string_equal(line_at(2),
	    "10.0.0.5:5432 failed: hello: no answer within 5.0 s; tried again in 8.0 s");
	assert_int_equal(look("10.0.0.5:5432 failed"), SCREEN_DOWN);
	assert_string_equal(line_at(3), "10.0.0.6:5432 withdrawn by the lookup; connections left: 3");
	assert_int_equal(look("10.0.0.6:5432"), SCREEN_HOLD);
	assert_string_equal(line_at(4), "10.0.0.7:5432 ok; connections: 2");
	show(100, 12);
	assert_null(strstr(line("TIME"), "10.0.0.7"));
	for (int i = 0; i < 61; i++)
		json_array_append_new(list, endpoint("10.0.0.8:5432", "ok", 0));
	show(100, 24);
	assert_string_equal(line_at(7), "59 more: holdfastctl endpoints");
	json_decref((json_t *)(uintptr_t)scene.history);
}

static void
numbers_take_four_characters_at_most(void **state)
{
	static const struct { double number; unsigned unit; const char *text; } rows[] = {
		{ 0, 1000, "0" }, { 7, 1000, "7" }, { 7.25, 1000, "7.2" }, { 9.96, 1000, "10" }, { 999, 1000, "999" },
		{ 999.6, 1000, "1.0K" }, { 1234, 1000, "1.2K" }, { 1023, 1024, "1.0K" },
		{ 34.0 * 1048576, 1024, "34M" },
		{ 1e18, 1000, "1.0E" }, { 0.4, 1000, "0.4" }, { 0.01, 1000, "0.0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_string_equal(top_view_short(rows[i].number, rows[i].unit), rows[i].text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_terminal_of_80_columns_has_the_main_ones),
		TEST(a_wide_terminal_has_more_and_whole_errors),
		TEST(states_have_their_looks),
		TEST(every_size_is_kept),
		TEST(many_services_scroll_so_that_the_chosen_one_is_seen),
		TEST(an_absent_daemon_and_bad_files_are_said),
		TEST(a_filter_says_how_many_it_hides),
		TEST(the_story_of_a_service_is_folded_and_followed),
		TEST(endpoints_have_their_stories_above_the_services),
		TEST(numbers_take_four_characters_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

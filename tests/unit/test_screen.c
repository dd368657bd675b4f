#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "screen_lines.h"

static struct screen *screen;

static int
setup(void **state)
{
	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	screen = screen_new(10, 3, false);
	screen_line(screen, AS_PLAIN);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	screen_free(screen);
	return 0;
}

static const char *
line(int i)
{
	return seen_line(screen, i)->text;
}

static void
text_is_cut_or_filled_to_its_width(void **state)
{
	(void)state;
	screen_put_cell(screen, SCREEN_PLAIN, -4, "ab");
	screen_put_cell(screen, SCREEN_PLAIN, 4, "cd");
	screen_put_cell(screen, SCREEN_PLAIN, -2, "efg");
	assert_string_equal(line(0), "ab    cde…");
	assert_int_equal(screen_room(screen), 0);
	screen_put(screen, "x");
	assert_string_equal(line(0), "ab    cde…");
}

static void
no_line_is_wider_than_the_screen(void **state)
{
	(void)state;
	screen_put(screen, AS_BOLD "12345" AS_PLAIN "678901234");
	assert_string_equal(line(0), "123456789…");
	screen_line(screen, AS_PLAIN);
	screen_put_cell(screen, SCREEN_PLAIN, 100, "x");
	assert_string_equal(line(1), "         x");
	screen_line(screen, AS_PLAIN);
	screen_put(screen, "1234567");
	screen_put_cell(screen, SCREEN_PLAIN, screen_room(screen), "ab");
	assert_string_equal(line(2), "1234567 ab");
}

static void
wide_and_combining_characters_count_as_they_are_shown(void **state)
{
	(void)state;
	assert_int_equal(screen_width(screen, "日本"), 4);
	assert_int_equal(screen_width(screen, "e\u0301x"), 2);
	screen_put_cell(screen, SCREEN_PLAIN, -4, "日本語");
	assert_string_equal(line(0), "日… ");
	assert_int_equal(screen->column, 4);
	screen_put_cell(screen, SCREEN_PLAIN, -3, "日");
	assert_string_equal(line(0), "日… 日 ");
}

static void
what_cannot_be_shown_is_a_question_mark(void **state)
{
	(void)state;
	screen_put(screen, "\x1b[2J\xf4\xc3\xe6\x97" "a\nb");
	assert_string_equal(line(0), "?[2J????a…");
	screen->ascii = true;
	screen_line(screen, AS_PLAIN);
	screen_put(screen, "é日x1234567890");
	assert_string_equal(line(1), "??x123456~");
}

static void
nothing_is_put_on_a_full_screen(void **state)
{
	(void)state;
	assert_int_equal(screen_left(screen), 2);
	screen_line(screen, AS_PLAIN);
	screen_line(screen, AS_PLAIN);
	assert_int_equal(screen_left(screen), 0);
	for (int i = 0; i < 5; i++)
		screen_line(screen, AS_PLAIN);
	assert_int_equal(screen_room(screen), 0);
	screen_put(screen, "x");
	screen_put(screen, AS_CHOSEN);
	assert_string_equal(line(2), "");
	assert_false(seen_line(screen, 2)->chosen);
}

static void
bytes_say_how_the_parts_look(void **state)
{
	const struct seen *seen;

	(void)state;
	screen_put(screen, AS_CHOSEN AS_BOLD "%s%cé", "ab", SCREEN_MARK(SCREEN_UP));
	screen_put_cell(screen, SCREEN_CLOSED, 1, "7");
	seen = seen_line(screen, 0);
	assert_string_equal(seen->text, "abé7");
	assert_int_equal(seen->looks[1], SCREEN_BOLD);
	assert_int_equal(seen->looks[2], SCREEN_UP);
	assert_int_equal(seen->looks[4], SCREEN_CLOSED);
	assert_true(seen->chosen);
}

static void
of_a_page_those_lines_are_shown_that_have_a_place(void **state)
{
	struct screen *page = screen_new_page(screen);

	(void)state;
	for (int i = 0; i < 2000; i++) {
		screen_line(page, AS_PLAIN);
		if (i != 1997)
			screen_put(page, "%c%d", SCREEN_MARK(SCREEN_UP), i);
	}
	assert_int_equal(page->count, 2000);
	screen_put_lines(screen, page, 1996, 3);
	assert_string_equal(line(1), "1996");
	assert_int_equal(seen_line(screen, 1)->looks[0], SCREEN_UP);
	assert_string_equal(line(2), "");
	assert_int_equal(screen_left(screen), 0);
	screen_free(page);
}

static void
folding_breaks_at_blanks_and_comes_to_the_end(void **state)
{
	const char *text = "one two three", *next;

	(void)state;
	assert_int_equal(screen_fold(screen, text, 8, &next), 7);
	assert_string_equal(next, "three");
	assert_int_equal(screen_fold(screen, next, 8, &next), 5);
	assert_string_equal(next, "");
	assert_int_equal(screen_fold(screen, "abcdef", 4, &next), 4);
	assert_string_equal(next, "ef");
	assert_int_equal(screen_fold(screen, "日本", 1, &next), 3);
	assert_int_equal(screen_fold(screen, "one two", 3, &next), 3);
	assert_string_equal(next, "two");
}

static void
a_screen_has_a_least_and_a_greatest_size(void **state)
{
	(void)state;
	screen_free(screen);
	screen = screen_new(0, -5, false);
	assert_int_equal(screen->width, 1);
	assert_int_equal(screen->height, 1);
	screen_free(screen);
	screen = screen_new(100000, 100000, false);
	assert_int_equal(screen->width, SCREEN_SIDE);
	assert_int_equal(screen->height, SCREEN_SIDE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(text_is_cut_or_filled_to_its_width),
		TEST(no_line_is_wider_than_the_screen),
		TEST(wide_and_combining_characters_count_as_they_are_shown),
		TEST(what_cannot_be_shown_is_a_question_mark),
		TEST(nothing_is_put_on_a_full_screen),
		TEST(bytes_say_how_the_parts_look),
		TEST(of_a_page_those_lines_are_shown_that_have_a_place),
		TEST(folding_breaks_at_blanks_and_comes_to_the_end),
		TEST(a_screen_has_a_least_and_a_greatest_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

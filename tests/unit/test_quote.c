/* A text as a JSON string is what jansson reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "control/quote.h"

static void
expect(const char *bytes, size_t length)
{
	struct evbuffer *text = evbuffer_new(), *out = evbuffer_new();
	json_t *read;

	evbuffer_add(text, bytes, length);
	quote_text(text, out);
	assert_int_equal(evbuffer_get_length(text), 0);
	read = json_loadb((const char *)evbuffer_pullup(out, -1), evbuffer_get_length(out),
	    JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	assert_non_null(read);
	assert_int_equal(json_string_length(read), length);
	assert_memory_equal(json_string_value(read), bytes, length);
	json_decref(read);
	evbuffer_free(text);
	evbuffer_free(out);
}

static void
every_byte_comes_back(void **state)
{
	char all[128];

	(void)state;
	for (int i = 0; i < 128; i++)
		all[i] = (char)i;
	expect(all, sizeof all);
	expect("", 0);
	expect("a \"b\" \\ \303\244\n", 11);
}

static void
a_long_text_comes_back_whatever_it_grows_to(void **state)
{
	static char text[100000];

	(void)state;
	memset(text, 'x', sizeof text);
	expect(text, sizeof text);
	memset(text, '\001', sizeof text);
	expect(text, sizeof text);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 3 == 0 ? '"' : i % 7 == 0 ? '\n' : 'y';
	expect(text, sizeof text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_comes_back),
		cmocka_unit_test(a_long_text_comes_back_whatever_it_grows_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

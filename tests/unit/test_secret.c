/* What is a secret in arguments and variables, and what is shown in its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/secret.h"

static char *names[] = { "DATABASE", "p", NULL };

static const struct {
	const char *before, *text, *shown; /* shown NULL: as it is */
} rows[] = {
	{ NULL, "--token=abcd", "--token=***" },
	{ NULL, "token=abcd", "token=***" },
	{ NULL, "--api-key=abcd", "--api-key=***" },
	{ NULL, "API_KEY=abcd", "API_KEY=***" },
	{ NULL, "PGPASSWORD=abcd", "PGPASSWORD=***" },
	{ NULL, "db.passwd=abcd", "db.passwd=***" },
	{ NULL, "CLIENT_SECRET=a=b", "CLIENT_SECRET=***" },
	{ NULL, "Authorization: Bearer abcd", "Authorization: ***" },
	{ "--password", "abcd", "***" },
	{ "-P", "abcd", NULL },
	{ "-p", "abcd", "***" },
	{ "--password", "--verbose", NULL },
	{ "password", "abcd", NULL },
	{ "--token=x", "abcd", NULL },
	{ NULL, "DATABASE=abcd", "DATABASE=***" },
	{ NULL, "redis://user:abcd@host/0", "redis://user:***@host/0" },
	{ NULL, "URL=https://user:abcd@host", "URL=https://user:***@host" },
	{ NULL, "https://user@host:80/a:b@c", NULL },
	{ NULL, "MONKEY=1", NULL },
	{ NULL, "AUTHOR=me", NULL },
	{ NULL, "--keyspace=x", NULL },
	{ NULL, "--token=", NULL },
	{ NULL, "mymaster", NULL },
	{ NULL, "=x", NULL },
	{ NULL, "", NULL },
};

static void
a_value_is_hidden_by_its_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *shown = secret_hide(rows[i].text, rows[i].before, names);

		assert_string_equal(shown, rows[i].shown == NULL ? rows[i].text : rows[i].shown);
		assert_false(secret_is_hidden(rows[i].text, rows[i].before, names));
		assert_int_equal(secret_is_hidden(shown, rows[i].before, names), rows[i].shown != NULL);
		mem_free(shown);
	}
}

static void
a_secret_is_hidden_wherever_it_stands(void **state)
{
	char *list[] = { "--token", "s3cret", "user=me", "key=xy", "URL=redis://a:hidden@b", NULL };
	char text[] = "s3cret: curl --token s3cret of me with xy failed: hidden, s3cre";

	(void)state;
	secret_mask(text, list, NULL);
	assert_string_equal(text, "***: curl --token *** of me with xy failed: ***, s3cre");
	secret_mask(NULL, list, NULL);
	secret_mask(text, NULL, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_hidden_by_its_name),
		cmocka_unit_test(a_secret_is_hidden_wherever_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

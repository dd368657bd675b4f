/* test_config_reading.c - the configuration is read in a child: what is left of one that took too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/mem.h"
#include "config/load.h"
#include "stage.h"

struct outcome {
	bool done, taken;
	size_t errors;
};

static void
on_read(void *arg, struct config *config, char *text, struct config_errors *errors)
{
	struct outcome *outcome = arg;

	outcome->taken = config != NULL;
	outcome->errors = errors->count;
	outcome->done = true;
	config_free(config);
	mem_free(text);
	config_errors_clear(errors);
}

/* It takes so long to read that it is not done before the next line here is. */
static const char *
write_much(void)
{
	enum { SERVICES = 1000, SIZE = 48 };
	char *text = mem_new(SERVICES + 1, SIZE);
	size_t length = (size_t)sprintf(text, "services: {");
	const char *path;

	for (int i = 0; i < SERVICES; i++)
		length += (size_t)sprintf(text + length, " s%d: { address = \"127.0.0.1:1\"; };", i);
	sprintf(text + length, " };");
	path = stage_write("m.conf", text, 0600);
	mem_free(text);
	return path;
}

/* One that is stopped stands for one that hangs at a dead mount: it uses nothing of the processor. */
static void
a_child_that_took_too_long_leaves_no_zombie(void **state)
{
	const char *path = write_much();
	struct outcome outcome = { false, false, 0 };
	volatile int32_t group = 0;

	(void)state;
	config_load_start(stage_loop, path, CLOCK_SECOND / 5, &group, on_read, &outcome);
	while (group == 0)
		continue;
	assert_int_equal(kill(-group, SIGSTOP), 0);
	assert_true(stage_run(&outcome.done, 5 * CLOCK_SECOND));
	assert_false(outcome.taken);
	assert_int_equal(outcome.errors, 1);
	assert_int_equal(group, 0);
	assert_true(stage_no_children());
}

static void
who_gets_little_of_the_processor_has_longer(void **state)
{
	(void)state;
	assert_false(child_is_late(29, 5, 5, 30));
	assert_true(child_is_late(30, 5, 5, 30));
	assert_false(child_is_late(30, 5, 6, 30));
	assert_true(child_is_late(30, 5, 30, 30));
	assert_false(child_is_late(359, 5, 6, 30));
	assert_true(child_is_late(360, 5, 6, 30));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_that_took_too_long_leaves_no_zombie),
		cmocka_unit_test(who_gets_little_of_the_processor_has_longer),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}

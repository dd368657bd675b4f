/* test_upstream_still.c - what upstream/upstream says of a service that stays down. */
#include "upstream_world.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "upstream/upstream_parts.h"

/* Whether a look at the time says so. */
static bool
says_still_down(void)
{
	FILE *log = tmpfile();
	int old = dup(STDERR_FILENO);
	char line[512] = "";
	bool said;

	log_open(LOG_TARGET_STDERR, LOG_LEVEL_WARNING);
	dup2(fileno(log), STDERR_FILENO);
	upstream_on_still(-1, 0, w.upstream);
	dup2(old, STDERR_FILENO);
	close(old);
	rewind(log);
	said = fgets(line, sizeof line, log) != NULL;
	fclose(log);
	if (said && (strstr(line, "test: still down since 20") == NULL ||
	    strstr(line, "Connection refused") == NULL || strstr(line, "; next attempt in") == NULL))
		fail_msg("%s", line);
	return said;
}

static void
a_service_that_stays_down_says_so_once_a_minute(void **state)
{
	uint16_t port = 0;
	int listener = world_listen(&port);

	(void)state;
	close(listener);
	world_make(port, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().state == UPSTREAM_WAITING);
	assert_true(loop_timer_is_set(&w.upstream->still));
	assert_in_range(w.upstream->record->still_down_at - clock_now(), 58 * CLOCK_SECOND, 60 * CLOCK_SECOND);
	assert_false(says_still_down());
	for (int minute = 0; minute < 3; minute++) {
		w.upstream->record->still_down_at = clock_now();
		assert_true(says_still_down());
		assert_false(says_still_down());
		assert_true(loop_timer_is_set(&w.upstream->still));
	}
	world_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_that_stays_down_says_so_once_a_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

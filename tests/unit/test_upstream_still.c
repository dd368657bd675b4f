/* test_upstream_still.c - what upstream/upstream_log says of a service that stays down. */
#include "upstream_world.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "upstream/machine.h"
#include "upstream/upstream_log.h"

/* Whether a look at the time says so. */
static bool
says_still_down(struct upstream_log *told)
{
	FILE *log = tmpfile();
	int old = dup(STDERR_FILENO);
	char line[512] = "";
	bool said;

	log_open(LOG_TARGET_STDERR, LOG_LEVEL_WARNING);
	dup2(fileno(log), STDERR_FILENO);
	upstream_log_note_state(told, false, false);
	world_turn();
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
	struct upstream_record *record;
	struct upstream_context context;
	struct upstream_log *told;

	(void)state;
	close(listener);
	world_make(port, 0);
	world_begin();
	RUN_UNTIL(1000, world_status().state == UPSTREAM_WAITING);
	record = record_of(&w.table, SERVICE);
	context = (struct upstream_context){ .loop = w.loop, .table = &w.table, .service = SERVICE, .record = record,
		.name = w.table.services[SERVICE].name, .settings = &w.settings };
	told = upstream_log_new(&context);
	assert_in_range(record->still_down_at - clock_now(), 58 * CLOCK_SECOND, 60 * CLOCK_SECOND);
	assert_false(says_still_down(told));
	for (int minute = 0; minute < 3; minute++) {
		record->still_down_at = clock_now();
		assert_true(says_still_down(told));
		assert_in_range(record->still_down_at - clock_now(), 58 * CLOCK_SECOND, 60 * CLOCK_SECOND);
		assert_false(says_still_down(told));
	}
	upstream_log_free(told);
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

/* test_outages.c - when a service was down, as the table keeps it (struct table_outage). */
#include "upstream_world.h"
#include "keep/redo.h"
#include "upstream/machine.h"
#include "upstream/record.h"
#include "upstream/upstream_log.h"

#define BEGIN_WORDS 5 /* of the redo record */
#define END_WORDS   4

static struct upstream_context context;
static struct upstream_log *told;

static void
on_event(void *arg, const struct table_service *service, const struct upstream_event *event)
{
	(void)arg;
	(void)service;
	(void)event;
}

static const struct upstream_watcher watcher = { .event = on_event };

static struct table_service *
service(void)
{
	return &w.table.services[SERVICE];
}

static struct table_outage
newest(void)
{
	assert_true(service()->outages_next > 0);
	return service()->outages[(service()->outages_next - 1) % TABLE_OUTAGES];
}

/* The machine has stepped: the event is what it reports. */
static void
step(enum pconn_state state, enum pconn_report event)
{
	record_current(context.record)->pconn = (struct pconn){ .state = (uint8_t)state, .event = (uint8_t)event,
		.last = event == PCONN_REPORT_FAILED };
}

static void
report(enum pconn_state state, enum pconn_report event)
{
	step(state, event);
	upstream_log_report(told);
}

static void
lose(void)
{
	report(PCONN_DISCONNECTED, PCONN_REPORT_DISCONNECTED);
}

static void
fail_attempt(void)
{
	report(PCONN_FAILED, PCONN_REPORT_FAILED);
}

static void
connect_again(void)
{
	report(PCONN_CONNECTED, PCONN_REPORT_CONNECTED);
}

static void
an_outage_is_kept_once_from_its_start_to_its_end(void **state)
{
	int64_t before = clock_wall(), from;

	(void)state;
	connect_again();
	assert_int_equal(service()->outages_next, 0);
	lose();
	from = newest().from;
	assert_in_range(from, before, clock_wall());
	assert_int_equal(newest().to, 0);
	fail_attempt();
	fail_attempt();
	assert_int_equal(service()->outages_next, 1);
	assert_int_equal(newest().from, from);
	assert_int_equal(newest().to, 0);
	connect_again();
	connect_again();
	assert_int_equal(service()->outages_next, 1);
	assert_int_equal(newest().from, from);
	assert_in_range(newest().to, from, clock_wall());
	assert_int_equal(context.record->counters.outages, 1);
}

static void
the_first_attempt_that_fails_is_one(void **state)
{
	(void)state;
	step(PCONN_FAILED, PCONN_REPORT_FAILED);
	record_current(context.record)->pconn.last = 0; /* other endpoints are tried */
	upstream_log_report(told);
	assert_int_equal(service()->outages_next, 0);
	fail_attempt();
	assert_int_equal(service()->outages_next, 1);
}

static void
what_somebody_wants_is_none(void **state)
{
	(void)state;
	connect_again();
	upstream_log_set_purpose(told, "paused by an operator");
	lose();
	connect_again();
	service()->failing.value = (uint64_t)clock_after(clock_now(), CLOCK_SECOND);
	lose();
	fail_attempt();
	connect_again();
	assert_int_equal(service()->outages_next, 0);
	assert_int_equal(context.record->counters.outages, 0);
}

static void
the_last_32_are_kept_in_their_order(void **state)
{
	const struct table_outage *one;
	int64_t before = 0;

	(void)state;
	for (unsigned i = 0; i < 2 * TABLE_OUTAGES + 5; i++) {
		lose();
		connect_again();
	}
	assert_int_equal(service()->outages_next, 2 * TABLE_OUTAGES + 5);
	for (uint64_t i = service()->outages_next - TABLE_OUTAGES; i < service()->outages_next; i++) {
		one = &service()->outages[i % TABLE_OUTAGES];
		assert_true(one->from >= before && one->to >= one->from);
		before = one->to;
	}
	lose();
	assert_int_equal(newest().to, 0);
	assert_true(newest().from >= before);
}

/* A death in the middle of the change: it is taken back, and the redo record, of so many words, applied. */
static void
replay(const struct table_service *before, const struct table_service *after, uint32_t words)
{
	size_t end = sizeof *before - offsetof(struct table_service, outages_next);
	const struct upstream_record *record = (const void *)after->upstream;

	memcpy(service(), before, sizeof *before);
	w.table.header->redo.count = words;
	redo_replay(&w.table);
	assert_memory_equal(&service()->outages_next, &after->outages_next, end);
	assert_memory_equal(service()->histogram, after->histogram, sizeof after->histogram);
	assert_int_equal(context.record->outage_at, record->outage_at);
	assert_int_equal(context.record->counters.outages, record->counters.outages);
	memcpy(service(), after, sizeof *after);
}

static void
a_death_changes_all_of_it_or_nothing(void **state)
{
	static struct table_service before, after;

	(void)state;
	before = *service();
	lose();
	after = *service();
	replay(&before, &after, BEGIN_WORDS);
	before = after;
	connect_again();
	after = *service();
	replay(&before, &after, END_WORDS);
}

/* The machine's step is committed before its event is told. */
static void
a_death_before_the_end_is_told_leaves_none_open(void **state)
{
	(void)state;
	lose();
	step(PCONN_CONNECTED, PCONN_REPORT_CONNECTED);
	upstream_log_free(told);
	told = upstream_log_new(&context);
	assert_int_equal(service()->outages_next, 1);
	assert_true(newest().to >= newest().from);
	assert_true(upstream_log_is_well(told, false));
	lose();
	assert_int_equal(service()->outages_next, 2);
	upstream_log_free(told);
	told = upstream_log_new(&context);
	assert_int_equal(newest().to, 0);
}

static int
setup(void **state)
{
	(void)state;
	world_make(1, 0);
	context = (struct upstream_context){ .loop = w.loop, .table = &w.table, .service = SERVICE,
		.record = record_of(&w.table, SERVICE), .name = service()->name, .settings = &w.settings,
		.watcher = &watcher };
	told = upstream_log_new(&context);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	upstream_log_free(told);
	world_end();
	return 0;
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(an_outage_is_kept_once_from_its_start_to_its_end),
		ROW(the_first_attempt_that_fails_is_one),
		ROW(what_somebody_wants_is_none),
		ROW(the_last_32_are_kept_in_their_order),
		ROW(a_death_changes_all_of_it_or_nothing),
		ROW(a_death_before_the_end_is_told_leaves_none_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Subscribers of events, and the history. */
#include "control_side.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static struct table_service services[2] = { { .name = "one" }, { .name = "two" } };

static void
publish(int service, enum upstream_event_kind kind, const char *address, const char *error)
{
	struct upstream_event event = { .kind = kind, .address = address, .error = error, .failures = 3 };

	events_publish(side.events, &services[service], &event);
}

static void
events_of_the_service_asked_for_are_told(void **state)
{
	int all = side_client(), one = side_client();

	(void)state;
	side_put(all, "events\n");
	side_put(one, "events one\n");
	for (int i = 0; i < 10; i++)
		side_turn();
	publish(1, UPSTREAM_FAILED, "", "Connection refused");
	publish(0, UPSTREAM_CONNECTED, "127.0.0.1:1", "");
	side_expect_ok(all, "error", "\"Connection refused\"");
	side_expect_ok(all, "service", "\"one\"");
	side_expect_ok(one, "address", "\"127.0.0.1:1\"");
	close(all);
	close(one);
}

static void
a_reader_of_events_that_never_reads_is_told_how_many_it_missed(void **state)
{
	int fd = side_client(), told = 0, missed = -1;
	json_t *event;

	(void)state;
	side_put(fd, "events\n");
	for (int i = 0; i < 10; i++)
		side_turn();
	for (int i = 0; i < 20000; i++) {
		publish(0, UPSTREAM_FAILED, "", "a reason of some length, so that the buffers are full soon");
		if (i % 100 == 0)
			side_turn();
	}
	while (missed == -1) {
		event = side_get(fd);
		if (strcmp(json_string_value(json_object_get(event, "event")), "missed") == 0)
			missed = (int)json_integer_value(json_object_get(event, "missed"));
		else
			told++;
		json_decref(event);
	}
	assert_in_range(told, 100, 10000);
	assert_int_equal(told + missed, 20000);
	publish(0, UPSTREAM_CONNECTED, "127.0.0.1:1", "");
	side_expect_ok(fd, "address", "\"127.0.0.1:1\"");
	close(fd);
}

static void
last_events_of_removed_services_are_forgotten_in_the_end(void **state)
{
	struct upstream_event event = { .kind = UPSTREAM_CONNECTED, .address = "127.0.0.1:1", .error = "" };
	struct table_service *service = mem_new(1, sizeof *service);
	int fd = side_client();

	(void)state;
	publish(0, UPSTREAM_FAILED, "", "long ago");
	publish(1, UPSTREAM_FAILED, "", "a moment ago");
	for (unsigned i = 1; i < TABLE_SERVICES; i++) {
		snprintf(service->name, sizeof service->name, "service-%u", i);
		events_publish(side.events, service, &event);
	}
	side_put(fd, "last one\nlast two\nlast service-1\n");
	side_expect_ok(fd, "told", "true");
	side_expect_ok(fd, "error", "\"a moment ago\"");
	side_expect_ok(fd, "told", "true");
	side_expect_ok(fd, "address", "\"127.0.0.1:1\"");
	mem_free(service);
	close(fd);
}

static void
the_history_is_told_from_the_oldest_entry_kept(void **state)
{
	struct table_service *service = mem_new(1, sizeof *service);
	json_t *entries = events_history(service);

	(void)state;
	assert_int_equal(json_array_size(entries), 0);
	assert_null(events_last(service));
	json_decref(entries);
	for (service->history_next = 0; service->history_next < 70; service->history_next++) {
		struct table_event *entry = &service->history[service->history_next % TABLE_HISTORY];

		entry->kind = service->history_next == 69 ? UPSTREAM_NOTE : UPSTREAM_FAILED;
		snprintf(entry->text, sizeof entry->text, "%d", (int)service->history_next);
	}
	entries = events_history(service);
	assert_int_equal(json_array_size(entries), TABLE_HISTORY);
	assert_string_equal(json_string_value(json_object_get(json_array_get(entries, 0), "text")), "6");
	assert_string_equal(events_last(service)->text, "68");
	json_decref(entries);
	mem_free(service);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SIDE_TEST(events_of_the_service_asked_for_are_told),
		SIDE_TEST(a_reader_of_events_that_never_reads_is_told_how_many_it_missed),
		SIDE_TEST(last_events_of_removed_services_are_forgotten_in_the_end),
		SIDE_TEST(the_history_is_told_from_the_oldest_entry_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

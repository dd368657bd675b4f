/* The table: records and buffers that are taken and given back, what is derived again, and its small texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "keep_side.h"

static struct table table;

static int
set_up(void **state)
{
	(void)state;
	return table_new(100, &table);
}

static int
tear_down(void **state)
{
	(void)state;
	table_free(&table);
	return 0;
}

static void
a_new_table_has_its_capacities(void **state)
{
	(void)state;
	assert_memory_equal(table.shape.magic, TABLE_MAGIC, 8);
	assert_int_equal(table.shape.layout, TABLE_LAYOUT);
	assert_int_equal(table.shape.files, 101);
	for (int i = 0; i < TABLE_FILES; i++)
		assert_true(i == TABLE_FILE_MEMORY || table.header->file[i] == -1);
}

static void
claims_are_free_until_they_are_committed(void **state)
{
	uint32_t a = table_client_claim(&table), b = table_client_claim(&table);

	(void)state;
	assert_int_not_equal(a, 0);
	assert_int_not_equal(b, a);
	assert_int_equal(table_client_state(&table, a), TABLE_FREE);
	assert_int_equal(table.clients[a].fd, -1);
	assert_int_equal(table.clients[a].conn, 0);
	assert_true(table.clients[b].id > table.clients[a].id);
	table_client_set(&table, a, TABLE_LIVE);
	assert_true(table_client_is_held(&table, a));
}

static void
a_freed_record_comes_back_with_the_next_generation(void **state)
{
	uint32_t a = table_client_claim(&table);
	uint64_t id = table.clients[a].id;

	(void)state;
	table_client_set(&table, a, TABLE_LIVE);
	table.clients[a].bytes[0] = 7;
	table.clients[a].flags = TABLE_CLIENT_LAST;
	table_client_free(&table, a);
	assert_int_equal(TABLE_GENERATION(table.clients[a].word), 1);
	assert_int_equal(table_client_claim(&table), a);
	assert_int_equal(TABLE_GENERATION(table.clients[a].word), 1);
	assert_int_equal(table.clients[a].bytes[0], 0);
	assert_int_equal(table.clients[a].flags, 0);
	assert_true(table.clients[a].id > id);
}

static void
all_records_can_be_used_and_not_one_more(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++)
		table_client_set(&table, table_client_claim(&table), TABLE_LIVE);
	assert_int_equal(table_client_claim(&table), 0);
	table_client_free(&table, 50);
	assert_int_equal(table_client_claim(&table), 50);
}

static void
connections_are_claimed_and_freed_as_clients_are(void **state)
{
	uint32_t a = table_conn_claim(&table), b = table_conn_claim(&table);

	(void)state;
	assert_int_equal(table_conn_state(&table, a), TABLE_FREE);
	assert_int_equal(table.conns[a].fd, -1);
	assert_int_equal(table.conns[a].role, TABLE_ROLE_NEXT);
	table_conn_set(&table, a, TABLE_READY);
	table.conns[a].flags = TABLE_CONN_TUNED;
	table_conn_free(&table, a);
	table_derive(&table); /* b was not committed */
	assert_int_equal(table_conn_claim(&table), a);
	assert_int_equal(TABLE_GENERATION(table.conns[a].word), 1);
	assert_int_equal(table.conns[a].flags, 0);
	assert_int_equal(table_conn_claim(&table), b);
	while (table_conn_claim(&table) != 0)
		;
	assert_int_equal(table.header->conn_high, table.shape.files);
}

static void
a_connection_is_in_use_while_a_client_names_it(void **state)
{
	uint32_t conn = side_conn(&table, TABLE_READY, -1), held = side_client(&table, -1);

	(void)state;
	side_session(&table, -1, -1); /* shares one */
	assert_false(table_conn_is_taken(&table, conn));
	table_client_take(&table, held, conn);
	assert_true(table_conn_is_taken(&table, conn));
	assert_false(table_client_is_held(&table, held));
	assert_true(table_client_is_open(&table, held));
	assert_int_equal(table_client_own(&table, held), conn);
	table_derive(&table);
	assert_true(table_conn_is_taken(&table, conn));
	table_client_close(&table, held);
	assert_false(table_conn_is_taken(&table, conn));
	assert_int_equal(table_conn_state(&table, conn), TABLE_FREE);
}

/* Ends what is of the other service, so that its records come from the middle and from both ends. */
static void
the_records_of_a_service_are_found_in_the_order_in_which_they_came(void **state)
{
	uint32_t client[6], found, count = 0;

	(void)state;
	for (uint32_t i = 0; i < 6; i++) {
		client[i] = table_client_claim(&table);
		table.clients[client[i]].service = i == 1 || i == 4;
		table_client_set(&table, client[i], TABLE_LIVE);
	}
	assert_int_equal(table_client_next(&table, 1, 0), client[1]);
	assert_int_equal(table_client_next(&table, 1, client[1]), client[4]);
	assert_int_equal(table_client_next(&table, 1, client[4]), 0);
	assert_int_equal(table_client_next(&table, 2, 0), 0);
	for (uint32_t i = 0; i < 6; i += 2)
		table_client_close(&table, client[i == 4 ? 5 : i]);
	for (int derived = 0; derived < 2; derived++) {
		assert_int_equal(table_client_next(&table, 0, 0), client[3]);
		assert_int_equal(table_client_next(&table, 0, client[3]), 0);
		assert_int_equal(table_client_next(&table, 1, 0), client[1]);
		table_derive(&table);
	}
	client[0] = table_client_claim(&table);
	table_client_set(&table, client[0], TABLE_LIVE);
	for (found = 0; (found = table_client_next(&table, 0, found)) != 0; count++)
		assert_int_equal(found, count == 0 ? client[3] : client[0]);
	assert_int_equal(count, 2);
}

static void
connections_are_counted_by_endpoint_and_those_that_are_left_behind_apart(void **state)
{
	uint16_t numbers[TABLE_ENDPOINTS] = { [1] = TABLE_ENDPOINTS + 1, [2] = TABLE_ENDPOINTS + 2 };
	uint32_t left[2], stays;

	(void)state;
	table_derive(&table);
	for (size_t i = 0; i < 2; i++) {
		left[i] = side_conn(&table, TABLE_DIALLING, -1);
		table.conns[left[i]].endpoint = numbers[1];
	}
	stays = side_conn(&table, TABLE_DIALLING, -1);
	table.conns[stays].endpoint = numbers[2];
	table_name_endpoints(&table, 0, numbers, 10);
	table_conn_set(&table, left[0], TABLE_READY);
	table_conn_set(&table, left[1], TABLE_READY);
	table_conn_set(&table, stays, TABLE_READY);
	assert_int_equal(table_conns_open(&table, 0, numbers[1]), 2);
	assert_int_equal(table_conns_open(&table, 0, 0), 0);

	numbers[1] += TABLE_ENDPOINTS; /* another has its place */
	table_name_endpoints(&table, 0, numbers, 20);
	table_name_endpoints(&table, 0, numbers, 30);
	assert_int_equal(table_conns_open(&table, 0, numbers[1]), 0);
	assert_int_equal(table_conns_open(&table, 0, numbers[2]), 1);
	assert_int_equal(table_conns_open(&table, 0, 0), 2);
	assert_int_equal(table.conns[left[0]].left_at, 20);
	assert_int_equal(table.conns[stays].left_at, 0);
	table_conn_free(&table, left[1]);
	assert_int_equal(table_conns_open(&table, 0, 0), 1);

	table_derive(&table); /* a new worker, whom nobody has named them yet */
	assert_int_equal(table_conns_open(&table, 0, numbers[2]), 1);
	table_name_endpoints(&table, 0, numbers, 40);
	assert_int_equal(table_conns_open(&table, 0, numbers[1]), 0);
	assert_int_equal(table_conns_open(&table, 0, 0), 1);
	assert_int_equal(table.conns[left[0]].left_at, 20);
	table_conn_free(&table, left[0]);
	table_conn_free(&table, stays);
	assert_int_equal(table_conns_open(&table, 0, 0), 0);
	assert_int_equal(table_conns_open(&table, 0, numbers[2]), 0);
}

static void
a_connection_that_is_shared_says_whether_it_stood_by(void **state)
{
	uint32_t next = side_conn(&table, TABLE_READY, -1), standby = side_conn(&table, TABLE_READY, -1);

	(void)state;
	table.conns[standby].role = TABLE_ROLE_STANDBY;
	assert_false(table_conn_is_shared(&table, next));
	assert_false(table_conn_is_shared(&table, standby));
	table_conn_share(&table, next);
	table_conn_share(&table, standby);
	assert_int_equal(table.conns[next].role, TABLE_ROLE_SHARED);
	assert_int_equal(table.conns[standby].role, TABLE_ROLE_TAKEOVER);
	assert_true(table_conn_is_shared(&table, next));
	assert_true(table_conn_is_shared(&table, standby));
	table_conn_set(&table, next, TABLE_CLOSING);
	assert_false(table_conn_is_shared(&table, next));
}

static void
what_was_claimed_and_not_committed_is_derived_as_free(void **state)
{
	uint32_t held = side_client(&table, -1), lost = table_client_claim(&table);
	uint32_t kept, lost_buffer;

	(void)state;
	side_put(&table, held, TABLE_UP, "kept");
	kept = table.clients[held].buffer[TABLE_UP];
	lost_buffer = buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE);
	table_derive(&table);
	assert_int_equal(table_client_claim(&table), lost);
	assert_int_equal(buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE), lost_buffer);
	assert_int_not_equal(buffers_claim(&table, side_payer, TABLE_BUFFER_SIZE), kept);
	assert_int_equal(table.buffers[kept].tail, 4);
	assert_memory_equal(buffers_bytes(&table, kept), "kept", 4);
}

static void
service_records_beyond_the_used_get_no_memory(void **state)
{
	off_t beyond = (off_t)((unsigned char *)&table.services[3] - (unsigned char *)table.header);

	(void)state;
	assert_int_equal(table_services_used(&table), 0);
	table.services[0].word = TABLE_LIVE;
	table.services[1].word = 1 << 8; /* was used */
	assert_int_equal(table_services_used(&table), 2);
	assert_true(lseek(table.header->file[TABLE_FILE_MEMORY], beyond, SEEK_DATA) != beyond);
}

static void
claim_and_lose(void *arg)
{
	(void)arg;
	table_client_claim(&table);
}

static void
free_one_with_a_generation(void *arg)
{
	uint32_t index;

	(void)arg;
	table_derive(&table);
	index = side_client(&table, -1);
	table_client_free(&table, index);
}

static void
generation_is_there(void *arg, bool finished)
{
	static uint32_t last;
	uint32_t generation = TABLE_GENERATION(table.clients[1].word);

	(void)arg;
	(void)finished;
	assert_true(generation > last);
	last = generation;
}

static void
a_death_in_a_claim_does_not_lose_the_generation(void **state)
{
	(void)state;
	if (!side_every_step(free_one_with_a_generation, claim_and_lose, generation_is_there, NULL))
		skip();
}

static void
assert_in_force(const char *expected)
{
	size_t length;
	char *text = table_config_copy(&table, &length);

	assert_int_equal(length, strlen(expected));
	assert_memory_equal(text, expected, length);
	mem_free(text);
}

static void
the_configuration_has_two_places(void **state)
{
	const char *first;

	(void)state;
	assert_int_equal(table_config_set(&table, "one", 3), 0);
	assert_in_force("one");
	first = table.config + (table.header->config_current & 1) * (size_t)TABLE_CONFIG_MAX;
	assert_int_equal(table_config_set(&table, "second", 6), 0);
	assert_in_force("second");
	assert_memory_equal(first, "one", 3);
	assert_int_equal(table_config_set(&table, "x", TABLE_CONFIG_MAX + 1), -E2BIG);
	assert_in_force("second");
}

/* Puts one configuration after the other in force, for ever: a long one in the one place, a short one in the other,
 * so that whoever copies the long one is overtaken. */
static void
put_in_force(void)
{
	static char text[1000000];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned i = 0;; i++) {
		size_t length = i % 2 == 0 ? sizeof text : 10;

		memset(text, 'a' + (int)(i % 26), length);
		table_config_set(&table, text, length);
		if (i % 2 == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL); /* else no copy ends */
	}
}

/* As the trial of an upgrade reads it, beside a worker that reloads: of a private mapping. */
static void
a_copy_of_the_configuration_is_of_one_moment(void **state)
{
	pid_t writer = fork();
	struct table copy;

	(void)state;
	if (writer == 0)
		put_in_force();
	assert_int_equal(table_open(dup(table.header->file[TABLE_FILE_MEMORY]), true, &copy), 0);
	for (unsigned long_ones = 0; long_ones < 300;) {
		size_t length, same = 0;
		char *text = table_config_copy(&copy, &length);

		while (same < length && text[same] == text[0])
			same++;
		assert_int_equal(same, length);
		long_ones += length > 10;
		mem_free(text);
	}
	table_free(&copy);
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
}

static void
the_history_is_a_ring_of_cut_texts(void **state)
{
	struct table_service *service = &table.services[3];
	char text[400];

	(void)state;
	for (unsigned i = 0; i < TABLE_HISTORY + 2; i++) {
		snprintf(text, sizeof text, "event %u", i);
		table_history_add(&table, 3, i, text);
	}
	assert_int_equal(service->history_next, TABLE_HISTORY + 2);
	assert_string_equal(service->history[1].text, "event 65");
	assert_string_equal(service->history[2].text, "event 2");
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	table_history_add(&table, 3, 0, text);
	assert_int_equal(strlen(service->history[2].text), sizeof service->history[2].text - 1);
}

static void
the_status_version_is_even_when_it_is_written(void **state)
{
	uint32_t before = table.header->status_version;

	(void)state;
	table_status_set(&table, "fine");
	assert_true(table.header->status_version > before);
	assert_int_equal(table.header->status_version % 2, 0);
	assert_string_equal(table.header->status, "fine");
	table.header->status_version |= 1; /* a death while writing */
	table_status_set(&table, "again");
	assert_int_equal(table.header->status_version % 2, 0);
}

static void
the_highest_file_number_is_kept(void **state)
{
	(void)state;
	assert_int_equal(table_note_file(&table, 700), 700);
	assert_int_equal(table_note_file(&table, 20), 20);
	assert_int_equal(table_note_file(&table, -1), -1);
	assert_int_equal(table.header->file_high, 700);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_table_has_its_capacities),
		TEST(claims_are_free_until_they_are_committed),
		TEST(a_freed_record_comes_back_with_the_next_generation),
		TEST(all_records_can_be_used_and_not_one_more),
		TEST(connections_are_claimed_and_freed_as_clients_are),
		TEST(a_connection_is_in_use_while_a_client_names_it),
		TEST(the_records_of_a_service_are_found_in_the_order_in_which_they_came),
		TEST(connections_are_counted_by_endpoint_and_those_that_are_left_behind_apart),
		TEST(a_connection_that_is_shared_says_whether_it_stood_by),
		TEST(what_was_claimed_and_not_committed_is_derived_as_free),
		TEST(service_records_beyond_the_used_get_no_memory),
		TEST(a_death_in_a_claim_does_not_lose_the_generation),
		TEST(the_configuration_has_two_places),
		TEST(a_copy_of_the_configuration_is_of_one_moment),
		TEST(the_history_is_a_ring_of_cut_texts),
		TEST(the_status_version_is_even_when_it_is_written),
		TEST(the_highest_file_number_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

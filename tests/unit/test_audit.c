/* A damaged table: whatever bit of a record is wrong, what is left can be followed, and only what the bit is of is
 * given up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/clock.h"
#include "audit_world.h"

/* A part of the table, and how much of each of its records is damaged. */
struct part {
	unsigned char *begin;
	size_t record, number, damaged;
};

static unsigned char *before;

static int
set_up(void **state)
{
	(void)state;
	audit_world_new();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	audited.header->file[TABLE_FILE_MEMORY] = -1;
	table_free(&audited);
	return 0;
}

static unsigned
count_clients(enum table_state wanted)
{
	unsigned count = 0;

	for (uint32_t i = 1; i < audited.header->client_high; i++)
		count += table_client_state(&audited, i) == wanted;
	return count;
}

static void
what_is_whole_is_left_as_it_is(void **state)
{
	(void)state;
	audit_world_judge();
	assert_false(audit_has_found(&audited));
	assert_int_equal(count_clients(TABLE_LIVE), 5);
	audit_world_walk();
}

/* All that the world uses, but the bytes of users. */
static size_t
used(void)
{
	return (size_t)((unsigned char *)audited.config - (unsigned char *)audited.header);
}

static void
keep(void)
{
	before = malloc(used());
	memcpy(before, audited.header, used());
}

/* Only what may have changed: the rest of the table was never used. */
static void
put_back(const struct part *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		memcpy(parts[i].begin, before + (parts[i].begin - (unsigned char *)audited.header),
		    parts[i].record * parts[i].number);
}

static void
try_each_bit(const struct part *part, const struct part *all, size_t count)
{
	for (size_t record = 0; record < part->number; record++)
		for (size_t at = 0; at < part->damaged; at++)
			for (unsigned bit = 0; bit < 9; bit++) {
				unsigned char *byte = part->begin + record * part->record + at;

				*byte = (unsigned char)(bit < 8 ? *byte ^ 1u << bit : 0xffu);
				audit_world_judge();
				audit_world_walk();
				put_back(all, count);
			}
}

static void
parts_of(struct part parts[6])
{
	size_t numbers = offsetof(struct table_service, history);
	struct part all[] = {
		{ (unsigned char *)audited.clients, sizeof *audited.clients, 6, sizeof *audited.clients },
		{ (unsigned char *)audited.conns, sizeof *audited.conns, 6, sizeof *audited.conns },
		{ (unsigned char *)audited.buffers, sizeof *audited.buffers, 12, sizeof *audited.buffers },
		{ (unsigned char *)audited.services, sizeof *audited.services, 2, numbers },
		{ (unsigned char *)record_of(&audited, 1), offsetof(struct upstream_record, endpoints.list[4]), 1,
		    offsetof(struct upstream_record, counters) },
		{ (unsigned char *)audited.header, sizeof *audited.header, 1, sizeof *audited.header },
	};

	memcpy(parts, all, sizeof all);
}

static void
each_bit_of(unsigned part)
{
	struct part parts[6];

	keep();
	parts_of(parts);
	try_each_bit(&parts[part], parts, 6);
	free(before);
}

static void
each_bit_of_clients_connections_and_buffers_can_be_wrong(void **state)
{
	(void)state;
	each_bit_of(0);
	each_bit_of(1);
	each_bit_of(2);
}

/* The words of a part at [begin, end) that mean something, one damaged byte each. */
static void
each_byte_of(struct part part, size_t begin, size_t end)
{
	struct part parts[6];

	keep();
	parts_of(parts);
	part.begin += begin;
	for (size_t at = 0; at < end - begin; at++)
		for (unsigned i = 0; i < 3; i++) {
			part.begin[at] = (unsigned char)(part.begin[at] ^ (i == 0 ? 0x01 : i == 1 ? 0x80 : 0xff));
			audit_world_judge();
			audit_world_walk();
			put_back(parts, 6);
		}
	free(before);
}

static void
each_number_of_a_service_can_be_wrong(void **state)
{
	struct part parts[6];

	(void)state;
	parts_of(parts);
	each_byte_of(parts[3], sizeof(struct table_service), sizeof(struct table_service) + 200);
	each_byte_of(parts[3], sizeof(struct table_service) + offsetof(struct table_service, groups),
	    sizeof(struct table_service) + offsetof(struct table_service, history));
	each_byte_of(parts[4], 0, offsetof(struct upstream_record, address));
	each_byte_of(parts[4], offsetof(struct upstream_record, endpoints),
	    offsetof(struct upstream_record, endpoints.list[0]));
	each_byte_of(parts[4], offsetof(struct upstream_record, endpoints.list[3]),
	    offsetof(struct upstream_record, endpoints.list[4]));
}

static void
each_number_of_the_header_can_be_wrong(void **state)
{
	struct part parts[6];

	(void)state;
	parts_of(parts);
	each_byte_of(parts[5], 0, offsetof(struct table_header, activated[1]));
	each_byte_of(parts[5], offsetof(struct table_header, heartbeat), offsetof(struct table_header, blamed));
	each_byte_of(parts[5], offsetof(struct table_header, started), offsetof(struct table_header, config_path));
	each_byte_of(parts[5], offsetof(struct table_header, reloads), offsetof(struct table_header, upgrade_error));
	each_byte_of(parts[5], offsetof(struct table_header, control), offsetof(struct table_header, version));
}

/* One of a client's fields is wrong: it alone is given up. */
static void
a_client_whose_file_is_none_ends_alone(void **state)
{
	(void)state;
	audited.clients[1].fd = AUDIT_AT_NONE + 1;
	audit_world_judge();
	assert_int_equal(count_clients(TABLE_CLOSING), 1);
	assert_int_equal(audited.clients[1].fd, -1);
	assert_int_equal(audited.header->damage.clients, 1);
	audit_world_walk();
}

static void
both_end(void)
{
	audit_world_judge();
	assert_int_equal(table_client_state(&audited, 1), TABLE_CLOSING);
	assert_int_equal(table_client_state(&audited, 2), TABLE_CLOSING);
	audit_world_walk();
}

static void
whose_a_file_is_that_two_records_name_nobody_knows(void **state)
{
	(void)state;
	audited.clients[1].fd = audited.clients[2].fd;
	both_end();
	assert_int_equal(audited.clients[2].fd, -1);
}

static void
a_client_never_gets_the_daemons_files(void **state)
{
	(void)state;
	audited.clients[1].fd = audited.services[0].sockets[0].fd;
	audited.clients[2].fd = audited.header->file[TABLE_FILE_LOCK];
	audit_world_judge();
	assert_int_equal(audited.services[0].sockets[0].fd, AUDIT_AT_LISTENERS);
	assert_int_equal(audited.clients[1].fd, -1);
	assert_int_equal(audited.clients[2].fd, -1);
	audit_world_walk();
}

static void
two_clients_of_one_connection_both_end_with_it(void **state)
{
	(void)state;
	audited.clients[2].conn = audited.clients[1].conn;
	both_end();
	assert_int_equal(table_conn_state(&audited, 1), TABLE_CLOSING);
}

static void
a_queue_that_cannot_be_is_given_up_with_those_who_share(void **state)
{
	struct table_shared *shared = &audited.services[1].shared;

	(void)state;
	shared->pending_tail += 1000000;
	audit_world_judge();
	assert_int_equal(audited.header->damage.services, 1);
	assert_int_equal(shared->pending_head, shared->pending_tail);
	assert_int_equal(count_clients(TABLE_LIVE), 3); /* those of the other service, who has an own connection */
	audit_world_walk();
}

static void
a_change_of_words_outside_the_table_is_none(void **state)
{
	struct table_redo *redo = &audited.header->redo;

	(void)state;
	redo->entry[0].offset = audited.shape.size;
	redo->count = 1;
	audit_redo(&audited);
	assert_int_equal(redo->count, 0);
	redo->entry[0].offset = offsetof(struct table_header, next_id) + 1;
	redo->count = 1;
	audit_redo(&audited);
	assert_int_equal(redo->count, 0);
	redo->count = TABLE_REDO + 1;
	audit_redo(&audited);
	assert_int_equal(redo->count, 0);
	assert_int_equal(audited.header->damage.words, 3);
}

static void
a_call_about_no_record_is_none(void **state)
{
	struct table_io_journal *call = &audited.header->io_journal;

	(void)state;
	for (uint32_t phase = TABLE_IO_JOURNAL_RECEIVE; phase <= TABLE_IO_JOURNAL_COPY + 1; phase++) {
		*call = (struct table_io_journal){ .phase = phase, .index = UINT32_MAX, .buffer = UINT32_MAX };
		audit_journal(&audited);
		assert_int_equal(call->phase, TABLE_IO_JOURNAL_NONE);
	}
}

static void
what_is_given_up_leaves_the_sockets(void **state)
{
	(void)state;
	audit_give_up(&audited);
	audit_world_judge();
	assert_int_equal(count_clients(TABLE_FREE), audited.header->client_high - 1);
	assert_int_equal(audited.services[1].sockets[0].fd, AUDIT_AT_LISTENERS + 1);
	assert_string_equal(audited.services[1].name, "shared");
	assert_int_equal(record_of(&audited, 1)->begun, 0);
	audit_world_walk();
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(what_is_whole_is_left_as_it_is),
		ROW(each_bit_of_clients_connections_and_buffers_can_be_wrong),
		ROW(each_number_of_a_service_can_be_wrong),
		ROW(each_number_of_the_header_can_be_wrong),
		ROW(a_client_whose_file_is_none_ends_alone),
		ROW(whose_a_file_is_that_two_records_name_nobody_knows),
		ROW(a_client_never_gets_the_daemons_files),
		ROW(two_clients_of_one_connection_both_end_with_it),
		ROW(a_queue_that_cannot_be_is_given_up_with_those_who_share),
		ROW(a_change_of_words_outside_the_table_is_none),
		ROW(a_call_about_no_record_is_none),
		ROW(what_is_given_up_leaves_the_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

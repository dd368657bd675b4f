/* recover_stage.h - the table that the tests of recovery stand on. */
#ifndef HOLDFAST_TESTS_RECOVER_STAGE_H
#define HOLDFAST_TESTS_RECOVER_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keep/io_journal.h"
#include "keep/recover.h"
#include "keep_side.h"

static struct table table;

static inline int
set_up(void **state)
{
	(void)state;
	if (table_new(100, &table) < 0)
		return -1;
	table.shape.services = 2; /* fewer to be looked at, step by step */
	return 0;
}

/* Whatever a test has left open is swept. */
static inline int
tear_down(void **state)
{
	(void)state;
	side_clear(&table);
	table.services[0].word = table.services[1].word = 0;
	recover_run(&table);
	recover_close_strays(&table);
	table_free(&table);
	return 0;
}

/* Running it twice is the same as once. */
static inline void
recover_twice(void)
{
	struct table_client clients[16];
	struct table_conn conns[16];

	recover_run(&table);
	memcpy(clients, table.clients, sizeof clients);
	memcpy(conns, table.conns, sizeof conns);
	recover_run(&table);
	assert_memory_equal(clients, table.clients, sizeof clients);
	assert_memory_equal(conns, table.conns, sizeof conns);
}

/* A session on the way of ten bytes, to be died over; the far ends, which must live through the sweep, are named by a
 * session of their own. */
struct passage {
	int from[2], to[2];
	uint32_t session;
};

static inline void
passage_begin(struct passage *passage)
{
	side_clear(&table);
	memset(&table.header->io_journal, 0, sizeof table.header->io_journal);
	side_pair(passage->from);
	side_pair(passage->to);
	passage->session = side_session(&table, passage->from[0], passage->to[0]);
	side_session(&table, passage->from[1], passage->to[1]);
	side_say(passage->from[1], "0123456789");
}

static inline void
passage_end(const struct passage *passage)
{
	for (int i = 0; i < 2; i++) {
		close(passage->from[i]);
		close(passage->to[i]);
	}
}

static inline unsigned
count_clients(enum table_state state)
{
	unsigned count = 0;

	for (uint32_t i = 1; i < table.header->client_high; i++)
		count += table_client_state(&table, i) == state;
	return count;
}

static inline unsigned
count_conns(enum table_state state)
{
	unsigned count = 0;

	for (uint32_t i = 1; i < table.header->conn_high; i++)
		count += table_conn_state(&table, i) == state;
	return count;
}

#endif

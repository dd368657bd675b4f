/* A bare relay under deaths: keeper, table, recovery and relay, without listeners and services.  A worker relays some
 * sessions; it is killed at random and, in a test build, at each crash point; every byte of both directions is
 * checked at the far ends, and that they end in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "client/client.h"
#include "keep/crash.h"
#include "keep/keeper.h"
#include "keep/recover.h"
#include "keep_side.h"

#define FLOWS   8
#define PIECE   16384
#define LIMIT   (30 * CLOCK_SECOND)
#define KILLS   (SIDE_STRIDE > 1 ? 20 : 100)
#define ROUNDS  (SIDE_STRIDE > 1 ? 3 : 10)

/* The far ends of a session. */
struct ring {
	int end[2];              /* the client's, the upstream's */
	uint64_t sent[2], received[2];
	bool finished[2], at_end[2];
};

static struct table table;
static struct client_owner owner;
static struct ring flows[FLOWS];
static unsigned wrong;
static pid_t keeper;
static unsigned seed = 1;

struct work {
	struct event_base *loop;
	struct loop_timer heartbeat;
	struct event requests;
};

static bool
on_event(void *arg, struct client *client, enum client_event event)
{
	(void)arg;
	if (event == CLIENT_LEFT || event == CLIENT_ENDED)
		client_close(client);
	return false;
}

static void
on_heartbeat(void *arg)
{
	struct work *worker = arg;

	table.header->heartbeat++;
	loop_timer_at(&worker->heartbeat, clock_now() + 250 * CLOCK_MILLISECOND);
}

static void
on_requests(evutil_socket_t fd, short what, void *arg)
{
	struct work *worker = arg;

	(void)fd;
	(void)what;
	if (keeper_take_requests(&table) & TABLE_REQUEST_STOP)
		event_base_loopbreak(worker->loop);
}

static int
work(struct table *kept)
{
	struct work worker = { 0 };

	(void)kept;
	recover_run(&table);
	worker.loop = loop_new();
	client_owner_init(&owner, worker.loop, &table);
	owner.on_event = on_event;
	loop_timer_init(&worker.heartbeat, worker.loop, on_heartbeat, &worker);
	event_assign(&worker.requests, worker.loop, table.header->file[TABLE_FILE_REQUEST], EV_READ | EV_PERSIST,
	    on_requests, &worker);
	event_add(&worker.requests, NULL);
	on_heartbeat(&worker);
	for (uint32_t i = 1; i < table.header->client_high; i++)
		if (table_client_is_open(&table, i))
			client_begin(client_new(&owner, i));
	table.header->was_ready = table.header->ready = 1;
	CRASH_POINT(RECOVER_READY);
	if (!table.header->stopping)
		event_base_dispatch(worker.loop);
	return 0;
}

static uint64_t
seed_of(const struct ring *ring, int direction)
{
	return (uint64_t)(ring - flows) * 2 + (uint64_t)direction + 1;
}

/* Every other pair of flows writes all that it can: that passes through pipes, the others' through buffers. */
static bool
is_bulk(const struct ring *ring)
{
	return (ring - flows) % 4 >= 2;
}

static void
ring_write(struct ring *ring, int d)
{
	size_t size = 1 + (size_t)rand_r(&seed) % PIECE, sent;

	do {
		sent = side_write(ring->end[d], seed_of(ring, d), ring->sent[d], size);
		ring->sent[d] += sent;
	} while (is_bulk(ring) && sent == size);
}

/* One piece each way, or more.  With finish, what is not written yet is not written any more. */
static void
ring_move(struct ring *ring, bool finish)
{
	long n;

	for (int d = 0; d < 2; d++) {
		if (!finish) {
			ring_write(ring, d);
		} else if (!ring->finished[d]) {
			ring->finished[d] = true;
			shutdown(ring->end[d], SHUT_WR);
		}
		if (ring->at_end[d] || (!finish && rand_r(&seed) % 4 == 0))
			continue;
		n = side_read(ring->end[1 - d], seed_of(ring, d), ring->received[d], PIECE, &wrong);
		ring->at_end[d] = n == -1;
		ring->received[d] += n > 0 ? (uint64_t)n : 0;
	}
}

static void
wait_for_any(int first, int count, int64_t limit)
{
	struct pollfd poll_fd[FLOWS * 2];

	for (int i = 0; i < count * 2; i++)
		poll_fd[i] = (struct pollfd){ .fd = flows[first + i / 2].end[i % 2], .events = POLLIN };
	poll(poll_fd, (nfds_t)count * 2, (int)(limit / CLOCK_MILLISECOND));
}

static void
move_all(int64_t span)
{
	int64_t end = clock_now() + span;

	do {
		for (int i = 0; i < FLOWS; i++)
			ring_move(&flows[i], false);
		wait_for_any(0, FLOWS, CLOCK_MILLISECOND);
	} while (clock_now() < end);
}

static bool
finish(int first, int count)
{
	int64_t end = clock_now() + LIMIT;
	bool done = false;

	while (!done && clock_now() < end) {
		done = true;
		for (int i = first; i < first + count; i++) {
			ring_move(&flows[i], true);
			done = done && flows[i].at_end[0] && flows[i].at_end[1];
		}
		if (!done)
			wait_for_any(first, count, 5 * CLOCK_MILLISECOND);
	}
	return done;
}

/* Half of the upstreams are TCP; the far ends are ours, the near ones the keeper's. */
static void
begin(const char *crash)
{
	int near[FLOWS][2], upstream[2], client[2];

	assert_int_equal(table_new(100, &table), 0);
	memset(flows, 0, sizeof flows);
	wrong = 0;
	for (int i = 0; i < FLOWS; i++) {
		side_pair(client);
		if (i % 2 == 0)
			side_pair(upstream);
		else
			side_tcp_pair(upstream);
		side_session(&table, client[0], upstream[0]);
		near[i][0] = client[0];
		near[i][1] = upstream[0];
		flows[i].end[0] = client[1];
		flows[i].end[1] = upstream[1];
	}
	keeper = fork();
	if (keeper == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < FLOWS * 2; i++)
			close(flows[i / 2].end[i % 2]);
		setenv("HOLDFAST_CRASH", crash, 1);
		if (freopen("/dev/null", "w", stderr) == NULL) /* a test build tells each death */
			_exit(99);
		if (keeper_prepare(&table, &(struct passed_fds){ .count = 0 }) < 0 || !crash_open(&table))
			_exit(99);
		_exit(keeper_run(&table, work));
	}
	for (int i = 0; i < FLOWS * 2; i++)
		close(near[i / 2][i % 2]);
	assert_true(side_await(&table.header->was_ready, 1, LIMIT));
}

static uint64_t
end_and_check(void)
{
	uint64_t sum = 0, counted;
	int status;

	assert_true(finish(0, FLOWS));
	assert_int_equal(wrong, 0);
	for (int i = 0; i < FLOWS; i++)
		for (int d = 0; d < 2; d++) {
			assert_int_equal(flows[i].received[d], flows[i].sent[d]);
			sum += flows[i].sent[d];
		}
	/* The far ends may hear the end a moment before the record is free. */
	for (uint32_t i = 1; i <= FLOWS; i++)
		assert_true(side_await(&table.clients[i].word, 1 << 8, LIMIT));
	kill(keeper, SIGTERM);
	assert_int_equal(waitpid(keeper, &status, 0), keeper);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	counted = table.services[0].counters.bytes[0] + table.services[0].counters.bytes[1];
	assert_int_equal(counted, sum);
	for (int i = 0; i < FLOWS * 2; i++)
		close(flows[i / 2].end[i % 2]);
	table_free(&table);
	return sum;
}

/* Kills worker after worker, each after a while of at most span. */
static void
kill_at_random(unsigned kills, int64_t span)
{
	pid_t worker, last = 0;
	int64_t end;

	for (unsigned i = 0; i < kills; i++) {
		end = clock_now() + LIMIT;
		while ((worker = table.header->worker_pid) == 0 || worker == last) {
			assert_true(clock_now() < end);
			wait_for_any(0, 0, CLOCK_MILLISECOND);
		}
		move_all((int64_t)((uint64_t)rand_r(&seed) % (uint64_t)span));
		kill(worker, SIGKILL);
		last = worker;
	}
}

static bool
is_long(void)
{
	return getenv("HOLDFAST_LONG") != NULL;
}

static void
no_byte_is_lost_without_any_death(void **state)
{
	(void)state;
	begin("");
	move_all(300 * CLOCK_MILLISECOND);
	print_message("%llu bytes\n", (unsigned long long)end_and_check());
}

static void
no_byte_is_lost_by_deaths_at_random(void **state)
{
	unsigned kills = is_long() ? 2000 : KILLS;

	(void)state;
	begin("");
	kill_at_random(kills, 40 * CLOCK_MILLISECOND);
	print_message("%llu bytes, %u deaths\n", (unsigned long long)end_and_check(), kills);
}

/* Deaths while sessions end: each session ends while workers die. */
static void
no_end_is_lost_by_deaths_at_random(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		begin("");
		move_all(2 * CLOCK_MILLISECOND);
		for (int i = 0; i < 5; i++) {
			pid_t worker = table.header->worker_pid;

			for (int j = 0; j < FLOWS; j++)
				ring_move(&flows[j], true);
			if (worker > 0)
				kill(worker, SIGKILL);
			wait_for_any(0, FLOWS, 1 + (int64_t)((unsigned)rand_r(&seed) % 4000));
		}
		end_and_check();
	}
}

#ifdef HOLDFAST_CRASH_POINTS
/* The crash points of what is here, each alone, and with a second one in the recovery behind it. */
static const char *const points[] = {
	"buffer.claimed", "buffer.named", "buffer.unnamed", "journal.receive-marked", "journal.received",
	"journal.receive-stored", "journal.send-marked", "journal.sent", "journal.send-stored", "journal.filled",
	"journal.drain-marked", "journal.drained", "journal.drain-stored", "pipe.opened", "pipe.named", "pipe.taken",
	"pipe.given-back", "shutdown.before", "shutdown.after",
	"close.marked", "conn.marked", "conn.closed", "conn.unnamed", "conn.freed", "close.upstream", "close.client",
	"close.released", "close.freed", "redo.committed",
};

static const char *const recoveries[] = {
	"recover.redone", "recover.journal", "recover.closing", "recover.closed", "recover.swept", "recover.ready",
};

/* Each so many-th pass kills: rarely enough that work is done in between. */
static int
interval(const char *point)
{
	static const struct {
		const char *begin;
		int interval;
	} rows[] = {
		{ "buffer.", 50 }, { "journal.receive", 50 }, { "journal.send", 50 }, { "journal.sent", 50 },
		{ "pipe.", 2 }, /* they are made once, and used again */
		{ "", 3 },
	};
	size_t i = 0;

	while (strncmp(point, rows[i].begin, strlen(rows[i].begin)) != 0)
		i++;
	return rows[i].interval;
}

/* One session after the other ends: if all ended at once, a third one would die in each worker before the first is
 * through. */
static bool
run_into(const char *point, const char *recovery)
{
	char crash[128];
	bool died;

	snprintf(crash, sizeof crash, "%s:%d%s%s%s", point, interval(point), recovery != NULL ? "," : "",
	    recovery != NULL ? recovery : "", recovery != NULL ? ":3" : "");
	begin(crash);
	/* On a busy machine the point comes late. */
	for (int i = 0; i < 50 && table.header->worker_restarts == 0; i++)
		move_all(40 * CLOCK_MILLISECOND);
	for (int i = 0; i < FLOWS; i++)
		assert_true(finish(i, 1));
	died = table.header->worker_restarts > 0;
	end_and_check();
	return died;
}

static void
no_byte_is_lost_at_any_crash_point(void **state)
{
	const size_t count = sizeof recoveries / sizeof recoveries[0], seldom = 3; /* a recovery's death takes long */

	(void)state;
	for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
		if (!run_into(points[i], NULL))
			fail_msg("nobody died at %s", points[i]);
		for (size_t r = 0; r < count; r++)
			if (is_long() || (r == i % count && i % seldom == 0))
				run_into(points[i], recoveries[r]);
	}
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_byte_is_lost_without_any_death),
		cmocka_unit_test(no_byte_is_lost_by_deaths_at_random),
		cmocka_unit_test(no_end_is_lost_by_deaths_at_random),
#ifdef HOLDFAST_CRASH_POINTS
		cmocka_unit_test(no_byte_is_lost_at_any_crash_point),
#endif
	};

	unsetenv("NOTIFY_SOCKET");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The listener for HTTP: files that run out, answers that are cut short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"
#include "control/http.h"
#include "control/metrics.h"
#include "daemon/figures.h"
#include "keep_side.h"

#define GET "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"
#define FILES 4096

static struct event_base *loop;
static struct sockaddr_un name;
static socklen_t name_length;
static int listening;
static size_t services, taken, bits;

/* libevent complains where events and files do not go together. */
static void
complain(int severity, const char *text)
{
	if (severity >= EVENT_LOG_WARN)
		fail_msg("libevent: %s", text);
}

static bool
take_one(void *arg, struct metrics *metrics)
{
	static struct figures_service figures;
	static struct table_service record;
	static struct service_settings settings;
	size_t *left = arg;

	figures.object = (struct stats_object){ .part = { &figures, &figures.status, &record, &settings } };
	bits++;
	if (*left == 0)
		return false;
	metrics_add(metrics, METRICS_OF_SERVICES, &figures.object, "", NULL);
	return --*left > 0;
}

static void
answer(void *arg, const struct http_asked *asked, struct http_answer *ret_answer)
{
	size_t *left = mem_new(1, sizeof *left);

	(void)arg;
	assert_string_equal(asked->path, "/metrics");
	taken++;
	*left = services;
	metrics_answer(metrics_new(METRICS_PROMETHEUS, figures_rows, "1.0",
	    &(struct metrics_taker){ take_one, mem_free, left }), ret_answer);
}

static int
io_journal(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_not_equal(fd, -1);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, name_length), 0);
	return fd;
}

/* Reads on until the end; whether it came, and how much before it. */
static bool
hear_end(int fd, size_t *ret_heard)
{
	char text[65536];
	ssize_t count;

	*ret_heard = 0;
	for (int turn = 0; turn < 2000; turn++) {
		event_base_loop(loop, EVLOOP_NONBLOCK);
		while ((count = read(fd, text, sizeof text)) > 0)
			*ret_heard += (size_t)count;
		if (count == 0 || (count == -1 && errno != EAGAIN))
			return true;
		side_turns(loop, CLOCK_MILLISECOND);
	}
	return false;
}

static int
lowest_file(void)
{
	int fd = dup(listening);

	close(fd);
	return fd;
}

static void
a_long_answer_comes_whole_over_many_turns(void **state)
{
	struct http *http = http_new(loop, listening, FILES, answer, NULL);
	int fd = io_journal();
	size_t heard;

	(void)state;
	services = 500;
	assert_int_equal(write(fd, GET, sizeof GET - 1), sizeof GET - 1);
	assert_true(hear_end(fd, &heard));
	assert_in_range(heard, 1000000, 100000000);
	close(fd);
	http_free(http);
}

static void
no_turn_takes_many_services(void **state)
{
	struct http *http = http_new(loop, listening, FILES, answer, NULL);
	int fd = io_journal();
	size_t heard, before;

	(void)state;
	services = 500;
	bits = 0;
	assert_int_equal(write(fd, GET, sizeof GET - 1), sizeof GET - 1);
	while (bits < services) {
		before = bits;
		event_base_loop(loop, EVLOOP_ONCE);
		assert_in_range(bits - before, 0, HTTP_BITS);
	}
	assert_true(hear_end(fd, &heard));
	close(fd);
	http_free(http);
}

static void
without_files_it_rests_and_then_goes_on(void **state)
{
	struct http *http = http_new(loop, listening, FILES, answer, NULL);
	struct rlimit limit, none;
	int fd = io_journal();
	size_t heard;

	(void)state;
	services = 1;
	assert_int_equal(write(fd, GET, sizeof GET - 1), sizeof GET - 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = (rlim_t)lowest_file();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_in_range(side_turns(loop, 250 * CLOCK_MILLISECOND), 1, 20);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(hear_end(fd, &heard));
	assert_in_range(heard, 1000, 100000);
	close(fd);
	http_free(http);
}

static void
the_last_numbers_are_not_for_it(void **state)
{
	struct http *http = http_new(loop, listening, 3, answer, NULL);
	int fd = io_journal();
	size_t heard;

	(void)state;
	assert_true(hear_end(fd, &heard));
	assert_int_equal(heard, 0);
	close(fd);
	http_free(http);
}

static void
answers_that_are_cut_short_by_either_side_leave_nothing(void **state)
{
	struct http *http = http_new(loop, listening, FILES, answer, NULL);
	ssize_t length;
	int before, fd[6];

	(void)state;
	services = 500;
	before = lowest_file();
	for (int i = 0; i < 6; i++) {
		fd[i] = io_journal();
		length = write(fd[i], GET, i == 5 ? 10 : sizeof GET - 1);
		assert_true(length > 0);
	}
	taken = 0;
	while (taken < 5)
		event_base_loop(loop, EVLOOP_NONBLOCK);
	close(fd[0]);
	shutdown(fd[1], SHUT_RDWR);
	side_turns(loop, 20 * CLOCK_MILLISECOND);
	http_free(http);
	for (int i = 1; i < 6; i++)
		close(fd[i]);
	event_base_loop(loop, EVLOOP_NONBLOCK);
	assert_int_equal(lowest_file(), before);
}

static int
setup(void **state)
{
	(void)state;
	event_set_log_callback(complain);
	signal(SIGPIPE, SIG_IGN); /* as in a worker */
	loop = loop_new();
	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	name.sun_family = AF_UNIX;
	name_length = sizeof name.sun_family;
	if (listening == -1 || bind(listening, (struct sockaddr *)&name, name_length) == -1 ||
	    listen(listening, 64) == -1)
		return -1;
	name_length = sizeof name;
	return getsockname(listening, (struct sockaddr *)&name, &name_length);
}

static int
teardown(void **state)
{
	(void)state;
	close(listening);
	loop_free(loop);
	return 0;
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(a_long_answer_comes_whole_over_many_turns),
		ROW(no_turn_takes_many_services),
		ROW(without_files_it_rests_and_then_goes_on),
		ROW(the_last_numbers_are_not_for_it),
		ROW(answers_that_are_cut_short_by_either_side_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

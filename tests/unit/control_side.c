#include "control_side.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"
#include "control/stats.h"

struct side side;

static void
run_echo(void *arg, struct control_request *request, int argc, char **argv)
{
	json_t *words = json_array();

	(void)arg;
	side.runs++;
	for (int i = 1; i < argc; i++)
		json_array_append_new(words, stats_text(argv[i]));
	control_answer(request, json_pack("{s:o}", "words", words));
}

static void
cancel_later(void *arg)
{
	assert_ptr_equal(arg, &side);
	side.cancelled++;
	side.waiting = NULL;
}

static void
run_later(void *arg, struct control_request *request, int argc, char **argv)
{
	(void)arg;
	(void)argc;
	(void)argv;
	side.waiting = request;
	control_on_cancel(request, cancel_later, &side);
}

static void
run_size(void *arg, struct control_request *request, int argc, char **argv)
{
	size_t size = (size_t)strtoul(argv[1], NULL, 10);
	char *text = mem_new(size + 1, 1);

	(void)arg;
	(void)argc;
	side.runs++;
	memset(text, 'x', size);
	control_answer(request, json_pack("{s:s}", "text", text));
	mem_free(text);
}

static void
run_events(void *arg, struct control_request *request, int argc, char **argv)
{
	(void)arg;
	(void)argc;
	events_subscribe(side.events, request, argv[1], NULL, 0);
}

static void
run_patient(void *arg, struct control_request *request, int argc, char **argv)
{
	if (control_may_wait(request))
		run_events(arg, request, argc, argv);
}

/* The last event of a service without a history, if one is kept, and "told". */
static void
run_last(void *arg, struct control_request *request, int argc, char **argv)
{
	struct table_service *service = mem_new(1, sizeof *service);
	json_t *last;

	(void)arg;
	(void)argc;
	snprintf(service->name, sizeof service->name, "%s", argv[1]);
	last = events_get_last(side.events, service);
	if (last != NULL)
		control_stream(request, last);
	control_answer(request, json_pack("{s:b}", "told", 1));
	mem_free(service);
}

static const struct control_command commands[] = {
	{ "echo", "[WORD...]", "", 0, 60, PERMISSION_reads, run_echo },
	{ "later", "", "", 0, 0, PERMISSION_reads, run_later },
	{ "size", "BYTES", "", 1, 1, PERMISSION_reads, run_size },
	{ "events", "[SERVICE]", "", 0, 1, PERMISSION_reads, run_events },
	{ "patient", "", "", 0, 0, PERMISSION_reads, run_patient },
	{ "last", "SERVICE", "", 1, 1, PERMISSION_reads, run_last },
	{ "change", "", "", 0, 0, PERMISSION_changes, run_echo },
	{ NULL, NULL, NULL, 0, 0, PERMISSION_reads, NULL },
};

int
side_setup(void **state)
{
	struct rlimit limit;

	(void)state;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	memset(&side, 0, sizeof side);
	signal(SIGPIPE, SIG_IGN);
	side.loop = loop_new();
	side.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	side.name.sun_family = AF_UNIX;
	side.name_length = sizeof(sa_family_t);
	assert_int_equal(bind(side.listener, (struct sockaddr *)&side.name, side.name_length), 0);
	side.name_length = sizeof side.name;
	assert_int_equal(getsockname(side.listener, (struct sockaddr *)&side.name, &side.name_length), 0);
	assert_int_equal(listen(side.listener, 128), 0);
	side.events = events_new(side.loop);
	side.control = control_new(side.loop, side.listener, NULL, NULL, commands, NULL);
	return 0;
}

int
side_teardown(void **state)
{
	(void)state;
	control_free(side.control);
	events_free(side.events);
	loop_free(side.loop);
	close(side.listener);
	return 0;
}

/* The clients' side: files that do not block, the loop being turned meanwhile. */

void
side_turn(void)
{
	event_base_loop(side.loop, EVLOOP_NONBLOCK);
}

int
side_client(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&side.name, side.name_length), 0);
	return fd;
}

void
side_put_bytes(int fd, const char *bytes, size_t length)
{
	int64_t until = clock_now() + SIDE_BOUND;

	while (length > 0) {
		ssize_t count = send(fd, bytes, length, MSG_NOSIGNAL);

		assert_true(clock_now() < until);
		assert_true(count >= 0 || errno == EAGAIN);
		if (count > 0) {
			bytes += count;
			length -= (size_t)count;
		}
		side_turn();
	}
}

void
side_put(int fd, const char *text)
{
	side_put_bytes(fd, text, strlen(text));
}

/* The next answer, or NULL at the end of the connection. */
json_t *
side_get(int fd)
{
	size_t size = 8u << 20, length = 0;
	char *line = mem_new(size, 1);
	int64_t until = clock_now() + SIDE_BOUND;
	json_t *answer;
	ssize_t count;

	for (;;) {
		assert_true(clock_now() < until && length < size);
		count = recv(fd, line + length, size - length, MSG_PEEK);
		if (count > 0) {
			char *end = memchr(line + length, '\n', (size_t)count);

			length += (size_t)recv(fd, line + length, end == NULL ? (size_t)count :
			    (size_t)(end + 1 - (line + length)), 0);
			if (end != NULL)
				break;
		}
		if (count == 0 || (count == -1 && errno == ECONNRESET)) {
			mem_free(line);
			return NULL;
		}
		if (count == -1)
			side_turn();
	}
	answer = json_loadb(line, length, 0, NULL);
	assert_non_null(answer);
	mem_free(line);
	return answer;
}

void
side_expect_ok(int fd, const char *key, const char *text)
{
	json_t *answer = side_get(fd);
	char *value;

	assert_non_null(answer);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	if (key != NULL) {
		value = json_dumps(json_object_get(answer, key), JSON_COMPACT | JSON_ENCODE_ANY);
		assert_string_equal(value, text);
		free(value);
	}
	json_decref(answer);
}

void
side_expect_error(int fd, const char *part)
{
	json_t *answer = side_get(fd);

	assert_non_null(answer);
	assert_true(json_is_false(json_object_get(answer, "ok")));
	if (strstr(json_string_value(json_object_get(answer, "error")), part) == NULL)
		fail_msg("\"%s\" without \"%s\"", json_string_value(json_object_get(answer, "error")), part);
	json_decref(answer);
}

void
side_expect_end(int fd)
{
	assert_null(side_get(fd));
	close(fd);
}

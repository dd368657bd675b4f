/* test_probe.c - upstream/probe: what a server is asked, whatever a reload does meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "stage.h"
#include "upstream/probe.h"

static void
on_probed(void *arg, const char *error)
{
	assert_null(error);
	*(bool *)arg = true;
}

/* A listening socket on a free port of loopback, and in *ret the address to reach it. */
static int
listen_somewhere(struct address *ret)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_null(address_parse("127.0.0.1:1", ret));
	((struct sockaddr_in *)(void *)&ret->socket)->sin_port = 0;
	assert_int_equal(bind(fd, (struct sockaddr *)&ret->socket, ret->socket_length), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ret->socket, &ret->socket_length), 0);
	return fd;
}

/* A reload in place frees the settings by which the probe was begun, while it connects. */
static void
a_probe_asks_by_the_settings_that_it_was_begun_with(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\n\r\n";
	char path[] = "/health", heard[1024] = "";
	struct dial_settings settings = { .connect_timeout = 5 * CLOCK_SECOND,
		.probe = { .kind = PROBE_HTTP, .path = path } };
	struct address address;
	int listener = listen_somewhere(&address), server;
	struct pollfd look;
	bool done = false;

	(void)state;
	probe_start(stage_loop, -1, &address, &settings, on_probed, &done);
	memcpy(path, "/freed!", sizeof path);
	memset(&settings, 0, sizeof settings);
	server = accept(listener, NULL, NULL);
	look = (struct pollfd){ .fd = server, .events = POLLIN };
	for (int i = 0; i < 100 && poll(&look, 1, 0) == 0; i++)
		stage_idle(10 * CLOCK_MILLISECOND);
	assert_true(recv(server, heard, sizeof heard - 1, MSG_DONTWAIT) > 0);
	*strchr(heard, '\r') = '\0';
	assert_string_equal(heard, "GET /health HTTP/1.1");
	assert_int_equal(send(server, answer, sizeof answer - 1, 0), sizeof answer - 1);
	close(server);
	assert_true(stage_run(&done, 5 * CLOCK_SECOND));
	close(listener);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_probe_asks_by_the_settings_that_it_was_begun_with),
	};

	return cmocka_run_group_tests(tests, stage_open, stage_close);
}

/* Where the metrics may be served, and the socket there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "client/metrics_listener.h"
#include "temporary.h"

static char folder[TEMPORARY_SIZE];

static void
only_this_host_is_listened_to(void **state)
{
	static const char *const good[] = { "127.0.0.1:9464", "127.1.2.3:1", "[::1]:65535", "unix:/run/x.sock" };
	static const char *const bad[] = { "", "9464", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "0.0.0.0:9464",
		"192.0.2.1:9464", "128.0.0.1:1", "[::]:9464", "[::2]:1", "[::ffff:127.0.0.1]:1", "localhost:9464",
		"unix:", "unix:x", "/run/x.sock", "@x" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_null(metrics_listener_check(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (metrics_listener_check(bad[i]) == NULL)
			fail_msg("%s is taken", bad[i]);
	assert_non_null(strstr(metrics_listener_check("0.0.0.0:1"), "other hosts"));
	assert_non_null(strstr(metrics_listener_check("localhost:1"), "127.0.0.1:PORT"));
}

static void
a_socket_knows_where_it_is(void **state)
{
	struct place place;
	int fd;
	char *address = mem_print("unix:%s/sub/m.sock", folder);
	struct stat st;

	(void)state;
	assert_null(metrics_listener_open(address, folder, &fd));
	assert_true(metrics_listener_is_at(fd, address));
	assert_false(metrics_listener_is_at(fd, "unix:/other"));
	assert_false(metrics_listener_is_at(fd, "127.0.0.1:9464"));
	assert_false(metrics_listener_is_at(-1, address));
	assert_int_equal(stat(address + 5, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	metrics_listener_place(fd, &place);
	metrics_listener_unlink(fd, &place);
	metrics_listener_unlink(-1, &place);
	assert_int_equal(stat(address + 5, &st), -1);
	close(fd);
	mem_free(address);
}

static void
a_port_that_is_taken_is_an_error_that_names_it(void **state)
{
	char *wrong = NULL, *address = NULL;
	int fd = -1, second;

	(void)state;
	for (unsigned port = 20000; fd == -1 && port < 20100; port++) {
		mem_free(address);
		mem_free(wrong);
		address = mem_print("127.0.0.1:%u", port);
		wrong = metrics_listener_open(address, folder, &fd);
	}
	assert_null(wrong);
	assert_true(metrics_listener_is_at(fd, address));
	wrong = metrics_listener_open(address, folder, &second);
	assert_non_null(wrong);
	assert_non_null(strstr(wrong, address));
	assert_non_null(strstr(wrong, "in use"));
	mem_free(wrong);
	mem_free(address);
	close(fd);
}

static int
setup(void **state)
{
	(void)state;
	return mkdtemp(temporary_name(folder)) == NULL;
}

static int
teardown(void **state)
{
	char sub[TEMPORARY_SIZE + 8];

	(void)state;
	snprintf(sub, sizeof sub, "%s/sub", folder);
	rmdir(sub);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_this_host_is_listened_to),
		cmocka_unit_test(a_socket_knows_where_it_is),
		cmocka_unit_test(a_port_that_is_taken_is_an_error_that_names_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

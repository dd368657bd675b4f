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

static char *
open_at(const char *address, int *ret_fd)
{
	struct listener_settings settings;
	struct sockaddr_un bound;
	socklen_t length;
	char *wrong;

	metrics_listener_settings(address, &settings);
	wrong = listener_open(&settings, folder, ret_fd, &bound, &length);
	if (wrong == NULL)
		assert_string_equal(bound.sun_path, settings.path);
	mem_free(settings.path);
	return wrong;
}

static void
a_socket_is_where_its_address_says(void **state)
{
	int fd;
	char *address = mem_print("unix:%s/sub/m.sock", folder);
	struct stat st;

	(void)state;
	assert_null(open_at(address, &fd));
	assert_true(listener_is_live(address + 5));
	assert_int_equal(stat(address + 5, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	unlink(address + 5);
	close(fd);
	mem_free(address);
}

static void
an_address_has_one_name_however_it_is_written(void **state)
{
	struct listener_settings a, b;

	(void)state;
	metrics_listener_settings("[::1]:9464", &a);
	metrics_listener_settings("[0:0::1]:9464", &b);
	assert_string_equal(a.path, b.path);
	mem_free(a.path);
	mem_free(b.path);
}

/* As a check of the configuration does: nothing stays. */
static void
a_port_can_be_tried(void **state)
{
	struct listener_settings settings;
	char *address = NULL, *wrong;
	int fd = -1;

	(void)state;
	for (unsigned port = 20100; fd == -1 && port < 20200; port++) {
		mem_free(address);
		address = mem_print("127.0.0.1:%u", port);
		mem_free(open_at(address, &fd));
	}
	metrics_listener_settings(address, &settings);
	close(fd);
	assert_null(listener_rehearse(&settings, folder, false));
	assert_null(open_at(address, &fd));
	wrong = listener_rehearse(&settings, folder, false);
	assert_non_null(strstr(wrong, "in use"));
	mem_free(wrong);
	mem_free(settings.path);
	mem_free(address);
	close(fd);
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
		wrong = open_at(address, &fd);
	}
	assert_null(wrong);
	wrong = open_at(address, &second);
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
		cmocka_unit_test(a_socket_is_where_its_address_says),
		cmocka_unit_test(an_address_has_one_name_however_it_is_written),
		cmocka_unit_test(a_port_can_be_tried),
		cmocka_unit_test(a_port_that_is_taken_is_an_error_that_names_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

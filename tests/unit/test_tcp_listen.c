/* A listening TCP socket: how its address is written, what it takes, how it ends, whose one is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/peer_closed.h"
#include "base/tcp_listen.h"
#include "base/tcp_owner.h"

#define LONG_LIST 400 /* connections */

static void
an_address_has_one_name_however_it_is_written(void **state)
{
	static const struct { const char *text, *name; } rows[] = {
		{ "127.0.0.1:5432", "127.0.0.1:5432" }, { "127.0.0.1:05432", "127.0.0.1:5432" },
		{ "[0:0::1]:5432", "[::1]:5432" }, { "[::]:1", "[::]:1" }, { "0.0.0.0:65535", "0.0.0.0:65535" },
		{ "LocalHost:5432", "localhost:5432" }, { "[fe80::1%lo]:5", "[fe80::1%lo]:5" },
	};
	char name[ADDRESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_null(tcp_listen_parse(rows[i].text, name));
		assert_string_equal(name, rows[i].name);
	}
}

static void
what_is_no_address_of_this_host_is_refused(void **state)
{
	static const char *const texts[] = { "", "x", ":5", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
		"127.0.0.1:65536", "127.0.0.1:x", "127.0.0.256:1", "::1:5", "[::1]", "[::1:5", "db.example.org:5432",
		"localhost.:1", "unix:/x", "tcp://127.0.0.1:1", "127.0.0.1:1\n" };
	char name[ADDRESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (tcp_listen_parse(texts[i], name) == NULL)
			fail_msg("\"%s\" is taken", texts[i]);
		assert_false(tcp_listen_is_public(texts[i]));
		assert_false(tcp_listen_meets(texts[i], "0.0.0.0:1"));
	}
}

static void
a_path_is_meant_for_an_address_if_it_has_a_colon_and_no_file(void **state)
{
	(void)state;
	assert_true(tcp_listen_is_meant("127.0.0.1:1"));
	assert_true(tcp_listen_is_meant("db:x"));
	assert_false(tcp_listen_is_meant("a.sock"));
	assert_false(tcp_listen_is_meant("@a:1"));
	assert_false(tcp_listen_is_meant("/a:1"));
	assert_false(tcp_listen_is_meant("./a:1"));
}

static void
other_hosts_reach_all_but_loopback(void **state)
{
	static const char *const own[] = { "127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "localhost:1" };
	static const char *const others[] = { "0.0.0.0:1", "[::]:1", "128.0.0.1:1", "10.0.0.1:1", "[::2]:1",
		"[fe80::1%lo]:1", "[::ffff:127.0.0.1]:1" };

	(void)state;
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		assert_false(tcp_listen_is_public(own[i]));
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_true(tcp_listen_is_public(others[i]));
}

static void
addresses_meet_where_only_one_can_be_listened_at(void **state)
{
	static const struct { const char *a, *b; bool meet; } rows[] = {
		{ "127.0.0.1:1", "127.0.0.1:1", true }, { "127.0.0.1:1", "127.0.0.1:2", false },
		{ "127.0.0.1:1", "127.0.0.2:1", false }, { "127.0.0.1:1", "[::1]:1", false },
		{ "localhost:1", "127.0.0.1:1", true }, { "localhost:1", "[::1]:1", true },
		{ "localhost:1", "localhost:1", true }, { "localhost:1", "0.0.0.0:1", true },
		{ "0.0.0.0:1", "127.0.0.1:1", true }, { "0.0.0.0:1", "[::1]:1", false },
		{ "[::]:1", "127.0.0.1:1", true }, { "[::]:1", "[::1]:1", true }, { "[::]:1", "0.0.0.0:1", true },
		{ "/x", "127.0.0.1:1", false }, { "127.0.0.1:1", "db:1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (tcp_listen_meets(rows[i].a, rows[i].b) != rows[i].meet ||
		    tcp_listen_meets(rows[i].b, rows[i].a) != rows[i].meet)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
}

static char name[ADDRESS_TEXT_SIZE];
static unsigned port;

/* At a port of this host that is free. */
static int
open_at(const char *host)
{
	int fd = -1;

	for (port = 20200; fd == -1 && port < 20400; port++) {
		snprintf(name, sizeof name, "%s:%u", host, port);
		if (tcp_listen_open(name, 8, &fd) != 0)
			fd = -1;
	}
	port--;
	assert_int_not_equal(fd, -1);
	return fd;
}

static int
connect_to(int family, int type)
{
	struct sockaddr_in ip4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in6 ip6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | type, 0);

	if (family == AF_INET)
		assert_int_equal(connect(fd, (struct sockaddr *)&ip4, sizeof ip4) == 0 || type != 0, 1);
	else
		assert_int_equal(connect(fd, (struct sockaddr *)&ip6, sizeof ip6), 0);
	return fd;
}

static int
accept_from(int fd)
{
	return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void
its_name_is_found_again_and_what_it_takes_is_its(void **state)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost", "0.0.0.0", "[::]" };
	char found[ADDRESS_TEXT_SIZE], other[ADDRESS_TEXT_SIZE];
	struct sockaddr_storage own;
	socklen_t length;
	int fd, client, accepted;

	(void)state;
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		fd = open_at(hosts[i]);
		assert_true(tcp_listen_name_of(fd, found));
		assert_string_equal(found, name);
		client = connect_to(AF_INET, 0);
		accepted = accept_from(fd);
		length = sizeof own;
		assert_int_equal(getsockname(accepted, (struct sockaddr *)&own, &length), 0);
		assert_true(tcp_listen_has_taken((struct sockaddr *)&own, name));
		snprintf(other, sizeof other, "%s:%u", hosts[i], port + 1);
		assert_false(tcp_listen_has_taken((struct sockaddr *)&own, other));
		snprintf(other, sizeof other, "127.0.0.2:%u", port);
		assert_false(tcp_listen_has_taken((struct sockaddr *)&own, other));
		assert_false(tcp_listen_name_of(accepted, found));
		close(client);
		close(accepted);
		close(fd);
	}
}

static void
localhost_is_both_families(void **state)
{
	int fd = open_at("localhost"), clients[] = { connect_to(AF_INET, 0), connect_to(AF_INET6, 0) };

	(void)state;
	for (int i = 0; i < 2; i++) {
		int accepted = accept_from(fd), on = 0;
		socklen_t length = sizeof on;

		assert_int_not_equal(accepted, -1);
		assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, &length), 0);
		assert_int_not_equal(on, 0);
		assert_int_equal(getsockopt(accepted, SOL_SOCKET, SO_KEEPALIVE, &on, &length), 0);
		assert_int_not_equal(on, 0);
		close(accepted);
		close(clients[i]);
	}
	close(fd);
}

static void
who_has_connected_is_accepted_when_it_was_shut_and_nobody_else(void **state)
{
	int fd = open_at("127.0.0.1"), early = connect_to(AF_INET, 0), late, accepted;
	char byte;

	(void)state;
	assert_true(tcp_listen_shut(fd));
	late = connect_to(AF_INET, SOCK_NONBLOCK);
	assert_int_equal(send(early, "x", 1, 0), 1);
	accepted = accept_from(fd);
	assert_int_not_equal(accepted, -1);
	assert_int_equal(recv(accepted, &byte, 1, 0), 1);
	assert_int_equal(accept_from(fd), -1);
	close(late);
	close(early);
	close(accepted);
	tcp_listen_set(fd); /* it accepts again */
	early = connect_to(AF_INET, 0);
	assert_int_not_equal(accepted = accept_from(fd), -1);
	close(early);
	close(accepted);
	close(fd);
	assert_false(tcp_listen_shut(STDERR_FILENO));
}

static struct tcp_owners *
list_owners(void)
{
	struct tcp_owners *owners = tcp_owners_new(true);

	while (tcp_owners_list_bit(owners))
		continue;
	return owners;
}

static void
a_port_that_is_taken_tells_who_has_it(void **state)
{
	int fd = open_at("127.0.0.1"), second;
	struct tcp_owners *owners = list_owners();
	char asked[ADDRESS_TEXT_SIZE], found[ADDRESS_TEXT_SIZE] = "";
	uid_t uid = (uid_t)-1;

	(void)state;
	snprintf(asked, sizeof asked, "localhost:%u", port);
	assert_int_equal(tcp_listen_open(asked, 8, &second), -EADDRINUSE);
	assert_true(tcp_owners_find_listener(owners, asked, found, &uid));
	assert_string_equal(found, name);
	assert_int_equal(uid, geteuid());
	tcp_owners_free(owners);
	close(fd);
}

static void
user_and_process_of_a_peer_are_found_over_either_family(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int fd = open_at("localhost");

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		int client = connect_to(families[i], 0), accepted = accept_from(fd);
		struct tcp_owners *owners = list_owners();
		uid_t uid = (uid_t)-1;
		pid_t pid = 0;

		assert_true(tcp_owners_find_peer(owners, accepted, &uid, &pid));
		assert_int_equal(uid, geteuid());
		assert_int_equal(pid, getpid());
		assert_false(tcp_owners_find_peer(owners, fd, &uid, &pid));
		assert_false(tcp_owners_find_peer(owners, STDERR_FILENO, &uid, &pid));
		tcp_owners_free(owners);
		close(client);
		owners = list_owners();
		assert_false(tcp_owners_find_peer(owners, accepted, &uid, &pid));
		tcp_owners_free(owners);
		close(accepted);
	}
	close(fd);
}

/* With many sockets and files the loop goes on in between. */
static void
long_lists_are_read_in_bits(void **state)
{
	int fd = open_at("127.0.0.1"), ends[2 * LONG_LIST], bits = 0;
	struct tcp_owners *owners = tcp_owners_new(true);
	uid_t uid;
	pid_t pid = 0;

	(void)state;
	for (int i = 0; i < LONG_LIST; i++) {
		ends[2 * i] = connect_to(AF_INET, 0);
		ends[2 * i + 1] = accept_from(fd);
	}
	assert_false(tcp_owners_find_peer(owners, ends[1], &uid, &pid));
	while (tcp_owners_list_bit(owners))
		bits++;
	assert_in_range(bits, 2 * (2 * LONG_LIST / TCP_OWNERS_BIT), INT_MAX);
	for (int i = 0; i < LONG_LIST; i++) {
		pid = 0;
		assert_true(tcp_owners_find_peer(owners, ends[2 * i + 1], &uid, &pid));
		assert_int_equal(pid, getpid());
		close(ends[2 * i]);
		close(ends[2 * i + 1]);
	}
	tcp_owners_free(owners);
	close(fd);
}

static void
a_peer_that_says_no_more_and_has_said_nothing_has_left(void **state)
{
	int fd = open_at("127.0.0.1"), silent = connect_to(AF_INET, 0), first = accept_from(fd);
	int speaks = connect_to(AF_INET, 0), second = accept_from(fd);

	(void)state;
	assert_false(peer_closed_has_left(first));
	close(silent);
	assert_true(peer_closed_has_left(first));
	assert_false(peer_closed_has_come(first));
	assert_int_equal(send(speaks, "x", 1, 0), 1);
	shutdown(speaks, SHUT_WR);
	assert_false(peer_closed_has_left(second));
	close(speaks);
	close(first);
	close(second);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_has_one_name_however_it_is_written),
		cmocka_unit_test(what_is_no_address_of_this_host_is_refused),
		cmocka_unit_test(a_path_is_meant_for_an_address_if_it_has_a_colon_and_no_file),
		cmocka_unit_test(other_hosts_reach_all_but_loopback),
		cmocka_unit_test(addresses_meet_where_only_one_can_be_listened_at),
		cmocka_unit_test(its_name_is_found_again_and_what_it_takes_is_its),
		cmocka_unit_test(localhost_is_both_families),
		cmocka_unit_test(who_has_connected_is_accepted_when_it_was_shut_and_nobody_else),
		cmocka_unit_test(a_port_that_is_taken_tells_who_has_it),
		cmocka_unit_test(user_and_process_of_a_peer_are_found_over_either_family),
		cmocka_unit_test(long_lists_are_read_in_bits),
		cmocka_unit_test(a_peer_that_says_no_more_and_has_said_nothing_has_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

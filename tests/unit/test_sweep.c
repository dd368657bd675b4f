/* A new worker's sweep: what is closed, what stays, and which clients are adopted. */
#include "recover_stage.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/tcp_listen.h"
#include "keep/table.h"

static void
the_sweep_closes_what_no_record_names(void **state)
{
	int named = side_file(), unnamed = side_file(), far = fcntl(unnamed, F_DUPFD_CLOEXEC, 600);
	int request = eventfd(0, EFD_CLOEXEC), activated = side_file();

	(void)state;
	table.header->file[TABLE_FILE_REQUEST] = request;
	table.header->activated[0].fd = activated;
	table.header->activated_count = 1;
	side_client(&table, named);
	recover_twice();
	assert_false(side_is_open(unnamed));
	assert_false(side_is_open(far));
	assert_true(side_is_open(named));
	assert_true(side_is_open(request));
	assert_true(side_is_open(activated));
	assert_true(side_is_open(STDERR_FILENO));
	assert_true(side_is_open(table.header->file[TABLE_FILE_MEMORY]));
}

static void
listeners_of_living_services_stay_and_others_go(void **state)
{
	int listener = side_listener(&table), other = side_file();

	(void)state;
	table.services[1].sockets[0].fd = other;
	table.services[1].word = TABLE_FREE | 1 << 8;
	recover_twice();
	assert_true(side_is_open(listener));
	assert_false(side_is_open(other));
}

static void
note_listener(void *arg, enum table_kind kind, volatile int32_t *fd)
{
	int *noted = arg;

	if (kind == TABLE_OF_STRAYS && *fd == noted[0])
		noted[1]++;
}

static void
a_listener_that_no_record_names_stays_open_and_goes_along_once(void **state)
{
	int stray = side_listener(&table), noted[] = { stray, 0 };
	struct table_socket *gone = &table.services[0].sockets[0];

	(void)state;
	gone->fd = -1;                      /* given away */
	fcntl(stray, F_SETFD, 0);           /* inherited from the program before */
	recover_twice();
	assert_int_equal(table.stray_count, 1);
	assert_int_equal(fcntl(stray, F_GETFD), FD_CLOEXEC);
	table_each_file(&table, note_listener, noted);
	assert_int_equal(noted[1], 1);
	assert_int_equal(recover_take_stray(&table, &gone->bound, gone->length), stray);
	assert_int_equal(recover_take_stray(&table, &gone->bound, gone->length), -1);
	close(stray);
}

/* Another has come in its place. */
static void
a_listener_that_was_shut_is_closed_when_no_record_names_it(void **state)
{
	int shut = side_listener(&table);

	(void)state;
	assert_int_equal(shutdown(shut, SHUT_RD), 0);
	recover_twice();
	assert_true(side_is_open(shut)); /* it is named: who has connected is accepted still */
	table.services[0].sockets[0].fd = -1;
	recover_twice();
	assert_false(side_is_open(shut));
	assert_int_equal(table.stray_count, 0);
}

/* Accepted, not recorded; gives the client's end, which some session names so that the sweep passes it over. */
static int
accept_unrecorded(int *ret_accepted)
{
	int listener = table.services[0].sockets[0].fd, client = side_connect(&table);

	*ret_accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_int_not_equal(*ret_accepted, -1);
	return client;
}

static uint32_t
find_client(int fd)
{
	for (uint32_t i = 1; i < table.header->client_high; i++)
		if (table_client_state(&table, i) != TABLE_FREE && table.clients[i].fd == fd)
			return i;
	return 0;
}

static void
a_client_accepted_but_not_recorded_is_adopted(void **state)
{
	int client, accepted;
	uint32_t session;

	(void)state;
	side_listener(&table);
	client = accept_unrecorded(&accepted);
	side_conn(&table, TABLE_READY, client);
	recover_twice();
	session = find_client(accepted);
	assert_int_not_equal(session, 0);
	assert_int_equal(table_client_state(&table, session), TABLE_LIVE);
	assert_int_equal(table.clients[session].flags, TABLE_CLIENT_ADOPTED);
	assert_true(table_client_is_held(&table, session));
}

static void
a_client_that_wrote_and_went_is_adopted(void **state)
{
	int client, accepted;

	(void)state;
	side_listener(&table);
	client = accept_unrecorded(&accepted);
	side_say(client, "last words");
	close(client);
	recover_twice();
	assert_int_not_equal(find_client(accepted), 0);
	assert_string_equal(side_hear(accepted), "last words");
}

static void
a_client_that_went_without_a_word_is_not_adopted(void **state)
{
	int client, accepted;

	(void)state;
	side_listener(&table);
	client = accept_unrecorded(&accepted);
	close(client);
	recover_twice();
	assert_false(side_is_open(accepted));
	assert_int_equal(count_clients(TABLE_LIVE), 0);
}

static void
a_client_that_only_shut_down_its_side_is_adopted(void **state)
{
	int client, accepted;

	(void)state;
	side_listener(&table);
	client = accept_unrecorded(&accepted);
	side_conn(&table, TABLE_READY, client);
	shutdown(client, SHUT_WR);
	recover_twice();
	assert_int_not_equal(find_client(accepted), 0);
}

static void
nobody_is_adopted_for_a_service_that_is_going(void **state)
{
	int client, accepted;

	(void)state;
	side_listener(&table);
	client = accept_unrecorded(&accepted);
	side_conn(&table, TABLE_READY, client);
	table.services[0].word = TABLE_CLOSING;
	recover_twice();
	assert_false(side_is_open(accepted));
}

static void
a_connection_to_somebody_else_is_not_adopted(void **state)
{
	int pair[2];

	(void)state;
	side_listener(&table);
	side_pair(pair);
	recover_twice();
	assert_false(side_is_open(pair[0]));
	assert_false(side_is_open(pair[1]));
}

static void
with_no_record_free_a_client_is_not_adopted(void **state)
{
	int client, accepted;

	(void)state;
	side_listener(&table);
	while (table.header->client_high < table.shape.files)
		side_client(&table, side_file());
	client = accept_unrecorded(&accepted);
	recover_twice();
	assert_false(side_is_open(accepted));
	assert_false(side_is_open(client));
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* A listener of TCP at some port of the host, as a service's record names it. */
static int
tcp_listener(void)
{
	struct table_socket *socket = &table.services[0].sockets[0];
	int fd = -1;

	for (unsigned port = 20400; fd == -1 && port < 20600; port++) {
		snprintf(socket->bound.sun_path, sizeof socket->bound.sun_path, "localhost:%u", port);
		if (tcp_listen_open(socket->bound.sun_path, 8, &fd) != 0)
			fd = -1;
	}
	assert_int_not_equal(fd, -1);
	socket->bound.sun_family = AF_UNSPEC;
	socket->length = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + strlen(socket->bound.sun_path) + 1);
	socket->fd = fd;
	table.services[0].word = TABLE_LIVE;
	return fd;
}

static int
tcp_connect(int listener)
{
	struct sockaddr_in6 name;
	socklen_t length = sizeof name;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &length), 0);
	name.sin6_addr = in6addr_loopback;
	assert_int_equal(connect(fd, (struct sockaddr *)&name, length), 0);
	return fd;
}

static void
a_client_of_tcp_is_adopted_and_an_outgoing_connection_is_not(void **state)
{
	int listener = tcp_listener(), outgoing, client = tcp_connect(listener);
	int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)state;
	side_conn(&table, TABLE_READY, client);
	outgoing = tcp_connect(listener);
	recover_twice();
	assert_int_not_equal(find_client(accepted), 0);
	assert_int_equal(table.clients[find_client(accepted)].flags, TABLE_CLIENT_ADOPTED);
	assert_false(side_is_open(outgoing));
	assert_int_equal(count_clients(TABLE_LIVE), 1);
}

static void
a_listener_of_tcp_that_no_record_names_is_taken_by_its_address(void **state)
{
	int listener = tcp_listener();
	struct table_socket *gone = &table.services[0].sockets[0];
	struct sockaddr_un other = gone->bound;

	(void)state;
	gone->fd = -1;
	recover_twice();
	assert_int_equal(table.stray_count, 1);
	other.sun_path[strlen(other.sun_path) - 1] ^= 1;
	assert_int_equal(recover_take_stray(&table, &other, gone->length), -1);
	assert_int_equal(recover_take_stray(&table, &gone->bound, gone->length), listener);
	close(listener);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(listeners_of_living_services_stay_and_others_go),
		ROW(a_listener_that_no_record_names_stays_open_and_goes_along_once),
		ROW(a_listener_that_was_shut_is_closed_when_no_record_names_it),
		ROW(a_client_accepted_but_not_recorded_is_adopted),
		ROW(a_client_that_wrote_and_went_is_adopted),
		ROW(a_client_that_went_without_a_word_is_not_adopted),
		ROW(a_client_that_only_shut_down_its_side_is_adopted),
		ROW(nobody_is_adopted_for_a_service_that_is_going),
		ROW(a_connection_to_somebody_else_is_not_adopted),
		ROW(with_no_record_free_a_client_is_not_adopted),
		ROW(a_client_of_tcp_is_adopted_and_an_outgoing_connection_is_not),
		ROW(a_listener_of_tcp_that_no_record_names_is_taken_by_its_address),
		ROW(the_sweep_closes_what_no_record_names), /* last: it makes the table of files larger for good */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Who is at the other end: users and groups by name and number; units and containers out of control groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/peer.h"
#include "keep_side.h"

static int pair[2];
static struct peer peer;

static int
set_up(void **state)
{
	(void)state;
	side_pair(pair);
	return peer_get(pair[0], &peer);
}

static int
tear_down(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static void
the_peer_of_a_pair_is_this_process(void **state)
{
	(void)state;
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.gid, getegid());
}

static void
what_is_no_socket_has_no_peer(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	assert_true(peer_get(fd, &peer) < 0);
	close(fd);
}

static bool
allowed(const char *user, const char *group)
{
	char *users[] = { (char *)(uintptr_t)user, NULL }, *groups[] = { (char *)(uintptr_t)group, NULL };

	return peer_allowed(pair[0], &peer, user != NULL ? users : NULL, group != NULL ? groups : NULL);
}

static void
empty_lists_let_everybody_in(void **state)
{
	char *none[] = { NULL };

	(void)state;
	assert_true(allowed(NULL, NULL));
	assert_true(peer_allowed(pair[0], &peer, none, none));
}

static void
users_are_known_by_name_and_number(void **state)
{
	const struct passwd *self = getpwuid(geteuid());
	char number[16], other[16];

	(void)state;
	snprintf(number, sizeof number, "%u", (unsigned)geteuid());
	snprintf(other, sizeof other, "%u", (unsigned)geteuid() + 12345);
	assert_true(allowed(number, NULL));
	assert_false(allowed(other, NULL));
	assert_false(allowed("no-such-user", NULL));
	assert_false(allowed(NULL, "no-such-group"));
	if (self != NULL)
		assert_true(allowed(self->pw_name, NULL));
}

static void
groups_are_known_by_name_and_number_supplementary_ones_too(void **state)
{
	const struct group *own = getgrgid(getegid());
	gid_t groups[256];
	int count = getgroups(256, groups);
	char number[16];

	(void)state;
	snprintf(number, sizeof number, "%u", (unsigned)getegid());
	assert_true(allowed(NULL, number));
	assert_true(allowed("no-such-user", number));
	if (own != NULL)
		assert_true(allowed(NULL, own->gr_name));
	for (int i = 0; i < count; i++) {
		snprintf(number, sizeof number, "%u", (unsigned)groups[i]);
		assert_true(allowed(NULL, number));
	}
	assert_false(allowed(NULL, "4000000000"));
}

static void
a_user_without_a_name_is_a_number(void **state)
{
	char name[64];

	(void)state;
	peer_user(3999999999u, name, sizeof name);
	assert_string_equal(name, "3999999999");
	peer_user(0, name, sizeof name);
	assert_string_equal(name, "root");
}

static void
a_process_that_is_not_there_has_neither_unit_nor_container(void **state)
{
	char text[PEER_UNIT_SIZE] = "x";

	(void)state;
	peer_unit(0x7ffffff0, text);
	assert_string_equal(text, "");
	strcpy(text, "x");
	peer_container(0x7ffffff0, text);
	assert_string_equal(text, "");
	peer_unit(getpid(), text); /* whatever it is: it must be a text */
	assert_true(strlen(text) < sizeof text);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(the_peer_of_a_pair_is_this_process),
		ROW(what_is_no_socket_has_no_peer),
		ROW(empty_lists_let_everybody_in),
		ROW(users_are_known_by_name_and_number),
		ROW(groups_are_known_by_name_and_number_supplementary_ones_too),
		ROW(a_user_without_a_name_is_a_number),
		ROW(a_process_that_is_not_there_has_neither_unit_nor_container),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A worker that resumes services whose sockets a dead one was to give to others: none is closed, none is missed. */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "config/load.h"
#include "daemon/listen_socket.h"
#include "daemon/services.h"
#include "keep/recover.h"

static struct table table;
static struct services *services;

static void
on_event(void *arg, const struct table_service *service, const struct upstream_event *event)
{
	(void)arg;
	(void)service;
	(void)event;
}

static const struct upstream_watcher watcher = { .event = on_event };

static void
on_drained(void *arg)
{
	(void)arg;
}

/* Frees the text. */
static struct config *
parse_text(char *text)
{
	struct config_errors errors = { 0 };
	struct config *config = config_parse_text(text, "test", &errors);

	if (config == NULL)
		fail_msg("%s\n%s", errors.errors[0], text);
	config_errors_clear(&errors);
	mem_free(text);
	return config;
}

/* Services named by the letters of names, at the sockets named by those of paths. */
static struct config *
parse(const char *names, const char *paths)
{
	char *text = mem_print("runtime_directory = \"%s\"; services: {", stage_folder), *longer;

	for (size_t i = 0; names[i] != '\0'; i++) {
		longer = mem_print("%s %c: { address = \"unix:/no\"; warm = 0; listen: { path = \"%c.sock\"; }; };",
		    text, names[i], paths[i]);
		mem_free(text);
		text = longer;
	}
	longer = mem_print("%s };", text);
	mem_free(text);
	return parse_text(longer);
}

/* One service, s, with a listener at each of the sockets named by the letters. */
static struct config *
parse_listeners(const char *paths)
{
	char *text = mem_copy_text(""), *longer;

	for (size_t i = 0; paths[i] != '\0'; i++) {
		longer = mem_print("%s%s\"%c.sock\"", text, i > 0 ? ", " : "", paths[i]);
		mem_free(text);
		text = longer;
	}
	longer = mem_print("runtime_directory = \"%s\"; services: { s: { address = \"unix:/no\"; warm = 0; "
	    "listen = ( %s ); }; };", stage_folder, text);
	mem_free(text);
	return parse_text(longer);
}

/* As a new worker does, with this configuration in force. */
static void
start_with(struct config *config)
{
	services_free(services);
	services = services_new(stage_loop, &table, &watcher, on_drained, NULL);
	services_resume(services, config);
	while (services_start_bit(services, config))
		continue;
	config_free(config);
}

static void
start(const char *names, const char *paths)
{
	start_with(parse(names, paths));
}

static struct table_service *
record_named(char name)
{
	char text[2] = { name, '\0' };
	struct service *service = services_find(services, text);

	assert_non_null(service);
	return &table.services[service_index(service)];
}

static void
give_away(char name)
{
	int fd = record_named(name)->sockets[0].fd;

	record_named(name)->sockets[0].fd = -1;
	recover_add_stray(&table, fd);
}

static bool
can_connect(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool can;

	snprintf(name.sun_path, sizeof name.sun_path, "%s", stage_path(path));
	can = connect(fd, (struct sockaddr *)&name, sizeof name) == 0;
	close(fd);
	return can;
}

/* Each service listens at the very file that had this path before, numbers being those of the paths' first owners. */
static void
assert_listening(const char *names, const char *paths, const int *files)
{
	char path[] = "x.sock";

	for (size_t i = 0; names[i] != '\0'; i++) {
		path[0] = paths[i];
		assert_int_equal(record_named(names[i])->sockets[0].fd, files[paths[i] - 'a']);
		assert_true(listen_socket_is_named(&record_named(names[i])->sockets[0], stage_path(path)));
		assert_true(can_connect(path));
	}
	assert_int_equal(table.stray_count, 0);
}

static void
begin(const char *names, int *ret_files)
{
	start(names, names);
	for (size_t i = 0; names[i] != '\0'; i++)
		ret_files[i] = record_named(names[i])->sockets[0].fd;
}

static int
set_up(void **state)
{
	int failed = stage_open(state);

	log_open(LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
	services = NULL;
	if (failed != 0 || table_new(100, &table) < 0)
		return -1;
	table_derive(&table);
	return 0;
}

static int
tear_down(void **state)
{
	services_stop(services, true);
	services_free(services);
	table_free(&table);
	return stage_close(state);
}

static void
an_exchange_is_done_of_which_nothing_was(void **state)
{
	int files[2];

	(void)state;
	begin("ab", files);
	start("ab", "ba");
	assert_listening("ab", "ba", files);
}

static void
an_exchange_is_done_of_which_one_half_was_given(void **state)
{
	int files[2];

	(void)state;
	begin("ab", files);
	give_away('a');
	start("ab", "ba");
	assert_listening("ab", "ba", files);
}

static void
a_round_of_three_is_done_wherever_it_stood(void **state)
{
	static const char *const passed_fds[] = { "", "a", "b", "c", "ab", "ca", "abc" };
	int files[3];

	(void)state;
	begin("abc", files);
	for (size_t i = 0; i < sizeof passed_fds / sizeof *passed_fds; i++) {
		for (const char *name = passed_fds[i]; *name != '\0'; name++)
			give_away(*name);
		start("abc", "bca");
		assert_listening("abc", "bca", files);
		start("abc", "abc");
		assert_listening("abc", "abc", files);
	}
}

static void
a_new_service_gets_the_socket_of_a_removed_one_with_its_backlog(void **state)
{
	int files[1];

	(void)state;
	begin("a", files);
	start("b", "a");
	assert_listening("b", "a", files);
}

/* Whatever the order is, and whoever died on the way: the sockets that stay are the very same, others are gone. */
static void
listeners_of_a_service_change_places_come_and_go(void **state)
{
	static const char *const orders[] = { "ba", "abc", "cab", "b", "a", "bcdefgha", "hgfedcba", "da" };
	int files[26], stays;
	char path[] = "x.sock";

	(void)state;
	for (unsigned given = 0; given < 4; given++) {
		const char *before = "ab";

		start_with(parse_listeners(before));
		for (size_t i = 0; i < sizeof orders / sizeof *orders; before = orders[i++]) {
			struct table_socket *sockets = record_named('s')->sockets;

			for (unsigned k = 0; before[k] != '\0'; k++)
				files[before[k] - 'a'] = sockets[k].fd;
			for (unsigned k = 0; before[k] != '\0' && k < given; k++) { /* a worker died then */
				recover_add_stray(&table, sockets[k].fd);
				sockets[k].fd = -1;
			}
			start_with(parse_listeners(orders[i]));
			recover_close_strays(&table);
			for (unsigned k = 0; k < TABLE_LISTENERS; k++) {
				bool wanted = k < strlen(orders[i]);

				assert_int_equal(sockets[k].fd != -1, wanted);
				path[0] = wanted ? orders[i][k] : 'x';
				stays = wanted && strchr(before, path[0]) != NULL ? files[path[0] - 'a'] : -1;
				assert_true(!wanted || can_connect(path));
				assert_true(stays == -1 || sockets[k].fd == stays);
			}
		}
	}
}

static void
a_socket_that_one_gives_while_it_moves_elsewhere_stays(void **state)
{
	int files[2];

	(void)state;
	begin("ab", files);
	start("ab", "ca");
	assert_int_equal(record_named('b')->sockets[0].fd, files[0]);
	assert_true(can_connect("a.sock") && can_connect("c.sock"));
	assert_false(can_connect("b.sock"));
}

static void
a_move_that_fails_keeps_service_and_socket_until_a_reload_can_do_it(void **state)
{
	struct config_errors errors = { 0 };
	struct reload_plan plan;
	struct config *old, *new;
	int files[1];

	(void)state;
	begin("a", files);
	stage_write("b.sock", "not a socket", 0644);
	log_open(LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
	start("a", "b");
	assert_int_equal(record_named('a')->sockets[0].fd, files[0]);
	assert_true(can_connect("a.sock"));
	unlink(stage_path("b.sock"));
	old = parse("a", "b");
	new = parse("a", "b");
	reload_plan_begin(old, new, false, &errors, &plan);
	while (services_plan_bit(services, &plan))
		continue;
	assert_int_equal(errors.count, 0);
	assert_int_equal(plan.changed_count, 0);
	while (services_apply_bit(services, &plan))
		continue;
	assert_true(can_connect("b.sock"));
	assert_false(can_connect("a.sock"));
	reload_plan_clear(&plan);
	config_free(old);
	config_free(new);
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ROTATED "bcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZa"

/* A reload or a start as the daemon does it, in turns of the loop. */
struct work {
	struct loop_work work;
	struct config *config;
	struct reload_plan plan;
	unsigned bits; /* so far */
	bool done;
};

static bool
start_bit(void *arg)
{
	struct work *work = arg;

	work->bits++;
	return services_start_bit(services, work->config);
}

static bool
plan_bit(void *arg)
{
	struct work *work = arg;

	work->bits++;
	return services_plan_bit(services, &work->plan);
}

static bool
apply_bit(void *arg)
{
	struct work *work = arg;

	work->bits++;
	return services_apply_bit(services, &work->plan);
}

static void
on_worked(void *arg)
{
	((struct work *)arg)->done = true;
}

/* How many of the letters' services listen at a file other than the one noted; notes it. */
static unsigned
count_moved(int files[sizeof LETTERS])
{
	unsigned moved = 0;

	for (size_t i = 0; LETTERS[i] != '\0'; i++) {
		const char name[] = { LETTERS[i], '\0' };
		const struct service *service = services_find(services, name);
		int fd = service == NULL ? -1 : table.services[service_index(service)].sockets[0].fd;

		moved += fd != files[i];
		files[i] = fd;
	}
	return moved;
}

/* Runs it to its end: no turn touches more than LOOP_BITS services, and with all nobody misses a socket between two
 * turns. */
static void
run_work(struct work *work, bool (*bit)(void *arg), int files[sizeof LETTERS], bool all)
{
	char path[] = "x.sock";
	unsigned before, turns = 0;

	work->done = false;
	work->bits = 0;
	loop_work_init(&work->work, stage_loop, work);
	loop_work_start(&work->work, bit, on_worked);
	for (; !work->done; turns++) {
		before = work->bits;
		event_base_loop(stage_loop, EVLOOP_ONCE);
		assert_in_range(work->bits - before, 0, LOOP_BITS);
		assert_in_range(count_moved(files), 0, LOOP_BITS);
		for (size_t i = 0; all && LETTERS[i] != '\0'; i++) {
			path[0] = LETTERS[i];
			assert_true(can_connect(path));
		}
	}
	assert_true(turns > strlen(LETTERS) / LOOP_BITS);
}

static void
start_and_reload_do_a_few_services_in_a_turn(void **state)
{
	struct work work = { .config = parse(LETTERS, LETTERS) };
	struct config_errors errors = { 0 };
	struct config *new = parse(LETTERS, ROTATED);
	int files[sizeof LETTERS], first[sizeof LETTERS];

	(void)state;
	memset(files, -1, sizeof files);
	services = services_new(stage_loop, &table, &watcher, on_drained, NULL);
	services_resume(services, work.config);
	run_work(&work, start_bit, files, false);
	memcpy(first, files, sizeof files);
	reload_plan_begin(work.config, new, false, &errors, &work.plan);
	run_work(&work, plan_bit, files, true);
	assert_int_equal(errors.count, 0);
	assert_memory_equal(files, first, sizeof files); /* nothing has changed yet */
	run_work(&work, apply_bit, files, true);
	for (size_t i = 0; LETTERS[i] != '\0'; i++)
		assert_int_equal(files[i], first[(i + 1) % strlen(LETTERS)]);
	reload_plan_clear(&work.plan);
	config_free(work.config);
	config_free(new);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(an_exchange_is_done_of_which_nothing_was),
		ROW(an_exchange_is_done_of_which_one_half_was_given),
		ROW(a_round_of_three_is_done_wherever_it_stood),
		ROW(a_new_service_gets_the_socket_of_a_removed_one_with_its_backlog),
		ROW(listeners_of_a_service_change_places_come_and_go),
		ROW(a_socket_that_one_gives_while_it_moves_elsewhere_stays),
		ROW(a_move_that_fails_keeps_service_and_socket_until_a_reload_can_do_it),
		ROW(start_and_reload_do_a_few_services_in_a_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_endpoints_deaths.c - a worker's death at every instruction of each change of upstream/endpoints.
 *
 * A process makes the change in shared memory and is stepped through it; each state of the memory that it leaves on
 * the way is what a death there would leave.  A new worker resumes from a copy of each: it must find the lookup
 * before or the new one whole, no two endpoints with one number or place, and counts that are those of its
 * connections; and when it is told the same again, it comes to where it would have come without the death.
 */
#include "endpoints_story.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALL  "0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdfghijklmnop" /* 64, without e */
#define SIZE sizeof(struct endpoints)

/* One change: what is there, what is done. */
struct change {
	void (*prepare)(struct endpoints *e);
	void (*act)(struct endpoints *e);
	const char *before, *after; /* listed, best first */
	char connected;             /* one that has a connection throughout */
	bool same;                  /* done again, nothing but counters is different */
};

static struct endpoints *shared, last, copy, whole;

static void
nothing(struct endpoints *e)
{
	(void)e;
}

static void
two(struct endpoints *e)
{
	list(e, "ab", 1000);
	dial(e, &usual, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
}

/* b is missed, c is failed, d was withdrawn. */
static void
four(struct endpoints *e)
{
	list(e, "abcd", 1000);
	dial(e, &usual, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
	list(e, "abc", 2000);
	list(e, "abc", 3000);
	dial(e, &usual, ENDPOINTS_FAILED, 'c', 3000, 3001);
	list(e, "ac", 3500);
}

static void
rotating(struct endpoints *e)
{
	struct endpoints_settings s = usual;

	two(e);
	s.pick = ENDPOINTS_ROTATE;
	race_choose(e, &s, 0, 0);
}

static void
late(struct endpoints *e)
{
	two(e);
	tell(e, &usual, ENDPOINTS_BEGAN, 'b', 2000, 2000);
	tell(e, &usual, ENDPOINTS_LATE, 'b', 2250, 2000);
}

/* Every place is taken, one of them by an endpoint that is not listed any more. */
static void
full(struct endpoints *e)
{
	list(e, ALL, 1000);
	dial(e, &usual, ENDPOINTS_CONNECTED, 'a', 1000, 1001);
	list(e, &ALL[1], 2000);
}

static void
list_one(struct endpoints *e)
{
	list(e, "e", 5000);
}

static void
list_the_first(struct endpoints *e)
{
	list(e, "ab", 5000);
}

static void
list_others(struct endpoints *e)
{
	list(e, "ecb", 5000);
}

static void
withdraw(struct endpoints *e)
{
	list(e, "c", 5000);
}

static void
fall(struct endpoints *e)
{
	tell(e, &usual, ENDPOINTS_FAILED, 'b', 5000, 4000);
}

static void
rise(struct endpoints *e)
{
	tell(e, &usual, ENDPOINTS_CONNECTED, 'c', 5000, 4999);
}

static void
renew(struct endpoints *e)
{
	endpoints_renew(e);
}

static const struct change changes[] = {
	{ nothing, list_the_first, "", "ab", 0, true },
	{ two, list_others, "ab", "ecb", 'a', true },
	{ four, list_others, "ac", "ecb", 'a', true },
	{ four, withdraw, "ac", "c", 'a', true },
	{ full, list_one, &ALL[1], "e", 'a', true },
	{ two, fall, "ab", "ab", 'a', true },
	{ late, fall, "ab", "ab", 'a', true },
	{ four, rise, "ac", "ac", 'a', true },
	{ two, rotating, "ab", "ab", 'a', false },
	{ four, renew, "ac", "", 'a', false },
};

static void
listed(struct endpoints *e, char ret_letters[ENDPOINTS_MAX + 1])
{
	size_t count = 0;

	memset(ret_letters, 0, ENDPOINTS_MAX + 1);
	for (unsigned order = 0; order < ENDPOINTS_MAX; order++)
		for (unsigned i = 0; i < e->high; i++)
			if (endpoints_is_listed(e, &e->list[i]) &&
			    endpoints_listing(e, &e->list[i])->order == order)
				ret_letters[count++] = letter_of(e, e->list[i].number);
}

static void
check_numbers(struct endpoints *e)
{
	for (unsigned i = 0; i < ENDPOINTS_MAX; i++) {
		const struct endpoint *endpoint = &e->list[i];

		if (endpoint->number == 0)
			continue;
		assert_true(i < e->high);
		assert_int_equal(endpoint->number % ENDPOINTS_MAX, i);
		assert_ptr_equal(endpoints_find(e, number_of(e, letter_of(e, endpoint->number))), endpoint);
		assert_in_range(strlen(endpoint->from), 0, ENDPOINT_FROM_SIZE - 1);
		assert_true(endpoint->error[0] == '\0' || strcmp(endpoint->error, "Connection refused") == 0);
		assert_true(endpoint->from[0] == '\0' || strcmp(endpoint->from, "script") == 0);
		assert_true(!endpoints_is_listed(e, endpoint) || endpoint->missed_at == 0);
	}
}

/* A lookup that a death has cut short counts as one that has missed what it did not list. */
static void
check_missed(const struct endpoints *e)
{
	for (unsigned i = 0; i < ENDPOINTS_MAX; i++)
		assert_true(e->list[i].number == 0 ||
		    endpoints_is_listed(e, &e->list[i]) == (e->list[i].missed_at == 0));
}

/* What matters of it in the end. */
static void
check_same(struct endpoints *e, struct endpoints *wanted)
{
	for (char letter = 'a'; letter <= 'e'; letter++) {
		const struct endpoint *a = endpoints_find(e, number_of(e, letter));
		const struct endpoint *b = endpoints_find(wanted, number_of(wanted, letter));

		if (b == NULL || !endpoints_is_listed(wanted, b))
			continue;
		assert_non_null(a);
		assert_int_equal(endpoints_state(e, a), endpoints_state(wanted, b));
		assert_int_equal(a->failed_until, b->failed_until);
		assert_int_equal(a->slow_until != 0, b->slow_until != 0);
		assert_string_equal(a->from, b->from);
	}
}

/* Another lookup than the one that was under way comes first. */
static void
list_after(const struct endpoints *dead)
{
	char letters[ENDPOINTS_MAX + 1];

	memcpy(&copy, dead, SIZE);
	endpoints_resume(&copy, 6000 * MS);
	check_missed(&copy);
	list(&copy, "ab", 7000);
	listed(&copy, letters);
	assert_string_equal(letters, "ab");
	check_numbers(&copy);
	check_missed(&copy);
}

static void
resume(const struct change *change)
{
	char letters[ENDPOINTS_MAX + 1];

	list_after(shared);
	memcpy(&copy, shared, SIZE);
	endpoints_resume(&copy, 6000 * MS);
	check_numbers(&copy);
	check_missed(&copy);
	if (change->connected != 0)
		count_open(&copy, change->connected, 1);
	listed(&copy, letters);
	if (strcmp(letters, change->before) != 0)
		assert_string_equal(letters, change->after);
	assert_int_equal(race_choose(&copy, &usual, 0, 0) != 0, letters[0] != '\0');
	change->act(&copy);
	listed(&copy, letters);
	assert_string_equal(letters, change->after);
	check_numbers(&copy);
	if (change->same)
		check_same(&copy, &whole);
}

static bool
step(pid_t pid)
{
	int status;

	return ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid &&
	    WIFSTOPPED(status);
}

/* How many states were seen; 0: there is no ptrace here. */
static unsigned
die_everywhere(const struct change *change)
{
	unsigned seen = 0;
	int status;
	pid_t pid;

	memset(shared, 0, sizeof *shared);
	change->prepare(shared);
	memset(&copy, 0, sizeof copy);
	whole = last = *shared;
	endpoints_resume(&whole, 4500 * MS);
	change->act(&whole);
	pid = fork();
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1)
			_exit(1);
		raise(SIGSTOP);
		change->act(shared);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	while (WIFSTOPPED(status) && step(pid)) {
		if (seen > 0 && memcmp(&last, shared, SIZE) == 0)
			continue;
		memcpy(&last, shared, SIZE);
		seen++;
		resume(change);
	}
	return seen;
}

static void
a_death_at_every_instruction_is_harmless(void **state)
{
	cpu_set_t here;

	(void)state;
	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	sched_setaffinity(0, sizeof here, &here); /* who steps and who is stepped take turns */
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		unsigned seen = die_everywhere(&changes[i]);

		if (seen == 0)
			skip();
		assert_true(seen > 1);
		print_message("change %zu: %u states\n", i, seen);
	}
	munmap(shared, sizeof *shared);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_death_at_every_instruction_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

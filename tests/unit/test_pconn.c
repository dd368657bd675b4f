/* test_pconn.c - rules P1 to P12 and P22 of the persistent connection, as stories of the pure machine; the
 * others are in test_pconn_ends.c and test_pconn_daemon.c.
 *
 * Broken on purpose, and what caught it (in these three or in test_pconn_explore.c):
 *  1. the delay not run from the attempt's start ........... p4_the_delay_runs_from_the_start_of_the_attempt
 *  2. attempting_to_connect before every attempt ........... p7_events_come_in_order
 *  3. disconnected without waiting for connected's handler . p10_disconnected_waits_..., explore: pairs
 *  4. an attempt begun after close or drain ................ p16_close_cuts_a_wait_short_..., explore: ends
 *  5. a further endpoint offered after close ............... p16_close_dials_no_further_endpoint
 *  6. a dial after a drain's lookup; connected reported ... p20_drain_closes_what_an_attempt_brings_...
 *  7. a later abort replaces a drain ....................... p21_the_first_of_abort_and_drain_wins
 *  8. failures begin at 1 after a young end ................ p27_a_young_one_that_ends_is_a_failed_attempt
 *  9. an address that is not fresh reported ................ p23_endpoints_are_tried_in_one_attempt
 * 10. the errors of addresses forgotten by a lookup ....... p23_repeats_are_by_endpoint
 * 11. a later wake replaces an earlier moment .............. p24_a_wake_comes_within_spread_when_nobody_is_held
 * 12. a wake sooner than 10 ms after an attempt; forgotten . p24_a_wake_is_at_once_when_somebody_is_held
 * 13. lost though another dial is under way; 65 dials ...... p25_a_crowd_is_dialled_for_side_by_side, p25_several_...
 * 14. a drop forgets the lookup under way ................. explore: resumes
 * 15. a second lookup while connected ..................... explore: one_in_flight
 * 16. several that end together counted each ............... p28_several_that_end_together_are_one_expiry
 * 17. a client between does not count ...................... p28_a_wake_ends_the_rest_and_a_client_between_...
 * 18. attempts without a client with warm = 0 .............. p30_without_a_client_no_further_attempt
 * 19. a close after an open does nothing ................... open_starts_anew_after_any_end
 * 20. jitter with one sign ................................. p5_the_delay_is_jittered
 */
#include "pconn_story.h"

static void
p1_the_first_attempt_starts_when_it_is_made(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, { 0, PCONN_START, REPORT, PCONN_ATTEMPTING, NO },
	    { 0, PCONN_HANDLED, LOOKUP, PCONN_LOOKUP, NO });
	assert_int_equal(p.event, PCONN_REPORT_ATTEMPTING);
}

static void
p2_every_attempt_looks_up_again(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_WAIT, { 10000, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO },
	    { 10000, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO }, { 10000, PCONN_OFFERED, GO, PCONN_DIAL, NO },
	    { 10000, PCONN_DIAL_FAILED, BAD, PCONN_WAIT, 20000, .same = true },
	    { 20000, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO });
}

static void
p3_a_failed_lookup_and_a_failed_dial_are_failed_attempts(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_LOOKUP, { 5, PCONN_LOOKUP_FAILED, REPORT | BAD, PCONN_FAILED, NO },
	    { 6, PCONN_HANDLED, 0, PCONN_WAIT, 10000 }, { 10000, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO },
	    { 10000, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO },
	    { 10000, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true },
	    { 10000, PCONN_HANDLED, GO, PCONN_DIAL, NO },
	    { 10001, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO },
	    { 10002, PCONN_HANDLED, 0, PCONN_WAIT, 20000 });
	assert_int_equal(p.failures, 2);
}

static void
p4_the_delay_runs_from_the_start_of_the_attempt(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, { 0, PCONN_START, REPORT, PCONN_ATTEMPTING, NO },
	    { 100, PCONN_HANDLED, LOOKUP, PCONN_LOOKUP, NO },
	    { 3000, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO },
	    { 3000, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true },
	    { 3001, PCONN_HANDLED, GO, PCONN_DIAL, NO },
	    { 8000, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO },
	    { 8500, PCONN_HANDLED, 0, PCONN_WAIT, 10100 },
	    { 10099, PCONN_DEADLINE, 0, PCONN_WAIT, 10100 }, { 10100, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO });
}

static void
p4_the_next_attempt_waits_for_the_handler_too(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_DIAL, { 0, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO },
	    { 10000, PCONN_DEADLINE, 0, PCONN_FAILED, NO }, { 12000, PCONN_HANDLED, 0, PCONN_WAIT, 10000 },
	    { 12000, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO });
}

static void
p4_a_connection_that_lived_long_is_replaced_at_once(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 60000, PCONN_LOST, REPORT | DROP, PCONN_DISCONNECTED, NO },
	    { 60001, PCONN_HANDLED, 0, PCONN_WAIT, 10000 }, { 60001, PCONN_DEADLINE, REPORT, PCONN_ATTEMPTING, NO },
	    { 60002, PCONN_HANDLED, LOOKUP, PCONN_LOOKUP, NO },
	    { 60003, PCONN_LOOKUP_FAILED, REPORT | BAD, PCONN_FAILED, NO },
	    { 60004, PCONN_HANDLED, 0, PCONN_WAIT, 70002 });
}

static void
p4_one_that_lived_short_waits_for_the_rest(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_CONNECTED, { 4000, PCONN_LOST, REPORT | DROP, PCONN_DISCONNECTED, NO },
	    { 4001, PCONN_HANDLED, 0, PCONN_WAIT, 10000 });
}

/* A reload may make it shorter while it runs, or before that. */
static void
p6_a_shorter_delay_holds_for_the_one_that_runs(void **state)
{
	struct pconn_settings quick = usual;
	struct pconn p = { 0 };

	(void)state;
	quick.retry.delay = CLOCK_SECOND;
	PLAY(&p, &usual, TO_DIAL, { 0, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO },
	    { 10, PCONN_HANDLED, 0, PCONN_WAIT, 10000 }, { 20, PCONN_HELD, 0, PCONN_WAIT, 10000 });
	PLAY(&p, &quick, { 30, PCONN_HELD, 0, PCONN_WAIT, 1000 }, { 1000, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO });
	p = (struct pconn){ 0 };
	PLAY(&p, &usual, TO_DIAL, { 0, PCONN_DIAL_FAILED, REPORT | BAD, PCONN_FAILED, NO });
	PLAY(&p, &quick, { 10, PCONN_HANDLED, 0, PCONN_WAIT, 1000 });
}

static void
p5_the_delay_is_jittered(void **state)
{
	int64_t least = INT64_MAX, most = 0;
	const int64_t d = 10 * CLOCK_SECOND;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		int64_t delay = delay_jitter(d, 0.3, i * 42949u);

		least = delay < least ? delay : least;
		most = delay > most ? delay : most;
	}
	assert_in_range(least, 7 * CLOCK_SECOND + 1, 7 * CLOCK_SECOND + 2000);
	assert_in_range(most, 13 * CLOCK_SECOND - 2000, 13 * CLOCK_SECOND - 1);
	assert_int_equal(delay_jitter(d, 0.3, DELAY_EXACT), d);
	assert_int_equal(delay_jitter(d, 0.3, 0x80000001u), d + d * 3 / 20);
	assert_int_equal(delay_jitter(d, 0.3, 0x80000000u), d - d * 3 / 20);
}

static void
p5_the_machine_draws_with_its_roll(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, { 0, PCONN_START, REPORT, PCONN_ATTEMPTING, NO },
	    { 0, PCONN_HANDLED, LOOKUP, PCONN_LOOKUP, NO, .roll = 0x80000001u },
	    { 0, PCONN_LOOKUP_FAILED, BAD, PCONN_WAIT, 11500, .same = true });
}

static void
p6_the_delay_is_asked_anew_for_each_attempt(void **state)
{
	struct pconn p = { 0 };
	struct pconn_settings s = usual;

	(void)state;
	PLAY(&p, &s, TO_WAIT);
	s.retry.delay = 3 * CLOCK_SECOND;
	PLAY(&p, &s, { 10000, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO },
	    { 10000, PCONN_LOOKUP_FAILED, BAD, PCONN_WAIT, 13000, .same = true });
	s.retry.factor = 2;
	s.retry.max = 10 * CLOCK_SECOND;
	PLAY(&p, &s, { 13000, PCONN_DEADLINE, LOOKUP, PCONN_LOOKUP, NO }, /* 2 failures: 12 s, but 10 at most */
	    { 13000, PCONN_LOOKUP_FAILED, BAD, PCONN_WAIT, 23000, .same = true });
}

/* A world in which lookups and dials give what a script says; the events as letters: T attempting,
 * a-z address, upper-case or digit error, + connected, - disconnected. */
struct world {
	struct pconn p;
	struct pconn_settings s;
	struct repeats repeats;
	int64_t now;
	const char *addresses; /* of each lookup in turn; '!' a failed one */
	const char *results;   /* of each dial or failed lookup in turn: '+', or an error's letter */
	char address, error;
	char events[4096];
	size_t length;
	unsigned attempts;
};

static unsigned
tell(struct world *w, struct pconn_input in)
{
	in.now = w->now;
	in.roll = DELAY_EXACT;
	in.ready = w->p.state == PCONN_CONNECTED || in.event == PCONN_DIALED;
	return pconn_step(&w->p, &w->s, &in);
}

static void
note(struct world *w)
{
	const char letters[] = { 0, 'T', w->address, w->error, '+', '-' };

	if (w->length < sizeof w->events - 1)
		w->events[w->length++] = letters[w->p.event];
	if (w->p.event == PCONN_REPORT_ATTEMPTING)
		repeats_begin(&w->repeats);
}

/* The next letter; the last one of the text stays for good. */
static char
pull(const char **text)
{
	char letter = **text;

	if ((*text)[1] != '\0')
		(*text)++;
	return letter;
}

static unsigned
look_up(struct world *w)
{
	w->attempts++;
	w->address = pull(&w->addresses);
	if (w->address == '!') {
		w->error = pull(&w->results);
		return tell(w, (struct pconn_input){ .event = PCONN_LOOKUP_FAILED,
		    .same = repeats_lookup_failed(&w->repeats, (uint64_t)w->error) });
	}
	repeats_attempt(&w->repeats);
	return tell(w, (struct pconn_input){ .event = PCONN_LOOKED_UP });
}

static unsigned
offer(struct world *w)
{
	return tell(w, (struct pconn_input){ .event = PCONN_OFFERED,
	    .fresh = repeats_try(&w->repeats, (uint16_t)w->address) });
}

static unsigned
dial_one(struct world *w)
{
	w->error = pull(&w->results);
	if (w->error == '+')
		return tell(w, (struct pconn_input){ .event = PCONN_DIALED });
	return tell(w, (struct pconn_input){ .event = PCONN_DIAL_FAILED,
	    .same = repeats_dial_failed(&w->repeats, (uint16_t)w->address, (uint64_t)w->error) });
}

/* Lives until `end`, or until connected with nothing more to do. */
static void
live(struct world *w, unsigned todo, int64_t end)
{
	for (;;) {
		if ((todo & PCONN_DO_REPORT) != 0)
			note(w);
		if ((todo & PCONN_DO_HANDLE) != 0)
			todo = tell(w, (struct pconn_input){ .event = PCONN_HANDLED });
		else if ((todo & PCONN_DO_LOOKUP) != 0)
			todo = look_up(w);
		else if ((todo & PCONN_DO_DIAL) != 0)
			todo = offer(w);
		else if ((todo & PCONN_DO_GO) != 0)
			todo = dial_one(w);
		else if (w->p.deadline <= end) {
			w->now = w->p.deadline > w->now ? w->p.deadline : w->now;
			todo = tell(w, (struct pconn_input){ .event = PCONN_DEADLINE });
		} else
			return;
	}
}

static struct world
world(const char *addresses, const char *results)
{
	return (struct world){ .s = usual, .addresses = addresses, .results = results };
}

static void
p7_events_come_in_order(void **state)
{
	struct world w = world("a", "RS+");

	(void)state;
	live(&w, tell(&w, (struct pconn_input){ .event = PCONN_START }), 100 * CLOCK_SECOND);
	assert_string_equal(w.events, "TaRS+");
	assert_int_equal(w.now, 20 * CLOCK_SECOND);
	w.now = 25 * CLOCK_SECOND;
	live(&w, tell(&w, (struct pconn_input){ .event = PCONN_LOST }), 29 * CLOCK_SECOND);
	assert_string_equal(w.events, "TaRS+-");
	live(&w, 0, 30 * CLOCK_SECOND);
	assert_string_equal(w.events, "TaRS+-Ta+");
}

static void
p8_repeats_are_not_reported(void **state)
{
	struct world w = world("aabaa", "RRRRR+");

	(void)state;
	live(&w, tell(&w, (struct pconn_input){ .event = PCONN_START }), 1000 * CLOCK_SECOND);
	assert_string_equal(w.events, "TaRba+");
	w = world("a!a!!b", "RRSS11R+");
	live(&w, tell(&w, (struct pconn_input){ .event = PCONN_START }), 1000 * CLOCK_SECOND);
	assert_string_equal(w.events, "TaRS1bR+");
}

static void
p7_p8_an_hour_of_outages_in_a_millisecond(void **state)
{
	struct world w = world("a", "R"), once;
	int64_t begin, spent = CLOCK_NEVER;

	(void)state;
	for (unsigned i = 0; i < 5; i++) { /* the best of five: the machine may be busy */
		once = w;
		begin = clock_now();
		live(&once, tell(&once, (struct pconn_input){ .event = PCONN_START }), 3600 * CLOCK_SECOND);
		once.results = "+";
		live(&once, 0, 3610 * CLOCK_SECOND);
		spent = clock_now() - begin < spent ? clock_now() - begin : spent;
	}
	print_message("an hour of outages: %lld us, %u attempts\n", (long long)spent, once.attempts);
	assert_string_equal(once.events, "TaR+");
	assert_int_equal(once.attempts, 362);
	assert_true(spent < CLOCK_MILLISECOND);
}

static void
p7_p8_an_hour_of_many_outages(void **state)
{
	struct world w = world("ab", "R+");
	char expected[4096] = "";
	int64_t begin = clock_now();

	(void)state;
	live(&w, tell(&w, (struct pconn_input){ .event = PCONN_START }), 10 * CLOCK_SECOND);
	for (unsigned i = 0; i < 360; i++) {
		w.now += 10 * CLOCK_SECOND;
		w.results = "RSSR+";
		w.addresses = "bcbb!";
		w.addresses = "bcbbc";
		live(&w, tell(&w, (struct pconn_input){ .event = PCONN_LOST }), w.now + 100 * CLOCK_SECOND);
	}
	assert_true(clock_now() - begin < 100 * CLOCK_MILLISECOND);
	strcpy(expected, "TaRb+");
	for (size_t i = 0, at = 5; i < 360; i++, at += 10)
		memcpy(expected + at, "-TbRcSbRc+", 11);
	assert_string_equal(w.events, expected);
}

static void
p9_the_handler_holds_the_next_step(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, { 0, PCONN_START, REPORT, PCONN_ATTEMPTING, NO },
	    { 9000, PCONN_WAKE, 0, PCONN_ATTEMPTING, NO },
	    { 9000, PCONN_HELD, 0, PCONN_ATTEMPTING, NO, .held = 3 },
	    { 9001, PCONN_HANDLED, LOOKUP, PCONN_LOOKUP, NO },
	    { 9002, PCONN_LOOKED_UP, DIAL, PCONN_DIAL, NO },
	    { 9003, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true },
	    { 9500, PCONN_RECONNECT, 0, PCONN_OBTAINED, NO }, { 9600, PCONN_HANDLED, GO, PCONN_DIAL, NO },
	    { 9700, PCONN_DIAL_FAILED, REPORT, PCONN_FAILED, NO, .further = true },
	    { 9800, PCONN_WAKE, 0, PCONN_FAILED, NO }, { 9900, PCONN_HANDLED, DIAL, PCONN_DIAL, NO },
	    { 9900, PCONN_OFFERED, REPORT, PCONN_OBTAINED, NO, .fresh = true });
}

static void
p10_disconnected_waits_for_the_handler_of_connected(void **state)
{
	struct pconn p = { 0 };

	(void)state;
	PLAY(&p, &usual, TO_HANDLING, { 5, PCONN_LOST, DROP, PCONN_CONNECTED, NO },
	    { 6, PCONN_LOST, 0, PCONN_CONNECTED, NO }, { 7, PCONN_RECONNECT, 0, PCONN_CONNECTED, NO },
	    { 900, PCONN_HANDLED, REPORT, PCONN_DISCONNECTED, NO }, { 901, PCONN_LOST, 0, PCONN_DISCONNECTED, NO });
	assert_int_equal(p.event, PCONN_REPORT_DISCONNECTED);
}

static void
p11_a_handlers_end_goes_on_however_it_ended(void **state)
{
	struct pconn p = { 0 };

	/* There is one event for both ends, so a failing handler cannot change anything. */
	(void)state;
	PLAY(&p, &usual, TO_HANDLING, { 1, PCONN_HANDLED, 0, PCONN_CONNECTED, NO, .ready = 1 });
	assert_true(pconn_is_connected(&p));
}

static void
p12_subscribers_are_told_with_the_handler(void **state)
{
	struct pconn p = { 0 };
	const struct row row = { 0, PCONN_START, 0, 0, 0 };

	(void)state;
	assert_int_equal(step_row(&p, &usual, &row), PCONN_DO_REPORT | PCONN_DO_HANDLE);
	assert_int_equal(p.event, PCONN_REPORT_ATTEMPTING); /* the last event, for a new one */
	assert_true(PCONN_DO_REPORT < PCONN_DO_HANDLE);
}

static void
p22_failures_in_a_row_are_counted(void **state)
{
	struct world w = world("a", "RRR+");

	(void)state;
	live(&w, tell(&w, (struct pconn_input){ .event = PCONN_START }), 25 * CLOCK_SECOND);
	assert_int_equal(w.p.failures, 3);
	live(&w, 0, 30 * CLOCK_SECOND);
	assert_int_equal(w.p.state, PCONN_CONNECTED);
	assert_int_equal(w.p.failures, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(p1_the_first_attempt_starts_when_it_is_made),
		cmocka_unit_test(p2_every_attempt_looks_up_again),
		cmocka_unit_test(p3_a_failed_lookup_and_a_failed_dial_are_failed_attempts),
		cmocka_unit_test(p4_the_delay_runs_from_the_start_of_the_attempt),
		cmocka_unit_test(p4_the_next_attempt_waits_for_the_handler_too),
		cmocka_unit_test(p4_a_connection_that_lived_long_is_replaced_at_once),
		cmocka_unit_test(p4_one_that_lived_short_waits_for_the_rest),
		cmocka_unit_test(p6_a_shorter_delay_holds_for_the_one_that_runs),
		cmocka_unit_test(p5_the_delay_is_jittered),
		cmocka_unit_test(p5_the_machine_draws_with_its_roll),
		cmocka_unit_test(p6_the_delay_is_asked_anew_for_each_attempt),
		cmocka_unit_test(p7_events_come_in_order),
		cmocka_unit_test(p8_repeats_are_not_reported),
		cmocka_unit_test(p7_p8_an_hour_of_outages_in_a_millisecond),
		cmocka_unit_test(p7_p8_an_hour_of_many_outages),
		cmocka_unit_test(p9_the_handler_holds_the_next_step),
		cmocka_unit_test(p10_disconnected_waits_for_the_handler_of_connected),
		cmocka_unit_test(p11_a_handlers_end_goes_on_however_it_ended),
		cmocka_unit_test(p12_subscribers_are_told_with_the_handler),
		cmocka_unit_test(p22_failures_in_a_row_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

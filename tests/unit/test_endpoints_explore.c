/* test_endpoints_explore.c - tries every sequence of lookups, dials, connections' ends and deaths of the worker, of
 * three endpoints, to a depth, with upstream/endpoints and race as they are used; and checks after each step:
 *
 * health      no client's dial goes to a failed endpoint while one in good health is listed that this race has not
 *             tried; an endpoint turns failed and good by P27 and P31, and by nothing else
 * late        none goes to a late one while one that is not late is there
 * listed      no dial goes to one that the last lookup did not list; it is withdrawn by P33, and by nothing else
 * race        each dial that was begun has failed, was cancelled or is used; one is used at most; an endpoint is
 *             dialled once; a race that runs has a dial, and a deadline if there is one more to dial beside it
 * counts      connections and dials are as many as there are, after a death too
 * starved     a listed one that has failed is dialled or due within retry.max, and the deadline says so; when a dial
 *             in the background begins it is the only one to its endpoint
 * put off     one that this host has no file for changes nothing of its endpoint; in the background none follows it
 *             within retry.delay, and then one does
 * numbers     who is listed or used keeps its number; no two have the same
 * judged      a connection is kept where it is listed, or nothing else is in good health
 * well        left alone with dials that succeed, all that are listed are in good health and nothing is due
 * ends        left alone with dials that fail, a race comes to its end
 *
 * States that differ in nothing but the time are visited once for each depth that is left.
 *
 * Broken on purpose in 40 ways, each caught by a story or here; these by test_endpoints_deaths.c alone: the list in
 * force before it is whole; the number stored before the place, or kept while that changes; failed before the rest is
 * known; what a dead worker has marked, or missed without a time, left so.
 */
#include "endpoints_story.h"
#include "visited.h"

#include <stdlib.h>
#include <time.h>


#define LETTERS   3
#define DIALS     6
#define CONNS     3
#define SIZE      (offsetof(struct model, e.list) + LETTERS * sizeof(struct endpoint))

/* The world's own view of an endpoint. */
struct view {
	bool listed, withdrawn, failed, late, proven;
	uint16_t number;
	int64_t missed_at, failed_at;
};

struct dial {
	bool used, raced;
	char letter;
	uint16_t number;
	int64_t began;
};

struct conn {
	bool used;
	char letter;
	uint16_t number;
	int64_t since;
};

struct model {
	int64_t now;
	int64_t put_off_until;
	struct race race;
	struct dial dial[DIALS];
	struct conn conn[CONNS];
	struct view view[LETTERS];
	uint64_t raced;           /* letters that this race has dialled */
	struct endpoints e;       /* only the first LETTERS are copied */
};

enum happening { LIST, CLIENT, STAGGER, FAILS, LACKS, CONNECTS, CLOSES, ENDS, LOOK, SECOND, DEATH, RENEW };

struct choice {
	enum happening what;
	const char *letters; /* LIST; else the one letter */
	bool raced;          /* FAILS, LACKS, CONNECTS: a race's dial */
};

static const struct choice choices[] = {
	{ LIST, "a" }, { LIST, "ba" }, { LIST, "bc" }, { LIST, "abc" }, { CLIENT }, { STAGGER },
	{ FAILS, "a", true }, { FAILS, "b", true }, { FAILS, "c", true },
	{ CONNECTS, "a", true }, { CONNECTS, "b", true }, { CONNECTS, "c", true },
	{ LACKS, "a", true }, { LACKS, "b", true }, { LACKS, "a" }, { LACKS, "b" },
	{ FAILS, "a" }, { FAILS, "b" }, { FAILS, "c" }, { CONNECTS, "a" }, { CONNECTS, "b" }, { CONNECTS, "c" },
	{ CLOSES, "a" }, { CLOSES, "b" }, { ENDS, "a" }, { ENDS, "b" }, { ENDS, "c" },
	{ LOOK }, { SECOND }, { DEATH }, { RENEW },
};

static struct endpoints_settings settings;
static uint64_t steps;
static const struct choice *path[32];
static unsigned path_length;

static void
fail_with(const char *what, const char *condition)
{
	static const char *const names[] = { "LIST", "CLIENT", "STAGGER", "FAILS", "LACKS", "CONNECTS", "CLOSES",
		"ENDS", "LOOK", "SECOND", "DEATH", "RENEW" };
	char text[512] = "";
	size_t length = 0;

	for (unsigned i = 0; i < path_length; i++)
		length += (size_t)snprintf(text + length, sizeof text - length, " %s%s%s", names[path[i]->what],
		    path[i]->letters == NULL ? "" : path[i]->raced ? "+" : "=",
		    path[i]->letters == NULL ? "" : path[i]->letters);
	fail_msg("%s: %s, after%s", what, condition, text);
}

#define CHECK(what, condition) \
	do { \
		if (!(condition)) \
			fail_with((what), #condition); \
	} while (0)

static struct view *
view_of(struct model *m, char letter)
{
	return &m->view[letter - 'a'];
}

static struct dial *
find_dial(struct model *m, char letter, bool raced)
{
	for (unsigned i = 0; i < DIALS; i++)
		if (m->dial[i].used && m->dial[i].letter == letter && m->dial[i].raced == raced)
			return &m->dial[i];
	return NULL;
}

static struct conn *
find_conn(struct model *m, char letter)
{
	for (unsigned i = 0; i < CONNS; i++)
		if (m->conn[i].used && m->conn[i].letter == letter)
			return &m->conn[i];
	return NULL;
}

static unsigned
conns(const struct model *m)
{
	unsigned count = 0;

	for (unsigned i = 0; i < CONNS; i++)
		count += m->conn[i].used;
	return count;
}

/* Whether one is listed and in good health, of those that are not in without. */
static bool
any_good(const struct model *m, uint64_t without, bool or_late)
{
	for (unsigned i = 0; i < LETTERS; i++)
		if (m->view[i].listed && !m->view[i].failed && (or_late || !m->view[i].late) &&
		    (without >> i & 1) == 0)
			return true;
	return false;
}

/* In good health, and has answered. */
static bool
any_proven(const struct model *m)
{
	for (unsigned i = 0; i < LETTERS; i++)
		if (m->view[i].listed && !m->view[i].failed && m->view[i].proven)
			return true;
	return false;
}

/* One that is listed. */
static bool
is_dialled(const struct model *m)
{
	for (unsigned i = 0; i < DIALS; i++)
		if (m->dial[i].used && m->view[m->dial[i].letter - 'a'].listed)
			return true;
	return false;
}

/* Connections are the table's to count. */
static void
count_conns(struct model *m)
{
	for (unsigned i = 0; i < m->e.high; i++)
		m->e.list[i].open = 0;
	for (unsigned i = 0; i < CONNS; i++)
		if (m->conn[i].used && endpoints_find(&m->e, m->conn[i].number) != NULL)
			m->e.list[m->conn[i].number % ENDPOINTS_MAX].open++;
}

static unsigned
inform(struct model *m, enum endpoints_event event, uint16_t number, int64_t began)
{
	struct endpoints_input in = { .event = event, .number = number, .now = m->now, .began = began,
		.error = "refused", .roll = DELAY_EXACT };

	return endpoints_tell(&m->e, &settings, &in);
}

static void
begin_dial(struct model *m, uint16_t number, bool raced)
{
	char letter = letter_of(&m->e, number);
	unsigned i = 0;

	while (i < DIALS && m->dial[i].used)
		i++;
	CHECK("race", i < DIALS);
	CHECK("listed", view_of(m, letter)->listed);
	m->dial[i] = (struct dial){ true, raced, letter, number, m->now };
	inform(m, ENDPOINTS_BEGAN, number, m->now);
}

/* What a race says is done. */
static void
obey(struct model *m, enum race_event event, uint16_t number)
{
	struct race_input in = { .event = event, .number = number, .now = m->now, .roll = DELAY_EXACT };
	struct view *before = m->race.dial != 0 && endpoints_find(&m->e, m->race.dial) != NULL ?
	    view_of(m, letter_of(&m->e, m->race.dial)) : NULL;
	bool waits = (m->race.under_way & ENDPOINTS_BIT(m->race.dial)) != 0;
	unsigned todo = race_step(&m->race, &m->e, &settings, &in);

	if ((todo & RACE_DO_DIAL) != 0) {
		char letter = letter_of(&m->e, m->race.dial);

		CHECK("race", (m->raced >> (letter - 'a') & 1) == 0);
		CHECK("health", !view_of(m, letter)->failed || !any_good(m, m->raced, true));
		CHECK("late", view_of(m, letter)->failed || !view_of(m, letter)->late ||
		    !any_good(m, m->raced, false));
		begin_dial(m, m->race.dial, true);
		m->raced |= UINT64_C(1) << (letter - 'a');
		if (event == RACE_DEADLINE && waits && before != NULL && !before->failed)
			before->late = true;
	}
	for (unsigned i = 0; i < DIALS && m->race.state == RACE_WON; i++) {
		if (!m->dial[i].used || !m->dial[i].raced)
			continue;
		CHECK("race", (m->race.under_way & ENDPOINTS_BIT(m->dial[i].number)) != 0);
		m->dial[i].used = false;
		inform(m, ENDPOINTS_CANCELLED, m->dial[i].number, m->dial[i].began);
	}
	CHECK("race", (m->race.state == RACE_WON) == (event == RACE_CONNECTED));
	CHECK("race", (m->race.state == RACE_LOST) == ((todo & RACE_DO_FAIL) != 0));
	CHECK("race", m->race.state == RACE_RUNS || m->race.deadline == CLOCK_NEVER);
	if (m->race.state == RACE_RUNS && !m->race.stopped && settings.stagger > 0 && m->race.deadline == CLOCK_NEVER)
		CHECK("race", race_choose(&m->e, &settings, m->race.tried, DELAY_EXACT) == 0);
}

static void
view_fails(struct model *m, struct view *view, int64_t began)
{
	if (view->failed && began < view->failed_at)
		return;
	view->failed = true;
	view->late = false;
	view->failed_at = m->now;
}

static void
end_dial(struct model *m, struct dial *d, bool well)
{
	struct dial ended = *d;
	bool known = endpoints_find(&m->e, d->number) != NULL;
	struct view *view = view_of(m, d->letter);

	d->used = false;
	inform(m, well ? ENDPOINTS_CONNECTED : ENDPOINTS_FAILED, ended.number, ended.began);
	if (well) {
		unsigned i = 0;

		while (m->conn[i].used)
			i++;
		m->conn[i] = (struct conn){ true, ended.letter, ended.number, m->now };
		count_conns(m);
		view->proven = view->proven || known;
		if (known && view->failed && (ended.began >= view->failed_at || !any_good(m, 0, true)))
			view->failed = false;
		if (known && (settings.stagger == 0 || m->now - ended.began < settings.stagger))
			view->late = false;
	} else if (known) {
		view_fails(m, view, ended.began);
	}
	if (ended.raced)
		obey(m, well ? RACE_CONNECTED : RACE_FAILED, ended.number);
}

/* There is no file for it. */
static void
lack(struct model *m, struct dial *d)
{
	struct dial ended = *d;

	d->used = false;
	inform(m, ended.raced ? ENDPOINTS_CANCELLED : ENDPOINTS_PUT_OFF, ended.number, ended.began);
	if (ended.raced) {
		obey(m, RACE_STOP, 0);
		obey(m, RACE_FAILED, ended.number);
	} else if (endpoints_find(&m->e, ended.number) != NULL) {
		m->put_off_until = m->now + settings.retry.delay;
	}
}

static void
end_conn(struct model *m, struct conn *c, bool by_server)
{
	bool known = endpoints_find(&m->e, c->number) != NULL;

	c->used = false;
	count_conns(m);
	if (by_server)
		inform(m, ENDPOINTS_ENDED, c->number, c->since);
	if (by_server && known && m->now - c->since < CLOCK_SECOND)
		view_fails(m, view_of(m, c->letter), c->since);
}

static void
look_up(struct model *m, const char *letters)
{
	struct endpoints_changes changes = list(&m->e, letters, m->now / MS);

	for (unsigned i = 0; i < LETTERS; i++) {
		struct view *view = &m->view[i];
		bool was = view->listed, was_withdrawn = view->withdrawn;
		uint16_t number = number_of(&m->e, (char)('a' + i));

		view->listed = strchr(letters, 'a' + (int)i) != NULL;
		if (view->listed && number != view->number) { /* forgotten meanwhile, or new */
			CHECK("numbers", !was);
			view->failed = view->late = view->proven = false;
		}
		view->withdrawn = !view->listed && number != 0 &&
		    (view->withdrawn || (view->missed_at != 0 && m->now - view->missed_at >= CLOCK_SECOND));
		if (view->listed)
			view->missed_at = 0;
		else if (view->missed_at == 0)
			view->missed_at = m->now;
		view->number = number;
		if (number == 0)
			*view = (struct view){ .listed = false };
		else
			CHECK("listed", ((changes.fresh & ENDPOINTS_BIT(number)) != 0) == (view->listed && !was) &&
			    ((changes.withdrawn & ENDPOINTS_BIT(number)) != 0) ==
			    (view->withdrawn && !was_withdrawn));
	}
}

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t
due_deadline(const struct model *m)
{
	uint16_t number;

	return endpoints_due(&m->e, &settings, &number);
}

/* Dials in the background what is due, when it is. */
static void
look(struct model *m)
{
	uint16_t number;
	int64_t deadline = endpoints_due(&m->e, &settings, &number);

	if (deadline > m->now)
		m->now = deadline;
	while (endpoints_due(&m->e, &settings, &number) <= m->now) {
		CHECK("starved", endpoints_find(&m->e, number)->dialling == 0);
		CHECK("put off", m->now >= m->put_off_until);
		begin_dial(m, number, false);
	}
}

static void
die(struct model *m)
{
	memset(m->dial, 0, sizeof m->dial);
	memset(&m->race, 0, sizeof m->race);
	endpoints_resume(&m->e, m->now);
	count_conns(m);
	for (unsigned i = 0; i < LETTERS; i++) /* perhaps a lookup was cut short */
		if (m->view[i].number != 0 && !m->view[i].listed && m->view[i].missed_at == 0)
			m->view[i].missed_at = m->now;
}

static void
renew(struct model *m)
{
	endpoints_renew(&m->e);
	m->put_off_until = 0;
	for (unsigned i = 0; i < LETTERS; i++)
		m->view[i].listed = m->view[i].failed = m->view[i].late = false;
}

/* Whether the world can make this happen now. */
static bool
possible(struct model *m, const struct choice *c)
{
	switch (c->what) {
	case CLIENT:
		return m->race.state != RACE_RUNS;
	case STAGGER:
		return m->race.state == RACE_RUNS && m->race.deadline != CLOCK_NEVER;
	case FAILS: case LACKS:
		return find_dial(m, *c->letters, c->raced) != NULL;
	case CONNECTS:
		return find_dial(m, *c->letters, c->raced) != NULL && conns(m) < CONNS;
	case CLOSES: case ENDS:
		return find_conn(m, *c->letters) != NULL;
	case LOOK:
		return due_deadline(m) != CLOCK_NEVER;
	case LIST: case SECOND: case DEATH: case RENEW:
		return true;
	}
	return false;
}

static void
happen(struct model *m, const struct choice *c)
{
	m->now += MS;
	switch (c->what) {
	case LIST:
		look_up(m, c->letters);
		if (m->race.state == RACE_RUNS)
			obey(m, RACE_DEADLINE, 0);
		break;
	case CLIENT:
		m->raced = 0;
		obey(m, RACE_START, 0);
		break;
	case STAGGER:
		m->now = m->race.deadline > m->now ? m->race.deadline : m->now;
		obey(m, RACE_DEADLINE, 0);
		break;
	case FAILS: case CONNECTS:
		end_dial(m, find_dial(m, *c->letters, c->raced), c->what == CONNECTS);
		break;
	case LACKS:
		lack(m, find_dial(m, *c->letters, c->raced));
		break;
	case CLOSES: case ENDS:
		end_conn(m, find_conn(m, *c->letters), c->what == ENDS);
		break;
	case LOOK:
		look(m);
		break;
	case SECOND:
		m->now += CLOCK_SECOND;
		break;
	case DEATH:
		die(m);
		break;
	case RENEW:
		renew(m);
		break;
	}
}

static void
check_endpoint(struct model *m, char letter)
{
	struct view *view = view_of(m, letter);
	const struct endpoint *endpoint = endpoints_find(&m->e, number_of(&m->e, letter));
	unsigned dialling = 0;

	CHECK("numbers", (endpoint == NULL ? 0 : endpoint->number) == view->number);
	if (endpoint == NULL) {
		CHECK("listed", !view->listed);
		return;
	}
	for (unsigned i = 0; i < DIALS; i++)
		dialling += m->dial[i].used && m->dial[i].number == view->number;
	CHECK("counts", endpoint->dialling == dialling);
	CHECK("listed", endpoints_is_listed(&m->e, endpoint) == view->listed);
	CHECK("listed", (endpoints_state(&m->e, endpoint) == ENDPOINT_WITHDRAWN) == view->withdrawn);
	CHECK("health", (endpoint->failed_until != 0) == view->failed);
	CHECK("late", view->failed || (endpoint->slow_until != 0) == view->late);
	if (view->listed && view->failed && dialling == 0) {
		CHECK("starved", endpoint->failed_until <= view->failed_at + settings.retry.max);
		CHECK("starved", due_deadline(m) <= later(endpoint->failed_until, m->put_off_until));
	}
}

static void
check(struct model *m)
{
	bool elsewhere = any_good(m, 0, true);
	uint64_t numbers = 0;

	CHECK("numbers", m->e.high <= LETTERS);
	CHECK("race", m->race.state != RACE_RUNS || m->race.under_way != 0);
	for (unsigned i = 0; i < LETTERS; i++) {
		check_endpoint(m, (char)('a' + i));
		if (m->view[i].number != 0) {
			CHECK("numbers", (numbers & ENDPOINTS_BIT(m->view[i].number)) == 0);
			numbers |= ENDPOINTS_BIT(m->view[i].number);
		}
	}
	for (unsigned i = 0; i < CONNS; i++) {
		struct view *view = view_of(m, m->conn[i].used ? m->conn[i].letter : 'a');
		enum endpoints_verdict verdict = endpoints_judge(&m->e, &settings, m->conn[i].number, false, m->now);

		if (!m->conn[i].used)
			continue;
		CHECK("numbers", m->conn[i].number == view->number);
		CHECK("judged", (verdict == ENDPOINTS_KEEP) == (!view->withdrawn || !elsewhere ||
		    settings.on_withdrawn == ENDPOINTS_ON_KEEP ||
		    (settings.on_withdrawn == ENDPOINTS_ON_DRAIN && !any_proven(m))));
		CHECK("starved", verdict != ENDPOINTS_KEEP || !view->withdrawn || !elsewhere ||
		    settings.on_withdrawn == ENDPOINTS_ON_KEEP || is_dialled(m) ||
		    due_deadline(m) <= later(m->now, m->put_off_until));
		verdict = endpoints_judge(&m->e, &settings, m->conn[i].number, true, m->now);
		CHECK("judged", (verdict == ENDPOINTS_KEEP) == (view->listed && (!view->failed || !elsewhere)));
	}
}

/* Goes on with dials that end well or badly. */
static void
leave_alone(const struct model *before, bool well)
{
	static const struct choice all = { LIST, "abc" }, client = { CLIENT }, second = { LOOK };
	struct model m;
	unsigned turns = 0;

	memcpy(&m, before, SIZE);
	memset(m.conn, 0, sizeof m.conn);
	die(&m);
	happen(&m, &all);
	if (!well || !any_good(&m, 0, true)) /* while nothing is connected, attempts try all */
		happen(&m, &client);
	for (; turns < 40; turns++) {
		unsigned i = 0;

		while (i < DIALS && !m.dial[i].used)
			i++;
		if (i < DIALS) {
			m.now += MS;
			end_dial(&m, &m.dial[i], well);
			memset(m.conn, 0, sizeof m.conn);
			for (i = 0; i < LETTERS; i++)
				m.e.list[i].open = 0;
		} else if (well && due_deadline(&m) - m.now < settings.retry.max * 2) {
			if (settings.health_interval > 0 && any_good(&m, 0, false) && !m.view[0].failed &&
			    !m.view[1].failed && !m.view[2].failed && !m.view[0].late && !m.view[1].late &&
			    !m.view[2].late)
				break;
			happen(&m, &second);
		} else {
			break;
		}
	}
	if (well)
		for (unsigned i = 0; i < LETTERS; i++)
			CHECK("well", turns < 40 && !m.view[i].failed && !m.view[i].late);
	else
		CHECK("ends", m.race.state == RACE_LOST && turns == LETTERS);
}

static int64_t
relative(const struct model *m, int64_t time)
{
	if (time == 0 || time == CLOCK_NEVER)
		return time;
	return time > m->now ? time - m->now : -1 - (m->now - time) / (CLOCK_SECOND / 4) % 8;
}

static uint64_t
add(uint64_t key, int64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		key = (key ^ (value >> (8 * i) & 255)) * UINT64_C(1099511628211);
	return key;
}

/* The time itself does not matter, only what lies how far from now; nor what is for people. */
static uint64_t
model_key(const struct model *m)
{
	uint64_t key = UINT64_C(14695981039346656037);

	for (unsigned i = 0; i < LETTERS; i++) {
		static const struct endpoint none;
		const struct view *v = &m->view[i];
		const struct endpoint *n = v->number == 0 ? &none : endpoints_find(&m->e, v->number);
		int64_t values[] = { n->number % ENDPOINTS_MAX, n->open, n->dialling, relative(m, n->failed_until),
			relative(m, n->slow_until), relative(m, n->missed_at), n->withdrawn_at != 0, n->turn,
			relative(m, n->failed_at), n->failures > 2 ? 3 : n->failures, relative(m, n->result_at),
			v->listed | v->withdrawn << 1 | v->failed << 2 | v->late << 3,
			n->listing[m->e.listing & 1].order };

		for (size_t j = 0; j < sizeof values / sizeof *values; j++)
			key = add(key, values[j]);
	}
	for (unsigned i = 0; i < DIALS; i++)
		if (m->dial[i].used)
			key = add(add(key, m->dial[i].letter << 1 | m->dial[i].raced), relative(m, m->dial[i].began));
	for (unsigned i = 0; i < CONNS; i++)
		if (m->conn[i].used)
			key = add(add(key, m->conn[i].letter), relative(m, m->conn[i].since));
	key = add(add(add(key, m->race.state), (int64_t)m->raced), relative(m, m->race.deadline));
	key = add(add(key, m->race.stopped), relative(m, m->put_off_until));
	return key == 0 ? 1 : key;
}

static void
explore(const struct model *m, unsigned left)
{
	struct model next;

	if (left == 0 || visited_before(model_key(m), left))
		return;
	leave_alone(m, true);
	leave_alone(m, false);
	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
		memcpy(&next, m, SIZE);
		if (!possible(&next, &choices[i]))
			continue;
		path[path_length++] = &choices[i];
		happen(&next, &choices[i]);
		check(&next);
		steps++;
		explore(&next, left - 1);
		path_length--;
	}
}

static void
explore_with(const char *name, unsigned depth)
{
	struct model m;
	clock_t begin = clock();

	memset(&m, 0, sizeof m);
	m.now = 10 * CLOCK_SECOND;
	path_length = 0;
	visited_begin();
	steps = 0;
	explore(&m, depth);
	visited_end();
	print_message("%s, depth %u: %llu states, %llu steps, %lld ms\n", name, depth, (unsigned long long)states,
	    (unsigned long long)steps, (long long)(clock() - begin) * 1000 / CLOCKS_PER_SEC);
}

static void
every_sequence_ordered(void **state)
{
	(void)state;
	settings = usual;
	settings.retry.factor = 2;
	explore_with("ordered", 8);
}

static void
every_sequence_one_after_the_other(void **state)
{
	(void)state;
	settings = usual;
	settings.stagger = 0;
	settings.on_withdrawn = ENDPOINTS_ON_DROP;
	explore_with("stagger 0", 8);
}

static void
every_sequence_with_health_dials(void **state)
{
	(void)state;
	settings = usual;
	settings.pick = ENDPOINTS_LEAST;
	settings.health_interval = 5 * CLOCK_SECOND;
	settings.on_withdrawn = ENDPOINTS_ON_KEEP;
	explore_with("least, health.interval", 6);
}

static void
every_sequence_rotated(void **state)
{
	(void)state;
	settings = usual;
	settings.pick = ENDPOINTS_ROTATE;
	explore_with("rotate", 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sequence_ordered),
		cmocka_unit_test(every_sequence_one_after_the_other),
		cmocka_unit_test(every_sequence_with_health_dials),
		cmocka_unit_test(every_sequence_rotated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

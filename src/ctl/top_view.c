#include "ctl/top_view.h"

#include <string.h>

#include "ctl/show.h"

#define ROOMY        16  /* lines from which on there are empty ones between the parts */
#define WIDE         100 /* columns from which on spans of time have two units, "2min 3s" and not "2min" */
#define WITH_ERROR   60  /* columns from which on the table has a place for errors */
#define EXPLAIN_FOLD 60  /* columns below which an entry's text stands under its time */
#define EVENT_WIDTH  21  /* of the longest name of an event, attempting_to_connect */

/* What is shown, and where. */
struct view {
	struct screen *screen;         /* borrowed */
	struct top_state *state;       /* borrowed */
	const struct top_scene *scene; /* borrowed */
};

/* Those from COUNT on stand at the right. */
enum column_kind {
	COLUMN_TEXT, COLUMN_STATE, COLUMN_ERROR, COLUMN_COUNT, COLUMN_SHORT, COLUMN_RATE, COLUMN_SINCE, COLUMN_OLDEST
};

/* A column is on terminals at least so wide, and (until) less wide than that.  Its width grows with the longest of
 * its texts up to most, and is what is left if most is 0. */
static const struct column {
	const char *head;      /* borrowed */
	int from, until;
	int width, most;
	int sort;              /* enum top_sort, or -1 */
	enum column_kind kind;
	const char *key;       /* borrowed; the member of the service */
	enum sample_rate rate;
	bool shared;           /* services in session mode have none */
} columns[] = {
	{ "SERVICE", 0, 0, 7, 32, TOP_BY_NAME, COLUMN_TEXT, "service", 0, false },
	{ "MODE", 160, 0, 7, 7, -1, COLUMN_TEXT, "mode", 0, false },
	{ "STATE", 0, 0, 6, 6, TOP_BY_STATE, COLUMN_STATE, NULL, 0, false },
	{ "SINCE", 50, WIDE, 5, 5, TOP_BY_SINCE, COLUMN_SINCE, NULL, 0, false },
	{ "SINCE", WIDE, 0, 9, 9, TOP_BY_SINCE, COLUMN_SINCE, NULL, 0, false },
	{ "CLIENTS", 40, 0, 7, 7, TOP_BY_CLIENTS, COLUMN_COUNT, "clients", 0, false },
	{ "NEW/s", 120, 0, 5, 5, TOP_BY_WORK, COLUMN_RATE, NULL, SAMPLE_CLIENTS, false },
	{ "HELD", 34, 0, 4, 4, TOP_BY_HELD, COLUMN_SHORT, "held", 0, false },
	{ "OLDEST", 230, 0, 6, 6, -1, COLUMN_OLDEST, NULL, 0, false },
	{ "IN/s", 70, 0, 4, 4, TOP_BY_IN, COLUMN_RATE, NULL, SAMPLE_IN, false },
	{ "OUT/s", 70, 0, 5, 5, TOP_BY_OUT, COLUMN_RATE, NULL, SAMPLE_OUT, false },
	{ "WORK/s", 78, 120, 6, 6, TOP_BY_WORK, COLUMN_RATE, NULL, SAMPLE_WORK, false },
	{ "MSG/s", 120, 0, 5, 5, TOP_BY_WORK, COLUMN_RATE, NULL, SAMPLE_MESSAGES, true },
	{ "FLIGHT", 160, 0, 6, 6, -1, COLUMN_SHORT, "in_flight", 0, true },
	{ "OWN", 166, 0, 3, 5, -1, COLUMN_SHORT, "own", 0, true },
	{ "WARM", 230, 0, 4, 4, -1, COLUMN_SHORT, "warm", 0, false },
	{ "OUTAGES", 150, 0, 7, 7, -1, COLUMN_SHORT, "outages", 0, false },
	{ "FAILURES", 230, 0, 8, 8, -1, COLUMN_SHORT, "failures", 0, false },
	{ "ADDRESS", 140, 0, 7, 26, -1, COLUMN_TEXT, "address", 0, false },
	{ "LAST ERROR", WITH_ERROR, 0, 10, 0, TOP_BY_ERROR, COLUMN_ERROR, NULL, 0, false },
};

#define COLUMNS (sizeof columns / sizeof columns[0])

/* How words look: first those for the states of services, then those of events and of endpoints. */
static const struct { const char *word; enum screen_look look; } looks[] = {
	{ "UP", SCREEN_UP }, { "DOWN", SCREEN_DOWN }, { "HOLD", SCREEN_HOLD }, { "PAUSED", SCREEN_PAUSED },
	{ "CLOSED", SCREEN_CLOSED },
	{ "connected", SCREEN_UP }, { "disconnected", SCREEN_DOWN }, { "failed_to_connect", SCREEN_DOWN },
	{ "failed", SCREEN_DOWN }, { "withdrawn", SCREEN_HOLD },
};

#define STATES 5 /* of these */

enum screen_look
top_view_look(const char *word)
{
	for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++)
		if (strcmp(looks[i].word, word) == 0)
			return looks[i].look;
	return SCREEN_PLAIN;
}

const char *
top_view_short(double number, unsigned unit)
{
	static const char *const signs = "\0KMGTPE";
	size_t sign = 0;

	for (; number >= 999.5 && sign < 6; sign++)
		number /= unit;
	return show_format("%.*f%.1s", number > 0 && number < 9.95 &&
	    (sign > 0 || number < 0.95 || number != (int)number), number, signs + sign);
}

/* The same as a byte in a text. */
static int
view_mark(const char *word)
{
	return SCREEN_MARK(top_view_look(word));
}

/* Seconds as `status` would show them, or as the larger of the two units. */
static const char *
view_span(double seconds, bool wide)
{
	char *span = show_span(seconds);

	if (!wide)
		span[strcspn(span, " ")] = '\0';
	return span;
}

/* Why the service is as it is, or its last error. */
static const char *
view_error(const struct view *view, const json_t *service)
{
	double age = show_age(show_text(service, "last_error_at"), view->scene->wall);
	const char *error = show_text(service, "last_error"), *why = show_why(service);

	return why[0] != '\0' || error[0] == '\0' ? why
	    : show_format("%s ago: %s", view_span(age, view->screen->width >= WIDE), error);
}

static const char *
column_text(const struct view *view, const struct column *column, const struct sample_service *service)
{
	const json_t *json = service->json;
	double age;

	if (column->shared && !service->shared)
		return "";
	switch (column->kind) {
	case COLUMN_TEXT: return show_text(json, column->key);
	case COLUMN_STATE: return service->state;
	case COLUMN_ERROR: return view_error(view, json);
	case COLUMN_COUNT: return show_format("%lld", show_number(json, column->key));
	case COLUMN_SHORT: return top_view_short(show_real(json, column->key), 1000);
	case COLUMN_RATE:
		return !service->has_rates ? "-" : top_view_short(service->rates[column->rate],
		    column->rate == SAMPLE_IN || column->rate == SAMPLE_OUT ? 1024 : 1000);
	case COLUMN_SINCE:
		age = show_age(show_since_at(json), view->scene->wall);
		return age < 0 ? "" : view_span(age, view->screen->width >= WIDE);
	case COLUMN_OLDEST:
		return show_number(json, "held") == 0 ? ""
		    : view_span(show_real(json, "held_longest_seconds"), false);
	}
	return "";
}

/* The width that the column's texts need, from width to most. */
static int
column_width(const struct view *view, const struct column *column, int width, int most)
{
	const struct sample *sample = view->scene->sample;

	for (size_t i = 0; i < sample->count && width < most; i++) {
		int needed = screen_width(view->screen, column_text(view, column, &sample->services[i]));

		width = needed > most ? most : needed > width ? needed : width;
	}
	return width;
}

/* A column grows to a fifth of the screen at most; the first one grows into what is left, where errors do not.  The
 * width of what is not shown is 0. */
static void
table_choose_columns(const struct view *view, int widths[COLUMNS])
{
	int all = view->screen->width, left = all - 1;

	for (size_t i = 0; i < COLUMNS; i++) {
		const struct column *column = &columns[i];

		widths[i] = 0;
		if (all < column->from || (column->until != 0 && all >= column->until))
			continue;
		widths[i] = column_width(view, column, column->width,
		    column->most < all / 5 ? column->most : all / 5);
		left -= widths[i] + 1;
	}
	if (all < WITH_ERROR && left > 0)
		widths[0] = column_width(view, &columns[0], widths[0], widths[0] + left);
}

/* Zeros and what is past step back. */
static enum screen_look
column_look(const struct column *column, const struct sample_service *service, const char *text)
{
	if (column->kind == COLUMN_STATE)
		return top_view_look(service->state);
	if (column->kind == COLUMN_ERROR)
		return strcmp(service->state, "UP") == 0 ? SCREEN_DIM : SCREEN_PLAIN;
	if (strcmp(text, "0") == 0 || strcmp(text, "-") == 0)
		return SCREEN_DIM;
	return column->sort == TOP_BY_HELD ? SCREEN_HOLD : SCREEN_PLAIN;
}

/* The column's head; an arrow shows by which it is sorted, and which way. */
static const char *
column_head(const struct view *view, const struct column *column)
{
	static const char *const arrows[2][2] = { { "\u25bc", "\u25b2" }, { "v", "^" } };
	const char *arrow = column->sort != (int)view->state->sort ? ""
	    : arrows[view->screen->ascii][view->state->reverse];

	return column->kind >= COLUMN_COUNT ? show_format("%s%s", arrow, column->head)
	    : show_format("%s%s", column->head, arrow);
}

/* Puts a service, or without one the heads.  The blank beside a column is before it if it is a right one, where a
 * head's arrow has its place, else behind it; of a right one and a left one there are two. */
static void
table_put(const struct view *view, const int widths[COLUMNS], const struct sample_service *service)
{
	bool head = service == NULL, after_right = false;

	for (size_t i = 0; i < COLUMNS; i++) {
		const struct column *column = &columns[i];
		bool right = column->kind >= COLUMN_COUNT;
		enum screen_look look;
		const char *text;

		if (widths[i] == 0)
			continue;
		text = head ? column_head(view, column) : column_text(view, column, service);
		look = head ? SCREEN_HEAD : column_look(column, service, text);
		if (after_right && !right)
			screen_put_cell(view->screen, head ? look : SCREEN_PLAIN, 2, "");
		screen_put_cell(view->screen, look, right ? widths[i] + 1 : column->most == 0 ? -view->screen->width
		    : -widths[i] - head, text);
		if (!right && !head)
			screen_put(view->screen, AS_PLAIN " ");
		after_right = right;
	}
}

/* Who the daemon is, and since when. */
static void
view_daemon(struct screen *screen, const struct top_scene *scene)
{
	const json_t *answer = scene->sample->answer;
	double age = show_age(show_text(answer, "started"), scene->wall);
	long long restarts = show_number(answer, "worker_restarts");

	screen_line(screen, AS_BOLD "holdfastd %s" AS_PLAIN "%s%s  pid %lld", show_text(answer, "version"),
	    age < 0 ? "" : "  up ", age < 0 ? "" : show_span(age), show_number(answer, "pid"));
	if (restarts > 0)
		screen_put(screen, AS_HOLD "  worker restarted %lld time%s", restarts, show_plural(restarts));
	else
		screen_put(screen, AS_DIM "  worker never restarted");
}

/* How many services are in which state. */
static void
view_states(struct screen *screen, const struct sample *sample)
{
	screen_line(screen, "%zu service%s", sample->count, show_plural((long long)sample->count));
	for (size_t i = 0; i < STATES; i++) {
		size_t count = 0;

		for (size_t j = 0; j < sample->count; j++)
			count += strcmp(sample->services[j].state, looks[i].word) == 0;
		screen_put(screen, "%c  %zu %s", SCREEN_MARK(count == 0 ? SCREEN_DIM : looks[i].look), count,
		    looks[i].word);
	}
}

/* What all services do together. */
static void
view_sums(struct screen *screen, const struct sample *sample)
{
	double rates[SAMPLE_RATES] = { 0 };
	long long clients = 0, held = 0;

	for (size_t i = 0; i < sample->count; i++) {
		clients += show_number(sample->services[i].json, "clients");
		held += show_number(sample->services[i].json, "held");
		for (enum sample_rate j = 0; j < SAMPLE_RATES; j++)
			rates[j] += sample->services[i].rates[j];
	}
	screen_line(screen, "%lld client%s%c  %lld held" AS_PLAIN
	    "  in %sB/s  out %sB/s  %s clients/s  %s messages/s",
	    clients, show_plural(clients), SCREEN_MARK(held == 0 ? SCREEN_DIM : SCREEN_HOLD), held,
	    top_view_short(rates[SAMPLE_IN], 1024), top_view_short(rates[SAMPLE_OUT], 1024),
	    top_view_short(rates[SAMPLE_CLIENTS], 1000), top_view_short(rates[SAMPLE_MESSAGES], 1000));
}

static void
view_away(struct screen *screen, const struct top_scene *scene)
{
	if (scene->away == NULL)
		return;
	screen_line(screen, AS_ALARM "no answer for %s: %s", show_span(scene->away_seconds), scene->away);
	screen_put_cell(screen, SCREEN_ALARM, -screen->width, "");
}

/* A screen with few lines keeps them for services.  What is wrong with the daemon itself is always said. */
static void
view_header(struct screen *screen, const struct top_scene *scene)
{
	int height = scene->sample == NULL ? 0 : screen->height;
	const char *error = scene->sample == NULL ? "" : show_text(scene->sample->answer, "config_error");

	if (height >= 5)
		view_daemon(screen, scene);
	if (height >= 8)
		view_states(screen, scene->sample);
	if (height >= 10)
		view_sums(screen, scene->sample);
	if (error[0] != '\0')
		screen_line(screen, AS_HOLD "configuration files are bad, the one before is in force: %s", error);
	view_away(screen, scene);
	if (screen->height >= ROOMY)
		screen_line(screen, AS_PLAIN);
}

/* The end of the last line: keys, as many as have a place, and at the right which lines of how many are seen. */
static void
view_footer(struct screen *screen, const char *const *keys, size_t first, size_t most, size_t count)
{
	const char *place = show_format("%zu-%zu of %zu", count == 0 ? 0 : first + 1,
	    first + most < count ? first + most : count, count);

	for (; *keys != NULL && screen_width(screen, *keys) <= screen_room(screen); keys++)
		screen_put(screen, "%s", *keys);
	if (screen_width(screen, place) <= screen_room(screen))
		screen_put_cell(screen, SCREEN_DIM, screen_room(screen), place);
}

#define KEY(key, does) AS_BOLD key AS_DIM " " does "  "

/* The filter, or the keys. */
static void
table_put_footer(const struct view *view)
{
	static const char *const keys[] = {
		KEY("q", "quit"), KEY("?", "help"), KEY("/", "filter"), KEY("Enter", "explain"), KEY("<>", "sort"),
		KEY("r", "reverse"), NULL,
	};
	const struct top_state *state = view->state;
	size_t all = view->scene->sample == NULL ? 0 : view->scene->sample->count;
	bool filtered = state->typing || state->filter[0] != '\0';

	screen_line(view->screen, AS_PLAIN);
	if (filtered)
		screen_put(view->screen, AS_BOLD "filter: %s%s" AS_DIM, state->filter, state->typing ? "_" : "");
	if (state->typing)
		screen_put(view->screen, "  Enter keep  Esc clear");
	else if (filtered)
		screen_put(view->screen, "  hides %zu of %zu  / change  Esc clear", all - state->row_count, all);
	view_footer(view->screen, filtered ? &(const char *){ NULL } : keys, state->first, state->page_rows,
	    state->row_count);
}

/* The chosen row is on the screen. */
static void
table_place(struct top_state *state, int page)
{
	state->page_rows = page < 1 ? 1 : (size_t)page;
	if (state->chosen < state->first)
		state->first = state->chosen;
	if (state->chosen >= state->first + state->page_rows)
		state->first = state->chosen - state->page_rows + 1;
	if (state->first + state->page_rows > state->row_count)
		state->first = state->row_count > state->page_rows ? state->row_count - state->page_rows : 0;
}

/* Empty lines until so many are left. */
static void
view_down_to(struct screen *screen, int left)
{
	while (screen_left(screen) > left)
		screen_line(screen, AS_PLAIN);
}

/* The chosen service's error has a line of its own, where it is less likely to be cut. */
static void
table_put_chosen(const struct view *view)
{
	const struct top_state *state = view->state;
	const struct sample_service *service;
	const char *error;

	screen_line(view->screen, AS_PLAIN);
	if (state->row_count == 0)
		return;
	service = &view->scene->sample->services[state->rows[state->chosen]];
	error = view_error(view, service->json);
	screen_put(view->screen, "%c%s %s" AS_PLAIN "%s%s", view_mark(service->state), service->name, service->state,
	    error[0] == '\0' ? "" : "  ", error);
}

/* Heads and rows; below is for so many lines. */
static void
table_put_rows(const struct view *view, int below)
{
	struct top_state *state = view->state;
	struct screen *screen = view->screen;
	int widths[COLUMNS];

	table_choose_columns(view, widths);
	if (screen->height >= 3) {
		screen_line(screen, AS_PLAIN);
		table_put(view, widths, NULL);
		screen_put_cell(screen, SCREEN_HEAD, -screen->width, "");
	}
	table_place(state, screen_left(screen) - below);
	for (size_t i = state->first; i < state->row_count && i < state->first + state->page_rows; i++) {
		screen_line(screen, i == state->chosen ? AS_CHOSEN : AS_PLAIN);
		table_put(view, widths, &view->scene->sample->services[state->rows[i]]);
	}
	if (state->row_count == 0 && screen_left(screen) >= 2)
		screen_line(screen, AS_DIM "%s", view->scene->sample->count == 0 ? "No services are configured."
		    : "No service matches the filter.");
}

/* A table; its last lines are for the chosen service, if there is room, and the keys. */
static void
view_table(const struct view *view)
{
	bool roomy = view->screen->height >= ROOMY && view->scene->sample != NULL;

	view_header(view->screen, view->scene);
	if (view->scene->sample != NULL)
		table_put_rows(view, roomy ? 2 : view->screen->height >= 3 ? 1 : 0);
	view_down_to(view->screen, roomy ? 2 : 1);
	if (roomy)
		table_put_chosen(view);
	table_put_footer(view);
}

/* Shows the page from where it is scrolled to, and the keys; frees it. */
static void
view_page(struct screen *screen, struct top_state *state, struct screen *page)
{
	static const char *const keys[] = {
		KEY("Esc", "back"), KEY("Up Down PgUp PgDn", "scroll"), KEY("?", "help"), NULL,
	};
	int most = screen_left(screen) > 1 ? screen_left(screen) - 1 : 0;

	state->page_rows = most < 1 ? 1 : (size_t)most;
	state->scroll_most = page->count > most ? (size_t)(page->count - most) : 0;
	if (state->scroll > state->scroll_most || (state->page == TOP_EXPLAIN && state->follow))
		state->scroll = state->scroll_most;
	screen_put_lines(screen, page, state->scroll, most);
	view_down_to(screen, 1);
	screen_line(screen, AS_PLAIN);
	view_footer(screen, keys, state->scroll, (size_t)most, (size_t)page->count);
	screen_free(page);
}

static const char *const help_lines[][2] = {
	{ "Up Down j k", "choose a service" },
	{ "PgUp PgDn g G", "a page up or down; to the first, to the last" },
	{ "Enter", "the service's endpoints, and what has happened to it (explain)" },
	{ "/", "show only what holds a text, which may be in the name, state," },
	{ "", "address or error; Enter keeps it, Esc clears it" },
	{ "< > and r", "sort by the next column; reverse the order" },
	{ "n s t", "sort by name, by state (worst first), by since when" },
	{ "c h e", "by clients, by held clients, by the time of the last error" },
	{ "i o w", "by bytes in, by bytes out, by work; twice: reverse" },
	{ "q", "back, or quit" },
	{ "", "" },
	{ "UP", "connected, or idle until the first client comes" },
	{ "DOWN", "not connected, nobody waits" },
	{ "HOLD", "not connected, clients are held" },
	{ "PAUSED", "paused by an operator" },
	{ "CLOSED", "closed, drained or aborted: clients are refused" },
	{ "", "" },
	{ "IN/s OUT/s", "bytes per second from clients and to them, K is 1024" },
	{ "WORK/s", "new clients, or in shared mode messages, per second" },
	{ "NEW/s MSG/s", "new clients, messages, per second" },
	{ "OLDEST", "how long the first of the held has waited" },
	{ "FLIGHT", "requests that the upstream has been given" },
	{ "OWN", "clients of shared mode with a connection of their own" },
	{ "WARM", "connections that are ready" },
	{ "OUTAGES", "how often it went down; FAILURES: attempts in a row" },
};

static void
view_help(const struct view *view)
{
	struct screen *page = screen_new_page(view->screen);

	screen_line(view->screen, AS_BOLD "holdfastctl top" AS_PLAIN ": all services, asked for once a second");
	screen_line(view->screen, AS_PLAIN);
	for (size_t i = 0; i < sizeof help_lines / sizeof help_lines[0]; i++) {
		enum screen_look look = top_view_look(help_lines[i][0]);

		screen_line(page, AS_PLAIN);
		screen_put_cell(page, look == SCREEN_PLAIN ? SCREEN_BOLD : look, -15, help_lines[i][0]);
		screen_put(page, AS_PLAIN "%s", help_lines[i][1]);
	}
	view_page(view->screen, view->state, page);
}

/* 2026-11-25T22:39:13.123Z in full, or 11-25 22:39:13. */
static const char *
explain_time(const struct screen *screen, const char *time)
{
	if (screen->width >= WIDE || strlen(time) < 19)
		return time;
	return show_format("%.5s %.8s", time + 5, time + 11);
}

/* One entry: time, event, and its text, folded. */
static void
explain_entry(struct screen *page, const json_t *entry)
{
	const char *event = show_text(entry, "event"), *text = show_text(entry, "text"), *next;
	const char *time = explain_time(page, show_text(entry, "time"));
	bool folded = page->width < EXPLAIN_FOLD;
	int indent = folded ? 2 : screen_width(page, time) + 2 + EVENT_WIDTH + 2;

	screen_line(page, AS_DIM "%s" AS_PLAIN "  ", time);
	screen_put_cell(page, top_view_look(event), folded ? -page->width : -EVENT_WIDTH - 2, event);
	screen_put(page, AS_PLAIN);
	for (bool more = folded; *text != '\0'; text = next, more = true) {
		size_t length = screen_fold(page, text, page->width > indent ? page->width - indent : 1, &next);

		if (more)
			screen_line(page, "%*s", indent, "");
		screen_put(page, "%.*s", (int)length, text);
	}
}

/* How many clients of a shared connection have one of their own, if any has. */
static const char *
explain_own(const struct sample_service *service)
{
	long long own = service->shared ? show_number(service->json, "own") : 0;

	return own == 0 ? "" : show_format(", %lld with a connection of their own", own);
}

/* What the service is now. */
static void
explain_head(const struct view *view)
{
	const struct sample *sample = view->scene->sample;
	const char *name = view->state->explained, *address;
	const struct sample_service *service = sample == NULL ? NULL : sample_find(sample, name, 0);
	struct screen *screen = view->screen;
	const char *why;

	screen_line(screen, AS_BOLD "%s", name);
	if (service == NULL) {
		screen_put(screen, AS_ALARM "  is no longer configured");
		return;
	}
	why = show_why(service->json);
	screen_put(screen, AS_PLAIN "  %c%s" AS_PLAIN " for %s%s%s", view_mark(service->state), service->state,
	    show_span(show_age(show_since_at(service->json), view->scene->wall)), why[0] == '\0' ? "" : ": ", why);
	if (screen->height < 10)
		return;
	address = show_text(service->json, "address");
	screen_line(screen, AS_DIM "%s mode  %lld clients%s  %lld held  %lld outages  address %s  socket %s",
	    service->shared ? "shared" : "session", show_number(service->json, "clients"), explain_own(service),
	    show_number(service->json, "held"), show_number(service->json, "outages"),
	    address[0] == '\0' ? "none" : address, show_text(service->json, "socket"));
}

/* Each endpoint's story, those that have failed first; the screen's upper part has room for so many. */
static void
explain_endpoints(struct screen *screen, const struct top_scene *scene)
{
	const json_t *list = json_object_get(scene->history, "endpoints");
	size_t count = json_array_size(list), most = (size_t)screen->height / 4;
	size_t shown = count <= most ? count : most - 1;

	for (size_t i = 0; i < shown; i++) {
		const json_t *endpoint = json_array_get(list, i);

		screen_line(screen, "%c%s", view_mark(show_text(endpoint, "state")),
		    show_endpoint(endpoint, scene->wall));
	}
	if (shown < count)
		screen_line(screen, AS_DIM "%zu more: holdfastctl endpoints", count - shown);
}

static void
explain_heads(struct screen *screen)
{
	int time_width = screen->width >= WIDE ? 26 : 16; /* as explain_time() makes them, and two blanks */

	screen_line(screen, AS_PLAIN);
	screen_put_cell(screen, SCREEN_HEAD, -time_width, "TIME (UTC)");
	screen_put_cell(screen, SCREEN_HEAD, -EVENT_WIDTH - 2, "EVENT");
	screen_put_cell(screen, SCREEN_HEAD, -screen->width, screen->width < EXPLAIN_FOLD ? "" : "WHAT");
}

static void
view_explain(const struct view *view)
{
	struct screen *screen = view->screen, *page = screen_new_page(screen);
	const struct top_scene *scene = view->scene;
	json_t *entry;
	size_t i;

	explain_head(view);
	view_away(screen, scene);
	if (screen->height >= ROOMY) {
		explain_endpoints(screen, scene);
		screen_line(screen, AS_PLAIN);
	}
	explain_heads(screen);
	if (scene->history == NULL && screen_left(screen) > 1)
		screen_line(screen, AS_DIM "asking ...");
	json_array_foreach(json_object_get(scene->history, "entries"), i, entry)
		explain_entry(page, entry);
	view_page(screen, view->state, page);
}

void
top_view_show(struct screen *screen, struct top_state *state, const struct top_scene *scene)
{
	static void (*const pages[])(const struct view *) = {
		[TOP_TABLE] = view_table, [TOP_EXPLAIN] = view_explain, [TOP_HELP] = view_help,
	};

	pages[state->page](&(struct view){ screen, state, scene });
}

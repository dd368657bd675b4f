#include "ctl/top_view.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/show.h"
#include "ctl/top_columns.h"

#define ROOMY 16         /* lines from which on there are empty ones between the parts */
#define EXPLAIN_WIDE 100 /* columns from which on times are shown in full */
#define EXPLAIN_FOLD 60  /* columns below which an entry's text stands under its time */
#define EVENT_WIDTH  21  /* of the longest name of an event, attempting_to_connect */

static void
top_view_take(struct screen *screen, enum screen_look look, char *text)
{
	screen_put(screen, look, text);
	mem_free(text);
}

static void
top_view_scroll(struct top_state *state, int lines, int page)
{
	state->page_rows = page < 1 ? 1 : (size_t)page;
	state->scroll_most = lines > page ? (size_t)(lines - page) : 0;
	if (state->scroll > state->scroll_most || (state->page == TOP_EXPLAIN && state->follow))
		state->scroll = state->scroll_most;
}

/* Who the daemon is, and since when. */
static void
top_view_daemon(struct screen *screen, const struct top_scene *scene)
{
	const json_t *answer = scene->sample->answer;
	double age = show_age(show_text(answer, "started"), scene->wall);
	long long restarts = show_number(answer, "worker_restarts");

	screen_line(screen);
	top_view_take(screen, SCREEN_BOLD, mem_print("holdfastd %s", show_text(answer, "version")));
	if (age >= 0)
		top_view_take(screen, SCREEN_PLAIN, mem_print("  up %s", show_span(age)));
	top_view_take(screen, SCREEN_PLAIN, mem_print("  pid %lld", show_number(answer, "pid")));
	if (restarts > 0)
		top_view_take(screen, SCREEN_HOLD, mem_print("  worker restarted %lld time%s", restarts,
		    restarts == 1 ? "" : "s"));
	else
		screen_put(screen, SCREEN_DIM, "  worker never restarted");
}

/* How many services are in which state. */
static void
top_view_states(struct screen *screen, const struct sample *sample)
{
	static const char *const states[] = { "UP", "DOWN", "HOLD", "PAUSED", "CLOSED" };

	screen_line(screen);
	top_view_take(screen, SCREEN_PLAIN, mem_print("%zu service%s", sample->count, sample->count == 1 ? "" : "s"));
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
		size_t count = 0;

		for (size_t j = 0; j < sample->count; j++)
			count += strcmp(sample->services[j].state, states[i]) == 0;
		top_view_take(screen, count == 0 ? SCREEN_DIM : top_columns_look(states[i]),
		    mem_print("  %zu %s", count, states[i]));
	}
}

/* What all services do together. */
static void
top_view_sums(struct screen *screen, const struct sample *sample)
{
	double rates[SAMPLE_RATES] = { 0 };
	long long clients = 0, held = 0;

	for (size_t i = 0; i < sample->count; i++) {
		clients += show_number(sample->services[i].json, "clients");
		held += show_number(sample->services[i].json, "held");
		for (enum sample_rate j = 0; j < SAMPLE_RATES; j++)
			rates[j] += sample->services[i].rates[j];
	}
	screen_line(screen);
	top_view_take(screen, SCREEN_PLAIN, mem_print("%lld client%s", clients, clients == 1 ? "" : "s"));
	top_view_take(screen, held == 0 ? SCREEN_DIM : SCREEN_HOLD, mem_print("  %lld held", held));
	top_view_take(screen, SCREEN_PLAIN, mem_print("  in %sB/s  out %sB/s  %s clients/s  %s messages/s",
	    top_columns_short(rates[SAMPLE_IN], 1024), top_columns_short(rates[SAMPLE_OUT], 1024),
	    top_columns_short(rates[SAMPLE_CLIENTS], 1000), top_columns_short(rates[SAMPLE_MESSAGES], 1000)));
}

static void
top_view_away(struct screen *screen, const struct top_scene *scene)
{
	if (scene->away == NULL)
		return;
	screen_line(screen);
	top_view_take(screen, SCREEN_ALARM, mem_print("no answer for %s: %s", show_span(scene->away_seconds),
	    scene->away));
	screen_fill(screen, SCREEN_ALARM);
}

/* What is wrong with the daemon itself: nothing, a line, or two. */
static void
top_view_troubles(struct screen *screen, const struct top_scene *scene)
{
	const char *error = scene->sample == NULL ? "" : show_text(scene->sample->answer, "config_error");

	if (error[0] != '\0') {
		screen_line(screen);
		top_view_take(screen, SCREEN_HOLD,
		    mem_print("configuration files are bad, the one before is in force: %s", error));
	}
	top_view_away(screen, scene);
}

/* A screen with few lines keeps them for services. */
static void
top_view_header(struct screen *screen, const struct top_scene *scene)
{
	if (scene->sample != NULL && screen->height >= 5)
		top_view_daemon(screen, scene);
	if (scene->sample != NULL && screen->height >= 8)
		top_view_states(screen, scene->sample);
	if (scene->sample != NULL && screen->height >= 10)
		top_view_sums(screen, scene->sample);
	top_view_troubles(screen, scene);
	if (screen->height >= ROOMY)
		screen_line(screen);
}

static void
top_view_keys(struct screen *screen, const char *const *keys)
{
	for (; keys[0] != NULL; keys += 2) {
		if (screen_width(screen, keys[0]) + screen_width(screen, keys[1]) + 3 > screen_room(screen))
			return;
		screen_put(screen, SCREEN_BOLD, keys[0]);
		top_view_take(screen, SCREEN_DIM, mem_print(" %s  ", keys[1]));
	}
}

/* Keys, or the filter that is being typed; at the right which rows are seen. */
static void
top_view_footer(struct screen *screen, const struct top_state *state, const struct top_scene *scene)
{
	static const char *const keys[] = {
		"q", "quit", "?", "help", "/", "filter", "Enter", "explain", "<>", "sort", "r", "reverse", NULL,
	};
	size_t all = scene->sample == NULL ? 0 : scene->sample->count;
	size_t last = state->first + state->page_rows < state->row_count ? state->first + state->page_rows
	    : state->row_count;
	char *rows = mem_print("%zu-%zu of %zu", state->row_count == 0 ? 0 : state->first + 1, last,
	    state->row_count);

	screen_line(screen);
	if (state->typing) {
		top_view_take(screen, SCREEN_BOLD, mem_print("filter: %s_", state->filter));
		screen_put(screen, SCREEN_DIM, "  Enter keep  Esc clear");
	} else if (state->filter[0] != '\0') {
		top_view_take(screen, SCREEN_BOLD, mem_print("filter: %s", state->filter));
		top_view_take(screen, SCREEN_DIM, mem_print("  hides %zu of %zu  / change  Esc clear",
		    all - state->row_count, all));
	} else {
		top_view_keys(screen, keys);
	}
	screen_put_end(screen, SCREEN_DIM, rows);
	mem_free(rows);
}

/* The chosen row is on the screen. */
static void
top_view_place(struct top_state *state, int page)
{
	state->page_rows = page < 1 ? 1 : (size_t)page;
	if (state->chosen < state->first)
		state->first = state->chosen;
	if (state->chosen >= state->first + state->page_rows)
		state->first = state->chosen - state->page_rows + 1;
	if (state->first + state->page_rows > state->row_count)
		state->first = state->row_count > state->page_rows ? state->row_count - state->page_rows : 0;
}

static void
top_view_down_to(struct screen *screen, int left)
{
	while (screen_left(screen) > left)
		screen_line(screen);
}

/* The chosen service's error has a line of its own, where it is less likely to be cut. */
static void
top_view_chosen(struct screen *screen, const struct top_columns *columns, const struct top_state *state,
    const struct sample *sample)
{
	const struct sample_service *service;
	char *error;

	screen_line(screen);
	if (state->row_count == 0)
		return;
	service = &sample->services[state->rows[state->chosen]];
	error = top_columns_error(columns, service);
	top_view_take(screen, top_columns_look(service->state), mem_print("%s %s", service->name, service->state));
	if (error[0] != '\0')
		top_view_take(screen, SCREEN_PLAIN, mem_print("  %s", error));
	mem_free(error);
}

static void
top_view_rows(struct screen *screen, const struct top_columns *columns, const struct top_state *state,
    const struct sample *sample)
{
	for (size_t i = state->first; i < state->row_count && i < state->first + state->page_rows; i++) {
		top_columns_put_row(columns, screen, &sample->services[state->rows[i]]);
		if (i == state->chosen)
			screen_choose(screen);
	}
	if (state->row_count > 0 || screen_left(screen) < 2)
		return;
	screen_line(screen);
	screen_put(screen, SCREEN_DIM, sample->count == 0 ? "No services are configured."
	    : "No service matches the filter.");
}

/* A table; its last lines are for the chosen service, if there is room, and the keys. */
static void
top_view_table(struct screen *screen, struct top_state *state, const struct top_scene *scene)
{
	bool roomy = screen->height >= ROOMY && scene->sample != NULL, tiny = screen->height < 3;
	struct top_columns columns;

	top_view_header(screen, scene);
	if (scene->sample != NULL) {
		top_columns_choose(&columns, screen, scene->sample, scene->wall);
		if (!tiny)
			top_columns_put_heads(&columns, screen, state->sort, state->reverse);
		top_view_place(state, screen_left(screen) - (roomy ? 2 : tiny ? 0 : 1));
		top_view_rows(screen, &columns, state, scene->sample);
	}
	top_view_down_to(screen, roomy ? 2 : 1);
	if (roomy)
		top_view_chosen(screen, &columns, state, scene->sample);
	top_view_footer(screen, state, scene);
}

/* Lines of a page of which some are above the screen: they are put from the first that is seen. */
struct page {
	struct screen *screen; /* borrowed; NULL: lines are only counted */
	int skip;              /* lines above the screen */
	int lines;             /* so far */
	int most;              /* how many are shown */
};

/* Whether the next line is seen; it then has begun. */
static bool
page_line(struct page *page)
{
	int line = page->lines++;

	if (page->screen == NULL || line < page->skip || line >= page->skip + page->most)
		return false;
	screen_line(page->screen);
	return true;
}

/* The keys at the left, which lines are seen at the right. */
static void
page_footer(struct screen *screen, const struct page *page)
{
	static const char *const keys[] = {
		"Esc", "back", "Up Down PgUp PgDn", "scroll", "?", "help", NULL,
	};
	int last = page->skip + page->most < page->lines ? page->skip + page->most : page->lines;
	char *place = mem_print("%d-%d of %d", page->lines == 0 ? 0 : page->skip + 1, last, page->lines);

	top_view_down_to(screen, 1);
	screen_line(screen);
	top_view_keys(screen, keys);
	screen_put_end(screen, SCREEN_DIM, place);
	mem_free(place);
}

static const char *const help_lines[] = {
	"Up Down j k", "choose a service",
	"PgUp PgDn g G", "a page up or down; to the first, to the last",
	"Enter", "the service's endpoints, and what has happened to it (explain)",
	"/", "show only what holds a text, which may be in the name, state,",
	"", "address or error; Enter keeps it, Esc clears it",
	"< > and r", "sort by the next column; reverse the order",
	"n s t", "sort by name, by state (worst first), by since when",
	"c h e", "by clients, by held clients, by the time of the last error",
	"i o w", "by bytes in, by bytes out, by work; twice: reverse",
	"q", "back, or quit",
	"", "",
	"UP", "connected, or idle until the first client comes",
	"DOWN", "not connected, nobody waits",
	"HOLD", "not connected, clients are held",
	"PAUSED", "paused by an operator",
	"CLOSED", "closed, drained or aborted: clients are refused",
	"", "",
	"IN/s OUT/s", "bytes per second from clients and to them, K is 1024",
	"WORK/s", "new clients, or in shared mode messages, per second",
	"NEW/s MSG/s", "new clients, messages, per second",
	"OLDEST", "how long the first of the held has waited",
	"FLIGHT", "requests that the upstream has been given",
	"WARM", "connections that are ready",
	"OUTAGES", "how often it went down; FAILURES: attempts in a row",
};

static void
top_view_help(struct screen *screen, struct top_state *state)
{
	struct page page = { .screen = screen, .most = screen->height - 3 };
	int lines = sizeof help_lines / sizeof help_lines[0] / 2;

	screen_line(screen);
	screen_put(screen, SCREEN_BOLD, "holdfastctl top");
	screen_put(screen, SCREEN_PLAIN, ": all services, asked for once a second");
	screen_line(screen);
	top_view_scroll(state, lines, page.most);
	page.skip = (int)state->scroll;
	for (int i = 0; i < lines; i++)
		if (page_line(&page)) {
			screen_put_left(screen, top_columns_look(help_lines[2 * i]) == SCREEN_PLAIN ? SCREEN_BOLD
			    : top_columns_look(help_lines[2 * i]), 15, help_lines[2 * i]);
			screen_put(screen, SCREEN_PLAIN, help_lines[2 * i + 1]);
		}
	page_footer(screen, &page);
}

/* 2026-11-25T22:39:13.123Z in full, or 11-25 22:39:13. */
static char *
explain_time(const char *time, bool wide)
{
	if (wide || strlen(time) < 19)
		return mem_copy_text(time);
	return mem_print("%.5s %.8s", time + 5, time + 11);
}

static enum screen_look
explain_look(const char *event)
{
	if (strcmp(event, "connected") == 0)
		return SCREEN_UP;
	if (strcmp(event, "disconnected") == 0 || strcmp(event, "failed_to_connect") == 0)
		return SCREEN_DOWN;
	return SCREEN_PLAIN;
}

/* One entry: time, event, and its text, folded. */
static void
explain_entry(struct page *page, const struct screen *screen, const json_t *entry)
{
	bool wide = screen->width >= EXPLAIN_WIDE, folded = screen->width < EXPLAIN_FOLD;
	const char *event = show_text(entry, "event"), *text = show_text(entry, "text"), *next;
	char *time = explain_time(show_text(entry, "time"), wide);
	int indent = folded ? 2 : screen_width(screen, time) + 2 + EVENT_WIDTH + 2;
	bool seen = page_line(page);

	if (seen) {
		screen_put(page->screen, SCREEN_DIM, time);
		screen_put(page->screen, SCREEN_PLAIN, "  ");
		screen_put_left(page->screen, explain_look(event), folded ? screen->width : EVENT_WIDTH + 2, event);
	}
	for (bool more = folded; *text != '\0'; text = next, more = true) {
		size_t length = screen_fold(screen, text, screen->width > indent ? screen->width - indent : 1, &next);

		if (more)
			seen = page_line(page);
		if (seen && more)
			screen_put_left(page->screen, SCREEN_PLAIN, indent, "");
		if (seen)
			top_view_take(page->screen, SCREEN_PLAIN, mem_copy_bytes(text, length));
	}
	mem_free(time);
}

static void
explain_entries(struct page *page, const struct screen *screen, const json_t *history)
{
	json_t *entry;
	size_t i;

	page->lines = 0;
	json_array_foreach(json_object_get(history, "entries"), i, entry)
		explain_entry(page, screen, entry);
}

/* What the service is now. */
static void
explain_head(struct screen *screen, const struct top_state *state, const struct top_scene *scene)
{
	const struct sample *sample = scene->sample;
	const struct sample_service *service = sample == NULL ? NULL : sample_find(sample, state->explained);
	const char *address;
	char *why;

	screen_line(screen);
	screen_put(screen, SCREEN_BOLD, state->explained);
	if (service == NULL) {
		screen_put(screen, SCREEN_ALARM, "  is no longer configured");
		return;
	}
	why = show_why(service->json);
	screen_put(screen, SCREEN_PLAIN, "  ");
	screen_put(screen, top_columns_look(service->state), service->state);
	top_view_take(screen, SCREEN_PLAIN, mem_print(" for %s%s%s",
	    show_span(show_age(show_since_at(service->json), scene->wall)), why[0] == '\0' ? "" : ": ", why));
	mem_free(why);
	if (screen->height < 10)
		return;
	address = show_text(service->json, "address");
	screen_line(screen);
	top_view_take(screen, SCREEN_DIM, mem_print("%s mode  %lld clients  %lld held  %lld outages  address %s  "
	    "socket %s", service->shared ? "shared" : "session", show_number(service->json, "clients"),
	    show_number(service->json, "held"), show_number(service->json, "outages"),
	    address[0] == '\0' ? "none" : address, show_text(service->json, "socket")));
}

/* Each endpoint's story, those that have failed first; the screen's upper part has room for so many. */
static void
explain_endpoints(struct screen *screen, const struct top_scene *scene)
{
	const json_t *list = json_object_get(scene->history, "endpoints");
	size_t count = json_array_size(list), most = (size_t)screen->height / 4, shown;

	if (screen->height < 16)
		return;
	shown = count <= most ? count : most - 1;
	for (size_t i = 0; i < shown; i++) {
		const json_t *endpoint = json_array_get(list, i);
		const char *state = show_text(endpoint, "state");

		screen_line(screen);
		top_view_take(screen, strcmp(state, "failed") == 0 ? SCREEN_DOWN :
		    strcmp(state, "withdrawn") == 0 ? SCREEN_HOLD : SCREEN_PLAIN,
		    show_endpoint(endpoint, scene->wall));
	}
	if (shown < count) {
		screen_line(screen);
		top_view_take(screen, SCREEN_DIM, mem_print("%zu more: holdfastctl endpoints", count - shown));
	}
}

static void
explain_columns(struct screen *screen)
{
	char *sample = explain_time("2026-11-25T22:39:13.123Z", screen->width >= EXPLAIN_WIDE);

	screen_line(screen);
	screen_put_left(screen, SCREEN_HEAD, screen_width(screen, sample) + 2, "TIME (UTC)");
	screen_put_left(screen, SCREEN_HEAD, EVENT_WIDTH + 2, "EVENT");
	screen_put_left(screen, SCREEN_HEAD, screen->width, screen->width < EXPLAIN_FOLD ? "" : "WHAT");
	mem_free(sample);
}

static void
top_view_explain(struct screen *screen, struct top_state *state, const struct top_scene *scene)
{
	struct page page = { .screen = NULL };

	explain_head(screen, state, scene);
	top_view_away(screen, scene);
	explain_endpoints(screen, scene);
	if (screen->height >= 16)
		screen_line(screen);
	explain_columns(screen);
	if (scene->history == NULL && screen_left(screen) > 1) {
		screen_line(screen);
		screen_put(screen, SCREEN_DIM, "asking ...");
	}
	explain_entries(&page, screen, scene->history);
	page.most = screen_left(screen) - 1;
	top_view_scroll(state, page.lines, page.most);
	page.skip = (int)state->scroll;
	page.screen = screen;
	explain_entries(&page, screen, scene->history);
	page_footer(screen, &page);
}

void
top_view_show(struct screen *screen, struct top_state *state, const struct top_scene *scene)
{
	if (state->page == TOP_HELP)
		top_view_help(screen, state);
	else if (state->page == TOP_EXPLAIN)
		top_view_explain(screen, state, scene);
	else
		top_view_table(screen, state, scene);
}

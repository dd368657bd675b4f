/* The pages of "holdfastctl top" that are read: one service's story, and the keys. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/show.h"
#include "ctl/top_columns.h"
#include "ctl/top_view_parts.h"

#define EXPLAIN_WIDE 100 /* columns from which on times are shown in full */
#define EXPLAIN_FOLD 60  /* columns below which an entry's text stands under its time */
#define EVENT_WIDTH  21  /* of the longest name of an event, attempting_to_connect */

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
	"Enter", "what has happened to the service (explain)",
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

void
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

void
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

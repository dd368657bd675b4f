#include "ctl/top_view.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/show.h"
#include "ctl/top_columns.h"
#include "ctl/top_view_parts.h"

#define ROOMY 16 /* lines from which on there are empty ones between the parts */

void
top_view_take(struct screen *screen, enum screen_look look, char *text)
{
	screen_put(screen, look, text);
	mem_free(text);
}

void
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

void
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

void
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

void
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

#include "ctl/top_columns.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/show.h"

#define WIDE       100 /* columns from which on spans of time have two units */
#define WITH_ERROR 60  /* columns from which on there is a place for errors */
#define TEXT_SIZE  32
#define TEXT_COUNT 8

/* A column is on terminals at least so wide, and (until) less wide than that.  Its width grows with the longest of
 * its texts up to most, and is what is left if most is 0. */
struct top_column {
	const char *head;  /* borrowed */
	int from, until;
	int width, most;
	bool right;
	int sort;          /* enum top_sort, or -1 */
	/* The text, to be freed with mem_free(). */
	char *(*text)(const struct top_columns *columns, const struct sample_service *service);
};

/* One of a few buffers. */
static char *
top_columns_buffer(void)
{
	static char texts[TEXT_COUNT][TEXT_SIZE];
	static unsigned next;

	return texts[next++ % TEXT_COUNT];
}

const char *
top_columns_short(double number, unsigned unit)
{
	static const char *const signs = "\0KMGTPE";
	char *text = top_columns_buffer();
	size_t sign = 0;

	while (number >= 999.5 && sign < 6) {
		number /= unit;
		sign++;
	}
	snprintf(text, TEXT_SIZE, number > 0 && number < 9.95 && (sign > 0 || number < 0.95 || number != (int)number)
	    ? "%.1f%.1s" : "%.0f%.1s", number, signs + sign);
	return text;
}

/* Seconds as the larger of the units that `status` would show. */
static const char *
top_columns_span(bool wide, double seconds)
{
	char *text = top_columns_buffer();

	snprintf(text, TEXT_SIZE, "%s", show_span(seconds));
	if (!wide)
		text[strcspn(text, " ")] = '\0';
	return text;
}

static char *
top_name(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return mem_copy_text(service->name);
}

static char *
top_mode(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return mem_copy_text(service->shared ? "shared" : "session");
}

static char *
top_state(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return mem_copy_text(service->state);
}

static char *
top_since(const struct top_columns *columns, const struct sample_service *service)
{
	double age = show_age(show_since_at(service->json), columns->wall);

	return mem_copy_text(age < 0 ? "" : top_columns_span(columns->wide, age));
}

static char *
top_number(const struct sample_service *service, const char *key)
{
	return mem_copy_text(top_columns_short(show_real(service->json, key), 1000));
}

static char *
top_clients(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return mem_print("%lld", show_number(service->json, "clients"));
}

static char *
top_held(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return top_number(service, "held");
}

static char *
top_oldest(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return mem_copy_text(show_number(service->json, "held") == 0 ? ""
	    : top_columns_span(false, show_real(service->json, "held_longest_seconds")));
}

static char *
top_rate(const struct sample_service *service, enum sample_rate rate, unsigned unit)
{
	return mem_copy_text(service->has_rates ? top_columns_short(service->rates[rate], unit) : "-");
}

static char *
top_in(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return top_rate(service, SAMPLE_IN, 1024);
}

static char *
top_out(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return top_rate(service, SAMPLE_OUT, 1024);
}

/* What a service does: messages in shared mode, clients otherwise. */
static char *
top_work(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return top_rate(service, service->shared ? SAMPLE_MESSAGES : SAMPLE_CLIENTS, 1000);
}

static char *
top_new(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return top_rate(service, SAMPLE_CLIENTS, 1000);
}

static char *
top_messages(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return service->shared ? top_rate(service, SAMPLE_MESSAGES, 1000) : mem_copy_text("");
}

static char *
top_flight(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return service->shared ? top_number(service, "in_flight") : mem_copy_text("");
}

static char *
top_warm(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return top_number(service, "warm");
}

static char *
top_outages(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return top_number(service, "outages");
}

static char *
top_failures(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return top_number(service, "failures");
}

static char *
top_address(const struct top_columns *columns, const struct sample_service *service)
{
	(void)columns;
	return mem_copy_text(show_text(service->json, "address"));
}

char *
top_columns_error(const struct top_columns *columns, const struct sample_service *service)
{
	double age = show_age(show_text(service->json, "last_error_at"), columns->wall);
	char *why = show_why(service->json);

	if (why[0] != '\0' || show_text(service->json, "last_error")[0] == '\0')
		return why;
	mem_free(why);
	return mem_print("%s ago: %s", top_columns_span(columns->wide, age), show_text(service->json, "last_error"));
}

static const struct top_column top_columns[] = {
	{ "SERVICE", 0, 0, 7, 32, false, TOP_BY_NAME, top_name },
	{ "MODE", 160, 0, 7, 7, false, -1, top_mode },
	{ "STATE", 0, 0, 6, 6, false, TOP_BY_STATE, top_state },
	{ "SINCE", 50, WIDE, 5, 5, true, TOP_BY_SINCE, top_since },
	{ "SINCE", WIDE, 0, 9, 9, true, TOP_BY_SINCE, top_since },
	{ "CLIENTS", 40, 0, 7, 7, true, TOP_BY_CLIENTS, top_clients },
	{ "NEW/s", 120, 0, 5, 5, true, TOP_BY_WORK, top_new },
	{ "HELD", 34, 0, 4, 4, true, TOP_BY_HELD, top_held },
	{ "OLDEST", 230, 0, 6, 6, true, -1, top_oldest },
	{ "IN/s", 70, 0, 4, 4, true, TOP_BY_IN, top_in },
	{ "OUT/s", 70, 0, 5, 5, true, TOP_BY_OUT, top_out },
	{ "WORK/s", 78, 120, 6, 6, true, TOP_BY_WORK, top_work },
	{ "MSG/s", 120, 0, 5, 5, true, TOP_BY_WORK, top_messages },
	{ "FLIGHT", 160, 0, 6, 6, true, -1, top_flight },
	{ "WARM", 230, 0, 4, 4, true, -1, top_warm },
	{ "OUTAGES", 150, 0, 7, 7, true, -1, top_outages },
	{ "FAILURES", 230, 0, 8, 8, true, -1, top_failures },
	{ "ADDRESS", 140, 0, 7, 26, false, -1, top_address },
	{ "LAST ERROR", WITH_ERROR, 0, 10, 0, false, TOP_BY_ERROR, top_columns_error },
};

_Static_assert(sizeof top_columns / sizeof top_columns[0] <= TOP_COLUMNS, "the list has a place for each column");

/* How wide a column may grow on a screen of this width. */
static int
top_columns_most(const struct top_column *column, int width)
{
	int share = width / 5;

	return column->most <= column->width || column->most < share ? column->most
	    : share < column->width ? column->width : share;
}

/* The width that the column's texts need, from width to most. */
static int
top_columns_width(const struct top_columns *columns, const struct top_column *column, const struct screen *screen,
    const struct sample *sample, int width, int most)
{
	for (size_t i = 0; i < sample->count && width < most; i++) {
		char *text = column->text(columns, &sample->services[i]);
		int needed = screen_width(screen, text);

		width = needed > most ? most : needed > width ? needed : width;
		mem_free(text);
	}
	return width;
}

void
top_columns_choose(struct top_columns *columns, const struct screen *screen, const struct sample *sample,
    int64_t wall)
{
	int left = screen->width - 1, width;

	*columns = (struct top_columns){ .wide = screen->width >= WIDE, .wall = wall };
	for (size_t i = 0; i < sizeof top_columns / sizeof top_columns[0]; i++) {
		const struct top_column *column = &top_columns[i];

		if (screen->width < column->from || (column->until != 0 && screen->width >= column->until))
			continue;
		width = top_columns_width(columns, column, screen, sample, column->width,
		    top_columns_most(column, screen->width));
		columns->list[columns->count].which = i;
		columns->list[columns->count++].width = width;
		left -= width + 1;
	}
	width = columns->list[0].width;
	if (screen->width < WITH_ERROR && left > 0)
		columns->list[0].width = top_columns_width(columns, &top_columns[0], screen, sample, width,
		    width + left);
}

/* Puts one cell.  The blank beside its column is before it if it is a right one, where a head's arrow has its place,
 * else behind it. */
static void
top_columns_put(const struct top_columns *columns, size_t i, struct screen *screen, enum screen_look look,
    const char *text)
{
	const struct top_column *column = &top_columns[columns->list[i].which];
	int width = columns->list[i].width;

	if (column->right) {
		screen_put_right(screen, look, width + 1, text);
		return;
	}
	if (i > 0 && top_columns[columns->list[i - 1].which].right)
		screen_put(screen, look == SCREEN_HEAD ? look : SCREEN_PLAIN, "  ");
	if (column->most == 0) {
		screen_put_left(screen, look, screen->width, text);
		return;
	}
	screen_put_left(screen, look, width + (look == SCREEN_HEAD), text);
	if (look != SCREEN_HEAD)
		screen_put(screen, SCREEN_PLAIN, " ");
}

void
top_columns_put_heads(const struct top_columns *columns, struct screen *screen, enum top_sort sort,
    bool reverse)
{
	const char *arrow = screen->ascii ? reverse ? "^" : "v" : reverse ? "\u25b2" : "\u25bc";

	screen_line(screen);
	for (size_t i = 0; i < columns->count; i++) {
		const struct top_column *column = &top_columns[columns->list[i].which];
		bool sorted = column->sort == (int)sort;
		char *text = mem_print("%s%s%s", sorted && column->right ? arrow : "", column->head,
		    sorted && !column->right ? arrow : "");

		top_columns_put(columns, i, screen, SCREEN_HEAD, text);
		mem_free(text);
	}
	screen_fill(screen, SCREEN_HEAD);
}

enum screen_look
top_columns_look(const char *state)
{
	static const struct {
		const char *state;
		enum screen_look look;
	} looks[] = {
		{ "UP", SCREEN_UP }, { "DOWN", SCREEN_DOWN }, { "HOLD", SCREEN_HOLD }, { "PAUSED", SCREEN_PAUSED },
		{ "CLOSED", SCREEN_CLOSED },
	};

	for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++)
		if (strcmp(looks[i].state, state) == 0)
			return looks[i].look;
	return SCREEN_PLAIN;
}

/* Zeros and what is past step back. */
static enum screen_look
top_columns_cell_look(const struct top_column *column, const struct sample_service *service, const char *text)
{
	bool up = strcmp(service->state, "UP") == 0;

	if (column->text == top_state)
		return top_columns_look(service->state);
	if (column->text == top_columns_error)
		return up ? SCREEN_DIM : SCREEN_PLAIN;
	if (column->text == top_held && show_number(service->json, "held") > 0)
		return SCREEN_HOLD;
	return strcmp(text, "0") == 0 || strcmp(text, "-") == 0 ? SCREEN_DIM : SCREEN_PLAIN;
}

void
top_columns_put_row(const struct top_columns *columns, struct screen *screen, const struct sample_service *service)
{
	screen_line(screen);
	for (size_t i = 0; i < columns->count; i++) {
		const struct top_column *column = &top_columns[columns->list[i].which];
		char *text = column->text(columns, service);

		top_columns_put(columns, i, screen, top_columns_cell_look(column, service, text), text);
		mem_free(text);
	}
}

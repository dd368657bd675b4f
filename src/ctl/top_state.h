/* top_state.h - what "holdfastctl top" knows and is asked to show: the daemon's status at one moment, how fast things
 * went since the moment before; order, filter, page, place; and what a key does.
 *
 * Pure.
 */
#ifndef HOLDFAST_CTL_TOP_STATE_H
#define HOLDFAST_CTL_TOP_STATE_H

#ifndef NCURSES_NOMACROS
#define NCURSES_NOMACROS
#endif
#include <curses.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOP_FILTER_SIZE 64
#define TOP_NAME_SIZE   72

/* Work is what a service does: messages in shared mode, clients otherwise. */
enum sample_rate { SAMPLE_IN, SAMPLE_OUT, SAMPLE_CLIENTS, SAMPLE_MESSAGES, SAMPLE_WORK, SAMPLE_RATES };

struct sample_service {
	const json_t *json;         /* borrowed, from the answer */
	const char *name;           /* borrowed, from the answer */
	const char *state;          /* borrowed; the word for people */
	bool shared;
	bool has_rates;             /* it was there the moment before */
	double rates[SAMPLE_RATES]; /* per second: bytes from and to clients, new clients, messages, work */
};

struct sample {
	json_t *answer;                  /* owned */
	int64_t at;                      /* monotonic */
	struct sample_service *services; /* owned */
	size_t count;
};

/* The answer to "status" (its reference is taken) at the time at; before: the sample before, or NULL.  Counters that
 * restarted count from 0. */
struct sample *sample_new(json_t *answer, int64_t at, const struct sample *before);
void sample_free(struct sample *sample);

/* The service of this name, most likely at the place index; NULL if there is none. */
const struct sample_service *sample_find(const struct sample *sample, const char *name, size_t index);

enum top_page { TOP_TABLE, TOP_EXPLAIN, TOP_HELP };

enum top_sort {
	TOP_BY_NAME, TOP_BY_STATE, TOP_BY_SINCE, TOP_BY_CLIENTS, TOP_BY_HELD, TOP_BY_IN, TOP_BY_OUT, TOP_BY_WORK,
	TOP_BY_ERROR, TOP_SORTS
};

/* Keys that are no characters: as ncurses has them, but where one has several names. */
enum top_key {
	TOP_KEY_UP = KEY_UP, TOP_KEY_DOWN = KEY_DOWN, TOP_KEY_PAGE_UP = KEY_PPAGE, TOP_KEY_PAGE_DOWN = KEY_NPAGE,
	TOP_KEY_HOME = KEY_HOME, TOP_KEY_END = KEY_END, TOP_KEY_LEFT = KEY_LEFT, TOP_KEY_RIGHT = KEY_RIGHT,
	TOP_KEY_ENTER = '\r', TOP_KEY_ERASE = KEY_BACKSPACE, TOP_KEY_ESCAPE = 0x1b, TOP_KEY_HELP = KEY_F(1)
};

struct top_state {
	enum top_page page;
	enum top_sort sort;
	bool reverse;
	char filter[TOP_FILTER_SIZE];
	bool typing;                   /* the filter is being typed */
	size_t *rows;                  /* owned; indexes of the sample's services, as they are shown */
	size_t row_count;
	size_t chosen;                 /* of rows */
	char chosen_name[TOP_NAME_SIZE];
	size_t first;                  /* of rows, the first on the screen */
	char explained[TOP_NAME_SIZE]; /* the service of the page TOP_EXPLAIN */
	size_t scroll;                 /* lines above the screen, of explain or help */
	bool follow;                   /* explain: stay at the end */
	/* What the view found when it was painted last: how far one can go. */
	size_t page_rows;              /* rows that a page has */
	size_t scroll_most;            /* of scroll */
};

void top_state_init(struct top_state *state);
void top_state_free(struct top_state *state);

/* Filters and sorts again: after a new sample, after a key.  The chosen service stays chosen, wherever it goes. */
void top_state_arrange(struct top_state *state, const struct sample *sample);

/* What a key (a character, or an enum top_key) does; others do nothing.  False: the user has had enough. */
bool top_state_key(struct top_state *state, int key);

#endif

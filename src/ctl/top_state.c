#include "ctl/top_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/show.h"

/* How far a counter has come; one that is smaller than before has restarted. */
static double
sample_growth(const json_t *now, const json_t *before, const char *key)
{
	long long value = show_number(now, key), old = show_number(before, key);

	return (double)(value >= old ? value - old : value);
}

static void
sample_set_rates(struct sample_service *service, const json_t *before, double seconds)
{
	const json_t *now = service->json;
	double *rates = service->rates, answers = sample_growth(now, before, "messages_to_clients");

	rates[SAMPLE_IN] = sample_growth(now, before, "bytes_from_clients");
	rates[SAMPLE_OUT] = sample_growth(now, before, "bytes_to_clients");
	rates[SAMPLE_CLIENTS] = sample_growth(now, before, "clients_total");
	/* A broadcast has messages to clients alone; a reply does not count beside its request. */
	rates[SAMPLE_MESSAGES] = sample_growth(now, before, "messages_from_clients");
	if (rates[SAMPLE_MESSAGES] < answers)
		rates[SAMPLE_MESSAGES] = answers;
	rates[SAMPLE_WORK] = rates[service->shared ? SAMPLE_MESSAGES : SAMPLE_CLIENTS];
	for (enum sample_rate i = 0; i < SAMPLE_RATES; i++)
		rates[i] /= seconds;
	service->has_rates = true;
}

const struct sample_service *
sample_find(const struct sample *sample, const char *name, size_t index)
{
	if (index < sample->count && strcmp(sample->services[index].name, name) == 0)
		return &sample->services[index];
	for (size_t i = 0; i < sample->count; i++)
		if (strcmp(sample->services[i].name, name) == 0)
			return &sample->services[i];
	return NULL;
}

struct sample *
sample_new(json_t *answer, int64_t at, const struct sample *before)
{
	json_t *list = json_object_get(answer, "services"), *json;
	struct sample *sample = mem_new(1, sizeof *sample);
	size_t i;

	sample->answer = answer;
	sample->at = at;
	sample->count = json_array_size(list);
	sample->services = mem_new(sample->count + 1, sizeof *sample->services);
	json_array_foreach(list, i, json) {
		struct sample_service *service = &sample->services[i];
		const struct sample_service *old;

		service->json = json;
		service->name = show_text(json, "service");
		service->state = show_state(json);
		service->shared = strcmp(show_text(json, "mode"), "shared") == 0;
		old = before == NULL || at <= before->at ? NULL : sample_find(before, service->name, i);
		if (old != NULL)
			sample_set_rates(service, old->json, (double)(at - before->at) / (double)CLOCK_SECOND);
	}
	return sample;
}

void
sample_free(struct sample *sample)
{
	if (sample == NULL)
		return;
	json_decref(sample->answer);
	mem_free(sample->services);
	mem_free(sample);
}

/* What rows are sorted by: the text first, then the number, the smaller first. */
struct top_rank {
	size_t index;
	const char *name; /* borrowed */
	const char *text; /* borrowed; "" unless texts are compared */
	double number;
	bool reverse;
};

void
top_state_init(struct top_state *state)
{
	memset(state, 0, sizeof *state);
	state->sort = TOP_BY_STATE;
}

void
top_state_free(struct top_state *state)
{
	mem_free(state->rows);
}

/* What must be seen comes first. */
static double
top_state_urgency(const char *state)
{
	static const char *const order[] = { "HOLD", "DOWN", "PAUSED", "CLOSED" };
	size_t i = 0;

	while (i < sizeof order / sizeof order[0] && strcmp(order[i], state) != 0)
		i++;
	return (double)i;
}

/* The rank of what a sort compares; RFC 3339 texts compare like the times, and the newest is first. */
static struct top_rank
top_state_rank(const struct sample_service *service, size_t index, enum top_sort sort, bool reverse)
{
	struct top_rank rank = { .index = index, .name = service->name, .text = "", .reverse = reverse };

	switch (sort) {
	case TOP_BY_STATE: rank.number = top_state_urgency(service->state); break;
	case TOP_BY_SINCE: rank.text = show_since_at(service->json); break;
	case TOP_BY_CLIENTS: rank.number = -show_real(service->json, "clients"); break;
	case TOP_BY_HELD: rank.number = -show_real(service->json, "held"); break;
	case TOP_BY_IN: rank.number = -service->rates[SAMPLE_IN]; break;
	case TOP_BY_OUT: rank.number = -service->rates[SAMPLE_OUT]; break;
	case TOP_BY_WORK: rank.number = -service->rates[SAMPLE_WORK]; break;
	case TOP_BY_ERROR: rank.text = show_text(service->json, "last_error_at"); break;
	default: break;
	}
	return rank;
}

static int
top_rank_compare(const void *left, const void *right)
{
	const struct top_rank *a = left, *b = right;
	int order = strcmp(b->text, a->text);

	if (order == 0)
		order = (a->number > b->number) - (a->number < b->number);
	if (order == 0)
		order = strverscmp(a->name, b->name);
	return a->reverse ? -order : order;
}

/* Whether anything that is shown of the service holds the filter's text. */
static bool
top_state_matches(const struct top_state *state, const struct sample_service *service)
{
	char *why;
	bool matches;

	if (state->filter[0] == '\0' || strcasestr(service->name, state->filter) != NULL ||
	    strcasestr(service->state, state->filter) != NULL ||
	    strcasestr(show_text(service->json, "address"), state->filter) != NULL)
		return true;
	why = show_why(service->json);
	matches = strcasestr(why, state->filter) != NULL;
	mem_free(why);
	return matches;
}

/* The chosen row is where its service has gone, or stays at its place if that is no longer shown. */
static void
top_state_choose_again(struct top_state *state, const struct sample *sample)
{
	for (size_t i = 0; i < state->row_count; i++)
		if (strcmp(sample->services[state->rows[i]].name, state->chosen_name) == 0)
			state->chosen = i;
	if (state->chosen >= state->row_count)
		state->chosen = state->row_count == 0 ? 0 : state->row_count - 1;
}

void
top_state_arrange(struct top_state *state, const struct sample *sample)
{
	struct top_rank *ranks = mem_new(sample->count + 1, sizeof *ranks);

	state->row_count = 0;
	for (size_t i = 0; i < sample->count; i++)
		if (top_state_matches(state, &sample->services[i]))
			ranks[state->row_count++] = top_state_rank(&sample->services[i], i, state->sort,
			    state->reverse);
	qsort(ranks, state->row_count, sizeof *ranks, top_rank_compare);
	state->rows = mem_resize(state->rows, sample->count + 1, sizeof *state->rows);
	for (size_t i = 0; i < state->row_count; i++)
		state->rows[i] = ranks[i].index;
	mem_free(ranks);
	top_state_choose_again(state, sample);
	if (state->row_count > 0)
		snprintf(state->chosen_name, sizeof state->chosen_name, "%s",
		    sample->services[state->rows[state->chosen]].name);
}

/* Where a key leads in a list of which most is the last place; false if it is none that leads anywhere. */
static bool
top_state_move(int key, size_t *place, size_t most, size_t page)
{
	size_t old = *place;

	if (page == 0)
		page = 1;
	switch (key) {
	case TOP_KEY_UP: case 'k': *place = old > 0 ? old - 1 : 0; break;
	case TOP_KEY_DOWN: case 'j': *place = old + 1; break;
	case TOP_KEY_PAGE_UP: *place = old > page ? old - page : 0; break;
	case TOP_KEY_PAGE_DOWN: case ' ': *place = old + page; break;
	case TOP_KEY_HOME: case 'g': *place = 0; break;
	case TOP_KEY_END: case 'G': *place = most; break;
	default: return false;
	}
	if (*place > most)
		*place = most;
	return true;
}

/* The first key of a column sorts by it, the next turns the order around. */
static bool
top_state_sort_key(struct top_state *state, int key)
{
	static const char keys[] = "nstchiowe"; /* in the order of enum top_sort */
	const char *at = key > 0 && key < 256 ? strchr(keys, key) : NULL;
	enum top_sort sort = state->sort;

	if (key == 'r') {
		state->reverse = !state->reverse;
		return true;
	}
	if (at != NULL)
		sort = (enum top_sort)(at - keys);
	else if (key == '<' || key == TOP_KEY_LEFT)
		sort = (sort + TOP_SORTS - 1) % TOP_SORTS;
	else if (key == '>' || key == TOP_KEY_RIGHT)
		sort = (sort + 1) % TOP_SORTS;
	else
		return false;
	state->reverse = sort == state->sort && !state->reverse;
	state->sort = sort;
	return true;
}

static void
top_state_typing_key(struct top_state *state, int key)
{
	size_t length = strlen(state->filter);

	if (key == TOP_KEY_ENTER || key == TOP_KEY_ESCAPE)
		state->typing = false;
	if (key == TOP_KEY_ESCAPE)
		state->filter[0] = '\0';
	if (key == TOP_KEY_ERASE && length > 0)
		state->filter[length - 1] = '\0';
	else if (key == TOP_KEY_ERASE)
		state->typing = false;
	if (key >= ' ' && key < 0x7f && length + 1 < sizeof state->filter) {
		state->filter[length] = (char)key;
		state->filter[length + 1] = '\0';
	}
}

static void
top_state_table_key(struct top_state *state, int key)
{
	size_t most = state->row_count == 0 ? 0 : state->row_count - 1;

	if (top_state_move(key, &state->chosen, most, state->page_rows)) {
		state->chosen_name[0] = '\0';
	} else if (key == '/') {
		state->typing = true;
	} else if (key == TOP_KEY_ESCAPE) {
		state->filter[0] = '\0';
	} else if (key == TOP_KEY_ENTER && state->row_count > 0) {
		state->page = TOP_EXPLAIN;
		state->follow = true;
		memcpy(state->explained, state->chosen_name, sizeof state->explained);
	} else {
		top_state_sort_key(state, key);
	}
}

/* Pages that are read: explain and help. */
static void
top_state_page_key(struct top_state *state, int key)
{
	if (top_state_move(key, &state->scroll, state->scroll_most, state->page_rows))
		state->follow = state->scroll == state->scroll_most;
	else if (key == TOP_KEY_ESCAPE || key == TOP_KEY_ENTER || key == TOP_KEY_LEFT || key == TOP_KEY_ERASE)
		state->page = TOP_TABLE;
}

bool
top_state_key(struct top_state *state, int key)
{
	if (state->page == TOP_TABLE && state->typing) {
		top_state_typing_key(state, key);
		return true;
	}
	if (key == 'q' && state->page == TOP_TABLE)
		return false;
	if (key == 'q') {
		state->page = TOP_TABLE;
	} else if (key == '?' || key == TOP_KEY_HELP) {
		state->page = state->page == TOP_HELP ? TOP_TABLE : TOP_HELP;
		state->scroll = 0;
	} else if (state->page == TOP_TABLE) {
		top_state_table_key(state, key);
	} else {
		top_state_page_key(state, key);
	}
	return true;
}

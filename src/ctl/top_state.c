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
	static const char *const counters[SAMPLE_WORK] = {
		[SAMPLE_IN] = "bytes_from_clients", [SAMPLE_OUT] = "bytes_to_clients",
		[SAMPLE_CLIENTS] = "clients_total", [SAMPLE_MESSAGES] = "messages_from_clients",
	};
	double *rates = service->rates;
	double answers = sample_growth(service->json, before, "messages_to_clients") / seconds;

	for (enum sample_rate i = 0; i < SAMPLE_WORK; i++)
		rates[i] = sample_growth(service->json, before, counters[i]) / seconds;
	/* A broadcast has messages to clients alone; a reply does not count beside its request. */
	if (rates[SAMPLE_MESSAGES] < answers)
		rates[SAMPLE_MESSAGES] = answers;
	rates[SAMPLE_WORK] = rates[service->shared ? SAMPLE_MESSAGES : SAMPLE_CLIENTS];
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

/* What sorts by a number compare, the greatest first. */
static double
top_state_rank(const struct sample_service *service, enum top_sort sort)
{
	switch (sort) {
	case TOP_BY_STATE: return -top_state_urgency(service->state);
	case TOP_BY_CLIENTS: return show_real(service->json, "clients");
	case TOP_BY_HELD: return show_real(service->json, "held");
	case TOP_BY_IN: return service->rates[SAMPLE_IN];
	case TOP_BY_OUT: return service->rates[SAMPLE_OUT];
	case TOP_BY_WORK: return service->rates[SAMPLE_WORK];
	default: return 0;
	}
}

/* What the others compare, likewise: RFC 3339 texts compare like the times. */
static const char *
top_state_time(const struct sample_service *service, enum top_sort sort)
{
	return sort == TOP_BY_SINCE ? show_since_at(service->json) : sort == TOP_BY_ERROR
	    ? show_text(service->json, "last_error_at") : "";
}

struct top_order {
	const struct sample_service *services; /* borrowed */
	const struct top_state *state;         /* borrowed */
};

static int
top_order_compare(const void *left, const void *right, void *arg)
{
	const struct top_order *by = arg;
	const struct sample_service *a = &by->services[*(const size_t *)left];
	const struct sample_service *b = &by->services[*(const size_t *)right];
	double rank = top_state_rank(a, by->state->sort), other = top_state_rank(b, by->state->sort);
	int order = (rank < other) - (rank > other);

	if (order == 0)
		order = strcmp(top_state_time(b, by->state->sort), top_state_time(a, by->state->sort));
	if (order == 0)
		order = strverscmp(a->name, b->name);
	return by->state->reverse ? -order : order;
}

/* Whether anything that is shown of the service holds the filter's text. */
static bool
top_state_matches(const struct top_state *state, const struct sample_service *service)
{
	const char *const texts[] = {
		service->name, service->state, show_text(service->json, "address"), show_why(service->json),
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (strcasestr(texts[i], state->filter) != NULL)
			return true;
	return false;
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
	struct top_order order = { sample->services, state };

	state->row_count = 0;
	state->rows = mem_resize(state->rows, sample->count + 1, sizeof *state->rows);
	for (size_t i = 0; i < sample->count; i++)
		if (top_state_matches(state, &sample->services[i]))
			state->rows[state->row_count++] = i;
	qsort_r(state->rows, state->row_count, sizeof *state->rows, top_order_compare, &order);
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

/* The first key of a column sorts by it, the next turns the order around, as r does. */
static void
top_state_sort_key(struct top_state *state, int key)
{
	static const char keys[] = "nstchiowe"; /* in the order of enum top_sort */
	const char *at = key > 0 && key < 0x80 ? strchr(keys, key) : NULL;
	enum top_sort sort = state->sort;

	if (at != NULL)
		sort = (enum top_sort)(at - keys);
	else if (key == '<' || key == TOP_KEY_LEFT)
		sort = (sort + TOP_SORTS - 1) % TOP_SORTS;
	else if (key == '>' || key == TOP_KEY_RIGHT)
		sort = (sort + 1) % TOP_SORTS;
	else if (key != 'r')
		return;
	state->reverse = sort == state->sort && !state->reverse;
	state->sort = sort;
}

static void
top_state_typing_key(struct top_state *state, int key)
{
	size_t length = strlen(state->filter);

	if (key == TOP_KEY_ENTER || key == TOP_KEY_ESCAPE || (key == TOP_KEY_ERASE && length == 0))
		state->typing = false;
	if (key == TOP_KEY_ESCAPE)
		state->filter[0] = '\0';
	else if (key == TOP_KEY_ERASE && length > 0)
		state->filter[length - 1] = '\0';
	else if (key >= ' ' && key < 0x7f && length + 1 < sizeof state->filter)
		snprintf(state->filter + length, 2, "%c", key);
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
	else if (key == 'q' || key == TOP_KEY_ESCAPE || key == TOP_KEY_ENTER || key == TOP_KEY_LEFT ||
	    key == TOP_KEY_ERASE)
		state->page = TOP_TABLE;
}

bool
top_state_key(struct top_state *state, int key)
{
	bool table = state->page == TOP_TABLE;

	if (table && state->typing) {
		top_state_typing_key(state, key);
	} else if (key == '?' || key == TOP_KEY_HELP) {
		state->page = state->page == TOP_HELP ? TOP_TABLE : TOP_HELP;
		state->scroll = 0;
	} else if (!table) {
		top_state_page_key(state, key);
	} else {
		top_state_table_key(state, key);
		return key != 'q';
	}
	return true;
}

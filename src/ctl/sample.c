#include "ctl/sample.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/show.h"

static const char *const sample_counters[SAMPLE_RATES] = {
	[SAMPLE_IN] = "bytes_from_clients", [SAMPLE_OUT] = "bytes_to_clients", [SAMPLE_CLIENTS] = "clients_total",
	[SAMPLE_MESSAGES] = "messages_from_clients",
};

/* The service at index, where it most likely still is, or wherever it has gone. */
static const struct sample_service *
sample_find_near(const struct sample *sample, const char *name, size_t index)
{
	if (index < sample->count && strcmp(sample->services[index].name, name) == 0)
		return &sample->services[index];
	return sample_find(sample, name);
}

const struct sample_service *
sample_find(const struct sample *sample, const char *name)
{
	for (size_t i = 0; i < sample->count; i++)
		if (strcmp(sample->services[i].name, name) == 0)
			return &sample->services[i];
	return NULL;
}

/* How far a counter has come; one that is smaller than before has begun anew. */
static double
sample_growth(const json_t *now, const json_t *before, const char *key)
{
	long long value = show_number(now, key), old = show_number(before, key);

	return (double)(value >= old ? value - old : value);
}

/* A broadcast has messages to clients alone; a reply does not count beside its request. */
static double
sample_messages(const json_t *now, const json_t *before)
{
	double from = sample_growth(now, before, sample_counters[SAMPLE_MESSAGES]);
	double to = sample_growth(now, before, "messages_to_clients");

	return from > to ? from : to;
}

static void
sample_set_rates(struct sample_service *service, const struct sample_service *before, double seconds)
{
	service->has_rates = true;
	for (enum sample_rate i = 0; i < SAMPLE_RATES; i++)
		service->rates[i] = (i == SAMPLE_MESSAGES ? sample_messages(service->json, before->json)
		    : sample_growth(service->json, before->json, sample_counters[i])) / seconds;
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
	sample->services = sample->count == 0 ? NULL : mem_new(sample->count, sizeof *sample->services);
	json_array_foreach(list, i, json) {
		struct sample_service *service = &sample->services[i];
		const struct sample_service *old;

		service->json = json;
		service->name = show_text(json, "service");
		service->state = show_state(json);
		service->shared = strcmp(show_text(json, "mode"), "shared") == 0;
		old = before == NULL || at <= before->at ? NULL : sample_find_near(before, service->name, i);
		if (old != NULL)
			sample_set_rates(service, old, (double)(at - before->at) / (double)CLOCK_SECOND);
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

/* Keys in holdfastctl top, two bytes each, and the status between them: the chosen row is one, and all stays within
 * its bounds. */
#include "ctl/top_state.h"
#include "pieces.h"

static struct sample *
make_sample(unsigned count, const struct sample *before)
{
	json_t *services = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(services, json_pack("{s:o, s:s, s:i}", "service",
		    json_sprintf("s%u", i * 7 % 10), "state", i % 2 ? "connected" : "waiting", "clients", (int)i));
	return sample_new(json_pack("{s:o}", "services", services), before == NULL ? 1000000 : before->at + 1000000,
	    before);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sample *sample = make_sample(3, NULL), *next;
	struct top_state state;
	bool more = true;

	top_state_init(&state);
	state.page_rows = 5;
	state.scroll_most = 20;
	top_state_arrange(&state, sample);
	for (; size >= 2 && more; data += 2, size -= 2) {
		if (data[0] == 0xff) {
			next = make_sample(data[1] % 12u, sample);
			sample_free(sample);
			sample = next;
		} else {
			more = top_state_key(&state, (data[0] & 3) << 8 | data[1]);
		}
		top_state_arrange(&state, sample);
		assert(state.row_count <= sample->count);
		assert(state.row_count == 0 || state.chosen < state.row_count);
		assert(memchr(state.filter, '\0', sizeof state.filter) != NULL && state.sort < TOP_SORTS);
		for (size_t i = 0; i < state.row_count; i++)
			assert(state.rows[i] < sample->count);
	}
	top_state_free(&state);
	sample_free(sample);
	return 0;
}

/* endpoints: where the services are, how each endpoint is, and what of a catalog does not count. */
#include <string.h>

#include "base/clock.h"
#include "daemon/command.h"
#include "upstream/catalog.h"
#include "upstream/record.h"

/* Beyond so many, of all services together, they are counted only. */
#define ENDPOINTS_SHOWN 8192

/* A point of the monotonic clock; 0 is null. */
static json_t *
endpoints_time(int64_t at)
{
	return at == 0 ? json_null() : command_time(clock_wall() - (clock_now() - at));
}

static const char *
endpoints_state_name(enum endpoint_state state)
{
	switch (state) {
	case ENDPOINT_OK: return "ok";
	case ENDPOINT_FAILED: return "failed";
	case ENDPOINT_WITHDRAWN: return "withdrawn";
	}
	return "";
}

static json_t *
endpoints_one(const char *service, const struct endpoints *e, const struct endpoint *endpoint, uint32_t connections)
{
	const struct endpoint_listing *listing = endpoints_listing(e, endpoint);
	enum endpoint_state state = endpoints_state(e, endpoint);
	char text[ADDRESS_TEXT_SIZE];
	struct address address;
	json_t *one = json_object();

	endpoint_address(endpoint, &address);
	address_format(&address, text);
	json_object_set_new(one, "service", json_string(service));
	json_object_set_new(one, "address", control_text(text));
	json_object_set_new(one, "priority", json_integer(listing->priority));
	json_object_set_new(one, "weight", json_integer(listing->weight));
	json_object_set_new(one, "state", json_string(endpoints_state_name(state)));
	json_object_set_new(one, "failed_until", endpoints_time(state != ENDPOINT_FAILED ? 0 :
	    endpoint->failed_until < e->put_off_until ? e->put_off_until : endpoint->failed_until));
	json_object_set_new(one, "withdrawn_since",
	    endpoints_time(state == ENDPOINT_WITHDRAWN ? endpoint->withdrawn_at : 0));
	json_object_set_new(one, "late", json_boolean(endpoint->slow_until != 0));
	json_object_set_new(one, "connections", json_integer(connections));
	json_object_set_new(one, "connected_at", endpoints_time(endpoint->connected_at));
	json_object_set_new(one, "connect_seconds",
	    endpoint->connected_at == 0 ? json_null() : command_span(endpoint->took));
	json_object_set_new(one, "connects", json_integer((json_int_t)endpoint->connects));
	json_object_set_new(one, "failures", json_integer(endpoint->failures));
	json_object_set_new(one, "failures_total", json_integer((json_int_t)endpoint->failures_total));
	json_object_set_new(one, "last_error", control_text_or_null(endpoint->error));
	json_object_set_new(one, "last_error_at", endpoints_time(endpoint->failed_at));
	json_object_set_new(one, "from", control_text_or_null(endpoint->from));
	return one;
}

/* What is not well is to be seen first, and is not what is left out. */
static const enum endpoint_state endpoints_order[] = { ENDPOINT_FAILED, ENDPOINT_WITHDRAWN, ENDPOINT_OK };

#define ENDPOINTS_ORDERS (sizeof endpoints_order / sizeof endpoints_order[0])

/* Those of a state.  What nothing lists any more is told while it is known. */
static void
endpoints_add(json_t *list, const struct table *table, const struct service *service, enum endpoint_state state,
    size_t *left_out)
{
	uint16_t index = service_index(service);
	const struct endpoints *e = &record_of(table, index)->endpoints;

	for (uint32_t i = 0; i < e->high; i++) {
		if (e->list[i].number == 0 || endpoints_state(e, &e->list[i]) != state)
			continue;
		if (json_array_size(list) >= ENDPOINTS_SHOWN)
			(*left_out)++;
		else
			json_array_append_new(list, endpoints_one(service_name(service), e, &e->list[i],
			    table_conns_open(table, index, e->list[i].number)));
	}
}

json_t *
commands_endpoints_of(const struct command_context *context, const struct service *service)
{
	json_t *list = json_array();
	size_t left_out = 0;

	for (size_t i = 0; i < ENDPOINTS_ORDERS; i++)
		endpoints_add(list, context->table, service, endpoints_order[i], &left_out);
	return list;
}

static void
endpoints_add_passed(json_t *list, const struct service *service, size_t *left_out)
{
	const struct catalog *catalog = lookup_catalog(upstream_lookup(service_upstream(service)));
	const struct catalog_passed *passed;
	size_t count, more;

	if (catalog == NULL)
		return;
	passed = catalog_passed_over(catalog, &count, &more);
	*left_out += more;
	for (size_t i = 0; i < count; i++) {
		if (json_array_size(list) >= ENDPOINTS_SHOWN)
			(*left_out)++;
		else
			json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "service", service_name(service),
			    "name", control_text(passed[i].name), "reason", control_text(passed[i].cause)));
	}
}

void
commands_endpoints(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct command_context *context = arg;
	struct service *service, *one = NULL;
	size_t left_out = 0, passed_left_out = 0;
	json_t *list, *passed;

	if (argc > 1 && (one = command_need(context, request, argv[1])) == NULL)
		return;
	list = json_array();
	passed = json_array();
	for (size_t order = 0; order < ENDPOINTS_ORDERS; order++)
		for (size_t i = 0; (service = context->service_at(context->daemon, i)) != NULL; i++)
			if (one == NULL || service == one)
				endpoints_add(list, context->table, service, endpoints_order[order], &left_out);
	for (size_t i = 0; (service = context->service_at(context->daemon, i)) != NULL; i++)
		if (one == NULL || service == one)
			endpoints_add_passed(passed, service, &passed_left_out);
	control_answer(request, json_pack("{s:o, s:I, s:o, s:I}", "endpoints", list,
	    "left_out", (json_int_t)left_out, "passed_over", passed,
	    "passed_over_left_out", (json_int_t)passed_left_out));
}

/* status, endpoints, metrics, config: of all there is, a bit in each turn of the loop. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "daemon/command.h"
#include "daemon/figures.h"
#include "upstream/catalog.h"

/* Of all services together: beyond so many endpoints are counted only, or left out of the metrics. */
#define ENDPOINTS_SHOWN   8192
#define ENDPOINTS_METRICS 4096

#define METRICS_PIECE 4096 /* bytes that are quoted at a time */

/* How a configuration ends, with its group of services. */
#define CONFIG_END        "};\n"
#define CONFIG_END_QUOTED "};\\n"

/* Services that a reload has removed, whose clients have not ended. */
static json_t *
status_removed(const struct command_context *context)
{
	json_t *list = json_array();
	struct service_status status;
	struct service *service;
	size_t at = 0;

	while (command_next(context, NULL, false, &at) != NULL)
		continue;
	while ((service = command_next(context, NULL, true, &at)) != NULL) { /* those behind the ones in force */
		service_get_status(service, &status);
		json_array_append_new(list, json_pack("{s:s, s:i, s:o}", "service", service_name(service),
		    "clients", (int)status.clients,
		    "closed_in_seconds", stats_between(clock_now(), status.record->drain_deadline)));
	}
	return list;
}

json_t *
commands_status_of_daemon(const struct command_context *context)
{
	struct figures_daemon figures;
	json_t *object;

	figures_of_daemon(&figures, context->table, context->version, 0);
	object = stats_json(figures_rows[METRICS_OF_DAEMON], &figures.object);
	json_object_set_new(object, "removed", status_removed(context));
	return object;
}

json_t *
commands_status_of(const struct service *service)
{
	struct figures_service figures;

	figures_of_service(&figures, service);
	return stats_json(figures_rows[METRICS_OF_SERVICES], &figures.object);
}

static bool
status_work(struct pending *pending)
{
	struct command_bits *bits = (struct command_bits *)pending;
	const struct service *service = command_walk_next(&bits->walk);

	if (service == NULL) {
		control_put(pending->request, "]");
		control_finish(pending->request);
		return false;
	}
	command_bits_put(bits, commands_status_of(service));
	return true;
}

static const struct pending_kind status_kind = {
	.size = sizeof(struct command_bits), .work = status_work, .end = command_bits_end,
};

void
commands_status(void *arg, struct control_request *request, int argc, char **argv)
{
	struct command_bits *bits;

	if (argc > 1 && command_need(arg, request, argv[1]) == NULL)
		return;
	control_put_inside(request, commands_status_of_daemon(arg));
	control_put(request, ",\"services\":[");
	bits = command_bits_new(arg, &status_kind, request, argv[1], false);
	pending_work(&bits->pending);
}

/* What is not well is to be seen first, and is not what is left out. */
static const enum endpoint_state endpoints_order[] = { ENDPOINT_FAILED, ENDPOINT_WITHDRAWN, ENDPOINT_OK };

#define ENDPOINTS_ORDERS (sizeof endpoints_order / sizeof endpoints_order[0])

struct listing {
	struct command_bits bits;
	size_t order;   /* of which state they are told; ENDPOINTS_ORDERS: what is ignored is */
	size_t left_out, passed_left_out;
	json_t *passed; /* owned */
};

/* Number *at or a later one of a service's endpoints, if it is of this state; *at is behind it then.  What nothing
 * lists any more is told while it is known. */
static const struct endpoint *
endpoints_next(const struct table *table, const struct service *service, enum endpoint_state state, uint32_t *at)
{
	const struct endpoints *e = &record_of(table, service_index(service))->endpoints;

	while (*at < e->high) {
		const struct endpoint *endpoint = &e->list[(*at)++];

		if (endpoint->number != 0 && endpoints_state(e, endpoint) == state)
			return endpoint;
	}
	return NULL;
}

static json_t *
endpoints_one(const struct table *table, const struct service *service, const struct endpoint *endpoint)
{
	struct figures_endpoint figures;

	figures_of_endpoint(&figures, table, service, endpoint);
	return stats_json(figures_rows[METRICS_OF_ENDPOINTS], &figures.object);
}

json_t *
commands_endpoints_of(const struct command_context *context, const struct service *service)
{
	const struct table *table = context->table;
	const struct endpoint *one;
	json_t *list = json_array();

	for (size_t i = 0; i < ENDPOINTS_ORDERS; i++)
		for (uint32_t at = 0; (one = endpoints_next(table, service, endpoints_order[i], &at)) != NULL;)
			json_array_append_new(list, endpoints_one(table, service, one));
	return list;
}

static void
listing_add_passed(struct listing *listing, const struct service *service)
{
	const struct catalog *catalog = lookup_catalog(upstream_lookup(service_upstream(service)));
	const struct catalog_passed *passed;
	size_t count, more;

	if (catalog == NULL)
		return;
	passed = catalog_passed_over(catalog, &count, &more);
	listing->passed_left_out += more;
	for (size_t i = 0; i < count; i++) {
		if (json_array_size(listing->passed) >= ENDPOINTS_SHOWN)
			listing->passed_left_out++;
		else
			json_array_append_new(listing->passed, json_pack("{s:s, s:o, s:o}",
			    "service", service_name(service), "name", stats_text(passed[i].name),
			    "reason", stats_text(passed[i].cause)));
	}
}

static void
listing_add(struct listing *listing, const struct service *service)
{
	const struct table *table = listing->bits.walk.context->table;
	const struct endpoint *one;

	for (uint32_t at = 0; (one = endpoints_next(table, service, endpoints_order[listing->order], &at)) != NULL;)
		if (listing->bits.told >= ENDPOINTS_SHOWN)
			listing->left_out++;
		else
			command_bits_put(&listing->bits, endpoints_one(table, service, one));
}

static void
listing_finish(struct listing *listing)
{
	struct control_request *request = listing->bits.pending.request;

	control_put(request, "],");
	control_put_inside(request, json_pack("{s:I, s:O, s:I}", "left_out", (json_int_t)listing->left_out,
	    "passed_over", listing->passed, "passed_over_left_out", (json_int_t)listing->passed_left_out));
	control_finish(request);
}

static bool
listing_work(struct pending *pending)
{
	struct listing *listing = (struct listing *)pending;
	struct service *service = command_walk_next(&listing->bits.walk);

	if (service != NULL && listing->order < ENDPOINTS_ORDERS) {
		listing_add(listing, service);
	} else if (service != NULL) {
		listing_add_passed(listing, service);
	} else if (listing->order++ < ENDPOINTS_ORDERS) {
		listing->bits.walk.at = 0;
	} else {
		listing_finish(listing);
		return false;
	}
	return true;
}

static void
listing_end(struct pending *pending)
{
	command_bits_end(pending);
	json_decref(((struct listing *)pending)->passed);
}

static const struct pending_kind listing_kind = {
	.size = sizeof(struct listing), .work = listing_work, .end = listing_end,
};

void
commands_endpoints(void *arg, struct control_request *request, int argc, char **argv)
{
	struct listing *listing;

	if (argc > 1 && command_need(arg, request, argv[1]) == NULL)
		return;
	listing = command_bits_new(arg, &listing_kind, request, argv[1], false);
	listing->passed = json_array();
	control_put(request, "\"endpoints\":[");
	pending_work(&listing->bits.pending);
}

/* A service of a whole configuration, whose lines stand in its group of services. */
static void
config_put_service(struct control_request *request, char *text)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")) != NULL && rest != NULL) {
		control_put(request, "\\t");
		control_put_inside(request, stats_lines(line));
		control_put(request, "\\n");
	}
	mem_free(text);
}

static bool
config_work(struct pending *pending)
{
	struct command_bits *bits = (struct command_bits *)pending;
	const struct command_context *context = pending->context;
	const struct service *service = command_walk_next(&bits->walk);

	if (service != NULL) {
		config_put_service(pending->request, context->config(context->daemon, service_name(service)));
		return true;
	}
	control_put(pending->request, CONFIG_END_QUOTED "\"");
	control_finish(pending->request);
	return false;
}

static const struct pending_kind config_kind = {
	.size = sizeof(struct command_bits), .work = config_work, .end = command_bits_end,
};

void
commands_config(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct command_context *context = arg;
	struct command_bits *bits;
	char *text;

	if (argc > 1 && command_need(context, request, argv[1]) == NULL)
		return;
	text = context->config(context->daemon, argv[1]);
	if (argc > 1) {
		control_answer(request, json_pack("{s:o}", "config", stats_lines(text)));
	} else {
		text[strlen(text) - strlen(CONFIG_END)] = '\0';
		bits = command_bits_new(arg, &config_kind, request, NULL, false);
		control_put(request, "\"config\":\"");
		control_put_inside(request, stats_lines(text));
		pending_work(&bits->pending);
	}
	mem_free(text);
}

struct taking {
	struct command_walk walk; /* owned */
	size_t endpoints;         /* so far */
};

static void
taking_add_endpoints(struct taking *taking, const struct service *service, struct metrics *metrics)
{
	const struct table *table = taking->walk.context->table;
	const struct endpoints *e = &record_of(table, service_index(service))->endpoints;
	struct figures_endpoint figures;

	for (uint32_t i = 0; i < e->high && taking->endpoints < ENDPOINTS_METRICS; i++) {
		if (e->list[i].number == 0)
			continue;
		figures_of_endpoint(&figures, table, service, &e->list[i]);
		metrics_add(metrics, METRICS_OF_ENDPOINTS, &figures.object, figures.service, figures.address);
		taking->endpoints++;
	}
}

/* The daemon first, then a service at a time. */
static bool
taking_take(void *arg, struct metrics *metrics)
{
	struct taking *taking = arg;
	const struct command_context *context = taking->walk.context;
	struct figures_service figures;
	struct figures_daemon daemon;
	struct service *service;

	if (taking->walk.at == 0) {
		figures_of_daemon(&daemon, context->table, context->version, taking->walk.count);
		metrics_add(metrics, METRICS_OF_DAEMON, &daemon.object, NULL, NULL);
	}
	service = command_walk_next(&taking->walk);
	if (service == NULL)
		return false;
	figures_of_service(&figures, service);
	metrics_add(metrics, METRICS_OF_SERVICES, &figures.object, figures.name, NULL);
	taking_add_endpoints(taking, service, metrics);
	return true;
}

static void
taking_end(void *arg)
{
	struct taking *taking = arg;

	mem_free(taking->walk.services);
	mem_free(taking);
}

struct metrics *
commands_take_metrics(const struct command_context *context, enum metrics_format format)
{
	struct taking *taking = mem_new(1, sizeof *taking);

	command_walk_begin(&taking->walk, context, NULL, false);
	return metrics_new(format, figures_rows, context->version,
	    &(struct metrics_taker){ .take = taking_take, .end = taking_end, .arg = taking });
}

struct metrics_text {
	struct pending pending;
	enum metrics_format format;
	struct metrics *metrics; /* owned; NULL: not begun */
};

static bool
metrics_text_work(struct pending *pending)
{
	struct metrics_text *text = (struct metrics_text *)pending;
	struct evbuffer *piece = evbuffer_new();
	bool more;

	if (text->metrics == NULL)
		text->metrics = commands_take_metrics(pending->context, text->format);
	more = metrics_write(text->metrics, piece, METRICS_PIECE);
	if (evbuffer_get_length(piece) > 0)
		control_put_inside(pending->request, json_stringn((const char *)evbuffer_pullup(piece, -1),
		    evbuffer_get_length(piece)));
	evbuffer_free(piece);
	if (more)
		return true;
	control_put(pending->request, "\"");
	control_finish(pending->request);
	return false;
}

static void
metrics_text_end(struct pending *pending)
{
	metrics_free(((struct metrics_text *)pending)->metrics);
}

static const struct pending_kind metrics_text_kind = {
	.size = sizeof(struct metrics_text), .work = metrics_text_work, .end = metrics_text_end,
};

void
commands_metrics(void *arg, struct control_request *request, int argc, char **argv)
{
	struct command_context *context = arg;
	bool open = command_take_option(&argc, argv, "--openmetrics", NULL);
	struct metrics_text *text;

	if (!command_expect(request, argc, argv, 0, 0))
		return;
	text = pending_new(&context->pendings, &metrics_text_kind, request, context, NULL);
	text->format = open ? METRICS_OPENMETRICS : METRICS_PROMETHEUS;
	control_put(request, "\"metrics\":\"");
	pending_work(&text->pending);
}

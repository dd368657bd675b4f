#include "daemon/pages.h"

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/mem.h"

#define PAGES_JSON  "application/json; charset=utf-8"
#define PAGES_NAMED 3 /* services that /readyz names */

/* All of a short answer; the text becomes its own. */
static void
pages_say(struct http_answer *answer, int code, char *text)
{
	answer->code = code;
	answer->type = HTTP_TEXT;
	answer->text = text;
}

/* OpenMetrics for whoever names it; the text format is what everybody reads. */
static void
pages_metrics(const struct command_context *context, const struct http_asked *asked, struct http_answer *answer)
{
	bool open = asked->accept != NULL && strcasestr(asked->accept, "application/openmetrics-text") != NULL;

	metrics_answer(commands_take_metrics(context, open ? METRICS_OPENMETRICS : METRICS_PROMETHEUS), answer);
}

/* The status, as it is being told. */
struct pages_status {
	struct command_walk walk; /* owned */
	bool begun;
};

/* The value's text (its reference is taken) but so many bytes at each end. */
static void
pages_add_json(struct evbuffer *out, json_t *value, size_t cut)
{
	char *text = json_dumps(value, JSON_COMPACT);

	json_decref(value);
	if (text != NULL)
		evbuffer_add(out, text + cut, strlen(text) - 2 * cut);
	free(text);
}

static bool
pages_write_status(void *arg, struct evbuffer *out, size_t size)
{
	struct pages_status *status = arg;
	const struct service *service;

	(void)size;
	if (!status->begun) {
		evbuffer_add_printf(out, "{\"ok\":true,");
		pages_add_json(out, commands_status_of_daemon(status->walk.context), 1);
		evbuffer_add_printf(out, ",\"services\":[");
	}
	service = command_walk_next(&status->walk);
	if (service != NULL) {
		evbuffer_add_printf(out, "%s", status->begun ? "," : "");
		pages_add_json(out, commands_status_of(service), 0);
	} else {
		evbuffer_add_printf(out, "]}\n");
	}
	status->begun = true;
	return service != NULL;
}

static void
pages_end_status(void *arg)
{
	struct pages_status *status = arg;

	mem_free(status->walk.services);
	mem_free(status);
}

static void
pages_status(const struct command_context *context, struct http_answer *answer)
{
	struct pages_status *status = mem_new(1, sizeof *status);

	command_walk_begin(&status->walk, context, NULL, false);
	*answer = (struct http_answer){ .code = 200, .type = PAGES_JSON, .write = pages_write_status,
		.end = pages_end_status, .arg = status };
}

static void
pages_unknown_service(struct http_answer *answer, const char *name)
{
	char said[ESCAPE_SAID_SIZE];

	escape_said(name, strlen(name), said);
	pages_say(answer, 404, mem_print("no service \"%s\"", said));
}

/* What "explain" answers, as JSON. */
static void
pages_explain(const struct command_context *context, const char *name, struct http_answer *answer)
{
	const struct service *service = services_find(context->services, name);
	json_t *object, *told;
	char *text;

	if (service == NULL) {
		pages_unknown_service(answer, name);
		return;
	}
	object = json_pack("{s:b}", "ok", 1);
	told = commands_explanation(context, service);
	json_object_update(object, told);
	json_decref(told);
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	pages_say(answer, text != NULL ? 200 : 503, mem_copy_text(text != NULL ? text : "out of memory"));
	answer->type = PAGES_JSON;
	free(text);
}

static bool
pages_is_stopping(const struct command_context *context)
{
	return context->table->header->stopping != 0;
}

/* Whether one service is up, and why it is not. */
static void
pages_ready_one(const struct command_context *context, const char *name, struct http_answer *answer)
{
	const struct service *service = services_find(context->services, name);
	struct service_status status;
	const char *error;
	char *escaped;

	if (service == NULL) {
		pages_unknown_service(answer, name);
		return;
	}
	service_get_status(service, &status);
	if (status.upstream.up) {
		pages_say(answer, 200, mem_print("%s: up", name));
		return;
	}
	error = status.shut && status.socket_error != NULL ? status.socket_error : status.upstream.last_error;
	escaped = escape_text(error != NULL ? error : "", 0);
	pages_say(answer, 503, mem_print("%s: %s%s%s", name, upstream_state_name(status.upstream.state),
	    escaped[0] == '\0' ? "" : ": ", escaped));
	mem_free(escaped);
}

/* Whether all are: of 1,024 at most. */
static void
pages_ready_all(const struct command_context *context, struct http_answer *answer)
{
	const struct service *service;
	struct service_status status;
	char names[PAGES_NAMED * (TABLE_NAME_SIZE + 2) + 8] = "";
	size_t down = 0, count = 0;

	while ((service = services_at(context->services, count)) != NULL) {
		count++;
		service_get_status(service, &status);
		if (status.upstream.up)
			continue;
		if (down++ < PAGES_NAMED)
			snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", down > 1 ? ", " : "",
			    service_name(service));
	}
	if (down == 0)
		pages_say(answer, 200, mem_print("%zu services up", count));
	else
		pages_say(answer, 503, mem_print("%zu of %zu services are down: %s%s", down, count, names,
		    down > PAGES_NAMED ? ", ..." : ""));
}

static void
pages_ready(const struct command_context *context, const struct http_asked *asked, struct http_answer *answer)
{
	struct evkeyvalq query = { 0 };
	const char *name = NULL;

	if (asked->query != NULL && evhttp_parse_query_str(asked->query, &query) == 0)
		name = evhttp_find_header(&query, "service");
	if (pages_is_stopping(context))
		pages_say(answer, 503, mem_copy_text("stopping"));
	else if (name != NULL)
		pages_ready_one(context, name, answer);
	else
		pages_ready_all(context, answer);
	if (asked->query != NULL)
		evhttp_clear_headers(&query);
}

/* A page elsewhere can have its own name mean this host, and then ask in its reader's browser; so by TCP only names
 * are served that nobody else can have: addresses, and those without a dot. */
static bool
pages_host_is_ours(const char *host)
{
	size_t length;

	if (host == NULL || host[0] == '[')
		return true;
	length = strcspn(host, ":");
	return memchr(host, '.', length) == NULL || strspn(host, "0123456789.") == length;
}

/* The name between "/service/" and ".json", copied; NULL: it is another path. */
static bool
pages_name_of(const char *path, char ret_name[TABLE_NAME_SIZE])
{
	static const char before[] = "/service/", after[] = ".json";
	size_t length = strlen(path), around = strlen(before) + strlen(after);

	if (length <= around || length - around >= TABLE_NAME_SIZE || strncmp(path, before, strlen(before)) != 0 ||
	    strcmp(path + length - strlen(after), after) != 0)
		return false;
	snprintf(ret_name, TABLE_NAME_SIZE, "%.*s", (int)(length - around), path + strlen(before));
	return true;
}

void
pages_answer(void *arg, const struct http_asked *asked, struct http_answer *ret_answer)
{
	const struct command_context *context = arg;
	char name[TABLE_NAME_SIZE];

	if (strcmp(asked->path, "/metrics") == 0)
		pages_metrics(context, asked, ret_answer);
	else if (!pages_host_is_ours(asked->host))
		pages_say(ret_answer, 403, mem_copy_text("ask for this page by an address, or as localhost"));
	else if (strcmp(asked->path, "/status.json") == 0)
		pages_status(context, ret_answer);
	else if (strcmp(asked->path, "/healthz") == 0)
		pages_say(ret_answer, pages_is_stopping(context) ? 503 : 200,
		    mem_copy_text(pages_is_stopping(context) ? "stopping" : "ok"));
	else if (strcmp(asked->path, "/readyz") == 0)
		pages_ready(context, asked, ret_answer);
	else if (pages_name_of(asked->path, name))
		pages_explain(context, name, ret_answer);
	else
		pages_say(ret_answer, 404, mem_copy_text("there are /metrics, /status.json, /service/NAME.json, "
		    "/healthz and /readyz here"));
}

#include "ctl/show.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/grid.h"

#define SPAN_SIZE  32
#define SPAN_COUNT 4

const char *
show_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

long long
show_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

double
show_real(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

const char *
show_span(double seconds)
{
	static char texts[SPAN_COUNT][SPAN_SIZE];
	static unsigned next;
	char *text = texts[next++ % SPAN_COUNT];
	long long whole = seconds < 0 ? 0 : (long long)seconds;

	if (whole < 60)
		snprintf(text, SPAN_SIZE, "%llds", whole);
	else if (whole < 3600)
		snprintf(text, SPAN_SIZE, "%lldmin %llds", whole / 60, whole % 60);
	else if (whole < 86400)
		snprintf(text, SPAN_SIZE, "%lldh %lldmin", whole / 3600, whole / 60 % 60);
	else
		snprintf(text, SPAN_SIZE, "%lldd %lldh", whole / 86400, whole / 3600 % 24);
	return text;
}

/* Seconds from a point in time to wall, less than 0 if it is yet to come; false if it is none. */
static bool
show_since(const char *time, int64_t wall, double *ret_seconds)
{
	struct tm tm = { .tm_sec = 0 };
	const char *rest = strptime(time, "%Y-%m-%dT%H:%M:%S", &tm);

	if (rest == NULL)
		return false;
	*ret_seconds = (double)(wall - timegm(&tm) * CLOCK_SECOND) / (double)CLOCK_SECOND;
	if (*rest == '.')
		*ret_seconds -= strtod(rest, NULL);
	return true;
}

double
show_age(const char *time, int64_t wall)
{
	double age;

	if (!show_since(time, wall, &age))
		return -1;
	return age < 0 ? 0 : age;
}

/* "tried again in 8.2 s". */
static const char *
show_again(const json_t *endpoint, int64_t wall, char *text, size_t size)
{
	double age;

	if (!show_since(show_text(endpoint, "failed_until"), wall, &age) || age > -0.05)
		snprintf(text, size, "tried again now");
	else
		snprintf(text, size, "tried again in %.1f s", -age);
	return text;
}

char *
show_endpoint(const json_t *endpoint, int64_t wall)
{
	const char *address = show_text(endpoint, "address"), *state = show_text(endpoint, "state");
	long long connections = show_number(endpoint, "connections");
	char again[40];

	if (strcmp(state, "withdrawn") == 0)
		return mem_print("%s withdrawn by the look-up; connections left: %lld", address, connections);
	if (strcmp(state, "failed") == 0 && connections == 0)
		return mem_print("%s failed: %s; %s", address, show_text(endpoint, "last_error"),
		    show_again(endpoint, wall, again, sizeof again));
	if (strcmp(state, "failed") == 0)
		return mem_print("%s failed: %s; connections left: %lld; %s", address,
		    show_text(endpoint, "last_error"), connections,
		    show_again(endpoint, wall, again, sizeof again));
	if (json_is_true(json_object_get(endpoint, "late")))
		return mem_print("%s late: no answer within connect_stagger; connections: %lld", address,
		    connections);
	return mem_print("%s ok; connections: %lld", address, connections);
}

const char *
show_ago(const json_t *object, const char *key)
{
	double age = show_age(show_text(object, key), clock_wall());

	return age < 0 ? "" : show_span(age);
}

void
show_print(FILE *file, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		putc((c < ' ' && c != '\n' && c != '\t') || c == 0x7f ? '?' : c, file);
	}
}

void
show_print_line(FILE *file, const char *text)
{
	size_t length = strlen(text);

	show_print(file, text);
	if (length == 0 || text[length - 1] != '\n')
		putc('\n', file);
}

/* What a look-up script printed: the answer to "lookup -v", good or bad. */
static void
show_script_said(const json_t *answer)
{
	puts("output:");
	show_print(stdout, show_text(answer, "output"));
	puts("standard error:");
	show_print(stdout, show_text(answer, "errors"));
}

void
show_error(int argc, char *const *argv, const json_t *answer)
{
	const json_t *errors = json_object_get(answer, "errors");
	json_t *error;
	size_t i;

	if (!json_is_array(errors)) {
		fputs("holdfastctl: ", stderr);
		show_print_line(stderr, show_text(answer, "error"));
		if (argc > 2 && strcmp(argv[0], "lookup") == 0)
			show_script_said(answer);
		return;
	}
	fputs("holdfastctl: nothing was changed:\n", stderr);
	json_array_foreach(errors, i, error) {
		fputs("holdfastctl: ", stderr);
		show_print_line(stderr, json_string_value(error));
	}
}

static void
show_counts(const json_t *answer)
{
	const char *by = show_text(answer, "by");
	const struct grid_column columns[] = {
		{ "CLIENTS", GRID_NUMBER }, { "HELD", GRID_NUMBER }, { by, GRID_TEXT }, { NULL, GRID_TEXT },
	};
	struct grid *grid;
	json_t *count;
	size_t i;

	if (json_array_size(json_object_get(answer, "counts")) == 0) {
		puts("no clients");
		return;
	}
	grid = grid_new(columns, true);
	json_array_foreach(json_object_get(answer, "counts"), i, count) {
		grid_line(grid);
		grid_cell_number(grid, show_number(count, "clients"));
		grid_cell_number(grid, show_number(count, "held"));
		if (json_is_integer(json_object_get(count, by)))
			grid_cell_number(grid, show_number(count, by));
		else
			grid_cell(grid, show_text(count, by)[0] == '\0' ? "-" : show_text(count, by));
	}
	grid_print(grid);
}

static void
show_clients(int argc, char *const *argv, const json_t *answer)
{
	static const struct grid_column columns[] = {
		{ "SERVICE", GRID_TEXT }, { "ID", GRID_NUMBER }, { "PID", GRID_NUMBER }, { "USER", GRID_TEXT },
		{ "UNIT", GRID_CUT }, { "STATE", GRID_TEXT }, { "SINCE", GRID_TEXT }, { "FROM", GRID_NUMBER },
		{ "TO", GRID_NUMBER }, { "ADDRESS", GRID_CUT }, { NULL, GRID_TEXT },
	};
	struct grid *grid;
	json_t *client;
	size_t i;

	(void)argc;
	(void)argv;
	if (json_object_get(answer, "counts") != NULL) {
		show_counts(answer);
		return;
	}
	if (json_array_size(json_object_get(answer, "clients")) == 0) {
		puts("no clients");
		return;
	}
	grid = grid_new(columns, true);
	json_array_foreach(json_object_get(answer, "clients"), i, client) {
		grid_line(grid);
		grid_cell(grid, show_text(client, "service"));
		grid_cell_number(grid, show_number(client, "id"));
		if (json_is_integer(json_object_get(client, "pid")))
			grid_cell_number(grid, show_number(client, "pid"));
		else
			grid_cell(grid, "-");
		grid_cell(grid, show_text(client, "user"));
		grid_cell(grid, show_text(client, "unit"));
		grid_cell(grid, show_text(client, "state"));
		grid_cell(grid, show_ago(client, "since"));
		grid_cell_number(grid, show_number(client, "bytes_from_client"));
		grid_cell_number(grid, show_number(client, "bytes_to_client"));
		grid_cell(grid, show_text(client, "address"));
	}
	grid_print(grid);
}

static void
show_services(int argc, char *const *argv, const json_t *answer)
{
	(void)argv;
	show_status(answer, argc > 1);
}

static void
show_connected(int argc, char *const *argv, const json_t *answer)
{
	const char *address = show_text(answer, "address");

	(void)argc;
	printf("%s: connected%s%s\n", argv[1], address[0] == '\0' ? "" : " to ", address);
}

static void
show_closed(int argc, char *const *argv, const json_t *answer)
{
	long long clients = show_number(answer, "clients");

	(void)argc;
	(void)argv;
	printf("%s: closed", show_text(answer, "service"));
	if (clients > 0)
		printf("; %lld attached client%s", clients, clients == 1 ? " stays" : "s stay");
	putchar('\n');
}

static void
show_drained(int argc, char *const *argv, const json_t *answer)
{
	long long clients = show_number(answer, "clients");

	(void)argc;
	(void)argv;
	if (clients == 0)
		puts("drained: no clients are left");
	else
		printf("draining: %lld client%s left\n", clients, clients == 1 ? " is" : "s are");
}

static void
show_done(int argc, char *const *argv, const json_t *answer)
{
	(void)argc;
	if (json_object_get(answer, "opened") != NULL)
		printf("opened: %lld of all services\n", show_number(answer, "opened"));
	else if (json_is_true(json_object_get(answer, "paused")))
		printf("%s: open, but still paused: see \"holdfastctl resume %s\"\n", argv[1], argv[1]);
	else
		printf("%s: %s\n", argv[1], strcmp(argv[0], "reconnect") == 0 ? "connecting anew" : "open");
}

static void
show_paused(int argc, char *const *argv, const json_t *answer)
{
	long long held = show_number(answer, "held");

	(void)argc;
	(void)argv;
	printf("%s: paused; nothing is in flight", show_text(answer, "service"));
	if (held > 0)
		printf(", %lld client%s wait%s", held, held == 1 ? "" : "s", held == 1 ? "s" : "");
	printf("; \"holdfastctl resume %s\" lets work go on\n", show_text(answer, "service"));
}

static void
show_resumed(int argc, char *const *argv, const json_t *answer)
{
	(void)argc;
	printf("%s: %s\n", argv[1], json_is_true(json_object_get(answer, "was_paused"))
	    ? "resumed; connecting anew" : "was not paused");
}

static void
show_failing(int argc, char *const *argv, const json_t *answer)
{
	(void)argc;
	if (json_is_true(json_object_get(answer, "failing")))
		printf("%s: treated as down for %.1f s; \"holdfastctl fail %s 0\" ends that early\n", argv[1],
		    show_real(answer, "left_seconds"), argv[1]);
	else
		printf("%s: not made to fail any more\n", argv[1]);
}

static void
show_killed(int argc, char *const *argv, const json_t *answer)
{
	long long killed = show_number(answer, "killed");

	(void)argc;
	(void)argv;
	printf("%lld client%s ended\n", killed, killed == 1 ? "" : "s");
}

static void
show_lookup(int argc, char *const *argv, const json_t *answer)
{
	json_t *address;
	size_t i;

	printf("%s: %s\n", argv[1], show_text(answer, "lookup"));
	if (json_is_string(json_object_get(answer, "abort"))) {
		fputs("abort: ", stdout);
		show_print_line(stdout, show_text(answer, "abort"));
	}
	json_array_foreach(json_object_get(answer, "addresses"), i, address)
		printf("  %s\n", json_string_value(address));
	if (argc < 3)
		return;
	show_script_said(answer);
}

static void
show_event(int argc, char *const *argv, const json_t *answer)
{
	static const char *const details[] = { "address", "error", "text" };

	(void)argc;
	(void)argv;
	if (strcmp(show_text(answer, "event"), "missed") == 0) {
		printf("%s  %lld events were left out\n", show_text(answer, "time"), show_number(answer, "missed"));
		return;
	}
	printf("%s  %s  %s", show_text(answer, "time"), show_text(answer, "service"), show_text(answer, "event"));
	for (size_t i = 0; i < sizeof details / sizeof details[0]; i++) {
		if (show_text(answer, details[i])[0] == '\0')
			continue;
		fputs("  ", stdout);
		show_print(stdout, show_text(answer, details[i]));
	}
	putchar('\n');
	fflush(stdout);
}

static void
show_history(int argc, char *const *argv, const json_t *answer)
{
	static const struct grid_column columns[] = {
		{ "TIME", GRID_TEXT }, { "EVENT", GRID_TEXT }, { "WHAT", GRID_WRAP }, { NULL, GRID_TEXT },
	};
	struct grid *grid = grid_new(columns, json_array_size(json_object_get(answer, "entries")) > 0);
	json_t *entry;
	char *story;
	size_t i;

	(void)argc;
	json_array_foreach(json_object_get(answer, "entries"), i, entry) {
		grid_line(grid);
		grid_cell(grid, show_text(entry, "time"));
		grid_cell(grid, show_text(entry, "event"));
		grid_cell(grid, show_text(entry, "text"));
	}
	grid_print(grid);
	json_array_foreach(json_object_get(answer, "endpoints"), i, entry) {
		story = show_endpoint(entry, clock_wall());
		fputs("endpoint ", stdout);
		show_print_line(stdout, story);
		mem_free(story);
	}
	printf("now: %s is %s, since %s\n", argv[1], show_text(answer, "state"), show_text(answer, "since"));
}

/* What is not well stands in capitals. */
static const char *
show_endpoint_state(const json_t *endpoint, char *text, size_t size)
{
	const char *state = show_text(endpoint, "state");
	char again[40];

	if (strcmp(state, "failed") == 0)
		snprintf(text, size, "FAILED (%s)", show_again(endpoint, clock_wall(), again, sizeof again));
	else if (strcmp(state, "withdrawn") == 0)
		snprintf(text, size, "WITHDRAWN (%s ago)", show_ago(endpoint, "withdrawn_since"));
	else
		snprintf(text, size, "%s", json_is_true(json_object_get(endpoint, "late")) ? "late" : "ok");
	return text;
}

/* How long the last connect took. */
static const char *
show_connect(const json_t *endpoint, char *text, size_t size)
{
	double took = json_number_value(json_object_get(endpoint, "connect_seconds"));

	if (json_is_null(json_object_get(endpoint, "connect_seconds")))
		return "never";
	if (took >= 1)
		snprintf(text, size, "%.1f s", took);
	else
		snprintf(text, size, took < 0.001 ? "<1 ms" : "%.0f ms", took * 1e3);
	return text;
}

/* An error stays after a success: when it was tells whether it is of today. */
static void
show_last_error(struct grid *grid, const json_t *endpoint)
{
	const char *error = show_text(endpoint, "last_error");
	char *text = error[0] == '\0' ? NULL : mem_print("%s (%s ago)", error, show_ago(endpoint, "last_error_at"));

	grid_cell(grid, text == NULL ? "" : text);
	mem_free(text);
}

static void
show_endpoints(int argc, char *const *argv, const json_t *answer)
{
	static const struct grid_column columns[] = {
		{ "SERVICE", GRID_TEXT }, { "ENDPOINT", GRID_TEXT }, { "STATE", GRID_TEXT },
		{ "CONNS", GRID_NUMBER },
		{ "CONNECT", GRID_NUMBER }, { "FAILURES", GRID_NUMBER }, { "PRIO", GRID_NUMBER },
		{ "WEIGHT", GRID_NUMBER }, { "FROM", GRID_CUT }, { "LAST ERROR", GRID_WRAP }, { NULL, GRID_TEXT },
	};
	const json_t *list = json_object_get(answer, "endpoints");
	struct grid *grid = grid_new(columns, json_array_size(list) > 0);
	json_t *endpoint;
	char text[64];
	size_t i;

	(void)argc;
	(void)argv;
	json_array_foreach(list, i, endpoint) {
		grid_line(grid);
		grid_cell(grid, show_text(endpoint, "service"));
		grid_cell(grid, show_text(endpoint, "address"));
		grid_cell(grid, show_endpoint_state(endpoint, text, sizeof text));
		grid_cell_number(grid, show_number(endpoint, "connections"));
		grid_cell(grid, show_connect(endpoint, text, sizeof text));
		grid_cell_number(grid, show_number(endpoint, "failures"));
		grid_cell_number(grid, show_number(endpoint, "priority"));
		grid_cell_number(grid, show_number(endpoint, "weight"));
		grid_cell(grid, show_text(endpoint, "from"));
		show_last_error(grid, endpoint);
	}
	grid_print(grid);
	if (show_number(answer, "left_out") > 0)
		printf("%lld more are not shown; name a service\n", show_number(answer, "left_out"));
	json_array_foreach(json_object_get(answer, "passed_over"), i, endpoint) {
		printf("%s: catalog entry ", show_text(endpoint, "service"));
		show_print(stdout, show_text(endpoint, "name"));
		fputs(" is passed over: ", stdout);
		show_print_line(stdout, show_text(endpoint, "reason"));
	}
	if (show_number(answer, "passed_over_left_out") > 0)
		printf("%lld more entries of catalogs are passed over\n",
		    show_number(answer, "passed_over_left_out"));
}

static void
show_config(int argc, char *const *argv, const json_t *answer)
{
	(void)argc;
	(void)argv;
	fputs(show_text(answer, "config"), stdout);
}

static void
show_metrics(int argc, char *const *argv, const json_t *answer)
{
	(void)argc;
	(void)argv;
	fputs(show_text(answer, "metrics"), stdout);
}

static void
show_log(int argc, char *const *argv, const json_t *answer)
{
	(void)argv;
	printf("log level: %s", show_text(answer, "level"));
	if (argc > 1)
		printf(" (was %s)", show_text(answer, "previous"));
	putchar('\n');
}

static void
show_pong(int argc, char *const *argv, const json_t *answer)
{
	(void)argc;
	(void)argv;
	(void)answer;
	puts("pong");
}

static const struct {
	const char *name;
	void (*show)(int argc, char *const *argv, const json_t *answer);
} shows[] = {
	{ "status", show_services }, { "endpoints", show_endpoints }, { "clients", show_clients },
	{ "wait", show_connected },
	{ "try", show_connected }, { "close", show_closed }, { "disable", show_closed }, { "drain", show_drained },
	{ "pause", show_paused }, { "resume", show_resumed }, { "fail", show_failing },
	{ "open", show_done }, { "enable", show_done }, { "reconnect", show_done }, { "kill", show_killed },
	{ "lookup", show_lookup }, { "events", show_event }, { "explain", show_history }, { "reload", show_reload },
	{ "config", show_config }, { "metrics", show_metrics }, { "log", show_log }, { "ping", show_pong },
};

void
show_answer(int argc, char *const *argv, const json_t *answer)
{
	for (size_t i = 0; i < sizeof shows / sizeof shows[0]; i++)
		if (strcmp(shows[i].name, argv[0]) == 0)
			shows[i].show(argc, argv, answer);
}

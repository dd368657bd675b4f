#include "ctl/print.h"

#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/show.h"

/* An answer and what was asked. */
struct answer {
	int argc;
	char *const *argv;    /* borrowed; argv[0] is the command */
	const json_t *json;   /* borrowed */
};

/* A column of a table: of each row the member key as it is, or the text that a function makes of the row. */
struct column {
	const char *head;                   /* borrowed; NULL ends a list of columns */
	int flags;                          /* of libsmartcols */
	const char *key;                    /* borrowed */
	const char *(*text)(const json_t *row); /* or NULL */
};

#define TEXT   0
#define NUMBER SCOLS_FL_RIGHT
#define CUT    SCOLS_FL_TRUNC
#define WRAP   SCOLS_FL_WRAP

/* There is memory, or the program ends. */
static void
table_need(bool good)
{
	if (good)
		return;
	fputs("holdfastctl: out of memory\n", stderr);
	exit(1);
}

static void
table_put(struct libscols_line *line, size_t cell, const struct column *column, const json_t *row)
{
	const char *text;

	if (column->text != NULL)
		text = column->text(row);
	else if (column->flags == NUMBER)
		text = show_format("%lld", show_number(row, column->key));
	else
		text = show_text(row, column->key);
	table_need(scols_line_set_data(line, cell, text) == 0);
}

/* Prints a row for each object of the list, as wide as the terminal at most. */
static void
print_table(const struct column *columns, const json_t *list)
{
	struct libscols_table *table = scols_new_table();
	json_t *row;
	size_t i;

	table_need(table != NULL);
	scols_table_enable_noheadings(table, json_array_size(list) == 0);
	for (i = 0; columns[i].head != NULL; i++)
		table_need(scols_table_new_column(table, columns[i].head, 0, columns[i].flags) != NULL);
	json_array_foreach(list, i, row) {
		struct libscols_line *line = scols_table_new_line(table, NULL);

		table_need(line != NULL);
		for (size_t j = 0; columns[j].head != NULL; j++)
			table_put(line, j, &columns[j], row);
	}
	scols_print_table(table);
	scols_unref_table(table);
}

/* The answer to "status": a line per service, or all about one. */

static const char *
status_since(const json_t *service)
{
	double age = show_age(show_since_at(service), clock_wall());

	return age < 0 ? "" : show_span(age);
}

static const char *
status_ago(const json_t *service)
{
	return show_format("%s ago", status_since(service));
}

/* Prints a member, or what is in one, as "  name: value", unless it is null. */
static void
print_member(const char *name, const json_t *value)
{
	const char *key, *word = json_is_string(value) ? json_string_value(value) : json_is_true(value) ? "yes"
	    : json_is_false(value) ? "no" : NULL;
	char *text = word != NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
	json_t *part;

	if (!json_is_null(value) && !json_is_object(value))
		show_printf(stdout, "%25s: %s\n", name, word != NULL ? word : text == NULL ? "" : text);
	free(text);
	json_object_foreach((json_t *)(uintptr_t)value, key, part) {
		char *inner = mem_print("%s %s", name, key);

		print_member(inner, part);
		mem_free(inner);
	}
}

static void
print_service(const json_t *service)
{
	const char *key, *reason = show_why(service);
	json_t *value;

	show_printf(stdout, "%s: %s for %s%s%s\n", show_text(service, "service"), show_state(service),
	    status_since(service), reason[0] == '\0' ? "" : ": ", reason);
	json_object_foreach((json_t *)(uintptr_t)service, key, value)
		if (strcmp(key, "service") != 0)
			print_member(key, value);
}

/* Services that a reload has removed, whose clients have not ended. */
static void
print_removed(const json_t *list)
{
	json_t *removed;
	size_t i;

	json_array_foreach(list, i, removed) {
		long long clients = show_number(removed, "clients");
		bool closes = show_has(removed, "closed_in_seconds");

		show_printf(stdout, "%s was removed by a reload; %lld client%s left%s%s\n",
		    show_text(removed, "service"), clients, clients == 1 ? " is" : "s are",
		    closes ? ", closed in " : "", closes ? show_span(show_real(removed, "closed_in_seconds")) : "");
	}
}

static void
print_daemon(const json_t *json)
{
	long long restarts = show_number(json, "worker_restarts");

	show_printf(stdout, "holdfastd %s, pid %lld, running for %s%s\n", show_text(json, "version"),
	    show_number(json, "pid"), show_ago(json, "started"), restarts == 0 ? ""
	    : show_format(", worker restarted %lld time%s", restarts, show_plural(restarts)));
	if (show_is_true(json, "stopping"))
		show_printf(stdout, "It is stopping: the clients left are closed in %s.\n",
		    show_span(show_real(json, "stop_in_seconds")));
	if (show_has(json, "config_error"))
		show_printf(stdout, "The configuration files are bad; the one before is in force: %s\n",
		    show_text(json, "config_error"));
	if (show_number(json, "short_of_memory") > 0)
		show_printf(stdout, "Buffers use %.1f of %.1f MiB (max_memory): %lld connections are slowed down.\n",
		    (double)show_number(json, "memory_used") / (1 << 20),
		    (double)show_number(json, "max_memory") / (1 << 20), show_number(json, "short_of_memory"));
	print_removed(json_object_get(json, "removed"));
}

static void
print_status(const struct answer *answer)
{
	static const struct column columns[] = {
		{ "SERVICE", TEXT, "service", NULL }, { "STATE", TEXT, NULL, show_state },
		{ "SINCE", TEXT, NULL, status_ago }, { "CLIENTS", NUMBER, "clients", NULL },
		{ "HELD", NUMBER, "held", NULL }, { "ADDRESS", CUT, "address", NULL },
		{ "WHY", CUT, NULL, show_why }, { NULL, 0, NULL, NULL },
	};
	const json_t *services = json_object_get(answer->json, "services");
	json_t *service;
	size_t i;

	if (answer->argc > 1) {
		json_array_foreach(services, i, service)
			print_service(service);
		return;
	}
	print_daemon(answer->json);
	if (json_array_size(services) == 0)
		puts("No services are configured.");
	else
		print_table(columns, services);
}

/* Clients: each, or how many there are of each kind. */

static const char *
client_pid(const json_t *client)
{
	return show_has(client, "pid") ? show_format("%lld", show_number(client, "pid")) : "-";
}

/* Of a TCP client with its address. */
static const char *
client_unit(const json_t *client)
{
	if (show_has(client, "unit") && show_has(client, "peer"))
		return show_format("%s (%s)", show_text(client, "unit"), show_text(client, "peer"));
	return show_text(client, show_has(client, "peer") ? "peer" : "unit");
}

static const char *
client_address(const json_t *client)
{
	const char *address = show_text(client, "address");

	if (show_has(client, "tls"))
		return show_format("%s (%s)", address, show_text(client, "tls"));
	return show_is_true(client, "mptcp") ? show_format("%s (MPTCP)", address) : address;
}

static const char *
client_since(const json_t *client)
{
	return show_ago(client, "since");
}

/* What they are counted by is the member that is neither of the two numbers. */
static const char *
count_by(const json_t *count)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)count, key, value) {
		if (strcmp(key, "clients") == 0 || strcmp(key, "held") == 0)
			continue;
		if (json_is_integer(value))
			return show_format("%lld", json_integer_value(value));
		if (json_string_length(value) > 0)
			return json_string_value(value);
	}
	return "-";
}

static void
print_clients(const struct answer *answer)
{
	static const struct column columns[] = {
		{ "SERVICE", TEXT, "service", NULL }, { "ID", NUMBER, "id", NULL },
		{ "PID", NUMBER, NULL, client_pid }, { "USER", TEXT, "user", NULL },
		{ "UNIT", CUT, NULL, client_unit },
		{ "STATE", TEXT, "state", NULL }, { "SINCE", TEXT, NULL, client_since },
		{ "FROM", NUMBER, "bytes_from_client", NULL }, { "TO", NUMBER, "bytes_to_client", NULL },
		{ "ADDRESS", CUT, NULL, client_address }, { NULL, 0, NULL, NULL },
	};
	const struct column count_columns[] = {
		{ "CLIENTS", NUMBER, "clients", NULL }, { "HELD", NUMBER, "held", NULL },
		{ show_text(answer->json, "by"), TEXT, NULL, count_by }, { NULL, 0, NULL, NULL },
	};
	const json_t *counts = json_object_get(answer->json, "counts");
	const json_t *list = counts != NULL ? counts : json_object_get(answer->json, "clients");

	if (json_array_size(list) == 0)
		puts("no clients");
	else
		print_table(counts != NULL ? count_columns : columns, list);
}

/* Endpoints. */

/* What is not well stands in capitals. */
static const char *
endpoint_state(const json_t *endpoint)
{
	const char *state = show_text(endpoint, "state");

	if (strcmp(state, "withdrawn") == 0)
		return show_format("WITHDRAWN (%s ago)", show_ago(endpoint, "withdrawn_since"));
	if (strcmp(state, "failed") == 0)
		return show_format("FAILED (%s)", show_again(endpoint, clock_wall()));
	return show_is_true(endpoint, "late") ? "late" : "ok";
}

/* How long the last connect took. */
static const char *
endpoint_connect(const json_t *endpoint)
{
	double took = show_real(endpoint, "connect_seconds");

	if (json_is_null(json_object_get(endpoint, "connect_seconds")))
		return "never";
	if (took >= 1)
		return show_format("%.1f s", took);
	return took < 0.001 ? "<1 ms" : show_format("%.0f ms", took * 1e3);
}

/* An error stays after a success: when it was tells whether it is of today. */
static const char *
endpoint_error(const json_t *endpoint)
{
	const char *error = show_text(endpoint, "last_error");

	return error[0] == '\0' ? "" : show_format("%s (%s ago)", error, show_ago(endpoint, "last_error_at"));
}

/* "TLSv1.3, db, 89 d" with whose certificate it is and how long that lasts; "-" without TLS. */
static const char *
endpoint_tls(const json_t *endpoint)
{
	const json_t *tls = json_object_get(endpoint, "tls");
	double left;

	if (!show_has(tls, "protocol"))
		return "-";
	if (!show_until(tls, "expires", clock_wall(), &left))
		return show_text(tls, "protocol");
	return show_format("%s, %s, %s%s", show_text(tls, "protocol"), show_text(tls, "peer"),
	    left < 0 ? "expired for " : "", show_span(left < 0 ? -left : left));
}

static void
print_endpoints(const struct answer *answer)
{
	static const struct column columns[] = {
		{ "SERVICE", TEXT, "service", NULL }, { "ENDPOINT", TEXT, "address", NULL },
		{ "STATE", TEXT, NULL, endpoint_state }, { "CONNS", NUMBER, "connections", NULL },
		{ "CONNECT", NUMBER, NULL, endpoint_connect }, { "FAILURES", NUMBER, "failures", NULL },
		{ "PRIO", NUMBER, "priority", NULL }, { "WEIGHT", NUMBER, "weight", NULL },
		{ "FROM", CUT, "from", NULL }, { "TLS", CUT, NULL, endpoint_tls },
		{ "LAST ERROR", WRAP, NULL, endpoint_error }, { NULL, 0, NULL, NULL },
	};
	json_t *passed_over;
	size_t i;

	print_table(columns, json_object_get(answer->json, "endpoints"));
	if (show_number(answer->json, "left_out") > 0)
		printf("%lld more are not shown; name a service\n", show_number(answer->json, "left_out"));
	json_array_foreach(json_object_get(answer->json, "passed_over"), i, passed_over)
		show_printf(stdout, "%s: catalog entry %s is ignored: %s\n", show_text(passed_over, "service"),
		    show_text(passed_over, "name"), show_text(passed_over, "reason"));
	if (show_number(answer->json, "passed_over_left_out") > 0)
		show_printf(stdout, "%lld more entries of catalogs are ignored\n",
		    show_number(answer->json, "passed_over_left_out"));
}

/* What has happened, and what a lookup gives. */

static void
print_event(const struct answer *answer)
{
	static const char *const details[] = { "address", "error", "text" };
	const json_t *event = answer->json;

	if (strcmp(show_text(event, "event"), "missed") == 0)
		show_printf(stdout, "%s  %lld events were left out", show_text(event, "time"),
		    show_number(event, "missed"));
	else
		show_printf(stdout, "%s  %s  %s", show_text(event, "time"), show_text(event, "service"),
		    show_text(event, "event"));
	for (size_t i = 0; i < sizeof details / sizeof details[0]; i++)
		if (show_text(event, details[i])[0] != '\0')
			show_printf(stdout, "  %s", show_text(event, details[i]));
	putchar('\n');
	fflush(stdout);
}

static void
print_history(const struct answer *answer)
{
	static const struct column columns[] = {
		{ "TIME", TEXT, "time", NULL }, { "EVENT", TEXT, "event", NULL }, { "WHAT", WRAP, "text", NULL },
		{ NULL, 0, NULL, NULL },
	};
	json_t *endpoint;
	size_t i;

	print_table(columns, json_object_get(answer->json, "entries"));
	json_array_foreach(json_object_get(answer->json, "endpoints"), i, endpoint)
		show_printf(stdout, "endpoint %s\n", show_endpoint(endpoint, clock_wall()));
	show_printf(stdout, "now: %s is %s, since %s\n", answer->argv[1], show_text(answer->json, "state"),
	    show_text(answer->json, "since"));
}

/* What a lookup script printed: the answer to "lookup -v", good or bad. */
static void
print_script_output(const json_t *json)
{
	show_printf(stdout, "output:\n%sstandard error:\n%s", show_text(json, "output"), show_text(json, "errors"));
}

static void
print_lookup(const struct answer *answer)
{
	json_t *address;
	size_t i;

	show_printf(stdout, "%s: %s\n", answer->argv[1], show_text(answer->json, "lookup"));
	if (json_is_string(json_object_get(answer->json, "abort")))
		show_printf(stdout, "abort: %s\n", show_text(answer->json, "abort"));
	json_array_foreach(json_object_get(answer->json, "addresses"), i, address)
		show_printf(stdout, "  %s\n", json_string_value(address));
	if (answer->argc > 2)
		print_script_output(answer->json);
}

/* What a reload has changed, or would. */

/* A secret that has changed looks the same before and after. */
static void
print_differences(const json_t *differences)
{
	json_t *difference;
	size_t i;

	json_array_foreach(differences, i, difference) {
		const json_t *from = json_object_get(difference, "from"), *to = json_object_get(difference, "to");
		const char *before = json_is_string(from) ? json_string_value(from) : "nothing";
		const char *after = json_is_string(to) ? json_string_value(to) : "nothing";
		bool same = json_equal(from, to);

		show_printf(stdout, "  %s: %s%s%s\n", show_text(difference, "setting"), before, same ? "" : " -> ",
		    same ? " (what is not shown of it changes)" : after);
	}
}

static void
print_reload(const struct answer *answer)
{
	const json_t *json = answer->json, *daemon = json_object_get(json, "daemon");
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(json, "warnings"), i, one)
		show_printf(stderr, "%s\n", json_string_value(one));
	json_array_foreach(json_object_get(json, "added"), i, one)
		show_printf(stdout, "added %s: %s, mode %s, owner %s:%s\n", show_text(one, "service"),
		    show_text(one, "socket"), show_text(one, "mode"), show_text(one, "owner"),
		    show_text(one, "group"));
	json_array_foreach(json_object_get(json, "changes"), i, one) {
		const char *effect = show_text(one, "effect");

		show_printf(stdout, "changed %s, %s%s%s\n", show_text(one, "service"), show_text(one, "how"),
		    effect[0] == '\0' ? "" : ": ", effect);
		print_differences(json_object_get(one, "settings"));
	}
	json_array_foreach(json_object_get(json, "removed"), i, one)
		show_printf(stdout, "removed %s: attached clients stay until they end, or its drain_timeout, if it "
		    "has one, is over\n", json_string_value(one));
	if (json_array_size(daemon) > 0)
		puts("changed for the whole daemon");
	print_differences(daemon);
	puts(show_is_true(json, "dry_run") ? "nothing was changed: this was a dry run"
	    : "the configuration is in force");
}

/* What operators have made: a sentence each. */

static void
print_connected(const struct answer *answer)
{
	const char *address = show_text(answer->json, "address");

	show_printf(stdout, "%s: connected%s%s\n", answer->argv[1], address[0] == '\0' ? "" : " to ", address);
}

static void
print_closed(const struct answer *answer)
{
	long long clients = show_number(answer->json, "clients");

	show_printf(stdout, "%s: closed%s\n", show_text(answer->json, "service"), clients == 0 ? ""
	    : show_format("; %lld attached client%s", clients, clients == 1 ? " stays" : "s stay"));
}

static void
print_drained(const struct answer *answer)
{
	long long clients = show_number(answer->json, "clients");

	if (clients == 0)
		puts("drained: no clients are left");
	else
		show_printf(stdout, "draining: %lld client%s left\n", clients, clients == 1 ? " is" : "s are");
}

static void
print_open(const struct answer *answer)
{
	const char *service = answer->argv[1];

	if (show_has(answer->json, "opened"))
		show_printf(stdout, "opened: %lld of all services\n", show_number(answer->json, "opened"));
	else if (show_is_true(answer->json, "paused"))
		show_printf(stdout, "%s: open, but still paused: see \"holdfastctl resume %s\"\n", service, service);
	else
		show_printf(stdout, "%s: %s\n", service, strcmp(answer->argv[0], "reconnect") == 0
		    ? "connecting again" : "open");
}

static void
print_paused(const struct answer *answer)
{
	const char *service = show_text(answer->json, "service");
	long long held = show_number(answer->json, "held");

	show_printf(stdout, "%s: paused; nothing is in flight%s; \"holdfastctl resume %s\" ends the pause\n", service,
	    held == 0 ? "" : show_format(", %lld client%s", held, held == 1 ? " waits" : "s wait"), service);
}

static void
print_resumed(const struct answer *answer)
{
	show_printf(stdout, "%s: %s\n", answer->argv[1], show_is_true(answer->json, "was_paused")
	    ? "resumed; connecting again" : "was not paused");
}

static void
print_failing(const struct answer *answer)
{
	const char *service = answer->argv[1];

	if (show_is_true(answer->json, "failing"))
		show_printf(stdout, "%s: treated as down for %.1f s; \"holdfastctl fail %s 0\" ends that early\n",
		    service, show_real(answer->json, "left_seconds"), service);
	else
		show_printf(stdout, "%s: not made to fail any more\n", service);
}

static void
print_killed(const struct answer *answer)
{
	long long killed = show_number(answer->json, "killed");

	show_printf(stdout, "%lld client%s ended\n", killed, show_plural(killed));
}

static void
print_log(const struct answer *answer)
{
	show_printf(stdout, "log level: %s%s\n", show_text(answer->json, "level"), answer->argc == 1 ? ""
	    : show_format(" (was %s)", show_text(answer->json, "previous")));
}

/* The member that is named like the command, as it is. */
static void
print_raw(const struct answer *answer)
{
	show_printf(stdout, "%s", show_text(answer->json, answer->argv[0]));
}

static void
print_pong(const struct answer *answer)
{
	(void)answer;
	puts("pong");
}

static const struct {
	const char *name;
	void (*print)(const struct answer *answer);
} prints[] = {
	{ "status", print_status }, { "endpoints", print_endpoints }, { "clients", print_clients },
	{ "wait", print_connected }, { "try", print_connected }, { "close", print_closed },
	{ "disable", print_closed }, { "drain", print_drained }, { "pause", print_paused },
	{ "resume", print_resumed }, { "fail", print_failing }, { "open", print_open }, { "enable", print_open },
	{ "reconnect", print_open }, { "kill", print_killed }, { "lookup", print_lookup }, { "events", print_event },
	{ "explain", print_history }, { "reload", print_reload }, { "config", print_raw }, { "metrics", print_raw },
	{ "log", print_log }, { "ping", print_pong },
};

void
print_answer(int argc, char *const *argv, const json_t *json)
{
	const struct answer answer = { argc, argv, json };

	for (size_t i = 0; i < sizeof prints / sizeof prints[0]; i++)
		if (strcmp(prints[i].name, argv[0]) == 0)
			prints[i].print(&answer);
}

void
print_error(int argc, char *const *argv, const json_t *json)
{
	const json_t *errors = json_object_get(json, "errors");
	json_t *error;
	size_t i;

	if (!json_is_array(errors)) {
		show_printf(stderr, "holdfastctl: %s\n", show_text(json, "error"));
		if (argc > 2 && strcmp(argv[0], "lookup") == 0)
			print_script_output(json);
		return;
	}
	fputs("holdfastctl: nothing was changed:\n", stderr);
	json_array_foreach(errors, i, error)
		show_printf(stderr, "holdfastctl: %s\n", json_string_value(error));
}

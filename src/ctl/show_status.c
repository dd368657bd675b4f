/* The answer to "status": a line per service, or all about one. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/show.h"
#include "ctl/grid.h"

static const struct grid_column columns[] = {
	{ "SERVICE", GRID_TEXT }, { "STATE", GRID_TEXT }, { "SINCE", GRID_TEXT }, { "CLIENTS", GRID_NUMBER },
	{ "HELD", GRID_NUMBER }, { "ADDRESS", GRID_CUT }, { "WHY", GRID_CUT }, { NULL, GRID_TEXT },
};

static bool
show_is_true(const json_t *service, const char *key)
{
	return json_is_true(json_object_get(service, key));
}

static bool
show_has(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return value != NULL && !json_is_null(value);
}

/* Whether it stays so until somebody opens it. */
static bool
show_is_closed(const char *state)
{
	return strcmp(state, "closed") == 0 || strcmp(state, "closing") == 0 || strcmp(state, "drained") == 0 ||
	    strcmp(state, "aborted") == 0;
}

const char *
show_state(const json_t *service)
{
	const char *state = show_text(service, "state");

	if (show_is_closed(state))
		return "CLOSED";
	if (show_is_true(service, "paused"))
		return "PAUSED";
	if (show_has(service, "failing"))
		return show_number(service, "held") > 0 ? "HOLD" : "DOWN";
	if (show_is_true(service, "up"))
		return "UP";
	if (show_number(service, "held") > 0)
		return "HOLD";
	return "DOWN";
}

const char *
show_since_at(const json_t *service)
{
	const json_t *administered = json_object_get(service, "administered");

	if (show_is_closed(show_text(service, "state")))
		return show_text(show_has(administered, "since") ? administered : service, "since");
	if (show_is_true(service, "paused"))
		return show_text(service, "paused_since");
	return show_text(service, show_has(service, "down_since") ? "down_since" : "since");
}

static const char *
show_since(const json_t *service)
{
	double age = show_age(show_since_at(service), clock_wall());

	return age < 0 ? "" : show_span(age);
}

static char *
show_why_closed(const json_t *service)
{
	const json_t *administered = json_object_get(service, "administered");
	const char *state = show_text(service, "state");

	if (json_is_object(administered))
		return mem_print("%s by %s", show_text(administered, "what"), show_text(administered, "by"));
	return show_has(service, "last_error") ? mem_print("%s: %s", state, show_text(service, "last_error"))
	    : mem_copy_text(state);
}

static char *
show_why_down(const json_t *service)
{
	const char *error = show_text(service, "last_error");

	if (error[0] == '\0')
		error = show_text(service, "state");
	if (show_has(service, "next_attempt_in_seconds"))
		return mem_print("%s; next attempt in %.1f s", error, show_real(service, "next_attempt_in_seconds"));
	return mem_copy_text(error);
}

const char *
show_pause(const json_t *service)
{
	const char *by = show_text(service, "accepting_paused_by");

	if (strcmp(by, "max_held") == 0)
		return "connections for max_held clients are being made";
	return strcmp(by, "files") == 0 ? "no file descriptor is left" : "max_clients is reached";
}

char *
show_why(const json_t *service)
{
	const json_t *failing = json_object_get(service, "failing");
	const char *people = show_state(service);

	if (strcmp(people, "CLOSED") == 0)
		return show_why_closed(service);
	if (strcmp(people, "PAUSED") == 0)
		return mem_print("paused by %s", show_text(service, "paused_by"));
	if (json_is_object(failing))
		return mem_print("made to fail by %s for %.1f s more", show_text(failing, "by"),
		    show_real(failing, "left_seconds"));
	if (strcmp(people, "UP") != 0)
		return show_why_down(service);
	if (show_is_true(service, "accepting_paused"))
		return mem_print("accepting pauses: %s", show_pause(service));
	if (show_is_true(service, "resting"))
		return mem_copy_text("resting: the server ends unused connections");
	return mem_copy_text(strcmp(show_text(service, "state"), "idle") == 0 ? "idle until a client comes" : "");
}

static void
show_line(struct grid *grid, const json_t *service)
{
	char *reason = show_why(service), *ago = mem_print("%s ago", show_since(service));

	grid_line(grid);
	grid_cell(grid, show_text(service, "service"));
	grid_cell(grid, show_state(service));
	grid_cell(grid, ago);
	grid_cell_number(grid, show_number(service, "clients"));
	grid_cell_number(grid, show_number(service, "held"));
	grid_cell(grid, show_text(service, "address"));
	grid_cell(grid, reason);
	mem_free(reason);
	mem_free(ago);
}

/* Prints a member as "  name: value", unless it is null or an empty list. */
static void
show_member(const char *name, const json_t *value)
{
	char *text;

	if (value == NULL || json_is_null(value))
		return;
	printf("%25s: ", name);
	if (json_is_string(value)) {
		show_print(stdout, json_string_value(value));
	} else {
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
		if (text != NULL)
			fputs(json_is_boolean(value) ? json_is_true(value) ? "yes" : "no" : text, stdout);
		free(text);
	}
	putchar('\n');
}

static void
show_full(const json_t *service)
{
	char *reason = show_why(service);
	const char *key, *inner;
	json_t *value, *part;

	printf("%s: %s for %s%s", show_text(service, "service"), show_state(service),
	    show_since(service), reason[0] == '\0' ? "" : ": ");
	show_print(stdout, reason);
	putchar('\n');
	json_object_foreach((json_t *)(uintptr_t)service, key, value) {
		if (json_is_object(value)) {
			json_object_foreach(value, inner, part) {
				char *name = mem_print("%s %s", key, inner);

				show_member(name, part);
				mem_free(name);
			}
		} else if (strcmp(key, "service") != 0) {
			show_member(key, value);
		}
	}
	mem_free(reason);
}

/* Services that a reload has removed, whose clients have not ended. */
static void
show_removed(const json_t *answer)
{
	json_t *removed;
	size_t i;

	json_array_foreach(json_object_get(answer, "removed"), i, removed) {
		long long clients = show_number(removed, "clients");

		printf("%s was removed by a reload; %lld client%s left", show_text(removed, "service"), clients,
		    clients == 1 ? " is" : "s are");
		if (show_has(removed, "closed_in_seconds"))
			printf(", closed in %s", show_span(show_real(removed, "closed_in_seconds")));
		putchar('\n');
	}
}

static void
show_daemon(const json_t *answer)
{
	long long restarts = show_number(answer, "worker_restarts");

	printf("holdfastd %s, pid %lld, running for %s", show_text(answer, "version"), show_number(answer, "pid"),
	    show_ago(answer, "started"));
	if (restarts > 0)
		printf(", worker restarted %lld time%s", restarts, restarts == 1 ? "" : "s");
	putchar('\n');
	if (json_is_true(json_object_get(answer, "stopping")))
		printf("It is stopping: the clients left are closed in %s.\n",
		    show_span(show_real(answer, "stop_in_seconds")));
	if (show_has(answer, "config_error")) {
		fputs("The configuration files are bad; the one before is in force: ", stdout);
		show_print(stdout, show_text(answer, "config_error"));
		putchar('\n');
	}
	if (show_number(answer, "short_of_memory") > 0)
		printf("Buffers use %.1f of %.1f MiB (max_memory): %lld connections are slowed down.\n",
		    (double)show_number(answer, "memory_used") / (1 << 20),
		    (double)show_number(answer, "max_memory") / (1 << 20),
		    show_number(answer, "short_of_memory"));
	show_removed(answer);
}

void
show_status(const json_t *answer, bool single)
{
	const json_t *services = json_object_get(answer, "services");
	struct grid *grid;
	json_t *service;
	size_t i;

	if (single) {
		json_array_foreach(services, i, service)
			show_full(service);
		return;
	}
	show_daemon(answer);
	if (json_array_size(services) == 0) {
		puts("No services are configured.");
		return;
	}
	grid = grid_new(columns, true);
	json_array_foreach(services, i, service)
		show_line(grid, service);
	grid_print(grid);
}

#include "ctl/show.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/mem.h"

#define SHOW_TEXTS 32

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

bool
show_is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

bool
show_has(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return value != NULL && !json_is_null(value);
}

const char *
show_plural(long long count)
{
	return count == 1 ? "" : "s";
}

char *
show_format(const char *format, ...)
{
	static char *texts[SHOW_TEXTS];
	static unsigned next;
	char **text = &texts[next++ % SHOW_TEXTS], *made;
	va_list args;

	va_start(args, format);
	made = mem_vprint(format, args);
	va_end(args);
	mem_free(*text);
	*text = made;
	return made;
}

char *
show_span(double seconds)
{
	long long whole = seconds < 0 ? 0 : (long long)seconds;

	if (whole < 60)
		return show_format("%llds", whole);
	if (whole < 3600)
		return show_format("%lldmin %llds", whole / 60, whole % 60);
	return whole < 86400 ? show_format("%lldh %lldmin", whole / 3600, whole / 60 % 60)
	    : show_format("%lldd %lldh", whole / 86400, whole / 3600 % 24);
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

bool
show_until(const json_t *object, const char *key, int64_t wall, double *ret_seconds)
{
	double age;
	bool known = show_since(show_text(object, key), wall, &age);

	if (known)
		*ret_seconds = -age;
	return known;
}

const char *
show_ago(const json_t *object, const char *key)
{
	double age = show_age(show_text(object, key), clock_wall());

	return age < 0 ? "" : show_span(age);
}

/* Whether it stays so until somebody opens it. */
static bool
show_is_closed(const json_t *service)
{
	static const char *const closed[] = { "closed", "closing", "drained", "aborted" };

	for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++)
		if (strcmp(show_text(service, "state"), closed[i]) == 0)
			return true;
	return false;
}

const char *
show_state(const json_t *service)
{
	if (show_is_closed(service))
		return "CLOSED";
	if (show_is_true(service, "paused"))
		return "PAUSED";
	if (!show_has(service, "failing") && show_is_true(service, "up"))
		return "UP";
	return show_number(service, "held") > 0 ? "HOLD" : "DOWN";
}

const char *
show_since_at(const json_t *service)
{
	const json_t *administered = json_object_get(service, "administered");

	if (show_is_closed(service))
		return show_text(show_has(administered, "since") ? administered : service, "since");
	if (show_is_true(service, "paused"))
		return show_text(service, "paused_since");
	return show_text(service, show_has(service, "down_since") ? "down_since" : "since");
}

static const char *
show_why_closed(const json_t *service)
{
	const json_t *administered = json_object_get(service, "administered");
	const char *state = show_text(service, "state");

	if (json_is_object(administered))
		return show_format("%s by %s", show_text(administered, "what"), show_text(administered, "by"));
	return show_has(service, "last_error") ? show_format("%s: %s", state, show_text(service, "last_error"))
	    : state;
}

static const char *
show_why_down(const json_t *service)
{
	const char *error = show_text(service, "last_error");

	if (error[0] == '\0')
		error = show_text(service, "state");
	return !show_has(service, "next_attempt_in_seconds") ? error
	    : show_format("%s; next attempt in %.1f s", error, show_real(service, "next_attempt_in_seconds"));
}

const char *
show_pause(const json_t *service)
{
	const char *by = show_text(service, "accepting_paused_by");

	if (strcmp(by, "max_held") == 0)
		return "connections for max_held clients are being made";
	return strcmp(by, "files") == 0 ? "no file descriptor is left" : "max_clients is reached";
}

const char *
show_why(const json_t *service)
{
	const json_t *failing = json_object_get(service, "failing");

	if (show_is_closed(service))
		return show_why_closed(service);
	if (show_is_true(service, "paused"))
		return show_format("paused by %s", show_text(service, "paused_by"));
	if (json_is_object(failing))
		return show_format("made to fail by %s for %.1f s more", show_text(failing, "by"),
		    show_real(failing, "left_seconds"));
	if (strcmp(show_state(service), "UP") != 0)
		return show_why_down(service);
	if (show_is_true(service, "accepting_paused"))
		return show_format("accepting pauses: %s", show_pause(service));
	if (show_is_true(service, "resting"))
		return "resting: the server ends unused connections";
	return strcmp(show_text(service, "state"), "idle") == 0 ? "idle until a client comes" : "";
}

const char *
show_again(const json_t *endpoint, int64_t wall)
{
	double age;

	if (!show_since(show_text(endpoint, "failed_until"), wall, &age) || age > -0.05)
		return "tried again now";
	return show_format("tried again in %.1f s", -age);
}

const char *
show_endpoint(const json_t *endpoint, int64_t wall)
{
	const char *address = show_text(endpoint, "address"), *state = show_text(endpoint, "state");
	long long connections = show_number(endpoint, "connections");

	if (strcmp(state, "withdrawn") == 0)
		return show_format("%s withdrawn by the lookup; connections left: %lld", address, connections);
	if (strcmp(state, "failed") != 0)
		return show_format("%s %sconnections: %lld", address, show_is_true(endpoint, "late")
		    ? "late: no answer within connect_stagger; " : "ok; ", connections);
	return show_format("%s failed: %s;%s %s", address, show_text(endpoint, "last_error"), connections == 0 ? ""
	    : show_format(" connections left: %lld;", connections), show_again(endpoint, wall));
}

void
show_printf(FILE *file, const char *format, ...)
{
	va_list args;
	char *text, *escaped;

	va_start(args, format);
	text = mem_vprint(format, args);
	va_end(args);
	escaped = escape_text(text, ESCAPE_LINES);
	fputs(escaped, file);
	mem_free(escaped);
	mem_free(text);
}

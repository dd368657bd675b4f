#include "ctl/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/show.h"

static const char *const names[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };

struct verdict {
	const struct verdict_limits *limits; /* borrowed */
	int64_t wall;
	enum verdict_level level;
	long long services, up, paused, clients, held;
	double down;                         /* seconds; the longest */
	json_t *complaints[VERDICT_CRITICAL + 1]; /* owned; of each level; texts */
	char perfdata[VERDICT_PERFDATA + 1];      /* of services */
	size_t perfdata_length;
	bool full;                                /* perfdata has no more place */
};

/* What would end the line, or begin the perfdata, becomes a question mark; the text, which is changed. */
static char *
verdict_clean(char *text)
{
	for (char *at = text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == '|' || *at == 0x7f)
			*at = '?';
	return text;
}

char *
verdict_alone(enum verdict_level level, const char *reason)
{
	return mem_print("HOLDFAST %s - %s\n", names[level], verdict_clean(show_format("%s", reason)));
}

/* A line about what is not well. */
static void __attribute__((format(printf, 3, 4)))
verdict_complain(struct verdict *verdict, enum verdict_level level, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = verdict_clean(mem_vprint(format, args));
	va_end(args);
	if (level > verdict->level)
		verdict->level = level;
	json_array_append_new(verdict->complaints[level], json_string(text));
	mem_free(text);
}

/* Aborted: the lookup said that trying again is of no use.  Closed by an operator: meant, not to be forgotten. */
static void
verdict_closed(struct verdict *verdict, const char *name, const json_t *service)
{
	const char *span = show_span(show_age(show_since_at(service), verdict->wall));
	const char *why = show_why(service);

	if (strcmp(show_text(service, "state"), "aborted") == 0)
		verdict_complain(verdict, VERDICT_CRITICAL, "%s aborted for %s: %s", name, span,
		    show_text(service, "last_error"));
	else
		verdict_complain(verdict, VERDICT_WARNING, "%s %s for %s", name, why, span);
}

static void
verdict_paused(struct verdict *verdict, const char *name, const json_t *service)
{
	double age = show_age(show_text(service, "paused_since"), verdict->wall);
	const char *by = show_text(service, "paused_by");

	verdict->paused++;
	if (age > VERDICT_PAUSE)
		verdict_complain(verdict, VERDICT_WARNING, "%s paused%s%s for %s", name, by[0] == '\0' ? "" : " by ",
		    by, show_span(age));
}

/* Gives for how many seconds it has been down. */
static double
verdict_down(struct verdict *verdict, const char *name, const json_t *service)
{
	double age = show_age(show_since_at(service), verdict->wall), down = age < 0 ? 0 : age;
	const char *error = show_text(service, "last_error");
	long long held = show_number(service, "held");
	enum verdict_level level = down > verdict->limits->critical ? VERDICT_CRITICAL : VERDICT_WARNING;

	if (error[0] == '\0')
		error = show_text(service, "state");
	if (level == VERDICT_WARNING && down <= verdict->limits->warning)
		return down;
	if (held > 0)
		verdict_complain(verdict, level, "%s down for %s, %lld held: %s", name, show_span(age), held, error);
	else
		verdict_complain(verdict, level, "%s down for %s: %s", name, show_span(age), error);
	return down;
}

static void
verdict_service_perfdata(struct verdict *verdict, const char *name, const json_t *service, double down)
{
	char *end = verdict->perfdata + verdict->perfdata_length;
	size_t room = sizeof verdict->perfdata - verdict->perfdata_length;
	size_t length = (size_t)snprintf(end, room,
	    " %s_down=%.3fs;%g;%g;0 %s_clients=%lld;;;0 %s_held=%lld;;;0", name, down, verdict->limits->warning,
	    verdict->limits->critical, name, show_number(service, "clients"), name, show_number(service, "held"));

	verdict->full = verdict->full || length >= room;
	if (verdict->full)
		*end = '\0';
	else
		verdict->perfdata_length += length;
}

static void
verdict_tls(struct verdict *verdict, const char *name, const json_t *service)
{
	double left;

	if (!show_until(service, "tls_expires", verdict->wall, &left) || left >= VERDICT_EXPIRY)
		return;
	if (left < 0)
		verdict_complain(verdict, VERDICT_WARNING, "%s certificate expired %s ago", name, show_span(-left));
	else
		verdict_complain(verdict, VERDICT_WARNING, "%s certificate expires in %s", name, show_span(left));
}

static void
verdict_service(struct verdict *verdict, const json_t *service)
{
	const char *name = show_text(service, "service"), *state = show_state(service);
	double down = 0;

	if (strcmp(state, "CLOSED") == 0)
		verdict_closed(verdict, name, service);
	else if (strcmp(state, "PAUSED") == 0)
		verdict_paused(verdict, name, service);
	else if (strcmp(state, "UP") != 0)
		down = verdict_down(verdict, name, service);
	else if (show_has(service, "socket_error")) /* it comes in elsewhere */
		verdict_complain(verdict, VERDICT_WARNING, "%s: %s", name, show_text(service, "socket_error"));
	else if (show_is_true(service, "accepting_paused") &&
	    strcmp(show_text(service, "accepting_paused_by"), "max_held") != 0)
		verdict_complain(verdict, VERDICT_WARNING, "%s accepting pauses: %s", name, show_pause(service));
	verdict_tls(verdict, name, service);
	verdict->services++;
	verdict->up += show_is_true(service, "up");
	verdict->clients += show_number(service, "clients");
	verdict->held += show_number(service, "held");
	verdict->down = down > verdict->down ? down : verdict->down;
	verdict_service_perfdata(verdict, name, service, down);
}

/* How many are well, the first of what is worst, and how much else there is. */
static void
verdict_first_line(const struct verdict *verdict, FILE *out)
{
	const char *first = json_string_value(json_array_get(verdict->complaints[verdict->level], 0));
	size_t count = json_array_size(verdict->complaints[VERDICT_WARNING]) +
	    json_array_size(verdict->complaints[VERDICT_CRITICAL]);

	fprintf(out, "HOLDFAST %s - %lld of %lld service%s up", names[verdict->level], verdict->up,
	    verdict->services, show_plural(verdict->services));
	if (verdict->paused > 0)
		fprintf(out, ", %lld paused", verdict->paused);
	if (first != NULL)
		fprintf(out, "; %s", first);
	if (count > 1)
		fprintf(out, "; and %zu more", count - 1);
	fprintf(out, " | services=%lld;;;0 up=%lld;;;0 down=%.3fs;%g;%g;0 clients=%lld;;;0 held=%lld;;;0%s\n",
	    verdict->services, verdict->up, verdict->down, verdict->limits->warning, verdict->limits->critical,
	    verdict->clients, verdict->held, verdict->perfdata);
}

/* The complaints of a level, which are given back. */
static void
verdict_lines(json_t *complaints, int level, FILE *out)
{
	size_t count = json_array_size(complaints);

	for (size_t i = 0; i < count && i < VERDICT_LINES; i++)
		fprintf(out, "%s: %s\n", names[level], json_string_value(json_array_get(complaints, i)));
	if (count > VERDICT_LINES)
		fprintf(out, "%s: %zu more\n", names[level], count - VERDICT_LINES);
	json_decref(complaints);
}

enum verdict_level
verdict_judge(const json_t *answer, const struct verdict_limits *limits, int64_t wall, char **ret_text)
{
	struct verdict verdict = { .limits = limits, .wall = wall };
	const char *config_error = show_text(answer, "config_error");
	json_t *service;
	size_t i, length;
	FILE *out;

	for (int level = VERDICT_OK; level <= VERDICT_CRITICAL; level++)
		verdict.complaints[level] = json_array();
	json_array_foreach(json_object_get(answer, "services"), i, service)
		verdict_service(&verdict, service);
	if (verdict.services == 0)
		verdict_complain(&verdict, VERDICT_WARNING, "the configuration has no services");
	if (config_error[0] != '\0')
		verdict_complain(&verdict, VERDICT_WARNING,
		    "the configuration files are bad, the one before is in force: %s", config_error);
	out = mem_stream(ret_text, &length);
	verdict_first_line(&verdict, out);
	for (int level = VERDICT_CRITICAL; level >= VERDICT_OK; level--)
		verdict_lines(verdict.complaints[level], level, out);
	fclose(out);
	return verdict.level;
}

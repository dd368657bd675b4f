#include "ctl/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/show.h"

static const char *const names[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };

/* A text that grows. */
struct growing {
	FILE *out;     /* owned; writes text */
	char *text;    /* owned */
	size_t length;
};

struct verdict {
	const struct verdict_limits *limits; /* borrowed */
	int64_t wall;
	enum verdict_level level;
	long long services, up, paused, clients, held;
	double down;                         /* seconds; the longest */
	struct {
		char *first;                 /* owned */
		struct growing lines;
		size_t count;
	} complaints[VERDICT_CRITICAL + 1];  /* of each level */
	struct growing perfdata;
	size_t perfdata_length;
	bool full;                           /* perfdata has no more place */
};

static void
growing_begin(struct growing *growing)
{
	growing->out = open_memstream(&growing->text, &growing->length);
	if (growing->out == NULL)
		abort();
}

/* The text, which is the caller's to free with mem_free(). */
static char *
growing_end(struct growing *growing)
{
	fclose(growing->out);
	return growing->text;
}

/* Adds a part of a line; what would end the line, or begin the perfdata, becomes a question mark. */
static void __attribute__((format(printf, 2, 3)))
growing_add(struct growing *growing, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = mem_vprint(format, args);
	va_end(args);
	for (const char *at = text; *at != '\0'; at++)
		putc((unsigned char)*at < ' ' || *at == '|' || *at == 0x7f ? '?' : *at, growing->out);
	mem_free(text);
}

char *
verdict_alone(enum verdict_level level, const char *reason)
{
	struct growing text;

	growing_begin(&text);
	growing_add(&text, "HOLDFAST %s - %s", names[level], reason);
	putc('\n', text.out);
	return growing_end(&text);
}

/* A line about what is not well. */
static void __attribute__((format(printf, 3, 4)))
verdict_complain(struct verdict *verdict, enum verdict_level level, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = mem_vprint(format, args);
	va_end(args);
	if (level > verdict->level)
		verdict->level = level;
	if (verdict->complaints[level].count++ < VERDICT_LINES) {
		growing_add(&verdict->complaints[level].lines, "%s: %s", names[level], text);
		putc('\n', verdict->complaints[level].lines.out);
	}
	if (verdict->complaints[level].first == NULL)
		verdict->complaints[level].first = text;
	else
		mem_free(text);
}

/* Aborted: the lookup said that trying again is of no use.  Closed by an operator: meant, not to be forgotten. */
static void
verdict_closed(struct verdict *verdict, const char *name, const json_t *service)
{
	const char *span = show_span(show_age(show_since_at(service), verdict->wall));
	char *why = show_why(service);

	if (strcmp(show_text(service, "state"), "aborted") == 0)
		verdict_complain(verdict, VERDICT_CRITICAL, "%s aborted for %s: %s", name, span,
		    show_text(service, "last_error"));
	else
		verdict_complain(verdict, VERDICT_WARNING, "%s %s for %s", name, why, span);
	mem_free(why);
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
	char *text = mem_print(" %s_down=%.3fs;%g;%g;0 %s_clients=%lld;;;0 %s_held=%lld;;;0", name, down,
	    verdict->limits->warning, verdict->limits->critical, name, show_number(service, "clients"), name,
	    show_number(service, "held"));

	verdict->full = verdict->full || verdict->perfdata_length + strlen(text) > VERDICT_PERFDATA;
	if (!verdict->full) {
		fputs(text, verdict->perfdata.out);
		verdict->perfdata_length += strlen(text);
	}
	mem_free(text);
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
	else if (show_is_true(service, "accepting_paused") &&
	    strcmp(show_text(service, "accepting_paused_by"), "max_held") != 0)
		verdict_complain(verdict, VERDICT_WARNING, "%s accepting pauses: %s", name, show_pause(service));
	verdict->services++;
	verdict->up += show_is_true(service, "up");
	verdict->clients += show_number(service, "clients");
	verdict->held += show_number(service, "held");
	verdict->down = down > verdict->down ? down : verdict->down;
	verdict_service_perfdata(verdict, name, service, down);
}

/* How many are well, the first of what is worst, and how much else there is. */
static void
verdict_first_line(struct verdict *verdict, struct growing *text)
{
	const char *first = verdict->complaints[verdict->level].first;
	size_t more = verdict->complaints[VERDICT_WARNING].count + verdict->complaints[VERDICT_CRITICAL].count - 1;
	char *perfdata = growing_end(&verdict->perfdata);

	growing_add(text, "HOLDFAST %s - %lld of %lld service%s up", names[verdict->level], verdict->up,
	    verdict->services, show_plural(verdict->services));
	if (verdict->paused > 0)
		growing_add(text, ", %lld paused", verdict->paused);
	if (first != NULL)
		growing_add(text, "; %s", first);
	if (first != NULL && more > 0)
		growing_add(text, "; and %zu more", more);
	fprintf(text->out, " | services=%lld;;;0 up=%lld;;;0 down=%.3fs;%g;%g;0 clients=%lld;;;0 held=%lld;;;0%s\n",
	    verdict->services, verdict->up, verdict->down, verdict->limits->warning, verdict->limits->critical,
	    verdict->clients, verdict->held, perfdata);
	mem_free(perfdata);
}

static char *
verdict_text(struct verdict *verdict)
{
	struct growing text;

	growing_begin(&text);
	verdict_first_line(verdict, &text);
	for (int level = VERDICT_CRITICAL; level >= VERDICT_OK; level--) {
		char *lines = growing_end(&verdict->complaints[level].lines);

		fputs(lines, text.out);
		if (verdict->complaints[level].count > VERDICT_LINES)
			fprintf(text.out, "%s: %zu more\n", names[level],
			    verdict->complaints[level].count - VERDICT_LINES);
		mem_free(lines);
		mem_free(verdict->complaints[level].first);
	}
	return growing_end(&text);
}

enum verdict_level
verdict_judge(const json_t *answer, const struct verdict_limits *limits, int64_t wall, char **ret_text)
{
	struct verdict verdict = { .limits = limits, .wall = wall };
	const char *config_error = show_text(answer, "config_error");
	json_t *service;
	size_t i;

	growing_begin(&verdict.perfdata);
	for (int level = VERDICT_OK; level <= VERDICT_CRITICAL; level++)
		growing_begin(&verdict.complaints[level].lines);
	json_array_foreach(json_object_get(answer, "services"), i, service)
		verdict_service(&verdict, service);
	if (verdict.services == 0)
		verdict_complain(&verdict, VERDICT_WARNING, "the configuration has no services");
	if (config_error[0] != '\0')
		verdict_complain(&verdict, VERDICT_WARNING,
		    "the configuration files are bad, the one before is in force: %s", config_error);
	*ret_text = verdict_text(&verdict);
	return verdict.level;
}

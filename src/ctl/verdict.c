#include "ctl/verdict.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/show.h"

/* A text that grows. */
struct growing {
	char *text;    /* owned */
	size_t length;
};

/* What is found about one service. */
struct finding {
	enum verdict_level level;
	double down;   /* seconds */
	char *text;    /* owned; NULL if it is well */
};

/* Of one level. */
struct complaints {
	char *first;          /* owned */
	struct growing lines;
	size_t count;
};

struct verdict {
	const struct verdict_limits *limits; /* borrowed */
	int64_t wall;
	enum verdict_level level;
	long long services, up, paused, clients, held;
	double down;                         /* the longest */
	struct complaints complaints[VERDICT_CRITICAL + 1];
	struct growing perfdata;
	bool full;                           /* perfdata has no more place */
};

static void
growing_add(struct growing *growing, const char *text)
{
	size_t more = strlen(text);

	growing->text = mem_resize(growing->text, growing->length + more + 1, 1);
	memcpy(growing->text + growing->length, text, more + 1);
	growing->length += more;
}

/* Takes the text over and adds it; what would end a line, or begin the perfdata, becomes a question mark. */
static void
growing_take(struct growing *growing, char *text)
{
	for (char *at = text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == '|' || *at == 0x7f)
			*at = '?';
	growing_add(growing, text);
	mem_free(text);
}

/* "OK", "WARNING" ... */
static const char *
verdict_name(enum verdict_level level)
{
	static const char *const names[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };

	return names[level];
}

char *
verdict_alone(enum verdict_level level, const char *reason)
{
	struct growing text = { NULL, 0 };

	growing_take(&text, mem_print("HOLDFAST %s - %s", verdict_name(level), reason));
	growing_add(&text, "\n");
	return text.text;
}

/* Aborted: the look-up said that trying again is of no use.  Closed by an operator: meant, not to be forgotten. */
static void
verdict_closed(const struct verdict *verdict, const json_t *service, struct finding *finding)
{
	const char *span = show_span(show_age(show_since_at(service), verdict->wall));
	char *why;

	if (strcmp(show_text(service, "state"), "aborted") == 0) {
		finding->level = VERDICT_CRITICAL;
		finding->text = mem_print("aborted for %s: %s", span, show_text(service, "last_error"));
		return;
	}
	why = show_why(service);
	finding->level = VERDICT_WARNING;
	finding->text = mem_print("%s for %s", why, span);
	mem_free(why);
}

static void
verdict_paused(const struct verdict *verdict, const json_t *service, struct finding *finding)
{
	double age = show_age(show_text(service, "paused_since"), verdict->wall);
	const char *by = show_text(service, "paused_by");

	if (age <= VERDICT_PAUSE)
		return;
	finding->level = VERDICT_WARNING;
	finding->text = mem_print("paused%s%s for %s", by[0] == '\0' ? "" : " by ", by, show_span(age));
}

static void
verdict_down(const struct verdict *verdict, const json_t *service, struct finding *finding)
{
	double age = show_age(show_since_at(service), verdict->wall);
	const char *error = show_text(service, "last_error");
	long long held = show_number(service, "held");

	finding->down = age < 0 ? 0 : age;
	if (finding->down > verdict->limits->critical)
		finding->level = VERDICT_CRITICAL;
	else if (finding->down > verdict->limits->warning)
		finding->level = VERDICT_WARNING;
	else
		return;
	if (error[0] == '\0')
		error = show_text(service, "state");
	finding->text = held > 0 ? mem_print("down for %s, %lld held: %s", show_span(age), held, error)
	    : mem_print("down for %s: %s", show_span(age), error);
}

static struct finding
verdict_find(const struct verdict *verdict, const json_t *service)
{
	struct finding finding = { .level = VERDICT_OK };
	const char *state = show_state(service);

	if (strcmp(state, "CLOSED") == 0)
		verdict_closed(verdict, service, &finding);
	else if (strcmp(state, "PAUSED") == 0)
		verdict_paused(verdict, service, &finding);
	else if (strcmp(state, "UP") != 0)
		verdict_down(verdict, service, &finding);
	else if (json_is_true(json_object_get(service, "accepting_paused")) && 
	    strcmp(show_text(service, "accepting_paused_by"), "max_held") != 0) {
		finding.level = VERDICT_WARNING;
		finding.text = mem_print("accepting pauses: %s", show_pause(service));
	}
	return finding;
}

/* A line about what is not well; text is taken over. */
static void
verdict_complain(struct verdict *verdict, enum verdict_level level, char *text)
{
	struct complaints *complaints = &verdict->complaints[level];

	if (level > verdict->level)
		verdict->level = level;
	if (complaints->count++ < VERDICT_LINES) {
		growing_take(&complaints->lines, mem_print("%s: %s", verdict_name(level), text));
		growing_add(&complaints->lines, "\n");
	}
	if (complaints->first == NULL)
		complaints->first = text;
	else
		mem_free(text);
}

static void
verdict_service_perfdata(struct verdict *verdict, const json_t *service, const struct finding *finding)
{
	const char *name = show_text(service, "service");
	char *text = mem_print(" %s_down=%.3fs;%g;%g;0 %s_clients=%lld;;;0 %s_held=%lld;;;0", name, finding->down,
	    verdict->limits->warning, verdict->limits->critical, name, show_number(service, "clients"), name,
	    show_number(service, "held"));

	verdict->full = verdict->full || verdict->perfdata.length + strlen(text) > VERDICT_PERFDATA;
	if (!verdict->full)
		growing_add(&verdict->perfdata, text);
	mem_free(text);
}

static void
verdict_service(struct verdict *verdict, const json_t *service)
{
	struct finding finding = verdict_find(verdict, service);

	verdict->services++;
	verdict->up += json_is_true(json_object_get(service, "up"));
	verdict->paused += strcmp(show_state(service), "PAUSED") == 0;
	verdict->clients += show_number(service, "clients");
	verdict->held += show_number(service, "held");
	if (finding.down > verdict->down)
		verdict->down = finding.down;
	verdict_service_perfdata(verdict, service, &finding);
	if (finding.text != NULL)
		verdict_complain(verdict, finding.level,
		    mem_print("%s %s", show_text(service, "service"), finding.text));
	mem_free(finding.text);
}

/* How many are well, the first of what is worst, and how much else there is. */
static void
verdict_add_first_line(const struct verdict *verdict, struct growing *text)
{
	const char *first = verdict->complaints[verdict->level].first;
	size_t more = verdict->complaints[VERDICT_WARNING].count + verdict->complaints[VERDICT_CRITICAL].count - 1;

	growing_take(text, mem_print("HOLDFAST %s - %lld of %lld service%s up", verdict_name(verdict->level),
	    verdict->up, verdict->services, verdict->services == 1 ? "" : "s"));
	if (verdict->paused > 0)
		growing_take(text, mem_print(", %lld paused", verdict->paused));
	if (first != NULL)
		growing_take(text, mem_print("; %s", first));
	if (first != NULL && more > 0)
		growing_take(text, mem_print("; and %zu more", more));
	growing_add(text, " | ");
	growing_take(text, mem_print("services=%lld;;;0 up=%lld;;;0 down=%.3fs;%g;%g;0 clients=%lld;;;0 "
	    "held=%lld;;;0", verdict->services, verdict->up, verdict->down, verdict->limits->warning,
	    verdict->limits->critical, verdict->clients, verdict->held));
	if (verdict->perfdata.text != NULL)
		growing_add(text, verdict->perfdata.text);
	growing_add(text, "\n");
}

static char *
verdict_text(const struct verdict *verdict)
{
	struct growing text = { NULL, 0 };

	verdict_add_first_line(verdict, &text);
	for (enum verdict_level level = VERDICT_CRITICAL; level >= VERDICT_WARNING; level--) {
		const struct complaints *complaints = &verdict->complaints[level];

		if (complaints->lines.text != NULL)
			growing_add(&text, complaints->lines.text);
		if (complaints->count > VERDICT_LINES) {
			growing_take(&text, mem_print("%s: %zu more", verdict_name(level),
			    complaints->count - VERDICT_LINES));
			growing_add(&text, "\n");
		}
	}
	return text.text;
}

enum verdict_level
verdict_judge(const json_t *answer, const struct verdict_limits *limits, int64_t wall, char **ret_text)
{
	struct verdict verdict = { .limits = limits, .wall = wall };
	const char *config_error = show_text(answer, "config_error");
	json_t *service;
	size_t i;

	json_array_foreach(json_object_get(answer, "services"), i, service)
		verdict_service(&verdict, service);
	if (verdict.services == 0)
		verdict_complain(&verdict, VERDICT_WARNING, mem_copy_text("the configuration has no services"));
	if (config_error[0] != '\0')
		verdict_complain(&verdict, VERDICT_WARNING, mem_print(
		    "the configuration files are bad, the one before is in force: %s", config_error));
	*ret_text = verdict_text(&verdict);
	for (enum verdict_level level = VERDICT_OK; level <= VERDICT_CRITICAL; level++) {
		mem_free(verdict.complaints[level].first);
		mem_free(verdict.complaints[level].lines.text);
	}
	mem_free(verdict.perfdata.text);
	return verdict.level;
}

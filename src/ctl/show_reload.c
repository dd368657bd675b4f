#include <stdio.h>

#include "ctl/show.h"

static void
show_value(const json_t *difference, const char *key)
{
	if (json_is_string(json_object_get(difference, key)))
		show_print(stdout, show_text(difference, key));
	else
		fputs("nothing", stdout);
}

/* A secret that has changed looks the same before and after. */
static void
show_differences(const json_t *differences)
{
	json_t *difference;
	size_t i;

	json_array_foreach(differences, i, difference) {
		printf("  %s: ", show_text(difference, "setting"));
		show_value(difference, "from");
		if (json_equal(json_object_get(difference, "from"), json_object_get(difference, "to"))) {
			puts(" (what is not shown of it changes)");
			continue;
		}
		fputs(" -> ", stdout);
		show_value(difference, "to");
		putchar('\n');
	}
}

static void
show_added(const json_t *list)
{
	json_t *added;
	size_t i;

	json_array_foreach(list, i, added)
		printf("added %s: %s, mode %s, owner %s:%s\n", show_text(added, "service"),
		    show_text(added, "socket"), show_text(added, "mode"), show_text(added, "owner"),
		    show_text(added, "group"));
}

static void
show_changed(const json_t *list)
{
	json_t *change;
	size_t i;

	json_array_foreach(list, i, change) {
		const char *effect = show_text(change, "effect");

		printf("changed %s, %s%s%s\n", show_text(change, "service"), show_text(change, "how"),
		    *effect == '\0' ? "" : ": ", effect);
		show_differences(json_object_get(change, "settings"));
	}
}

void
show_reload(int argc, char *const *argv, const json_t *answer)
{
	const json_t *daemon = json_object_get(answer, "daemon");
	json_t *text;
	size_t i;

	(void)argc;
	(void)argv;
	json_array_foreach(json_object_get(answer, "warnings"), i, text)
		show_print_line(stderr, json_string_value(text));
	show_added(json_object_get(answer, "added"));
	show_changed(json_object_get(answer, "changes"));
	json_array_foreach(json_object_get(answer, "removed"), i, text)
		printf("removed %s: attached clients stay until they end, or its drain_timeout, if it has one, is "
		    "over\n", json_string_value(text));
	if (json_array_size(daemon) > 0)
		puts("changed for the whole daemon");
	show_differences(daemon);
	puts(json_is_true(json_object_get(answer, "dry_run")) ? "nothing was changed: this was a dry run"
	    : "the configuration is in force");
}

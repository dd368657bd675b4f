#include "daemon/reload_changes.h"

#include <string.h>

#include "base/mem.h"
#include "config/settings.h"
#include "config/write.h"

/* The value as people may see it, at most RELOAD_VALUE_MAX bytes and dots. */
static char *
changes_text(const struct setting *setting, const void *object)
{
	char *whole = config_show_value(setting, object), *text;

	if (strlen(whole) <= RELOAD_VALUE_MAX)
		return whole;
	text = mem_print("%.*s...", RELOAD_VALUE_MAX, whole);
	mem_free(whole);
	return text;
}

static void
changes_add(struct reload_change *change, const struct setting *setting, char *from, char *to)
{
	struct reload_difference *difference;

	change->differences = mem_resize(change->differences, change->count + 1, sizeof *difference);
	difference = &change->differences[change->count++];
	difference->setting = setting->name;
	difference->from = from;
	difference->to = to;
	if (setting->reload > change->how)
		change->how = setting->reload;
}

void
reload_compare_services(const struct service_settings *old, const struct service_settings *new,
    struct reload_change *ret_change)
{
	memset(ret_change, 0, sizeof *ret_change);
	ret_change->service = mem_copy_text(new->name);
	ret_change->mode = new->mode;
	for (size_t i = 0; i < settings_service.count; i++) {
		const struct setting *row = &settings_service.rows[i];
		bool before = config_is_written(row, old), after = config_is_written(row, new);

		/* address and addresses are the same field: the one that is written tells. */
		if ((before || after) && !setting_is_same(row, old, new))
			changes_add(ret_change, row, before ? changes_text(row, old) : NULL,
			    after ? changes_text(row, new) : NULL);
	}
}

void
reload_compare_top(const struct config *old, const struct config *new, struct reload_change *ret_change)
{
	memset(ret_change, 0, sizeof *ret_change);
	for (size_t i = 0; i < settings_top.count; i++) {
		const struct setting *row = &settings_top.rows[i];

		/* The text in force holds all services itself. */
		if (strcmp(row->name, "include_directory") != 0 && !setting_is_same(row, old, new))
			changes_add(ret_change, row, changes_text(row, old), changes_text(row, new));
	}
}

const char *
reload_effect(const struct reload_change *change)
{
	if (change->how != SETTING_RENEW)
		return NULL;
	if (change->mode == SERVICE_SHARED)
		return "the connection is dropped and looked up anew; requests in flight end as on_loss says";
	return "connections kept ready are dropped and looked up anew; clients keep theirs";
}

void
reload_change_clear(struct reload_change *change)
{
	for (size_t i = 0; i < change->count; i++) {
		mem_free(change->differences[i].from);
		mem_free(change->differences[i].to);
	}
	mem_free(change->differences);
	mem_free(change->service);
	memset(change, 0, sizeof *change);
}

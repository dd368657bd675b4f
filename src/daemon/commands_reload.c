/* reload: a new configuration in force, or only what that would do; and upgrade: both answered later. */
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/names.h"
#include "daemon/command.h"
#include "keep/keeper.h"

/* Settings that one answer tells of: it has its limit. */
#define RELOADING_SETTINGS 4096

struct reloading {
	struct pending pending;
	bool dry;
};

static json_t *
reloading_texts(char *const *texts)
{
	json_t *list = json_array();

	for (; texts != NULL && *texts != NULL; texts++)
		json_array_append_new(list, stats_text(*texts));
	return list;
}

/* The name or number in the settings, or the daemon's, as a name; NULL if it has none. */
static json_t *
reloading_name(enum names_kind kind, const char *set, uint32_t own)
{
	char name[NAMES_SIZE];
	uint32_t id = own;

	if (set != NULL && !names_find(kind, set, &id))
		return stats_text(set);
	return names_of(kind, id, name, sizeof name) ? stats_text(name) : json_null();
}

/* What was added, with its socket, so that a typing error in it is seen. */
static json_t *
reloading_added(const struct reload_plan *plan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->added_count; i++) {
		const struct listener_settings *listener = &plan->added[i].listener;
		char mode[16];

		snprintf(mode, sizeof mode, "%04o", (unsigned)listener->mode);
		json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:o, s:o}", "service", plan->added[i].service,
		    "socket", stats_text(listener->path), "mode", mode,
		    "owner", reloading_name(NAMES_USER, listener->owner, geteuid()),
		    "group", reloading_name(NAMES_GROUP, listener->group, getegid())));
	}
	return list;
}

/* Names of changed services, or of those alone whose upstream side restarts. */
static json_t *
reloading_changed(const struct reload_plan *plan, enum setting_reload least)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->changed_count; i++)
		if (plan->changed[i].how >= least)
			json_array_append_new(list, json_string(plan->changed[i].service));
	return list;
}

/* Which settings, from what to what; as many as *room allows. */
static json_t *
reloading_settings(const struct reload_change *change, size_t *room)
{
	json_t *list = json_array();

	for (size_t i = 0; i < change->count && *room > 0; i++, --*room)
		json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "setting", change->differences[i].setting,
		    "from", stats_text(change->differences[i].from),
		    "to", stats_text(change->differences[i].to)));
	return list;
}

static json_t *
reloading_changes(const struct reload_plan *plan, size_t *room)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->changed_count && *room > 0; i++) {
		const struct reload_change *change = &plan->changed[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o}", "service", change->service,
		    "how", change->how == SETTING_RENEW ? "renewed" : "in place",
		    "effect", stats_text(reload_effect(change)), "settings", reloading_settings(change, room)));
	}
	return list;
}

static json_t *
reloading_answer(const struct reloading *reloading, const struct command_reload_result *result)
{
	const struct reload_plan *plan = result->plan;
	size_t room = RELOADING_SETTINGS;
	json_t *daemon = reloading_settings(&plan->daemon, &room), *changes = reloading_changes(plan, &room);

	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "dry_run", reloading->dry,
	    "added", reloading_added(plan), "changed", reloading_changed(plan, SETTING_IN_PLACE),
	    "renewed", reloading_changed(plan, SETTING_RENEW), "removed", reloading_texts(plan->removed),
	    "changes", changes, "daemon", daemon, "warnings", reloading_texts(result->warnings));
}

static void
reloading_done(struct pending *pending, const void *answer)
{
	const struct reloading *reloading = (struct reloading *)pending;
	const struct command_reload_result *result = answer;
	size_t errors = mem_list_length(result->errors);

	if (errors == 0)
		control_answer(pending->request, reloading_answer(reloading, result));
	else
		control_fail(pending->request, json_pack("{s:b, s:o, s:o}", "dry_run", reloading->dry,
		    "errors", reloading_texts(result->errors), "warnings", reloading_texts(result->warnings)),
		    "%s: %s%s", reloading->dry ? "nothing would be changed" : "nothing was changed",
		    result->errors[0], errors == 1 ? "" : " (and more errors)");
}

static const struct pending_kind reloading_kind = { .size = sizeof(struct reloading), .done = reloading_done };

void
commands_reload(void *arg, struct control_request *request, int argc, char **argv)
{
	struct command_context *context = arg;
	bool dry = command_take_option(&argc, argv, "--dry-run", NULL);
	bool force = command_take_option(&argc, argv, "--force", NULL);
	struct reloading *reloading;

	if (!command_expect(request, argc, argv, 0, 0))
		return;
	reloading = pending_new(&context->pendings, &reloading_kind, request, context, NULL);
	reloading->dry = dry;
	reloading->pending.topic = dry ? COMMAND_DRY_RUN : COMMAND_RELOAD;
	context->reload(context->daemon, dry, force);
}

/* The new program was tried, and the keeper is about to execute it. */
static void
upgrading_done(struct pending *pending, const void *error)
{
	const struct command_context *context = pending->context;
	const struct table_header *header = context->table->header;

	if (error == NULL)
		control_answer(pending->request, json_pack("{s:o, s:s, s:i}", "program",
		    stats_text(header->program), "version", context->version, "upgrades", (int)header->upgrades));
	else
		control_fail(pending->request, NULL, "upgrade refused, version %s continues: %s", context->version,
		    (const char *)error);
}

static const struct pending_kind upgrading_kind = { .size = sizeof(struct pending), .done = upgrading_done };

void
commands_upgrade(void *arg, struct control_request *request, int argc, char **argv)
{
	struct command_context *context = arg;
	struct pending *pending = pending_new(&context->pendings, &upgrading_kind, request, context, NULL);

	(void)argc;
	(void)argv;
	pending->topic = COMMAND_UPGRADE;
	keeper_request(context->table, TABLE_REQUEST_UPGRADE);
}

/* reload: a new configuration in force, or only what that would do; and upgrade: both answered later, the first in
 * pieces. */
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
	struct command_reload_result *result; /* held, while it is answered; else NULL */
	size_t part, at, told;                /* which list of the answer, of what number, behind how many */
	size_t room;                          /* settings that can still be told */
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
reloading_added(struct reloading *reloading, size_t i)
{
	const struct reload_addition *addition = &reloading->result->plan.added[i];
	const struct listener_settings *listener = &addition->listener;
	char mode[16];

	snprintf(mode, sizeof mode, "%04o", (unsigned)listener->mode);
	return json_pack("{s:s, s:o, s:s, s:o, s:o}", "service", addition->service, "socket",
	    stats_text(listener->path), "mode", mode, "owner", reloading_name(NAMES_USER, listener->owner, geteuid()),
	    "group", reloading_name(NAMES_GROUP, listener->group, getegid()));
}

static json_t *
reloading_changed(struct reloading *reloading, size_t i)
{
	return json_string(reloading->result->plan.changed[i].service);
}

/* Those alone whose upstream side restarts. */
static json_t *
reloading_renewed(struct reloading *reloading, size_t i)
{
	return reloading->result->plan.changed[i].how < SETTING_RENEW ? NULL : reloading_changed(reloading, i);
}

static json_t *
reloading_removed(struct reloading *reloading, size_t i)
{
	return stats_text(reloading->result->plan.removed[i]);
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
reloading_changes(struct reloading *reloading, size_t i)
{
	const struct reload_change *change = &reloading->result->plan.changed[i];

	if (reloading->room == 0)
		return NULL;
	return json_pack("{s:s, s:s, s:o, s:o}", "service", change->service,
	    "how", change->how == SETTING_RENEW ? "renewed" : "in place",
	    "effect", stats_text(reload_effect(change)), "settings", reloading_settings(change, &reloading->room));
}

/* The lists of the answer, each with what it tells of number i of those; NULL: nothing. */
enum reloading_of { OF_ADDED, OF_CHANGED, OF_REMOVED };
static const struct {
	const char *begin;
	enum reloading_of of;
	json_t *(*tell)(struct reloading *reloading, size_t i);
} reloading_parts[] = {
	{ "\"added\":[", OF_ADDED, reloading_added },
	{ "\"changed\":[", OF_CHANGED, reloading_changed },
	{ "\"renewed\":[", OF_CHANGED, reloading_renewed },
	{ "\"removed\":[", OF_REMOVED, reloading_removed },
	{ "\"changes\":[", OF_CHANGED, reloading_changes },
};

#define RELOADING_PARTS (sizeof reloading_parts / sizeof reloading_parts[0])

static bool
reloading_work(struct pending *pending)
{
	struct reloading *reloading = (struct reloading *)pending;
	const struct reload_plan *plan = &reloading->result->plan;
	size_t counts[] = { plan->added_count, plan->changed_count, plan->removed_count };
	struct control_request *request = pending->request;
	json_t *told;

	if (reloading->part == RELOADING_PARTS) {
		control_finish(request);
		return false;
	}
	if (reloading->at == 0)
		control_put(request, reloading_parts[reloading->part].begin);
	if (reloading->at == counts[reloading_parts[reloading->part].of]) {
		control_put(request, ++reloading->part == RELOADING_PARTS ? "]" : "],");
		reloading->at = reloading->told = 0;
	} else if ((told = reloading_parts[reloading->part].tell(reloading, reloading->at++)) != NULL) {
		control_put(request, reloading->told++ == 0 ? "" : ",");
		control_put_json(request, told);
	}
	return true;
}

/* What is short is told at once, the lists in pieces. */
static void
reloading_begin_answer(struct reloading *reloading, struct command_reload_result *result)
{
	struct control_request *request = reloading->pending.request;

	result->holders++;
	reloading->result = result;
	reloading->room = RELOADING_SETTINGS;
	control_put_inside(request, json_pack("{s:b, s:o, s:o}", "dry_run", reloading->dry,
	    "daemon", reloading_settings(&result->plan.daemon, &reloading->room),
	    "warnings", reloading_texts(result->errors.warnings)));
	control_put(request, ",");
	pending_work(&reloading->pending);
}

static void
reloading_done(struct pending *pending, void *answer)
{
	struct reloading *reloading = (struct reloading *)pending;
	struct command_reload_result *result = answer;
	const struct config_errors *errors = &result->errors;

	if (errors->count == 0)
		reloading_begin_answer(reloading, result);
	else
		control_fail(pending->request, json_pack("{s:b, s:o, s:o}", "dry_run", reloading->dry,
		    "errors", reloading_texts(errors->errors), "warnings", reloading_texts(errors->warnings)),
		    "%s: %s%s", reloading->dry ? "nothing would be changed" : "nothing was changed",
		    errors->errors[0], errors->count == 1 ? "" : " (and more errors)");
}

static void
reloading_end(struct pending *pending)
{
	struct command_reload_result *result = ((struct reloading *)pending)->result;

	if (result != NULL && --result->holders == 0)
		result->free(result);
}

static const struct pending_kind reloading_kind = {
	.size = sizeof(struct reloading), .done = reloading_done, .work = reloading_work, .end = reloading_end,
};

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
upgrading_done(struct pending *pending, void *error)
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

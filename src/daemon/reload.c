#include "daemon/reload.h"

#include <string.h>

#include "base/mem.h"
#include "client/listener.h"
#include "config/settings.h"
#include "config/write.h"
#include "daemon/listen_socket.h"

/* The value as people may see it, at most RELOAD_VALUE_MAX bytes and dots. */
static char *
reload_text(const struct setting *setting, const void *object)
{
	char *whole = config_value_text(setting, object, setting_show), *text;

	if (strlen(whole) <= RELOAD_VALUE_MAX)
		return whole;
	text = mem_print("%.*s...", RELOAD_VALUE_MAX, whole);
	mem_free(whole);
	return text;
}

static void
reload_add_difference(struct reload_change *change, const struct setting *setting, char *from, char *to)
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

		/* address and addresses are the same field, as are listen.path and listen: the one that is written
		 * tells. */
		if ((before || after || row->reload == SETTING_RESTART) && !setting_is_same(row, old, new))
			reload_add_difference(ret_change, row, before ? reload_text(row, old) : NULL,
			    after ? reload_text(row, new) : NULL);
	}
}

static void
reload_compare_top(const struct config *old, const struct config *new, struct reload_change *ret_change)
{
	memset(ret_change, 0, sizeof *ret_change);
	for (size_t i = 0; i < settings_top.count; i++) {
		const struct setting *row = &settings_top.rows[i];

		/* The text in force holds all services itself. */
		if (strcmp(row->name, "include_directory") != 0 && !setting_is_same(row, old, new))
			reload_add_difference(ret_change, row, reload_text(row, old), reload_text(row, new));
	}
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

static struct service *
reload_find(struct service *const *services, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(service_name(services[i]), name) == 0)
			return services[i];
	return NULL;
}

static void
reload_check_fixed(const struct config *old, const struct config *new, struct config_errors *errors)
{
	if (strcmp(old->runtime_directory, new->runtime_directory) != 0)
		config_error(errors, "runtime_directory: cannot change from %s to %s while running; stop and start "
		    "for that", old->runtime_directory, new->runtime_directory);
	if (strcmp(old->control.listener.path, new->control.listener.path) != 0)
		config_error(errors, "control.path: cannot change from %s to %s while running; stop and start for "
		    "that", old->control.listener.path, new->control.listener.path);
}

/* What a service's clients were promised for good does not change under them. */
static void
reload_check_change(const struct reload_change *change, struct config_errors *errors)
{
	for (size_t i = 0; i < change->count; i++)
		if (settings_find(&settings_service, change->differences[i].setting)->reload == SETTING_RESTART)
			config_error(errors, "%s: %s cannot change while clients may be connected; remove the "
			    "service, reload, and add it again", change->service, change->differences[i].setting);
}

/* A line for each of its sockets. */
static void
reload_add(struct reload_plan *plan, const struct service_settings *settings)
{
	for (unsigned k = 0; k < settings->listeners.count; k++) {
		struct reload_addition *addition;

		plan->added = mem_resize(plan->added, plan->added_count + 1, sizeof *addition);
		addition = &plan->added[plan->added_count++];
		addition->service = mem_copy_text(settings->name);
		listener_settings_copy(&addition->listener, &settings->listeners.at[k]);
	}
}

/* Whether anything of it changes. */
static bool
reload_compare(const struct service *service, const struct service_settings *settings, struct reload_plan *plan)
{
	struct reload_change change;

	reload_compare_services(service_get_settings(service), settings, &change);
	if (change.how == SETTING_SAME) {
		reload_change_clear(&change);
		return false;
	}
	reload_check_change(&change, plan->errors);
	plan->changed = mem_resize(plan->changed, plan->changed_count + 1, sizeof change);
	plan->changed[plan->changed_count++] = change;
	return true;
}

void
reload_plan_begin(const struct config *old, struct config *new, bool dry, struct config_errors *errors,
    struct reload_plan *ret_plan)
{
	*ret_plan = (struct reload_plan){ .old = old, .new = new, .dry = dry, .errors = errors };
	reload_check_fixed(old, new, errors);
	reload_compare_top(old, new, &ret_plan->daemon);
	ret_plan->step_count = new->service_count;
	ret_plan->steps = mem_new(new->service_count, sizeof *ret_plan->steps);
}

void
reload_compare_step(struct reload_plan *plan, struct service *const *services, size_t count, size_t i)
{
	const struct service_settings *settings = plan->new->services[i];
	struct reload_step *step = &plan->steps[i];

	step->service = reload_find(services, count, settings->name);
	if (step->service == NULL) {
		step->what = RELOAD_ADD;
		reload_add(plan, settings);
	} else if (reload_compare(step->service, settings, plan)) {
		step->what = RELOAD_CHANGE;
	}
}

void
reload_compare_removed(struct reload_plan *plan, struct service *service)
{
	struct service_status status;

	if (config_find_service(plan->new, service_name(service)) != NULL)
		return;
	mem_list_add(&plan->removed, service_name(service));
	plan->removing = mem_resize(plan->removing, plan->removed_count + 1, sizeof(struct service *));
	plan->removing[plan->removed_count++] = service;
	service_get_status(service, &status);
	plan->lasting += status.clients > 0;
}

void
reload_check_emptiness(const struct reload_plan *plan, const char *file)
{
	size_t removed = plan->removed_count;

	if (plan->new->service_count > 0 || removed == 0)
		return;
	config_error(plan->errors, "%s: no services: the reload would remove %s%zu service%s; if that is meant: "
	    "holdfastctl reload --force", file, removed == 1 ? "" : "all ", removed, removed == 1 ? "" : "s");
}

/* Who has this socket now.  His settings may want another: see listen_socket_is_missing(). */
static struct reload_giver
reload_owner(const struct table *table, struct service *const *services, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		for (unsigned k = 0; k < service_get_settings(services[i])->listeners.count; k++)
			if (listen_socket_is_named(&table->services[service_index(services[i])].sockets[k], path))
				return (struct reload_giver){ .service = services[i], .listener = k };
	return (struct reload_giver){ .service = NULL };
}

struct table_socket *
reload_given(const struct table *table, const struct reload_giver *giver)
{
	return &table->services[service_index(giver->service)].sockets[giver->listener];
}

/* What is wrong with the socket that is there already, of the listener itself. */
static char *
reload_prepare_own(const struct reload_plan *plan, const struct listen_socket *socket,
    const struct listener_settings *listener)
{
	if (listen_socket_is_missing(socket))
		return NULL; /* its file was removed */
	return plan->dry ? listener_rehearse(listener, plan->new->runtime_directory, true) : listener_guard(listener);
}

/* What is wrong with giving listener number k of the step's service the socket of its new settings, or NULL.  A dry
 * plan only tries. */
static char *
reload_prepare_socket(const struct reload_plan *plan, struct table *table, const struct service_settings *settings,
    struct reload_giver owner, struct reload_step *step, unsigned k)
{
	const struct listener_settings *listener = &settings->listeners.at[k];
	const char *directory = plan->new->runtime_directory;
	const struct table_socket *own = step->service == NULL ? NULL :
	    &table->services[service_index(step->service)].sockets[k];

	if (own != NULL && own->activated && listen_socket_is_at(own, listener))
		return NULL;
	if (owner.service != NULL && owner.service == step->service && owner.listener == k)
		return reload_prepare_own(plan, service_sockets_at(service_get_sockets(step->service), k), listener);
	if (owner.service == NULL || listen_socket_is_activated(table, settings->name, listener))
		return plan->dry ? listen_socket_rehearse(table, settings->name, listener, directory) :
		    listen_socket_prepare(table, LISTEN_SOCKET_SERVICE, settings->name, listener, directory,
		    &step->sockets[k]);
	/* No two listeners of a configuration have the same path: its owner gives it up. */
	if (service_get_settings(owner.service)->listeners.at[0].type != listener->type)
		return mem_print("socket %s is service %s's, of another listen.type; give it away first, then reload "
		    "again", listener->path, service_name(owner.service));
	step->givers[k] = owner;
	return plan->dry ? listener_rehearse(listener, directory, true) :
	    listen_socket_prepare_passed(reload_given(table, &owner), listener, &step->sockets[k]);
}

/* Whether the service has tried to open this very socket before, and could not: whatever else a reload changes of it
 * does not wait for that. */
static bool
reload_is_shut_already(const struct service *service, const struct listener_settings *new)
{
	const struct listeners_settings *listeners;

	if (service == NULL)
		return false;
	listeners = &service_get_settings(service)->listeners;
	for (unsigned k = 0; k < listeners->count; k++) {
		const struct listener_settings *old = &listeners->at[k];

		if (listen_socket_is_missing(service_sockets_at(service_get_sockets(service), k)) &&
		    mem_text_is_same(old->path, new->path) && old->mode == new->mode &&
		    mem_text_is_same(old->owner, new->owner) && mem_text_is_same(old->group, new->group))
			return true;
	}
	return false;
}

static void
reload_prepare_listener(struct reload_plan *plan, struct table *table, const struct service_settings *settings,
    struct reload_giver owner, struct reload_step *step, unsigned k)
{
	char *wrong = reload_prepare_socket(plan, table, settings, owner, step, k);

	if (wrong != NULL && reload_is_shut_already(step->service, &settings->listeners.at[k]))
		config_warning(plan->errors, "%s: %s; it is tried again", settings->name, wrong);
	else if (wrong != NULL)
		config_error(plan->errors, "%s: %s", settings->name, wrong);
	mem_free(wrong);
}

void
reload_prepare_step(struct reload_plan *plan, struct table *table, struct service *const *services, size_t count,
    size_t i)
{
	const struct service_settings *settings = plan->new->services[i];
	struct reload_step *step = &plan->steps[i];

	if (step->what == RELOAD_SAME)
		return;
	step->count = settings->listeners.count;
	step->givers = mem_new(step->count, sizeof *step->givers);
	step->sockets = mem_new(step->count, sizeof *step->sockets);
	for (unsigned k = 0; k < step->count; k++)
		reload_prepare_listener(plan, table, settings,
		    reload_owner(table, services, count, settings->listeners.at[k].path), step, k);
}

void
reload_step_close(struct reload_step *step)
{
	for (unsigned k = 0; k < step->count; k++)
		prepared_socket_close(&step->sockets[k]);
	mem_free(step->sockets);
	mem_free(step->givers);
	step->sockets = NULL;
	step->givers = NULL;
	step->count = 0;
}

void
reload_plan_clear(struct reload_plan *plan)
{
	for (size_t i = 0; i < plan->added_count; i++) {
		mem_free(plan->added[i].service);
		listener_settings_clear(&plan->added[i].listener);
	}
	for (size_t i = 0; i < plan->changed_count; i++)
		reload_change_clear(&plan->changed[i]);
	for (size_t i = 0; i < plan->step_count; i++)
		reload_step_close(&plan->steps[i]);
	reload_change_clear(&plan->daemon);
	mem_free(plan->added);
	mem_free(plan->changed);
	mem_list_free(plan->removed);
	mem_free(plan->removing);
	mem_free(plan->steps);
	memset(plan, 0, sizeof *plan);
}

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

		/* address and addresses are the same field: the one that is written tells. */
		if ((before || after) && !setting_is_same(row, old, new))
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

static void
reload_add(struct reload_plan *plan, const struct service_settings *settings)
{
	struct reload_addition *addition;

	plan->added = mem_resize(plan->added, plan->added_count + 1, sizeof *addition);
	addition = &plan->added[plan->added_count++];
	addition->service = mem_copy_text(settings->name);
	addition->listener = settings->listener;
	addition->listener.path = mem_copy_text(settings->listener.path);
	addition->listener.owner = settings->listener.owner == NULL ? NULL : mem_copy_text(settings->listener.owner);
	addition->listener.group = settings->listener.group == NULL ? NULL : mem_copy_text(settings->listener.group);
}

/* Whether anything of it changes. */
static bool
reload_compare(const struct service *service, const struct service_settings *settings, struct reload_plan *plan,
    struct config_errors *errors)
{
	struct reload_change change;

	reload_compare_services(service_get_settings(service), settings, &change);
	if (change.how == SETTING_SAME) {
		reload_change_clear(&change);
		return false;
	}
	reload_check_change(&change, errors);
	plan->changed = mem_resize(plan->changed, plan->changed_count + 1, sizeof change);
	plan->changed[plan->changed_count++] = change;
	return true;
}

void
reload_make_plan(struct service *const *services, size_t count, const struct config *old, const struct config *new,
    struct reload_plan *ret_plan, struct config_errors *errors)
{
	memset(ret_plan, 0, sizeof *ret_plan);
	reload_check_fixed(old, new, errors);
	reload_compare_top(old, new, &ret_plan->daemon);
	ret_plan->step_count = new->service_count;
	ret_plan->steps = mem_new(new->service_count, sizeof *ret_plan->steps);
	for (size_t i = 0; i < new->service_count; i++) {
		struct reload_step *step = &ret_plan->steps[i];

		step->service = reload_find(services, count, new->services[i]->name);
		if (step->service == NULL) {
			step->what = RELOAD_ADD;
			reload_add(ret_plan, new->services[i]);
		} else if (reload_compare(step->service, new->services[i], ret_plan, errors)) {
			step->what = RELOAD_CHANGE;
		}
	}
	for (size_t i = 0; i < count; i++)
		if (config_find_service(new, service_name(services[i])) == NULL)
			mem_list_add(&ret_plan->removed, service_name(services[i]));
}

void
reload_check_emptiness(const struct reload_plan *plan, const struct config *new, const char *file,
    struct config_errors *errors)
{
	size_t removed = mem_list_length(plan->removed);

	if (new->service_count > 0 || removed == 0)
		return;
	config_error(errors, "%s: no services: the reload would remove %s%zu service%s; if that is meant: "
	    "holdfastctl reload --force", file, removed == 1 ? "" : "all ", removed, removed == 1 ? "" : "s");
}

/* The service that has this socket now, or NULL.  Its settings may want another: see listen_socket_is_missing(). */
static const struct service *
reload_owner(const struct table *table, struct service *const *services, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (listen_socket_is_named(&table->services[service_index(services[i])].socket, path))
			return services[i];
	return NULL;
}

/* What is wrong with giving the service the socket of its new settings, or NULL.  Without ret_prepared it is only
 * tried. */
static char *
reload_prepare_socket(struct table *table, struct service *const *services, size_t count, const struct config *new,
    const struct service *self, const struct service_settings *settings, struct prepared_socket *ret_prepared)
{
	const struct listener_settings *listener = &settings->listener;
	const struct service *owner = reload_owner(table, services, count, listener->path);

	if (self != NULL && table->services[service_index(self)].socket.activated)
		return NULL;
	if (owner != NULL && owner == self && listen_socket_is_missing(service_listen_socket(self)))
		return NULL; /* its file was removed */
	if (owner != NULL && owner == self)
		return ret_prepared == NULL ? listener_rehearse(listener, new->runtime_directory, true) :
		    listener_guard(listener);
	if (owner == NULL || listen_socket_is_activated(table, settings->name))
		return ret_prepared == NULL ?
		    listen_socket_rehearse(table, settings->name, listener, new->runtime_directory) :
		    listen_socket_prepare(table, LISTEN_SOCKET_SERVICE, settings->name, listener,
		    new->runtime_directory, ret_prepared);
	/* No two services of a configuration have the same path: its owner gives it up. */
	if (service_get_settings(owner)->listener.type != listener->type)
		return mem_print("socket %s is service %s's, of another listen.type; give it away first, then reload "
		    "again", listener->path, service_name(owner));
	return ret_prepared == NULL ? listener_rehearse(listener, new->runtime_directory, true) :
	    listen_socket_prepare_passed(&table->services[service_index(owner)].socket, listener, ret_prepared);
}

static bool
reload_is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Whether the service has tried to open this very socket before, and could not: whatever else a reload changes of it
 * does not wait for that. */
static bool
reload_is_shut_already(const struct service *service, const struct service_settings *settings)
{
	const struct listener_settings *old, *new = &settings->listener;

	if (service == NULL || !listen_socket_is_missing(service_listen_socket(service)))
		return false;
	old = &service_get_settings(service)->listener;
	return strcmp(old->path, new->path) == 0 && old->mode == new->mode &&
	    reload_is_same(old->owner, new->owner) && reload_is_same(old->group, new->group);
}

void
reload_prepare(struct table *table, struct service *const *services, size_t count, const struct config *new,
    bool dry, struct reload_plan *plan, struct config_errors *errors)
{
	char *wrong;

	for (size_t i = 0; i < plan->step_count; i++) {
		const struct service_settings *settings = new->services[i];
		struct reload_step *step = &plan->steps[i];

		if (step->what == RELOAD_SAME)
			continue;
		wrong = reload_prepare_socket(table, services, count, new, step->service, settings,
		    dry ? NULL : &step->socket);
		if (wrong != NULL && reload_is_shut_already(step->service, settings))
			config_warning(errors, "%s: %s; it is tried again", settings->name, wrong);
		else if (wrong != NULL)
			config_error(errors, "%s: %s", settings->name, wrong);
		mem_free(wrong);
	}
}

bool
reload_removes(const struct reload_plan *plan, const char *name)
{
	for (char *const *removed = plan->removed; removed != NULL && *removed != NULL; removed++)
		if (strcmp(*removed, name) == 0)
			return true;
	return false;
}

void
reload_plan_clear(struct reload_plan *plan)
{
	for (size_t i = 0; i < plan->added_count; i++) {
		mem_free(plan->added[i].service);
		mem_free(plan->added[i].listener.path);
		mem_free(plan->added[i].listener.owner);
		mem_free(plan->added[i].listener.group);
	}
	for (size_t i = 0; i < plan->changed_count; i++)
		reload_change_clear(&plan->changed[i]);
	for (size_t i = 0; i < plan->step_count; i++)
		prepared_socket_close(&plan->steps[i].socket);
	reload_change_clear(&plan->daemon);
	mem_free(plan->added);
	mem_free(plan->changed);
	mem_list_free(plan->removed);
	mem_free(plan->steps);
	memset(plan, 0, sizeof *plan);
}

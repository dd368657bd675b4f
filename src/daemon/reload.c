#include "daemon/reload.h"

#include <string.h>

#include "base/mem.h"
#include "client/listener.h"
#include "config/settings.h"
#include "daemon/listen_socket.h"

static const struct service *
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

static void
reload_compare(const struct service *service, const struct service_settings *settings, struct reload_plan *plan,
    struct config_errors *errors)
{
	struct reload_change change;

	reload_compare_services(service_get_settings(service), settings, &change);
	if (change.how == SETTING_SAME) {
		reload_change_clear(&change);
		return;
	}
	reload_check_change(&change, errors);
	plan->changed = mem_resize(plan->changed, plan->changed_count + 1, sizeof change);
	plan->changed[plan->changed_count++] = change;
}

void
reload_make_plan(struct service *const *services, size_t count, const struct config *old, const struct config *new,
    struct reload_plan *ret_plan, struct config_errors *errors)
{
	memset(ret_plan, 0, sizeof *ret_plan);
	reload_check_fixed(old, new, errors);
	reload_compare_top(old, new, &ret_plan->daemon);
	for (size_t i = 0; i < new->service_count; i++) {
		const struct service *service = reload_find(services, count, new->services[i]->name);

		if (service == NULL)
			reload_add(ret_plan, new->services[i]);
		else
			reload_compare(service, new->services[i], ret_plan, errors);
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
		if (listen_socket_is_named(&table->services[service_index(services[i])], path))
			return services[i];
	return NULL;
}

/* What is wrong with giving the service the socket of its new settings, or NULL.  Without ret_prepared it is only
 * tried. */
static char *
reload_prepare_socket(struct table *table, struct service *const *services, size_t count, const struct config *new,
    const struct service_settings *settings, struct prepared_socket *ret_prepared)
{
	const struct listener_settings *listener = &settings->listener;
	const struct service *self = reload_find(services, count, settings->name);
	const struct service *owner = reload_owner(table, services, count, listener->path);

	if (self != NULL && table->services[service_index(self)].activated)
		return NULL;
	if (owner != NULL && owner == self && listen_socket_is_missing(service_listen_socket(self)))
		return NULL; /* its file was removed */
	if (owner != NULL && owner == self)
		return ret_prepared == NULL ? listener_rehearse(listener, new->runtime_directory, true) :
		    listener_guard(listener);
	if (owner == NULL || listen_socket_is_activated(table, settings->name))
		return ret_prepared == NULL ?
		    listen_socket_rehearse(table, settings->name, listener, new->runtime_directory) :
		    listen_socket_prepare(table, settings->name, listener, new->runtime_directory, ret_prepared);
	/* No two services of a configuration have the same path: its owner gives it up. */
	if (service_get_settings(owner)->listener.type != listener->type)
		return mem_print("socket %s is service %s's, of another listen.type; give it away first, then reload "
		    "again", listener->path, service_name(owner));
	return ret_prepared == NULL ? listener_rehearse(listener, new->runtime_directory, true) :
	    listen_socket_prepare_passed(&table->services[service_index(owner)], listener, ret_prepared);
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

	plan->socket_count = dry ? 0 : new->service_count;
	plan->sockets = mem_new(plan->socket_count, sizeof *plan->sockets);
	for (size_t i = 0; i < new->service_count; i++) {
		const struct service_settings *settings = new->services[i];

		if (!reload_adds(plan, settings->name) && !reload_changes(plan, settings->name))
			continue;
		wrong = reload_prepare_socket(table, services, count, new, settings, dry ? NULL : &plan->sockets[i]);
		if (wrong != NULL && reload_is_shut_already(reload_find(services, count, settings->name), settings))
			config_warning(errors, "%s: %s; it is tried again", settings->name, wrong);
		else if (wrong != NULL)
			config_error(errors, "%s: %s", settings->name, wrong);
		mem_free(wrong);
	}
}

bool
reload_adds(const struct reload_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->added_count; i++)
		if (strcmp(plan->added[i].service, name) == 0)
			return true;
	return false;
}

bool
reload_changes(const struct reload_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->changed_count; i++)
		if (strcmp(plan->changed[i].service, name) == 0)
			return true;
	return false;
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
	for (size_t i = 0; i < plan->socket_count; i++)
		prepared_socket_close(&plan->sockets[i]);
	reload_change_clear(&plan->daemon);
	mem_free(plan->added);
	mem_free(plan->changed);
	mem_list_free(plan->removed);
	mem_free(plan->sockets);
	memset(plan, 0, sizeof *plan);
}

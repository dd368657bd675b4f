#include "daemon/reload.h"

#include <string.h>

#include "base/mem.h"
#include "client/listener.h"
#include "daemon/setting_types.h"

static const struct service *
reload_find(struct service *const *services, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(service_name(services[i]), name) == 0)
			return services[i];
	return NULL;
}

static bool
reload_is_same(const struct service_settings *a, const struct service_settings *b)
{
	char *text_a = config_dump_settings(a), *text_b = config_dump_settings(b);
	bool same = strcmp(text_a, text_b) == 0;

	mem_free(text_a);
	mem_free(text_b);
	return same;
}

static void
reload_check_fixed(const struct config *old, const struct config *new, struct config_errors *errors)
{
	if (strcmp(old->runtime_directory, new->runtime_directory) != 0)
		config_error(errors, "runtime_directory: cannot change from %s to %s while running; stop and start for that",
		    old->runtime_directory, new->runtime_directory);
	if (strcmp(old->control.listener.path, new->control.listener.path) != 0)
		config_error(errors, "control.path: cannot change from %s to %s while running; stop and start for that",
		    old->control.listener.path, new->control.listener.path);
}

/* What a service's clients were promised for good does not change under them. */
static void
reload_change(const struct service_settings *old, const struct service_settings *new, struct reload_plan *plan,
    struct config_errors *errors)
{
	for (size_t i = 0; i < settings_service.count; i++) {
		const struct setting *setting = &settings_service.rows[i];

		if (setting->reload == SETTING_RESTART && !setting_is_same(setting, old, new))
			config_error(errors, "%s: %s cannot change while clients may be connected; remove the "
			    "service, reload, and add it again", new->name, setting->name);
	}
	mem_list_add(&plan->changed, new->name);
}

void
reload_make_plan(struct service *const *services, size_t count, const struct config *old, const struct config *new,
    struct reload_plan *ret_plan, struct config_errors *errors)
{
	memset(ret_plan, 0, sizeof *ret_plan);
	reload_check_fixed(old, new, errors);
	for (size_t i = 0; i < new->service_count; i++) {
		const struct service_settings *settings = new->services[i];
		const struct service *service = reload_find(services, count, settings->name);

		if (service == NULL)
			mem_list_add(&ret_plan->added, settings->name);
		else if (!reload_is_same(service_get_settings(service), settings))
			reload_change(service_get_settings(service), settings, ret_plan, errors);
	}
	for (size_t i = 0; i < count; i++)
		if (config_find_service(new, service_name(services[i])) == NULL)
			mem_list_add(&ret_plan->removed, service_name(services[i]));
}

/* The service that has this socket now, or NULL. */
static const struct service *
reload_owner(struct service *const *services, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(service_get_settings(services[i])->listener.path, path) == 0)
			return services[i];
	return NULL;
}

/* What is wrong with giving the service the socket of its new settings, or NULL. */
static char *
reload_prepare_door(struct table *table, struct service *const *services, size_t count, const struct config *new,
    const struct service_settings *settings, struct door *ret_door)
{
	const struct service *owner = reload_owner(services, count, settings->listener.path);

	if (owner == NULL)
		return door_prepare(table, settings->name, &settings->listener, new->runtime_directory, ret_door);
	if (strcmp(service_name(owner), settings->name) == 0)
		return service_has_given_door(owner) ? NULL : listener_guard(&settings->listener);
	return mem_print("socket %s is service %s's until a reload has taken it away; give it away first, then reload "
	    "again", settings->listener.path, service_name(owner));
}

void
reload_prepare(struct table *table, struct service *const *services, size_t count, const struct config *new,
    struct reload_plan *plan, struct config_errors *errors)
{
	char *wrong;

	plan->door_count = new->service_count;
	plan->doors = mem_new(plan->door_count, sizeof *plan->doors);
	for (size_t i = 0; i < new->service_count; i++) {
		const struct service_settings *settings = new->services[i];

		if (!reload_names(plan->added, settings->name) && !reload_names(plan->changed, settings->name))
			continue;
		wrong = reload_prepare_door(table, services, count, new, settings, &plan->doors[i]);
		if (wrong != NULL)
			config_error(errors, "%s: %s", settings->name, wrong);
		mem_free(wrong);
	}
}

bool
reload_names(char *const *list, const char *name)
{
	for (; list != NULL && *list != NULL; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

void
reload_plan_clear(struct reload_plan *plan)
{
	mem_list_free(plan->added);
	mem_list_free(plan->changed);
	mem_list_free(plan->removed);
	for (size_t i = 0; i < plan->door_count; i++)
		door_close(&plan->doors[i]);
	mem_free(plan->doors);
	memset(plan, 0, sizeof *plan);
}

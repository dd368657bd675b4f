#include "daemon/reload.h"

#include <string.h>

#include "base/mem.h"
#include "client/listener.h"

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

/* Whether one of our services, or our control socket, stands at the path now. */
static bool
reload_is_ours(struct service *const *services, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(service_get_settings(services[i])->listener.path, path) == 0)
			return true;
	return false;
}

static void
reload_check_socket(struct service *const *services, size_t count, const struct service_settings *settings,
    struct config_errors *errors)
{
	char *wrong;

	if (reload_is_ours(services, count, settings->listener.path))
		return;
	wrong = listener_check(&settings->listener);
	if (wrong != NULL)
		config_error(errors, "%s: %s", settings->name, wrong);
	mem_free(wrong);
}

static void
reload_check_fixed(const struct config *old, const struct config *new, struct config_errors *errors)
{
	if (strcmp(old->runtime_directory, new->runtime_directory) != 0)
		config_error(errors, "runtime_directory: cannot change from %s to %s while running; restart for that",
		    old->runtime_directory, new->runtime_directory);
	if (strcmp(old->control.listener.path, new->control.listener.path) != 0)
		config_error(errors, "control.path: cannot change from %s to %s while running; restart for that",
		    old->control.listener.path, new->control.listener.path);
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
			mem_list_add(&ret_plan->changed, settings->name);
		else
			continue;
		reload_check_socket(services, count, settings, errors);
	}
	for (size_t i = 0; i < count; i++)
		if (config_find_service(new, service_name(services[i])) == NULL)
			mem_list_add(&ret_plan->removed, service_name(services[i]));
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
	memset(plan, 0, sizeof *plan);
}

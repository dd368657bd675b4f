#include "daemon/services.h"
#include "daemon/service_sockets.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "keep/crash.h"
#include "keep/recover.h"

struct services {
	struct event_base *loop;   /* borrowed */
	struct table *table;       /* borrowed */
	struct service **services; /* owned; in force */
	size_t count;
	size_t started;            /* of the configuration with which it starts */
	struct service **removed;  /* owned; their clients end */
	size_t removed_count;
	const struct upstream_watcher *watcher; /* borrowed */
	void (*drained)(void *arg);
	void *arg;
};

static void
services_add(struct service ***list, size_t *count, struct service *service)
{
	*list = mem_resize(*list, *count + 1, sizeof **list);
	(*list)[(*count)++] = service;
}

static void
services_on_gone(void *arg, struct service *service)
{
	struct services *services = arg;

	for (size_t i = 0; i < services->removed_count; i++)
		if (services->removed[i] == service)
			services->removed[i] = services->removed[--services->removed_count];
	service_free(service);
	services->drained(services->arg);
}

struct services *
services_new(struct event_base *loop, struct table *table, const struct upstream_watcher *watcher,
    void (*drained)(void *arg), void *arg)
{
	struct services *services = mem_new(1, sizeof *services);

	services->loop = loop;
	services->table = table;
	services->watcher = watcher;
	services->drained = drained;
	services->arg = arg;
	return services;
}

void
services_free(struct services *services)
{
	if (services == NULL)
		return;
	for (size_t i = 0; i < services->count; i++)
		service_free(services->services[i]);
	for (size_t i = 0; i < services->removed_count; i++)
		service_free(services->removed[i]);
	mem_free(services->services);
	mem_free(services->removed);
	mem_free(services);
}

/* Services that the table still has and the configuration has no more, or that were being removed. */
static void
services_resume_removed(struct services *services, const struct config *config)
{
	uint32_t used = table_services_used(services->table);

	for (uint16_t i = 0; i < used; i++) {
		const struct table_service *record = &services->table->services[i];
		enum table_state state = TABLE_STATE(record->word);

		if (state == TABLE_CLOSING ||
		    (state == TABLE_LIVE && config_find_service(config, record->name) == NULL))
			services_add(&services->removed, &services->removed_count,
			    service_resume_removed(services->loop, services->table, i, services_on_gone,
			    services));
	}
}

/* Which of the listeners this socket is; TABLE_LISTENERS: none. */
static unsigned
services_find_listener(const struct listeners_settings *listeners, const struct table_socket *socket)
{
	for (unsigned k = 0; k < listeners->count; k++)
		if (listen_socket_is_named(socket, listeners->at[k].path))
			return k;
	return TABLE_LISTENERS;
}

/* Whether socket number at of the record's is another listener's in this configuration. */
static bool
services_must_give(const struct services *services, const struct table_service *record, unsigned at,
    const struct config *config)
{
	for (size_t i = 0; i < config->service_count; i++) {
		const struct service_settings *settings = config->services[i];
		unsigned k = services_find_listener(&settings->listeners, &record->sockets[at]);

		if (k < TABLE_LISTENERS)
			return !listen_socket_is_activated(services->table, settings->name,
			    &settings->listeners.at[k]) && (k != at || TABLE_STATE(record->word) != TABLE_LIVE ||
			    strcmp(settings->name, record->name) != 0);
	}
	return false;
}

static void
services_give_again_of(struct services *services, struct table_service *record, const struct config *config)
{
	for (unsigned k = 0; k < TABLE_LISTENERS; k++) {
		int fd = record->sockets[k].fd;

		if (fd == -1 || !services_must_give(services, record, k, config))
			continue;
		record->sockets[k].fd = -1;
		CRASH_POINT(LISTENER_GIVEN);
		recover_add_stray(services->table, fd);
	}
}

/* A worker may have died with a new configuration in force whose sockets were not all given to their new services:
 * that comes first again, before anything finds them in use or closes them. */
static void
services_give_again(struct services *services, const struct config *config)
{
	uint32_t used = table_services_used(services->table);

	for (uint32_t i = 0; i < used; i++)
		if (TABLE_STATE(services->table->services[i].word) != TABLE_FREE)
			services_give_again_of(services, &services->table->services[i], config);
}

static void
services_drop_settings(struct service_settings *settings)
{
	settings_clear(&settings_service, settings);
	mem_free(settings);
}

/* Starts or resumes service number i of the configuration; logs what is wrong. */
static void
services_start_service(struct services *services, struct config *config, size_t i, struct prepared_socket *prepared)
{
	struct service_settings *settings = config_take_service(config, i);
	struct service *service;
	char *wrong = service_new(services->loop, services->table, config->runtime_directory, settings, prepared,
	    config->log.clients, services->watcher, services_on_gone, services, &service);

	if (wrong == NULL) {
		services_add(&services->services, &services->count, service);
		return;
	}
	log_error(settings->name, "%s; the service is not started", wrong);
	mem_free(wrong);
	services_drop_settings(settings);
}

void
services_resume(struct services *services, const struct config *config)
{
	services_give_again(services, config);
	services_resume_removed(services, config);
}

bool
services_start_bit(struct services *services, struct config *config)
{
	if (services->started == config->service_count)
		return false;
	services_start_service(services, config, services->started++, NULL);
	table_beat(services->table);
	return true;
}

/* One thing that is done with a service of number i, of those in force or those of the new configuration; false:
 * there is none. */
typedef bool services_stage(struct services *services, struct reload_plan *plan, size_t i);

/* Does one bit of these stages, which end with NULL. */
static bool
services_work(struct services *services, struct reload_plan *plan, services_stage *const *stages)
{
	while (stages[plan->stage] != NULL && !stages[plan->stage](services, plan, plan->at++)) {
		plan->stage++;
		plan->at = 0;
	}
	if (stages[plan->stage] != NULL)
		return true;
	plan->stage = 0;
	return false;
}

static bool
services_compare(struct services *services, struct reload_plan *plan, size_t i)
{
	if (i == plan->step_count)
		return false;
	reload_compare_step(plan, services->services, services->count, i);
	if (!plan->dry && plan->steps[i].service != NULL) /* somebody may have removed it just before */
		service_sockets_look_after(service_get_sockets(plan->steps[i].service));
	return true;
}

/* A removed service keeps its record while it has clients. */
static void
services_check_room(const struct services *services, struct reload_plan *plan)
{
	size_t removed = services->removed_count + plan->lasting, count = plan->new->service_count;

	if (count + removed > services->table->shape.services)
		config_error(plan->errors, "%zu services, and %zu removed ones whose clients have not ended, are "
		    "more than %u", count, removed, services->table->shape.services);
	plan->fits = plan->errors->count == 0;
}

static bool
services_compare_removed(struct services *services, struct reload_plan *plan, size_t i)
{
	if (i < services->count)
		reload_compare_removed(plan, services->services[i]);
	else
		services_check_room(services, plan);
	return i < services->count;
}

static bool
services_prepare(struct services *services, struct reload_plan *plan, size_t i)
{
	if (!plan->fits || i == plan->step_count)
		return false;
	reload_prepare_step(plan, services->table, services->services, services->count, i);
	return true;
}

bool
services_plan_bit(struct services *services, struct reload_plan *plan)
{
	static services_stage *const stages[] = {
		services_compare, services_compare_removed, services_prepare, NULL
	};

	return services_work(services, plan, stages);
}

/* Sockets that go from one service to another are given away first, and never closed.  A worker that dies now leaves
 * them open, for the next to find.  The giver may have made its socket again since it was prepared. */
static bool
services_give_socket(struct services *services, struct reload_plan *plan, size_t i)
{
	struct reload_step *step;

	if (i == plan->step_count)
		return false;
	step = &plan->steps[i];
	for (unsigned k = 0; k < step->count; k++) {
		const struct reload_giver *giver = &step->givers[k];

		if (!step->sockets[k].passed)
			continue;
		mem_free(listen_socket_prepare_passed(reload_given(services->table, giver),
		    &plan->new->services[i]->listeners.at[k], &step->sockets[k]));
		listen_socket_give(service_sockets_at(service_get_sockets(giver->service), giver->listener));
	}
	return true;
}

static bool
services_remove(struct services *services, struct reload_plan *plan, size_t i)
{
	struct service *service;
	size_t at = 0;

	if (i == plan->removed_count)
		return false;
	service = plan->removing[i];
	while (services->services[at] != service)
		at++;
	services->count--;
	memmove(services->services + at, services->services + at + 1, (services->count - at) * sizeof service);
	if (service_remove(service))
		service_free(service);
	else
		services_add(&services->removed, &services->removed_count, service);
	return true;
}

static bool
services_apply(struct services *services, struct reload_plan *plan, size_t i)
{
	struct config *new = plan->new;
	struct reload_step *step;

	if (i == plan->step_count)
		return false;
	step = &plan->steps[i];
	table_beat(services->table);
	if (step->what == RELOAD_CHANGE) {
		service_renew(step->service, config_take_service(new, i), step->sockets, new->log.clients);
	} else if (step->what == RELOAD_ADD) {
		services_start_service(services, new, i, step->sockets);
	} else {
		services_drop_settings(config_take_service(new, i));
		service_log_clients(step->service, new->log.clients);
		service_sockets_retry(service_get_sockets(step->service));
	}
	return true;
}

bool
services_apply_bit(struct services *services, struct reload_plan *plan)
{
	static services_stage *const stages[] = { services_give_socket, services_remove, services_apply, NULL };

	CRASH_POINT(RELOAD_APPLYING);
	return services_work(services, plan, stages);
}

static bool
services_close_prepared(struct services *services, struct reload_plan *plan, size_t i)
{
	(void)services;
	if (i == plan->step_count)
		return false;
	reload_step_close(&plan->steps[i]);
	services_drop_settings(config_take_service(plan->new, i));
	return true;
}

static bool
services_guard(struct services *services, struct reload_plan *plan, size_t i)
{
	struct service *service;

	if (plan->dry || i == services->count)
		return false;
	service = services->services[i];
	for (unsigned k = 0; k < service_get_settings(service)->listeners.count; k++)
		if (!services->table->services[service_index(service)].sockets[k].activated &&
		    !listen_socket_is_missing(service_sockets_at(service_get_sockets(service), k)))
			mem_free(listener_guard(&service_get_settings(service)->listeners.at[k]));
	return true;
}

bool
services_undo_bit(struct services *services, struct reload_plan *plan)
{
	static services_stage *const stages[] = { services_close_prepared, services_guard, NULL };

	return services_work(services, plan, stages);
}

void
services_stop(struct services *services, bool all)
{
	for (size_t i = 0; i < services->count; i++)
		service_stop(services->services[i], all);
	for (size_t i = 0; i < services->removed_count; i++)
		service_stop(services->removed[i], all);
}

struct service *
services_at(const struct services *services, size_t index)
{
	return index < services->count ? services->services[index] : NULL;
}

struct service *
services_at_all(const struct services *services, size_t index)
{
	if (index < services->count)
		return services->services[index];
	index -= services->count;
	return index < services->removed_count ? services->removed[index] : NULL;
}

struct service *
services_find(const struct services *services, const char *name)
{
	for (size_t i = 0; i < services->count; i++)
		if (strcmp(service_name(services->services[i]), name) == 0)
			return services->services[i];
	return NULL;
}

/* The listener that takes this socket of systemd's, or NULL. */
static const struct listener_settings *
services_find_taker(const struct services *services, const struct table_activated *activated)
{
	for (size_t i = 0; i < services->count; i++) {
		const struct service_settings *settings = service_get_settings(services->services[i]);

		for (unsigned k = 0; k < settings->listeners.count; k++)
			if (listen_socket_is_passed(settings->name, &settings->listeners.at[k], activated))
				return &settings->listeners.at[k];
	}
	return NULL;
}

/* Whether an earlier socket was handed over for this listener. */
static bool
services_is_second(const struct services *services, const struct listener_settings *taker, uint32_t i)
{
	const struct table_header *header = services->table->header;

	for (uint32_t k = 0; k < i; k++)
		if (header->activated[k].fd != -1 &&
		    services_find_taker(services, &header->activated[k]) == taker)
			return true;
	return false;
}

void
services_refuse_passed_fds(struct services *services)
{
	struct table_header *header = services->table->header;

	for (uint32_t i = 0; i < header->activated_count; i++) {
		const char *name = header->activated[i].name;
		const struct listener_settings *taker = services_find_taker(services, &header->activated[i]);
		int fd = header->activated[i].fd;

		if (fd == -1 || (taker != NULL && !services_is_second(services, taker, i)))
			continue;
		snprintf(header->passed_fds_error, sizeof header->passed_fds_error, taker != NULL ?
		    "a second socket handed over under the name \"%.64s\" is closed" :
		    "a socket handed over under the name \"%.64s\" (FileDescriptorName=), which no service has, "
		    "is closed", name);
		log_error(NULL, "%s", header->passed_fds_error);
		header->activated[i].fd = -1;
		close(fd);
	}
}

void
services_get_sum(const struct services *services, struct services_sum *ret_sum)
{
	struct service_status status;

	*ret_sum = (struct services_sum){ .services = services->count };
	for (size_t i = 0; i < services->count; i++) {
		service_get_status(services->services[i], &status);
		ret_sum->up += status.upstream.up;
		ret_sum->clients += status.clients;
		ret_sum->lingering += status.lingering;
		ret_sum->held += status.held;
		if (status.shut && ret_sum->shut++ == 0) {
			ret_sum->shut_service = service_name(services->services[i]);
			ret_sum->shut_error = status.socket_error;
		}
	}
	for (size_t i = 0; i < services->removed_count; i++) {
		service_get_status(services->removed[i], &status);
		ret_sum->clients += status.clients;
		ret_sum->lingering += status.lingering;
	}
}

void
services_dump(const struct services *services)
{
	struct service_status status;

	for (size_t i = 0; i < services->count; i++) {
		service_get_status(services->services[i], &status);
		log_notice(service_name(services->services[i]),
		    "state=%s paused=%s failing=%s address=%s clients=%u held=%u attempts=%llu connects=%llu "
		    "failures=%u last_error=\"%s\"",
		    upstream_state_name(status.upstream.state), status.record->pause.value != 0 ? "yes" : "no",
		    status.record->failing.value != 0 ? "yes" : "no", status.upstream.address, status.clients,
		    status.held, (unsigned long long)status.upstream.counters.attempts,
		    (unsigned long long)status.upstream.counters.connects,
		    status.upstream.failures, status.upstream.last_error);
	}
}

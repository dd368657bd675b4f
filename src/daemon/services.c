#include "daemon/services.h"
#include "daemon/listen_socket.h"

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

/* Whether the record's socket is another service's in this configuration. */
static bool
services_must_give(const struct services *services, const struct table_service *record, const struct config *config)
{
	for (size_t i = 0; i < config->service_count; i++) {
		const struct service_settings *settings = config->services[i];

		if (listen_socket_is_named(&record->socket, settings->listener.path))
			return !listen_socket_is_activated(services->table, settings->name) &&
			    (TABLE_STATE(record->word) != TABLE_LIVE || strcmp(settings->name, record->name) != 0);
	}
	return false;
}

/* A worker may have died with a new configuration in force whose sockets were not all given to their new services:
 * that comes first again, before anything finds them in use or closes them. */
static void
services_give_again(struct services *services, const struct config *config)
{
	uint32_t used = table_services_used(services->table);

	for (uint32_t i = 0; i < used; i++) {
		struct table_service *record = &services->table->services[i];
		int fd = record->socket.fd;

		if (TABLE_STATE(record->word) == TABLE_FREE || !services_must_give(services, record, config))
			continue;
		record->socket.fd = -1;
		CRASH_POINT(LISTENER_GIVEN);
		recover_add_stray(services->table, fd);
	}
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
	settings_clear(&settings_service, settings);
	mem_free(settings);
}

void
services_start(struct services *services, struct config *config)
{
	services_give_again(services, config);
	services_resume_removed(services, config);
	for (size_t i = 0; i < config->service_count; i++) {
		services_start_service(services, config, i, NULL);
		table_beat(services->table);
	}
}

/* A removed service keeps its record while it has clients. */
static void
services_check_room(const struct services *services, const struct config *new, const struct reload_plan *plan,
    struct config_errors *errors)
{
	struct service_status status;
	size_t removed = services->removed_count;

	for (size_t i = 0; i < services->count; i++) {
		service_get_status(services->services[i], &status);
		removed += status.clients > 0 && reload_removes(plan, service_name(services->services[i]));
	}
	if (new->service_count + removed > services->table->header->shape.services)
		config_error(errors, "%zu services, and %zu removed ones whose clients have not ended, are more "
		    "than %u", new->service_count, removed, services->table->header->shape.services);
}

void
services_plan(const struct services *services, const struct config *old, const struct config *new, bool dry,
    struct reload_plan *ret_plan, struct config_errors *errors)
{
	reload_make_plan(services->services, services->count, old, new, ret_plan, errors);
	services_check_room(services, new, ret_plan, errors);
	if (errors->count == 0)
		reload_prepare(services->table, services->services, services->count, new, dry, ret_plan, errors);
}

static void
services_remove(struct services *services, const struct reload_plan *plan)
{
	size_t kept = 0;

	for (size_t i = 0; i < services->count; i++) {
		struct service *service = services->services[i];

		if (!reload_removes(plan, service_name(service)))
			services->services[kept++] = service;
		else if (service_remove(service))
			service_free(service);
		else
			services_add(&services->removed, &services->removed_count, service);
	}
	services->count = kept;
}

void
services_guard(const struct services *services)
{
	for (size_t i = 0; i < services->count; i++)
		if (!services->table->services[service_index(services->services[i])].socket.activated &&
		    !listen_socket_is_missing(service_listen_socket(services->services[i])))
			mem_free(listener_guard(&service_get_settings(services->services[i])->listener));
}

/* Sockets that go from one service to another are given away first, and never closed.  A worker that dies now leaves
 * them open, for the next to find. */
static void
services_give_sockets(struct services *services, const struct reload_plan *plan)
{
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct prepared_socket *prepared = &plan->steps[i].socket;

		for (size_t k = 0; prepared->passed && k < services->count; k++) {
			struct service *service = services->services[k];

			if (services->table->services[service_index(service)].socket.fd == prepared->socket.fd)
				listen_socket_give(service_listen_socket(service));
		}
	}
}

void
services_apply(struct services *services, struct config *new, struct reload_plan *plan)
{
	services_give_sockets(services, plan);
	services_remove(services, plan);
	for (size_t i = 0; i < services->count; i++)
		service_log_clients(services->services[i], new->log.clients);
	for (size_t i = 0; i < new->service_count; i++) {
		struct reload_step *step = &plan->steps[i];

		table_beat(services->table);
		if (step->what == RELOAD_CHANGE)
			service_renew(step->service, config_take_service(new, i), &step->socket, new->log.clients);
		else if (step->what == RELOAD_ADD)
			services_start_service(services, new, i, &step->socket);
		else
			listen_socket_retry(service_listen_socket(step->service));
	}
}

void
services_look_after_sockets(const struct services *services)
{
	for (size_t i = 0; i < services->count; i++)
		listen_socket_look_after(service_listen_socket(services->services[i]));
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

/* Whether an earlier socket was handed over under this name. */
static bool
services_is_second(const struct table_header *header, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (header->activated[k].fd != -1 &&
		    strcmp(header->activated[k].name, header->activated[i].name) == 0)
			return true;
	return false;
}

void
services_refuse_passed_fds(struct services *services)
{
	struct table_header *header = services->table->header;

	for (uint32_t i = 0; i < header->activated_count; i++) {
		const char *name = header->activated[i].name;
		bool known = services_find(services, name) != NULL;
		int fd = header->activated[i].fd;

		if (fd == -1 || (known && !services_is_second(header, i)))
			continue;
		snprintf(header->passed_fds_error, sizeof header->passed_fds_error, known ?
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

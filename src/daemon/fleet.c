#include "daemon/fleet.h"
#include "daemon/listen_socket.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "keep/crash.h"
#include "keep/recover.h"

struct fleet {
	struct event_base *loop;   /* borrowed */
	struct table *table;       /* borrowed */
	struct service **services; /* owned; in force */
	size_t count;
	struct service **removed;  /* owned; their clients end */
	size_t removed_count;
	void (*event)(void *arg, struct service *service, const struct upstream_event *event);
	void (*drained)(void *arg);
	void *arg;
};

static void
fleet_add(struct service ***list, size_t *count, struct service *service)
{
	*list = mem_resize(*list, *count + 1, sizeof **list);
	(*list)[(*count)++] = service;
}

static void
fleet_on_event(void *arg, struct service *service, const struct upstream_event *event)
{
	struct fleet *fleet = arg;

	fleet->event(fleet->arg, service, event);
}

static void
fleet_on_gone(void *arg, struct service *service)
{
	struct fleet *fleet = arg;

	for (size_t i = 0; i < fleet->removed_count; i++)
		if (fleet->removed[i] == service)
			fleet->removed[i] = fleet->removed[--fleet->removed_count];
	service_free(service);
	fleet->drained(fleet->arg);
}

static const struct service_callbacks fleet_callbacks = { .event = fleet_on_event, .gone = fleet_on_gone };

struct fleet *
fleet_new(struct event_base *loop, struct table *table,
    void (*event)(void *arg, struct service *service, const struct upstream_event *event),
    void (*drained)(void *arg), void *arg)
{
	struct fleet *fleet = mem_new(1, sizeof *fleet);

	fleet->loop = loop;
	fleet->table = table;
	fleet->event = event;
	fleet->drained = drained;
	fleet->arg = arg;
	return fleet;
}

void
fleet_free(struct fleet *fleet)
{
	if (fleet == NULL)
		return;
	for (size_t i = 0; i < fleet->count; i++)
		service_free(fleet->services[i]);
	for (size_t i = 0; i < fleet->removed_count; i++)
		service_free(fleet->removed[i]);
	mem_free(fleet->services);
	mem_free(fleet->removed);
	mem_free(fleet);
}

/* Services that the table still has and the configuration has no more, or that were being removed. */
static void
fleet_resume_removed(struct fleet *fleet, const struct config *config)
{
	uint32_t used = table_services_used(fleet->table);

	for (uint16_t i = 0; i < used; i++) {
		const struct table_service *record = &fleet->table->services[i];
		enum table_state state = TABLE_STATE(record->word);

		if (state == TABLE_CLOSING ||
		    (state == TABLE_LIVE && config_find_service(config, record->name) == NULL))
			fleet_add(&fleet->removed, &fleet->removed_count,
			    service_resume_removed(fleet->loop, fleet->table, i, &fleet_callbacks, fleet));
	}
}

/* Whether the record's socket is another service's in this configuration. */
static bool
fleet_must_give(const struct fleet *fleet, const struct table_service *record, const struct config *config)
{
	for (size_t i = 0; i < config->service_count; i++) {
		const struct service_settings *settings = config->services[i];

		if (listen_socket_is_named(record, settings->listener.path))
			return !listen_socket_is_activated(fleet->table, settings->name) &&
			    (TABLE_STATE(record->word) != TABLE_LIVE || strcmp(settings->name, record->name) != 0);
	}
	return false;
}

/* A worker may have died with a new configuration in force whose sockets were not all given to their new services:
 * that comes first again, before anything finds them in use or closes them. */
static void
fleet_give_again(struct fleet *fleet, const struct config *config)
{
	uint32_t used = table_services_used(fleet->table);
	struct prepared_socket prepared;

	for (uint32_t i = 0; i < used; i++) {
		struct table_service *record = &fleet->table->services[i];

		if (TABLE_STATE(record->word) == TABLE_FREE || !fleet_must_give(fleet, record, config))
			continue;
		listen_socket_take_away(record, &prepared);
		CRASH_POINT(LISTENER_GIVEN);
		recover_add_stray(fleet->table, prepared.fd);
	}
}

/* Starts or resumes service number i of the configuration; logs what is wrong. */
static void
fleet_start_service(struct fleet *fleet, struct config *config, size_t i, struct prepared_socket *prepared)
{
	struct service_settings *settings = config_take_service(config, i);
	struct service *service;
	char *wrong = service_new(fleet->loop, fleet->table, config->runtime_directory, settings, prepared,
	    config->log.clients, &fleet_callbacks, fleet, &service);

	if (wrong == NULL) {
		fleet_add(&fleet->services, &fleet->count, service);
		return;
	}
	log_error(settings->name, "%s; the service is not started", wrong);
	mem_free(wrong);
	service_settings_clear(settings);
	mem_free(settings);
}

void
fleet_start(struct fleet *fleet, struct config *config)
{
	fleet_give_again(fleet, config);
	fleet_resume_removed(fleet, config);
	for (size_t i = 0; i < config->service_count; i++) {
		fleet_start_service(fleet, config, i, NULL);
		table_beat(fleet->table);
	}
}

/* A removed service keeps its record while it has clients. */
static void
fleet_check_room(const struct fleet *fleet, const struct config *new, const struct reload_plan *plan,
    struct config_errors *errors)
{
	struct service_status status;
	size_t removed = fleet->removed_count;

	for (size_t i = 0; i < fleet->count; i++) {
		service_get_status(fleet->services[i], &status);
		removed += status.clients > 0 && reload_removes(plan, service_name(fleet->services[i]));
	}
	if (new->service_count + removed > fleet->table->header->shape.services)
		config_error(errors, "%zu services, and %zu removed ones whose clients have not ended, are more "
		    "than %u", new->service_count, removed, fleet->table->header->shape.services);
}

void
fleet_plan(const struct fleet *fleet, const struct config *old, const struct config *new, bool dry,
    struct reload_plan *ret_plan, struct config_errors *errors)
{
	reload_make_plan(fleet->services, fleet->count, old, new, ret_plan, errors);
	fleet_check_room(fleet, new, ret_plan, errors);
	if (errors->count == 0)
		reload_prepare(fleet->table, fleet->services, fleet->count, new, dry, ret_plan, errors);
}

static void
fleet_remove(struct fleet *fleet, const struct reload_plan *plan)
{
	size_t kept = 0;

	for (size_t i = 0; i < fleet->count; i++) {
		struct service *service = fleet->services[i];

		if (!reload_removes(plan, service_name(service)))
			fleet->services[kept++] = service;
		else if (service_remove(service))
			service_free(service);
		else
			fleet_add(&fleet->removed, &fleet->removed_count, service);
	}
	fleet->count = kept;
}

void
fleet_guard(const struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->count; i++)
		if (!fleet->table->services[service_index(fleet->services[i])].activated &&
		    !listen_socket_is_missing(service_listen_socket(fleet->services[i])))
			mem_free(listener_guard(&service_get_settings(fleet->services[i])->listener));
}

/* Sockets that go from one service to another are given away first, and never closed.  A worker that dies now leaves
 * them open, for the next to find. */
static void
fleet_give_sockets(struct fleet *fleet, const struct reload_plan *plan)
{
	for (size_t i = 0; i < plan->socket_count; i++) {
		const struct prepared_socket *prepared = &plan->sockets[i];

		for (size_t k = 0; prepared->given && k < fleet->count; k++)
			if (fleet->table->services[service_index(fleet->services[k])].listener_fd == prepared->fd)
				listen_socket_give(service_listen_socket(fleet->services[k]));
	}
}

void
fleet_apply(struct fleet *fleet, struct config *new, struct reload_plan *plan)
{
	fleet_give_sockets(fleet, plan);
	fleet_remove(fleet, plan);
	for (size_t i = 0; i < fleet->count; i++)
		service_log_clients(fleet->services[i], new->log.clients);
	for (size_t i = 0; i < new->service_count; i++) {
		const char *name = new->services[i]->name;

		table_beat(fleet->table);
		if (reload_changes(plan, name))
			service_renew(fleet_find(fleet, name), config_take_service(new, i), &plan->sockets[i],
			    new->log.clients);
		else if (reload_adds(plan, name))
			fleet_start_service(fleet, new, i, &plan->sockets[i]);
		else
			listen_socket_retry(service_listen_socket(fleet_find(fleet, name)));
	}
}

void
fleet_look_after_sockets(const struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->count; i++)
		listen_socket_look_after(service_listen_socket(fleet->services[i]));
}

void
fleet_stop(struct fleet *fleet, bool all)
{
	for (size_t i = 0; i < fleet->count; i++)
		service_stop(fleet->services[i], all);
	for (size_t i = 0; i < fleet->removed_count; i++)
		service_stop(fleet->removed[i], all);
}

struct service *
fleet_at(const struct fleet *fleet, size_t index)
{
	return index < fleet->count ? fleet->services[index] : NULL;
}

struct service *
fleet_at_all(const struct fleet *fleet, size_t index)
{
	if (index < fleet->count)
		return fleet->services[index];
	index -= fleet->count;
	return index < fleet->removed_count ? fleet->removed[index] : NULL;
}

struct service *
fleet_find(const struct fleet *fleet, const char *name)
{
	for (size_t i = 0; i < fleet->count; i++)
		if (strcmp(service_name(fleet->services[i]), name) == 0)
			return fleet->services[i];
	return NULL;
}

void
fleet_get_sum(const struct fleet *fleet, struct fleet_sum *ret_sum)
{
	struct service_status status;

	*ret_sum = (struct fleet_sum){ .services = fleet->count };
	for (size_t i = 0; i < fleet->count; i++) {
		service_get_status(fleet->services[i], &status);
		ret_sum->up += status.upstream.up;
		ret_sum->clients += status.clients;
		ret_sum->lingering += status.lingering;
		ret_sum->held += status.held;
		if (status.shut && ret_sum->shut++ == 0) {
			ret_sum->shut_service = service_name(fleet->services[i]);
			ret_sum->shut_error = status.socket_error;
		}
	}
	for (size_t i = 0; i < fleet->removed_count; i++) {
		service_get_status(fleet->removed[i], &status);
		ret_sum->clients += status.clients;
		ret_sum->lingering += status.lingering;
	}
}

void
fleet_dump(const struct fleet *fleet)
{
	struct service_status status;

	for (size_t i = 0; i < fleet->count; i++) {
		service_get_status(fleet->services[i], &status);
		log_notice(service_name(fleet->services[i]),
		    "state=%s paused=%s failing=%s address=%s clients=%u held=%u attempts=%llu connects=%llu "
		    "failures=%u last_error=\"%s\"",
		    upstream_state_name(status.upstream.state), status.record->pause.value != 0 ? "yes" : "no",
		    status.record->failing.value != 0 ? "yes" : "no", status.upstream.address, status.clients,
		    status.held, (unsigned long long)status.upstream.counters.attempts,
		    (unsigned long long)status.upstream.counters.connects,
		    status.upstream.failures, status.upstream.last_error);
	}
}

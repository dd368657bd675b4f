#include "daemon/service_parts.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "daemon/door.h"
#include "keep/crash.h"

struct table_service *
service_record(const struct service *service)
{
	return &service->table->services[service->index];
}

/* Between the local side and the remote side ------------------------------------------------------- */

static int
service_take(void *arg, uint32_t *ret_spare)
{
	struct service *service = arg;

	return service->link == NULL ? -1 : link_take(service->link, ret_spare);
}

static void
service_taken(void *arg, uint32_t spare)
{
	struct service *service = arg;

	link_taken(service->link, spare);
}

static void
service_attached(void *arg)
{
	struct service *service = arg;

	if (service->link != NULL)
		link_relayed(service->link);
}

static void
service_unused(void *arg, int64_t age)
{
	struct service *service = arg;

	if (service->link != NULL)
		link_unused(service->link, age);
}

static void
service_held(void *arg, unsigned held)
{
	struct service *service = arg;

	if (service->link != NULL)
		link_set_held(service->link, held);
}

static bool
service_refuses(void *arg)
{
	struct service *service = arg;

	return service->link == NULL || link_refuses(service->link);
}

static bool
service_is_up(void *arg)
{
	struct service *service = arg;

	return service->link != NULL && link_is_up(service->link);
}

static void
service_client_ended(void *arg)
{
	struct service *service = arg;

	if (service->removed && crowd_count(service->crowd) == 0)
		loop_timer_at(&service->ending, clock_now());
}

static const struct crowd_callbacks service_crowd_callbacks = {
	.take = service_take,
	.taken = service_taken,
	.attached = service_attached,
	.unused = service_unused,
	.held = service_held,
	.refuses = service_refuses,
	.is_up = service_is_up,
	.ended = service_client_ended,
};

static void
service_on_event(void *arg, const struct link_event *event)
{
	struct service *service = arg;

	service->callbacks->event(service->arg, service, event);
}

static void
service_on_ready(void *arg)
{
	struct service *service = arg;

	crowd_serve(service->crowd);
}

static const struct link_callbacks service_link_callbacks = {
	.event = service_on_event,
	.ready = service_on_ready,
};

/* Making and ending -------------------------------------------------------------------------------- */

/* The record of a living service of this name, or a free one; -1 if the table is full. */
static int
service_find_record(const struct table *table, const char *name)
{
	int vacant = -1;

	for (uint32_t i = 0; i < table->header->services; i++) {
		const struct table_service *record = &table->services[i];

		if (TABLE_STATE(record->word) == TABLE_LIVE && strcmp(record->name, name) == 0)
			return (int)i;
		if (TABLE_STATE(record->word) == TABLE_FREE && vacant == -1)
			vacant = (int)i;
		if (record->word == 0 && vacant != -1)
			break; /* never used, nor any beyond */
	}
	return vacant;
}

/* Records are used in order, so the first that never was used ends them: a word is never 0 again. */
static void
service_set_state(struct table_service *record, enum table_state state)
{
	uint32_t generation = TABLE_GENERATION(record->word) + (state == TABLE_LIVE);

	__asm__ volatile("" ::: "memory");
	record->word = generation << 8 | (uint32_t)state;
}

static void
service_clear_record(struct table_service *record)
{
	uint32_t word = record->word;

	memset(record, 0, sizeof *record);
	record->word = word;
	record->listener_fd = -1;
}

static void
service_on_ending(evutil_socket_t fd, short what, void *arg)
{
	struct service *service = arg;

	(void)fd;
	(void)what;
	if (crowd_count(service->crowd) > 0) {
		log_notice(service_name(service), "drain_timeout over: the last %u clients are closed",
		    crowd_count(service->crowd));
		crowd_close(service->crowd, true);
	}
	service_clear_record(service_record(service));
	service_set_state(service_record(service), TABLE_FREE);
	service->callbacks->gone(service->arg, service);
}

static struct service *
service_make(struct event_base *loop, struct table *table, uint16_t index, struct service_settings *settings,
    const struct service_callbacks *callbacks, void *arg)
{
	struct service *service = mem_new(1, sizeof *service);

	service->loop = loop;
	service->table = table;
	service->index = index;
	service->settings = settings;
	service->callbacks = callbacks;
	service->arg = arg;
	loop_timer_init(&service->ending, loop, service_on_ending, service);
	return service;
}

/* A fresh record: made whole, then LIVE. */
static char *
service_create_record(struct service *service)
{
	struct table_service *record = service_record(service);
	char *wrong;

	service_clear_record(record);
	strncpy(record->name, service->settings->name, sizeof record->name - 1);
	record->since = clock_wall();
	wrong = door_open(service->table, record, &service->settings->listener, service->runtime_directory);
	if (wrong == NULL)
		service_set_state(record, TABLE_LIVE);
	return wrong;
}

static void
service_begin(struct service *service, bool log_clients)
{
	service->link = link_new(service->loop, service->table, service->index, &service->settings->link,
	    &service_link_callbacks, service);
	service->crowd = crowd_new(service->loop, service->table, service->index, &service->settings->crowd,
	    log_clients, &service_crowd_callbacks, service);
	link_set_held(service->link, crowd_held(service->crowd));
	crowd_listen(service->crowd, service_record(service)->listener_fd);
	crowd_serve(service->crowd);
}

char *
service_new(struct event_base *loop, struct table *table, const char *runtime_directory,
    struct service_settings *settings, bool log_clients, const struct service_callbacks *callbacks, void *arg,
    struct service **ret_service)
{
	int index = service_find_record(table, settings->name);
	struct service *service;
	char *wrong = NULL;

	if (index == -1)
		return mem_print("no room for a further service");
	service = service_make(loop, table, (uint16_t)index, settings, callbacks, arg);
	service->runtime_directory = runtime_directory;
	if (TABLE_STATE(table->services[index].word) == TABLE_FREE)
		wrong = service_create_record(service);
	if (wrong != NULL) {
		mem_free(service);
		return wrong;
	}
	service_begin(service, log_clients);
	CRASH_POINT(RECOVER_SERVICE);
	*ret_service = service;
	return NULL;
}

struct service *
service_resume_removed(struct event_base *loop, struct table *table, uint16_t index,
    const struct service_callbacks *callbacks, void *arg)
{
	struct service_settings *settings = mem_new(1, sizeof *settings);
	struct service *service = service_make(loop, table, index, settings, callbacks, arg);
	struct table_service *record = service_record(service);
	int64_t deadline = record->drain_deadline;
	int fd = record->listener_fd;

	service_set_state(record, TABLE_CLOSING);
	record->listener_fd = -1;
	door_close(record, fd, record->bound.sun_path[0] == '\0' ? "@" : record->bound.sun_path);
	settings->name = mem_copy_text(service_record(service)->name);
	service->removed = true;
	service->crowd = crowd_new(loop, table, index, &settings->crowd, false, &service_crowd_callbacks, service);
	crowd_close(service->crowd, false);
	if (crowd_count(service->crowd) == 0)
		deadline = clock_now();
	loop_timer_at(&service->ending, deadline == 0 ? CLOCK_NEVER : deadline);
	return service;
}

void
service_free(struct service *service)
{
	if (service == NULL)
		return;
	loop_timer_stop(&service->ending);
	crowd_free(service->crowd);
	link_free(service->link);
	service_settings_clear(service->settings);
	mem_free(service->settings);
	mem_free(service);
}

void
service_remove(struct service *service)
{
	struct table_service *record = service_record(service);
	int64_t limit = service->settings->drain_timeout;
	int fd = record->listener_fd;

	service->removed = true;
	record->drain_deadline = limit == 0 ? 0 : clock_after(clock_now(), limit);
	service_set_state(record, TABLE_CLOSING);
	crowd_listen(service->crowd, -1);
	record->listener_fd = -1;
	door_close(record, fd, service->settings->listener.path);
	link_free(service->link);
	service->link = NULL;
	crowd_close(service->crowd, false);
	if (crowd_count(service->crowd) == 0)
		loop_timer_at(&service->ending, clock_now());
	else if (limit != 0)
		loop_timer_at(&service->ending, record->drain_deadline);
}

/* What an operator set outlives a new link. */
static void
service_administer(struct service *service)
{
	switch ((enum table_admin)service_record(service)->administered) {
	case TABLE_ADMIN_CLOSED:
		link_close(service->link);
		break;
	case TABLE_ADMIN_DRAINED:
		link_drain(service->link);
		break;
	case TABLE_ADMIN_NONE:
		break;
	}
}

char *
service_renew(struct service *service, struct service_settings *settings, bool log_clients)
{
	struct service_settings *old = service->settings;
	struct table_service *record = service_record(service);
	int before = record->listener_fd;
	char *wrong = door_renew(service->table, record, &old->listener, &settings->listener,
	    service->runtime_directory);

	if (wrong != NULL)
		return wrong;
	if (record->listener_fd != before) {
		crowd_listen(service->crowd, record->listener_fd);
		door_close(record, before, old->listener.path);
	}
	link_free(service->link);
	service->settings = settings;
	service->link = link_new(service->loop, service->table, service->index, &settings->link,
	    &service_link_callbacks, service);
	service_administer(service);
	crowd_set(service->crowd, &settings->crowd, log_clients);
	link_set_held(service->link, crowd_held(service->crowd));
	service_settings_clear(old);
	mem_free(old);
	return NULL;
}

void
service_stop(struct service *service, bool all)
{
	struct table_service *record = service_record(service);
	int fd = record->listener_fd;

	crowd_listen(service->crowd, -1);
	if (fd != -1) {
		record->listener_fd = -1;
		door_close(record, fd, service->settings->listener.path);
	}
	crowd_close(service->crowd, all);
}

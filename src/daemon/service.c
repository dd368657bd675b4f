#include "daemon/service_parts.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "daemon/config.h"
#include "daemon/door.h"
#include "daemon/settings.h"
#include "keep/crash.h"
#include "keep/recover.h"

/* Nobody is served, and nobody is still being told why he is turned away. */
static bool
service_is_empty(const struct service *service)
{
	return crowd_count(service->crowd) == 0 && crowd_lingering(service->crowd) == 0;
}

static void
service_on_client_ended(void *arg)
{
	struct service *service = arg;

	if (service->removed && service_is_empty(service))
		loop_timer_soon(&service->ending);
	service_share_leave(service);
}

static void
service_on_event(void *arg, const struct upstream_event *event)
{
	struct service *service = arg;

	service->callbacks->event(service->arg, service, event);
}

static void
service_on_ready(void *arg)
{
	struct service *service = arg;

	if (service->shared != NULL)
		shared_serve(service->shared);
	crowd_serve(service->crowd);
	service_share_leave(service);
}

static void
service_on_lost(void *arg, uint16_t endpoint)
{
	struct service *service = arg;

	if (service->shared != NULL)
		shared_drop(service->shared);
	else
		crowd_cut(service->crowd, endpoint, CLOSING_WITHDRAWN);
}

static const struct upstream_callbacks service_upstream_callbacks = {
	.event = service_on_event,
	.ready = service_on_ready,
	.lost = service_on_lost,
};

/* Its record is free for another. */
static void
service_end(struct service *service)
{
	if (service->shared != NULL)
		shared_end(service->shared);
	service_clear_record(service_record(service));
	service_set_state(service_record(service), TABLE_FREE);
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
		crowd_close(service->crowd, CLOSING_REMOVED, true);
	}
	crowd_finish(service->crowd);
	service_end(service);
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
	settings->crowd.dial = &settings->upstream.dial;
	service->callbacks = callbacks;
	service->arg = arg;
	loop_timer_init(&service->ending, loop, service_on_ending, service);
	loop_timer_init(&service->door_retry, loop, service_on_door_retry, service);
	return service;
}

/* FNV-1a of the settings as the dump writes them. */
static uint64_t
service_hash(const struct service_settings *settings)
{
	char *text = config_dump_settings(settings);
	uint64_t hash = UINT64_C(14695981039346656037);

	for (const char *c = text; *c != '\0'; c++)
		hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
	mem_free(text);
	return hash;
}

/* A fresh record: made whole but for its socket, then LIVE. */
static void
service_create_record(struct service *service)
{
	struct table_service *record = service_record(service);

	service_clear_record(record);
	snprintf(record->name, sizeof record->name, "%s", service->settings->name);
	record->since = clock_wall();
	record->settings_hash = service_hash(service->settings);
	service_set_state(record, TABLE_LIVE);
}

/* What the record holds is gone on with, so nothing here may fail. */
static void
service_begin(struct service *service, struct door *door, bool log_clients)
{
	struct table_service *record = service_record(service);
	uint64_t hash = service_hash(service->settings);

	service->upstream = upstream_new(service->loop, service->table, service->index, &service->settings->upstream,
	    &service_upstream_callbacks, service);
	if (record->settings_hash != hash) /* a worker died between a new configuration and carrying it out */
		upstream_renew(service->upstream, &service->settings->upstream, true);
	record->settings_hash = hash;
	service_share(service);
	service->crowd = crowd_new(service->loop, service->table, service->index, &service->settings->crowd,
	    log_clients, service->upstream, service->shared, service_on_client_ended, service);
	upstream_set_held(service->upstream, crowd_held(service->crowd));
	service_share_begin(service);
	service_listen(service, record->listener_fd);
	service_switch_begin(service);
	crowd_serve(service->crowd);
	service_settle_door(service, door);
}

/* Frees all but the settings. */
static void
service_abandon(struct service *service)
{
	loop_timer_stop(&service->ending);
	service_leave_door(service);
	mem_free(service->door_error);
	crowd_free(service->crowd);
	shared_free(service->shared);
	upstream_free(service->upstream);
	mem_free(service->runtime_directory);
	mem_free(service);
}

char *
service_new(struct event_base *loop, struct table *table, const char *runtime_directory,
    struct service_settings *settings, struct door *door, bool log_clients,
    const struct service_callbacks *callbacks, void *arg, struct service **ret_service)
{
	int index = service_find_record(table, settings->name);
	struct service *service;

	if (index == -1)
		return mem_print("no room for a further service");
	service = service_make(loop, table, (uint16_t)index, settings, callbacks, arg);
	service->runtime_directory = mem_copy_text(runtime_directory);
	if (TABLE_STATE(service_record(service)->word) == TABLE_FREE)
		service_create_record(service);
	service_begin(service, door, log_clients);
	CRASH_POINT(RECOVER_SERVICE);
	*ret_service = service;
	return NULL;
}

/* What a dead worker's upstream had: nobody goes on with it. */
static void
service_forget_upstream(struct service *service)
{
	struct table *table = service->table;
	struct table_service *record = service_record(service);
	unsigned char *taken = table_conns_taken(table, service->index);

	for (uint32_t i = 1; i < table->header->conn_high; i++)
		if (table_conn_state(table, i) != TABLE_FREE && table->conns[i].service == service->index &&
		    !table_conn_is_shared(table, i) && !(taken[i / 8] & (1u << (i % 8))))
			recover_close_conn(table, i);
	mem_free(taken);
	recover_end_programs_of(record);
	memset(record->upstream, 0, sizeof record->upstream);
}

struct service *
service_resume_removed(struct event_base *loop, struct table *table, uint16_t index,
    const struct service_callbacks *callbacks, void *arg)
{
	struct service_settings *settings = mem_new(1, sizeof *settings);
	struct service *service = service_make(loop, table, index, settings, callbacks, arg);
	struct table_service *record = service_record(service);
	int64_t deadline = record->drain_deadline;

	service_set_state(record, TABLE_CLOSING);
	record->pause.value = record->failing.value = 0;
	door_end(record);
	service_forget_upstream(service);
	settings->name = mem_copy_text(service_record(service)->name);
	service_share_recall(record, settings);
	service->removed = true;
	service_share(service);
	service->crowd = crowd_new(loop, table, index, &settings->crowd, false, NULL, service->shared,
	    service_on_client_ended, service);
	service_share_begin(service);
	crowd_close(service->crowd, CLOSING_REMOVED, false);
	if (service_is_empty(service))
		deadline = clock_now();
	loop_timer_at(&service->ending, deadline == 0 ? CLOCK_NEVER : deadline);
	return service;
}

void
service_free(struct service *service)
{
	struct service_settings *settings;

	if (service == NULL)
		return;
	settings = service->settings;
	service_abandon(service);
	service_settings_clear(settings);
	mem_free(settings);
}

bool
service_remove(struct service *service)
{
	struct table_service *record = service_record(service);
	int64_t limit = service->settings->drain_timeout;

	service->removed = true;
	record->pause.value = record->failing.value = 0;
	record->drain_deadline = limit == 0 ? 0 : clock_after(clock_now(), limit);
	service_set_state(record, TABLE_CLOSING);
	service_leave_door(service);
	service_listen(service, -1);
	door_end(record);
	upstream_free(service->upstream);
	service->upstream = NULL;
	crowd_leave_upstream(service->crowd);
	shared_leave_upstream(service->shared);
	crowd_close(service->crowd, CLOSING_REMOVED, false);
	if (service_is_empty(service)) {
		service_end(service);
		return true;
	}
	if (limit != 0)
		loop_timer_at(&service->ending, record->drain_deadline);
	return false;
}

void
service_renew(struct service *service, struct service_settings *settings, struct door *door, bool log_clients)
{
	struct service_settings *old = service->settings;
	struct table_service *record = service_record(service);
	bool anew = settings_compare(&settings_service, old, settings) >= SETTING_RENEW;

	service->settings = settings;
	settings->crowd.dial = &settings->upstream.dial;
	service_settle_door(service, door);
	if (record->listener_fd != -1 && !record->activated && settings->listener.type != LISTENER_DGRAM)
		listen(record->listener_fd, settings->listener.backlog);
	service_share_set(service);
	service_note(service, "a reload has changed its settings%s", anew ? "; its upstream side begins anew"
	    : " in place");
	upstream_renew(service->upstream, &settings->upstream, anew);
	record->settings_hash = service_hash(settings);
	crowd_set(service->crowd, &settings->crowd, log_clients);
	service_settings_clear(old);
	mem_free(old);
}

void
service_log_clients(struct service *service, bool log_clients)
{
	crowd_set(service->crowd, &service->settings->crowd, log_clients);
}

void
service_stop(struct service *service, bool all)
{
	service_leave_door(service);
	service_listen(service, -1);
	door_end(service_record(service));
	crowd_close(service->crowd, CLOSING_STOP, all);
	if (all)
		crowd_finish(service->crowd);
}

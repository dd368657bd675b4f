#include "fake_service.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

static struct service services[FAKE_SERVICES];
struct service *fake_services = services;
size_t fake_service_count = 2, fake_services_asked;
struct upstream fake_upstreams[FAKE_SERVICES];

const char *
upstream_event_name(enum upstream_event_kind kind)
{
	return kind == UPSTREAM_NOTE ? "note" : "connected";
}

const char *
upstream_state_name(enum upstream_state state)
{
	return state == UPSTREAM_IS_CONNECTED ? "connected" : "waiting";
}

struct upstream_waiter *
upstream_wait(struct upstream *upstream, unsigned kind, upstream_answer *answer, void *arg)
{
	(void)kind;
	upstream->waiter = mem_new(1, sizeof *upstream->waiter);
	*upstream->waiter = (struct upstream_waiter){ answer, arg };
	return upstream->waiter;
}

void
upstream_leave(struct upstream_waiter *waiter)
{
	for (size_t i = 0; i < fake_service_count; i++)
		if (fake_upstreams[i].waiter == waiter)
			fake_upstreams[i].waiter = NULL;
	mem_free(waiter);
}

/* An upstream is its own lookup. */
struct lookup *
upstream_lookup(const struct upstream *upstream)
{
	return (struct lookup *)(uintptr_t)upstream;
}

struct lookup_waiter *
lookup_ask(struct lookup *lookup, unsigned asker, lookup_callback *callback, void *arg)
{
	struct upstream *upstream = (struct upstream *)(void *)lookup;

	(void)asker;
	upstream->lookup = mem_new(1, sizeof *upstream->lookup);
	*upstream->lookup = (struct lookup_waiter){ callback, arg };
	return upstream->lookup;
}

void
lookup_leave(struct lookup_waiter *waiter)
{
	fake_upstreams[0].lookup = NULL;
	mem_free(waiter);
}

bool
upstream_refuses(const struct upstream *upstream)
{
	return upstream->refuses;
}

const struct catalog *
lookup_catalog(const struct lookup *lookup)
{
	(void)lookup;
	return NULL;
}

void
upstream_tell(struct upstream *upstream, enum pconn_event event)
{
	upstream->reconnects += event == PCONN_RECONNECT;
}

struct service *
services_at(const struct services *all, size_t index)
{
	(void)all;
	return index < fake_service_count ? &services[index] : NULL;
}

struct service *
services_at_all(const struct services *all, size_t index)
{
	return services_at(all, index);
}

struct service *
services_find(const struct services *all, const char *name)
{
	(void)all;
	for (size_t i = 0; i < fake_service_count; i++)
		if (strcmp(services[i].name, name) == 0)
			return &services[i];
	return NULL;
}

const char *
service_name(const struct service *service)
{
	return service->name;
}

struct upstream *
service_upstream(const struct service *service)
{
	return service->upstream;
}

uint16_t
service_index(const struct service *service)
{
	return (uint16_t)(service - services);
}

const struct service_settings *
service_get_settings(const struct service *service)
{
	static struct service_settings settings;

	(void)service;
	return &settings;
}

void
service_get_status(const struct service *service, struct service_status *ret_status)
{
	fake_services_asked++;
	*ret_status = service->status;
}

void
service_close(struct service *service, uid_t uid, bool kill)
{
	(void)uid;
	service->killed = kill;
}

void
service_drain(struct service *service, uid_t uid)
{
	(void)uid;
	service->drained = true;
}

void
service_open(struct service *service, uid_t uid)
{
	(void)uid;
	service->opened = true;
}

void
service_pause(struct service *service, uid_t uid, bool kill)
{
	service->record.pause.value = 1;
	service->record.pause.uid = uid;
	service->killed = kill;
}

bool
service_resume(struct service *service, uid_t uid)
{
	bool paused = service->record.pause.value != 0;

	(void)uid;
	service->record.pause.value = 0;
	return paused;
}

void
service_fail(struct service *service, uid_t uid, int64_t span)
{
	service->record.failing.uid = uid;
	service->record.failing.value = span == 0 ? 0 : (uint64_t)(clock_now() + span);
}

void
service_get_left(struct service *service, struct service_left *ret_left)
{
	*ret_left = service->left;
}

unsigned
service_each_left(struct service *service, bool (*visit)(void *arg, const struct service_client *client), void *arg)
{
	struct service_client client = { .fd = service->pair[0] };

	for (client.id = 1; client.id <= service->left.clients; client.id++)
		if (!visit(arg, &client))
			break;
	return service->left.clients;
}

bool
service_get_client(const struct service *service, uint32_t session, uint64_t id, struct service_client *ret_client)
{
	fake_services_asked++;
	*ret_client = (struct service_client){ .fd = service->pair[0], .id = id,
		.index = session, .held = session == 3, .bytes = { session == 1 ? 10 : 0 } };
	return session != service->gone;
}

void
service_each_client(struct service *service, bool (*visit)(void *arg, const struct service_client *client), void *arg)
{
	struct service_client client;

	for (uint32_t i = 1; i <= 3; i++) {
		service_get_client(service, i, 100 + i, &client);
		if (!visit(arg, &client))
			return;
	}
}

void
service_kill(struct service *service, uint32_t session)
{
	service->ended |= 1u << session;
}

void
fake_service_setup(unsigned index, const char *name)
{
	struct service *service = &services[index];

	memset(&fake_upstreams[index], 0, sizeof fake_upstreams[index]);
	memset(service, 0, sizeof *service);
	service->name = name;
	service->upstream = &fake_upstreams[index];
	service->status.record = &service->record;
	service->record.counters.clients = 7;
	service->record.counters.refused_held_max = 2;
	service->record.pauses[TABLE_PAUSE_MAX_CLIENTS] = 3;
	service->status.upstream.state = UPSTREAM_WAITING;
	service->status.upstream.address = "";
	service->status.upstream.last_error = "Connection refused";
	service->status.upstream.lookup = "script /x";
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, service->pair) == -1)
		service->pair[0] = service->pair[1] = -1;
}

void
fake_service_teardown(unsigned index)
{
	close(fake_services[index].pair[0]);
	close(fake_services[index].pair[1]);
}

#include "fake_service.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

struct service fake_services[2];
struct link fake_links[2];
static const uint64_t pauses[TABLE_PAUSES] = { [TABLE_PAUSE_MAX_CLIENTS] = 3 };
static struct table_counters counters = { .clients = 7, .refused_held_max = 2 };

const char *
link_event_name(enum link_event_kind kind)
{
	return kind == LINK_NOTE ? "note" : "connected";
}

const char *
link_state_name(enum link_state state)
{
	return state == LINK_IS_CONNECTED ? "connected" : "waiting";
}

struct link_waiter *
link_wait(struct link *link, link_answer *answer, void *arg)
{
	link->waiter = mem_new(1, sizeof *link->waiter);
	*link->waiter = (struct link_waiter){ answer, arg };
	return link->waiter;
}

struct link_waiter *
link_try(struct link *link, link_answer *answer, void *arg)
{
	return link_wait(link, answer, arg);
}

struct link_waiter *
link_wait_closed(struct link *link, link_answer *answer, void *arg)
{
	return link_wait(link, answer, arg);
}

void
link_waiter_cancel(struct link_waiter *waiter)
{
	for (size_t i = 0; i < 2; i++)
		if (fake_links[i].waiter == waiter)
			fake_links[i].waiter = NULL;
	mem_free(waiter);
}

struct lookup_waiter *
link_lookup(struct link *link, lookup_callback *callback, void *arg)
{
	link->lookup = mem_new(1, sizeof *link->lookup);
	*link->lookup = (struct lookup_waiter){ callback, arg };
	return link->lookup;
}

void
lookup_leave(struct lookup_waiter *waiter)
{
	fake_links[0].lookup = NULL;
	mem_free(waiter);
}

bool
link_refuses(const struct link *link)
{
	return link->refuses;
}

const struct catalog *
link_catalog(const struct link *link)
{
	(void)link;
	return NULL;
}

void
link_reconnect(struct link *link)
{
	link->reconnects++;
}

const char *
service_name(const struct service *service)
{
	return service->name;
}

struct link *
service_link(const struct service *service)
{
	return service->link;
}

uint16_t
service_index(const struct service *service)
{
	return (uint16_t)(service - fake_services);
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
	service->status.paused = true;
	service->status.paused_uid = uid;
	service->killed = kill;
}

bool
service_resume(struct service *service, uid_t uid)
{
	bool paused = service->status.paused;

	(void)uid;
	service->status.paused = false;
	return paused;
}

void
service_fail(struct service *service, uid_t uid, int64_t span)
{
	service->status.failing_uid = uid;
	service->status.failing_until = span == 0 ? 0 : clock_now() + span;
}

void
service_get_left(struct service *service, struct service_left *ret_left)
{
	*ret_left = service->left;
}

void
service_each_left(struct service *service, bool (*visit)(void *arg, const struct service_client *client), void *arg)
{
	struct service_client client = { .fd = service->pair[0] };

	for (client.id = 1; client.id <= service->left.clients; client.id++)
		if (!visit(arg, &client))
			return;
}

void
service_each_client(struct service *service, bool (*visit)(void *arg, const struct service_client *client), void *arg)
{
	struct service_client client = { .fd = service->pair[0], .upstream_fd = -1 };

	for (uint32_t i = 1; i <= 3; i++) {
		client.id = 100 + i;
		client.session = i;
		client.held = i == 3;
		client.bytes[TABLE_UP] = i == 1 ? 10 : 0;
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
	struct service *service = &fake_services[index];

	memset(&fake_links[index], 0, sizeof fake_links[index]);
	memset(service, 0, sizeof *service);
	service->name = name;
	service->link = &fake_links[index];
	service->status.counters = &counters;
	service->status.pauses = pauses;
	service->status.link.state = LINK_WAITING;
	service->status.link.address = "";
	service->status.link.last_error = "Connection refused";
	service->status.link.lookup = "script /x";
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, service->pair) == -1)
		service->pair[0] = service->pair[1] = -1;
}

void
fake_service_teardown(unsigned index)
{
	close(fake_services[index].pair[0]);
	close(fake_services[index].pair[1]);
}

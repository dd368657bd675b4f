/* What operators order for a while: pause and resume, and the failure of the upstream.
 *
 * The order is in the table before anything is done about it, and everything that is done can be done again, so that
 * a new worker begins with it. */
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/crowd.h"
#include "client/peer.h"
#include "daemon/service_parts.h"
#include "keep/crash.h"

void
service_note(struct service *service, const char *format, ...)
{
	char text[TABLE_HISTORY_TEXT];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	table_history_add(service->table, service->index, UPSTREAM_NOTE, text);
	log_notice(service_name(service), "%s", text);
}

static void
switch_order(struct table_order *order, uid_t uid, uint64_t value)
{
	order->uid = uid;
	order->since = clock_wall();
	table_barrier();
	order->value = value;
	CRASH_POINT(SWITCH_ORDERED);
}

/* Does what the table says. */
static void
switch_pause(struct service *service, bool kill)
{
	crowd_pause(service->crowd, kill);
	upstream_let_go(service->upstream, false);
	if (service->shared == NULL)
		return;
	shared_pause(service->shared);
	if (kill)
		upstream_let_go(service->upstream, true);
}

void
service_pause(struct service *service, uid_t uid, bool kill)
{
	struct table_order *order = &service_record(service)->pause;
	char user[UPSTREAM_BY_SIZE];

	if (order->value == 0) {
		switch_order(order, uid, 1);
		peer_user(uid, user, sizeof user);
		service_note(service, "paused by %s; new work is held until it is resumed", user);
	}
	switch_pause(service, kill);
}

bool
service_resume(struct service *service, uid_t uid)
{
	struct table_order *order = &service_record(service)->pause;
	int64_t paused = clock_wall() - order->since;
	char user[UPSTREAM_BY_SIZE];

	if (order->value == 0)
		return false;
	order->value = 0;
	CRASH_POINT(SWITCH_ORDERED);
	table_barrier();
	order->since = clock_now();
	peer_user(uid, user, sizeof user);
	service_note(service, "resumed by %s after %.1f s", user, (double)paused / CLOCK_SECOND);
	crowd_unpause(service->crowd);
	upstream_let_go(service->upstream, false);
	if (service->shared != NULL)
		shared_unpause(service->shared);
	return true;
}

static void
switch_fail(struct service *service)
{
	const struct table_order *order = &service_record(service)->failing;
	char user[UPSTREAM_BY_SIZE];

	peer_user(order->uid, user, sizeof user);
	upstream_fail(service->upstream, user);
	if (order->value != 0)
		crowd_cut(service->crowd, 0, CLOSING_UPSTREAM);
}

void
service_fail(struct service *service, uid_t uid, int64_t span)
{
	struct table_order *order = &service_record(service)->failing;
	bool fails = order->value != 0;
	char user[UPSTREAM_BY_SIZE];

	if (span == 0 && !fails)
		return;
	peer_user(uid, user, sizeof user);
	switch_order(order, uid, span == 0 ? 0 : (uint64_t)clock_after(clock_now(), span));
	if (span == 0)
		service_note(service, "the failure by order was ended by %s", user);
	else
		service_note(service, "made to fail by %s for %.1f s", user, (double)span / CLOCK_SECOND);
	switch_fail(service);
}

void
service_switch_begin(struct service *service)
{
	const struct table_service *record = service_record(service);

	if (record->pause.value != 0)
		switch_pause(service, false);
	if (record->failing.value != 0)
		switch_fail(service);
}

struct left_visit {
	const struct table *table;
	unsigned count;
	bool (*visit)(void *arg, const struct service_client *client); /* NULL: they are counted */
	void *arg;
};

static bool
left_on_client(void *arg, uint32_t index)
{
	struct left_visit *each = arg;
	struct service_client client = service_client_of(each->table, index);

	if (client.held || client.fd == -1) /* who sends datagrams has no file */
		return true;
	each->count++;
	return each->visit == NULL || each->visit(each->arg, &client);
}

static void
left_each(struct service *service, struct left_visit *each)
{
	each->table = service->table;
	if (service->shared != NULL)
		shared_each_in_flight(service->shared, left_on_client, each);
	else
		crowd_each(service->crowd, left_on_client, each);
}

void
service_get_left(struct service *service, struct service_left *ret_left)
{
	struct left_visit each = { .count = 0 };

	left_each(service, &each);
	*ret_left = (struct service_left){ .clients = each.count,
		.connecting = !upstream_refuses(service->upstream) && !upstream_is_at_rest(service->upstream) };
	if (service->shared != NULL)
		ret_left->requests = shared_in_flight(service->shared);
}

void
service_each_left(struct service *service, bool (*visit)(void *arg, const struct service_client *client), void *arg)
{
	struct left_visit each = { .visit = visit, .arg = arg };

	left_each(service, &each);
}

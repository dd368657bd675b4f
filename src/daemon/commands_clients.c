/* clients and kill: who is connected, one by one or counted, and an end to some of them. */
#include <assert.h>
#include <ctype.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/mem.h"
#include "client/peer.h"
#include "daemon/command.h"

#define PROCESSES 256 /* whose unit is remembered while one command runs */

/* What /proc says of a process: asked once for its many clients. */
struct process {
	pid_t pid;
	char unit[PEER_UNIT_SIZE];
	char container[PEER_UNIT_SIZE];
};

struct process_cache {
	struct process processes[PROCESSES];
};

enum property { BY_USER, BY_UNIT, BY_PID, BY_ADDRESS, BY_ID, PROPERTIES };

static const char *const property_names[PROPERTIES] = { "user", "unit", "pid", "address", "id" };

#define PROPERTY_SIZE ADDRESS_TEXT_SIZE

static const struct process *
process_get(struct process_cache *cache, pid_t pid)
{
	struct process *process = &cache->processes[(unsigned)pid % PROCESSES];

	if (process->pid != pid) {
		process->pid = pid;
		peer_unit(pid, process->unit);
		peer_container(pid, process->container);
	}
	return process;
}

static bool
property_parse(const char *name, enum property count, enum property *ret_property)
{
	for (enum property i = 0; name != NULL && i < count; i++)
		if (strcmp(property_names[i], name) == 0) {
			*ret_property = i;
			return true;
		}
	return false;
}

/* Where the client's upstream is, or "". */
static void
clients_upstream(const struct service_client *client, char ret_text[ADDRESS_TEXT_SIZE])
{
	struct sockaddr_storage socket;
	socklen_t length = sizeof socket;

	ret_text[0] = '\0';
	if (client->upstream_fd != -1 && getpeername(client->upstream_fd, (struct sockaddr *)&socket, &length) == 0)
		address_format_socket((struct sockaddr *)&socket, length, ret_text);
}

/* The client's property as text. */
static void
property_get(struct process_cache *cache, const struct service_client *client, enum property property,
    char ret_text[PROPERTY_SIZE])
{
	struct peer peer = { .pid = 0, .uid = (uid_t)-1 };

	if (property == BY_ADDRESS) {
		clients_upstream(client, ret_text);
		return;
	}
	peer_get(client->fd, &peer);
	if (property == BY_USER)
		peer_user(peer.uid, ret_text, PROPERTY_SIZE);
	else if (property == BY_UNIT)
		snprintf(ret_text, PROPERTY_SIZE, "%s", process_get(cache, peer.pid)->unit);
	else if (property == BY_PID && peer.pid == 0)
		ret_text[0] = '\0';
	else if (property == BY_PID)
		snprintf(ret_text, PROPERTY_SIZE, "%ld", (long)peer.pid);
	else
		snprintf(ret_text, PROPERTY_SIZE, "%llu", (unsigned long long)client->id);
}

static const char *
clients_state(const struct service_client *client)
{
	if (client->held)
		return "held";
	return client->bytes[TABLE_UP] + client->bytes[TABLE_DOWN] > 0 ? "attached" : "connected";
}

/* offset: of the wall clock from the monotonic one. */
static json_t *
clients_one(struct process_cache *cache, const struct service *service, const struct service_client *client,
    int64_t offset)
{
	const struct process *process;
	struct peer peer = { .pid = 0, .uid = (uid_t)-1 };
	char user[PROPERTY_SIZE], address[ADDRESS_TEXT_SIZE];

	peer_get(client->fd, &peer);
	peer_user(peer.uid, user, sizeof user);
	process = process_get(cache, peer.pid);
	clients_upstream(client, address);
	return json_pack("{s:s, s:I, s:o, s:I, s:o, s:o, s:o, s:s, s:o, s:o, s:I, s:I, s:I}",
	    "service", service_name(service), "id", (json_int_t)client->id, "pid", command_pid(peer.pid),
	    "uid", (json_int_t)peer.uid, "user", stats_text(user), "unit", stats_text_or_null(process->unit),
	    "container", stats_text_or_null(process->container), "state", clients_state(client),
	    "since", stats_time(client->since + offset), "address", stats_text_or_null(address),
	    "bytes", (json_int_t)(client->bytes[TABLE_UP] + client->bytes[TABLE_DOWN]),
	    "bytes_from_client", (json_int_t)client->bytes[TABLE_UP],
	    "bytes_to_client", (json_int_t)client->bytes[TABLE_DOWN]);
}

/* How many clients have the same property. */
struct count {
	char text[PROPERTY_SIZE];
	unsigned clients, held;
};

/* A request for clients, looked at one by one: those of one service after those of another. */
struct listing {
	struct pending pending;
	struct command_walk walk;       /* owned */
	struct process_cache cache;
	enum property by;               /* PROPERTIES: each is told */
	struct service *service;        /* borrowed; whose they are; NULL: of the next one */
	struct service_client *clients; /* owned; as they were when they were listed */
	size_t count, at;
	void *counts;                   /* owned; a tree of struct count by its text */
	struct count **sorted;          /* owned; those of the tree, once all are there */
	size_t distinct, number, told;  /* in the tree; in sorted; of those, put into the answer */
};

static bool
listing_add(void *arg, const struct service_client *client)
{
	struct listing *listing = arg;

	if ((listing->count & (listing->count - 1)) == 0)
		listing->clients = mem_resize(listing->clients, listing->count == 0 ? 1 : listing->count * 2,
		    sizeof *listing->clients);
	listing->clients[listing->count++] = *client;
	return true;
}

static int
count_compare(const void *a, const void *b)
{
	return strcmp(((const struct count *)a)->text, ((const struct count *)b)->text);
}

static void
listing_count(struct listing *listing, const struct service_client *client)
{
	struct count *count = mem_new(1, sizeof *count), **found;

	property_get(&listing->cache, client, listing->by, count->text);
	found = tsearch(count, &listing->counts, count_compare);
	assert(found != NULL);
	if (*found != count)
		mem_free(count);
	else
		listing->distinct++;
	(*found)->clients += !client->held;
	(*found)->held += client->held;
}

/* Largest first. */
static int
count_compare_sizes(const void *a, const void *b)
{
	const struct count *left = *(struct count *const *)a, *right = *(struct count *const *)b;
	unsigned left_sum = left->clients + left->held, right_sum = right->clients + right->held;

	if (left_sum != right_sum)
		return left_sum < right_sum ? 1 : -1;
	return strcmp(left->text, right->text);
}

static json_t *
property_json(enum property property, const char *text)
{
	return property == BY_PID && text[0] != '\0' ? json_integer(strtoll(text, NULL, 10))
	    : stats_text_or_null(text);
}

static void
listing_sort_count(const void *node, VISIT which, void *arg)
{
	struct listing *listing = arg;

	if (which == postorder || which == leaf)
		listing->sorted[listing->number++] = *(struct count *const *)node;
}

static void
listing_sort(struct listing *listing)
{
	listing->sorted = mem_new(listing->distinct + 1, sizeof *listing->sorted);
	twalk_r(listing->counts, listing_sort_count, listing);
	qsort(listing->sorted, listing->number, sizeof *listing->sorted, count_compare_sizes);
}

static void
listing_put_count(struct listing *listing, const struct count *count)
{
	control_put_json(listing->pending.request, json_pack("{s:o, s:i, s:i}", property_names[listing->by],
	    property_json(listing->by, count->text), "clients", (int)count->clients, "held", (int)count->held));
}

/* A client of the service that is gone through. */
static void
listing_client(struct listing *listing, struct service_client client)
{
	if (!service_get_client(listing->service, client.session, client.id, &client))
		return;
	if (listing->by != PROPERTIES) {
		listing_count(listing, &client);
		return;
	}
	control_put(listing->pending.request, listing->told++ == 0 ? "" : ",");
	control_put_json(listing->pending.request, clients_one(&listing->cache, listing->service, &client,
	    clock_wall() - clock_now()));
}

/* The next service's clients; false: all services were gone through. */
static bool
listing_next_service(struct listing *listing)
{
	listing->at = listing->count = 0;
	mem_free(listing->clients);
	listing->clients = NULL;
	listing->service = command_walk_next(&listing->walk, listing->pending.context);
	if (listing->service != NULL)
		service_each_client(listing->service, listing_add, listing);
	return listing->service != NULL;
}

/* The next client, or service; then the next count. */
static bool
listing_work(struct pending *pending)
{
	struct listing *listing = (struct listing *)pending;

	if (listing->at < listing->count && command_has(pending->context, listing->service)) {
		listing_client(listing, listing->clients[listing->at++]);
	} else if (listing_next_service(listing)) {
		return true;
	} else if (listing->by != PROPERTIES && listing->sorted == NULL) {
		listing_sort(listing);
	} else if (listing->told < listing->number) {
		control_put(pending->request, listing->told == 0 ? "" : ",");
		listing_put_count(listing, listing->sorted[listing->told++]);
	} else {
		control_put(pending->request, "]");
		control_finish(pending->request);
		return false;
	}
	return true;
}

static void
listing_end(struct pending *pending)
{
	struct listing *listing = (struct listing *)pending;

	command_walk_end(&listing->walk);
	mem_free(listing->clients);
	mem_free(listing->sorted);
	tdestroy(listing->counts, mem_free);
}

static const struct pending_kind listing_kind = {
	.size = sizeof(struct listing), .work = listing_work, .end = listing_end,
};

void
commands_clients(void *arg, struct control_request *request, int argc, char **argv)
{
	struct command_context *context = arg;
	enum property property = PROPERTIES;
	const char *by = NULL;
	bool counted = command_take_option(&argc, argv, "--by", &by);
	struct listing *listing;

	if (counted && !property_parse(by, BY_ID, &property)) {
		control_usage(request);
		return;
	}
	if (!command_expect(request, argc, argv, 0, 1))
		return;
	if (argc > 1 && !command_need_clients(context, request, argv[1]))
		return;
	listing = pending_new(&context->pendings, &listing_kind, request, context, NULL);
	listing->by = property;
	command_walk_begin(&listing->walk, context, argv[1], true);
	if (counted)
		control_put_inside(request, json_pack("{s:s}", "by", property_names[property]));
	control_put(request, counted ? ",\"counts\":[" : "\"clients\":[");
	pending_work(&listing->pending);
}

struct killing {
	struct process_cache *cache; /* borrowed */
	struct service *service;     /* borrowed */
	enum property property;
	const char *text;            /* borrowed; what the property must be */
	unsigned number;
};

/* Whether the client's user has this number. */
static bool
killing_is_user(const struct service_client *client, const char *text)
{
	struct peer peer;

	return isdigit((unsigned char)text[0]) && peer_get(client->fd, &peer) == 0 &&
	    strtoull(text, NULL, 10) == peer.uid && text[strspn(text, "0123456789")] == '\0';
}

static bool
killing_client(void *arg, const struct service_client *client)
{
	struct killing *killing = arg;
	char text[PROPERTY_SIZE];

	property_get(killing->cache, client, killing->property, text);
	if (strcmp(text, killing->text) == 0 ||
	    (killing->property == BY_USER && killing_is_user(client, killing->text))) {
		killing->number++;
		service_kill(killing->service, client->session);
	}
	return true;
}

/* Takes the one option that says whom. */
static bool
killing_take(int *argc, char **argv, enum property *ret_property, const char **ret_text)
{
	for (enum property i = 0; i < PROPERTIES; i++) {
		char option[16];

		snprintf(option, sizeof option, "--%s", property_names[i]);
		if (i != BY_PID && command_take_option(argc, argv, option, ret_text)) {
			*ret_property = i;
			return *ret_text != NULL && (*ret_text)[0] != '\0';
		}
	}
	return false;
}

void
commands_kill(void *arg, struct control_request *request, int argc, char **argv)
{
	struct killing killing = { .number = 0 };

	if (!killing_take(&argc, argv, &killing.property, &killing.text)) {
		control_usage(request);
		return;
	}
	if (!command_expect(request, argc, argv, 1, 1))
		return;
	if (!command_need_clients(arg, request, argv[1]))
		return;
	killing.cache = mem_new(1, sizeof *killing.cache);
	for (size_t i = 0; (killing.service = command_next_of_all(arg, argv[1], &i)) != NULL;)
		service_each_client(killing.service, killing_client, &killing);
	mem_free(killing.cache);
	if (killing.number == 0)
		control_fail(request, json_pack("{s:i}", "killed", 0), "no client of %s has %s %s", argv[1],
		    property_names[killing.property], killing.text);
	else
		control_answer(request, json_pack("{s:i}", "killed", (int)killing.number));
}

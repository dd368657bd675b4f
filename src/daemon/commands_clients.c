/* clients and kill: who is connected, one by one or counted, and an end to some of them. */
#include <ctype.h>
#include <errno.h>
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

struct listing {
	struct process_cache *cache; /* borrowed */
	struct service *service;     /* borrowed */
	json_t *clients;             /* owned until it is answered */
	int64_t offset;              /* of the wall clock from the monotonic one */
};

static const char *
clients_state(const struct service_client *client)
{
	if (client->held)
		return "held";
	return client->bytes[TABLE_UP] + client->bytes[TABLE_DOWN] > 0 ? "attached" : "connected";
}

static bool
listing_client(void *arg, const struct service_client *client)
{
	struct listing *listing = arg;
	const struct process *process;
	struct peer peer = { .pid = 0, .uid = (uid_t)-1 };
	char user[PROPERTY_SIZE], address[ADDRESS_TEXT_SIZE];

	peer_get(client->fd, &peer);
	peer_user(peer.uid, user, sizeof user);
	process = process_get(listing->cache, peer.pid);
	clients_upstream(client, address);
	json_array_append_new(listing->clients, json_pack(
	    "{s:s, s:I, s:o, s:I, s:o, s:o, s:o, s:s, s:o, s:o, s:I, s:I, s:I}",
	    "service", service_name(listing->service), "id", (json_int_t)client->id, "pid", command_pid(peer.pid),
	    "uid", (json_int_t)peer.uid, "user", control_text(user), "unit", control_text_or_null(process->unit),
	    "container", control_text_or_null(process->container), "state", clients_state(client),
	    "since", command_time(client->since + listing->offset), "address", control_text_or_null(address),
	    "bytes", (json_int_t)(client->bytes[TABLE_UP] + client->bytes[TABLE_DOWN]),
	    "bytes_from_client", (json_int_t)client->bytes[TABLE_UP],
	    "bytes_to_client", (json_int_t)client->bytes[TABLE_DOWN]));
	return true;
}

struct count {
	char text[PROPERTY_SIZE];
	unsigned clients;
	unsigned held;
};

struct counting {
	struct process_cache *cache; /* borrowed */
	enum property property;
	struct count *counts;        /* owned; one per client first */
	size_t number;
};

static bool
counting_client(void *arg, const struct service_client *client)
{
	struct counting *counting = arg;
	struct count *count;

	if ((counting->number & (counting->number - 1)) == 0)
		counting->counts = mem_resize(counting->counts, counting->number == 0 ? 1 : counting->number * 2,
		    sizeof *counting->counts);
	count = &counting->counts[counting->number++];
	property_get(counting->cache, client, counting->property, count->text);
	count->clients = !client->held;
	count->held = client->held;
	return true;
}

static int
counting_compare_texts(const void *a, const void *b)
{
	return strcmp(((const struct count *)a)->text, ((const struct count *)b)->text);
}

/* Largest first. */
static int
counting_compare(const void *a, const void *b)
{
	const struct count *left = a, *right = b;
	unsigned left_sum = left->clients + left->held, right_sum = right->clients + right->held;

	if (left_sum != right_sum)
		return left_sum < right_sum ? 1 : -1;
	return counting_compare_texts(a, b);
}

/* Makes one of all counts with the same text. */
static void
counting_merge(struct counting *counting)
{
	struct count *counts = counting->counts;
	size_t last = 0;

	if (counting->number == 0)
		return;
	qsort(counts, counting->number, sizeof *counts, counting_compare_texts);
	for (size_t i = 1; i < counting->number; i++) {
		if (strcmp(counts[i].text, counts[last].text) == 0) {
			counts[last].clients += counts[i].clients;
			counts[last].held += counts[i].held;
		} else {
			counts[++last] = counts[i];
		}
	}
	counting->number = last + 1;
	qsort(counts, counting->number, sizeof *counts, counting_compare);
}

static json_t *
property_json(enum property property, const char *text)
{
	return property == BY_PID && text[0] != '\0' ? json_integer(strtoll(text, NULL, 10))
	    : control_text_or_null(text);
}

static json_t *
counting_object(struct counting *counting)
{
	const char *name = property_names[counting->property];
	json_t *list = json_array();

	counting_merge(counting);
	for (size_t i = 0; i < counting->number; i++)
		json_array_append_new(list, json_pack("{s:o, s:i, s:i}", name,
		    property_json(counting->property, counting->counts[i].text),
		    "clients", (int)counting->counts[i].clients, "held", (int)counting->counts[i].held));
	return json_pack("{s:s, s:o}", "by", name, "counts", list);
}

static void
clients_each_service(const struct command_context *context, const char *name,
    void (*visit)(void *arg, struct service *service), void *arg)
{
	struct service *service;

	for (size_t i = 0; (service = context->with_clients_at(context->daemon, i)) != NULL; i++)
		if (name == NULL || strcmp(name, service_name(service)) == 0)
			visit(arg, service);
}

static void
listing_service(void *arg, struct service *service)
{
	struct listing *listing = arg;

	listing->service = service;
	service_each_client(service, listing_client, listing);
}

static void
counting_service(void *arg, struct service *service)
{
	service_each_client(service, counting_client, arg);
}

static json_t *
clients_list(const struct command_context *context, const char *service)
{
	struct listing listing = { .clients = json_array(), .offset = clock_wall() - clock_now() };

	listing.cache = mem_new(1, sizeof *listing.cache);
	clients_each_service(context, service, listing_service, &listing);
	mem_free(listing.cache);
	return json_pack("{s:o}", "clients", listing.clients);
}

static json_t *
count_clients(const struct command_context *context, const char *service, enum property property)
{
	struct counting counting = { .property = property };
	json_t *object;

	counting.cache = mem_new(1, sizeof *counting.cache);
	clients_each_service(context, service, counting_service, &counting);
	object = counting_object(&counting);
	mem_free(counting.cache);
	mem_free(counting.counts);
	return object;
}

void
commands_clients(void *arg, struct control_request *request, int argc, char **argv)
{
	const struct command_context *context = arg;
	enum property property = PROPERTIES;
	const char *by = NULL;
	bool counted = command_take_option(&argc, argv, "--by", &by);

	if (counted && !property_parse(by, BY_ID, &property)) {
		control_usage(request);
		return;
	}
	if (!command_expect(request, argc, argv, 0, 1))
		return;
	if (argc > 1 && !command_need_clients(context, request, argv[1]))
		return;
	control_answer(request, counted ? count_clients(context, argv[1], property)
	    : clients_list(context, argv[1]));
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

static void
killing_service(void *arg, struct service *service)
{
	struct killing *killing = arg;

	killing->service = service;
	service_each_client(service, killing_client, killing);
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
	clients_each_service(arg, argv[1], killing_service, &killing);
	mem_free(killing.cache);
	if (killing.number == 0)
		control_fail(request, json_pack("{s:i}", "killed", 0), "no client of %s has %s %s", argv[1],
		    property_names[killing.property], killing.text);
	else
		control_answer(request, json_pack("{s:i}", "killed", (int)killing.number));
}

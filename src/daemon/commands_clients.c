/* clients and kill: who is connected, one by one or counted, and an end to some of them; a client at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/tcp_owner.h"
#include "client/peer.h"
#include "daemon/command.h"
#include "upstream/conn.h"
#include "upstream/record.h"

#define PROCESSES 256 /* whose unit is remembered while one command runs */

#define PROPERTY_SIZE (PEER_UNIT_SIZE > ADDRESS_TEXT_SIZE ? PEER_UNIT_SIZE : ADDRESS_TEXT_SIZE)

/* What /proc says of a process: asked once for its many clients. */
struct process {
	pid_t pid;
	char unit[PEER_UNIT_SIZE];
	char container[PEER_UNIT_SIZE];
};

/* What clients are ended by, the first of them, or counted by, but for the id: members of what is told of each. */
static const char *const properties[] = { "user", "unit", "address", "id", "pid", "socket" };

#define PROPERTIES        (sizeof properties / sizeof properties[0])
#define PROPERTIES_KILLED (PROPERTIES - 2)

/* A request for clients, looked at one by one: those of one service after those of another. */
struct listing {
	struct command_bits bits;
	struct process *processes;      /* owned; PROCESSES of them, once the first is asked for */
	struct tcp_owners *owners;      /* owned; listed when the first client of TCP comes */
	const char *by;                 /* borrowed; of properties; NULL: each is told */
	char *whom;                     /* owned; the property of those that are killed; NULL: they are counted */
	int killed;
	struct service *service;        /* borrowed; whose they are; NULL: of the next one */
	struct service_client *clients; /* owned; as they were when they were listed */
	size_t count, at;
	json_t *counts;                 /* owned; by the property's text: how many have it, as it is told */
	void **sorted;                  /* owned; the places in counts, once all are there */
	size_t number;                  /* of sorted */
};

static const struct process *
listing_process(struct listing *listing, pid_t pid)
{
	struct process *process;

	if (listing->processes == NULL)
		listing->processes = mem_new(PROCESSES, sizeof *listing->processes);
	process = &listing->processes[(unsigned)pid % PROCESSES];
	if (process->pid != pid) {
		process->pid = pid;
		peer_unit(pid, process->unit);
		peer_container(pid, process->container);
	}
	return process;
}

static bool
listing_is_tcp(int fd)
{
	struct peer peer = { .uid = (uid_t)-1 };

	return fd != -1 && (peer_get(fd, &peer) < 0 || peer.uid == (uid_t)-1);
}

/* Who the client is.  Of TCP the kernel tells it in lists alone, and of this host only. */
static struct peer
listing_peer(const struct listing *listing, int fd)
{
	struct peer peer = { .pid = 0, .uid = (uid_t)-1 };

	if ((peer_get(fd, &peer) < 0 || peer.uid == (uid_t)-1) && listing->owners != NULL)
		tcp_owners_find_peer(listing->owners, fd, &peer.uid, &peer.pid);
	return peer;
}

/* Whether sockets are to be listed before this client is looked at: its process where that is asked for. */
static bool
listing_seeks(struct listing *listing, int fd)
{
	if (listing->owners == NULL && listing_is_tcp(fd))
		listing->owners = tcp_owners_new(listing->by == NULL || strcmp(listing->by, "pid") == 0 ||
		    strcmp(listing->by, "unit") == 0);
	return listing->owners != NULL && tcp_owners_list_bit(listing->owners);
}

/* Where the client's upstream is, or "".  With TLS the socket leads to holdfast-tls alone. */
static void
client_upstream(const struct table *table, const struct service_client *client, char ret_text[ADDRESS_TEXT_SIZE])
{
	const struct table_conn *upstream = client->upstream;
	struct sockaddr_storage socket;
	socklen_t length = sizeof socket;

	ret_text[0] = '\0';
	if (upstream != NULL && (upstream->flags & TABLE_CONN_TLS) != 0)
		record_address(record_of(table, upstream->service), upstream->endpoint, ret_text);
	else if (upstream != NULL && getpeername(upstream->fd, (struct sockaddr *)&socket, &length) == 0)
		address_format_socket((struct sockaddr *)&socket, length, ret_text);
}

/* "TLSv1.3", with ", resumed" behind it if it is; "TLS" where its version is not known; null without TLS. */
static json_t *
client_tls(const struct service_client *client)
{
	unsigned flags = client->upstream == NULL ? 0 : client->upstream->flags;

	if ((flags & TABLE_CONN_TLS) == 0)
		return json_null();
	return json_sprintf("%s%s", (flags & TABLE_CONN_TLS_1_3) != 0 ? "TLSv1.3" :
	    (flags & TABLE_CONN_TLS_1_2) != 0 ? "TLSv1.2" : "TLS",
	    (flags & TABLE_CONN_TLS_RESUMED) != 0 ? ", resumed" : "");
}

/* Where a client of TCP is, or "". */
static void
client_peer(const struct service_client *client, char ret_text[ADDRESS_TEXT_SIZE])
{
	struct sockaddr_storage socket;
	socklen_t length = sizeof socket;

	ret_text[0] = '\0';
	if (getpeername(client->fd, (struct sockaddr *)&socket, &length) == 0 && socket.ss_family != AF_UNIX)
		address_format_socket((struct sockaddr *)&socket, length, ret_text);
}

/* Where it came in, as a listener's path, or "".  It bears the name that its listener had then. */
static json_t *
client_socket(const struct service_client *client)
{
	struct sockaddr_storage socket;
	socklen_t length = sizeof socket;
	char text[ADDRESS_TEXT_SIZE] = "";

	if (getsockname(client->fd, (struct sockaddr *)&socket, &length) == 0)
		address_format_socket((struct sockaddr *)&socket, length, text);
	return stats_text_or_null(strncmp(text, "unix:", 5) == 0 ? text + 5 : text);
}

static const char *
client_state(const struct service_client *client)
{
	if (client->held)
		return "held";
	if (client->own)
		return "own";
	return client->bytes[TABLE_UP] + client->bytes[TABLE_DOWN] > 0 ? "attached" : "connected";
}

static json_t *
client_json(struct listing *listing, const struct service_client *client)
{
	const struct process *process;
	struct peer peer = listing_peer(listing, client->fd);
	char user[PROPERTY_SIZE], address[ADDRESS_TEXT_SIZE], where[ADDRESS_TEXT_SIZE];

	peer_user(peer.uid, user, sizeof user);
	process = listing_process(listing, peer.pid);
	client_upstream(listing->bits.walk.context->table, client, address);
	client_peer(client, where);
	return json_pack("{s:s, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:b, s:o, s:I, s:I, s:I}",
	    "service", service_name(listing->service), "id", (json_int_t)client->id, "pid", command_pid(peer.pid),
	    "uid", (json_int_t)peer.uid, "user", stats_text(user), "unit", stats_text_or_null(process->unit),
	    "container", stats_text_or_null(process->container), "peer", stats_text_or_null(where),
	    "socket", client_socket(client),
	    "state", client_state(client),
	    "since", stats_time(client->since + clock_wall() - clock_now()), "address", stats_text_or_null(address),
	    "mptcp", client->upstream != NULL && conn_is_mptcp(client->upstream->fd), "tls", client_tls(client),
	    "bytes", (json_int_t)(client->bytes[TABLE_UP] + client->bytes[TABLE_DOWN]),
	    "bytes_from_client", (json_int_t)client->bytes[TABLE_UP],
	    "bytes_to_client", (json_int_t)client->bytes[TABLE_DOWN]);
}

/* A client's property as text; null is "". */
static void
property_get(const json_t *client, const char *name, char ret_text[PROPERTY_SIZE])
{
	const json_t *value = json_object_get(client, name);

	if (json_is_integer(value))
		snprintf(ret_text, PROPERTY_SIZE, "%lld", (long long)json_integer_value(value));
	else
		snprintf(ret_text, PROPERTY_SIZE, "%s", json_is_string(value) ? json_string_value(value) : "");
}

static void
listing_count(struct listing *listing, const json_t *client)
{
	char text[PROPERTY_SIZE];
	json_t *count, *number;

	property_get(client, listing->by, text);
	count = json_object_get(listing->counts, text);
	if (count == NULL) {
		count = json_pack("{s:O, s:i, s:i}", listing->by, json_object_get(client, listing->by), "clients", 0,
		    "held", 0);
		json_object_set_new_nocheck(listing->counts, text, count);
	}
	number = json_object_get(count, strcmp(json_string_value(json_object_get(client, "state")), "held") == 0 ?
	    "held" : "clients");
	json_integer_set(number, json_integer_value(number) + 1);
}

/* Ends it if it is one of those; a user may be named by number. */
static void
listing_kill(struct listing *listing, const json_t *json, const struct service_client *client)
{
	char text[PROPERTY_SIZE], number[PROPERTY_SIZE];

	property_get(json, listing->by, text);
	property_get(json, "uid", number);
	if (strcmp(text, listing->whom) != 0 &&
	    (strcmp(listing->by, "user") != 0 || strcmp(number, listing->whom) != 0))
		return;
	listing->killed++;
	service_kill(listing->service, client->index);
}

static int64_t
count_sum(void *place)
{
	const json_t *count = json_object_iter_value(place);

	return json_integer_value(json_object_get(count, "clients")) +
	    json_integer_value(json_object_get(count, "held"));
}

/* The largest first. */
static int
count_compare(const void *a, const void *b)
{
	void *left = *(void *const *)a, *right = *(void *const *)b;
	int64_t left_sum = count_sum(left), right_sum = count_sum(right);

	if (left_sum != right_sum)
		return left_sum < right_sum ? 1 : -1;
	return strcmp(json_object_iter_key(left), json_object_iter_key(right));
}

static void
listing_sort(struct listing *listing)
{
	listing->sorted = mem_new(json_object_size(listing->counts) + 1, sizeof *listing->sorted);
	for (void *place = json_object_iter(listing->counts); place != NULL;
	    place = json_object_iter_next(listing->counts, place))
		listing->sorted[listing->number++] = place;
	qsort(listing->sorted, listing->number, sizeof *listing->sorted, count_compare);
}

/* A client of the service that is gone through. */
static void
listing_client(struct listing *listing, struct service_client client)
{
	json_t *json;

	if (!service_get_client(listing->service, client.index, client.id, &client))
		return;
	json = client_json(listing, &client);
	if (listing->whom != NULL)
		listing_kill(listing, json, &client);
	else if (listing->by != NULL)
		listing_count(listing, json);
	else
		command_bits_put(&listing->bits, json_incref(json));
	json_decref(json);
}

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

/* The next service's clients; false: all services were gone through. */
static bool
listing_next_service(struct listing *listing)
{
	listing->at = listing->count = 0;
	mem_free(listing->clients);
	listing->clients = NULL;
	listing->service = command_walk_next(&listing->bits.walk);
	if (listing->service != NULL)
		service_each_client(listing->service, listing_add, listing);
	return listing->service != NULL;
}

static void
listing_finish(struct listing *listing)
{
	struct control_request *request = listing->bits.pending.request;

	if (listing->whom == NULL) {
		control_put(request, "]");
		control_finish(request);
	} else if (listing->killed > 0) {
		control_answer(request, json_pack("{s:i}", "killed", listing->killed));
	} else {
		control_fail(request, json_pack("{s:i}", "killed", 0), "no client of %s has %s %s",
		    listing->bits.pending.name, listing->by, listing->whom);
	}
}

/* The next client, or service; then the next count. */
static bool
listing_work(struct pending *pending)
{
	struct listing *listing = (struct listing *)pending;

	if (listing->at < listing->count && command_has(pending->context, listing->service)) {
		if (!listing_seeks(listing, listing->clients[listing->at].fd))
			listing_client(listing, listing->clients[listing->at++]);
	} else if (listing_next_service(listing)) {
		return true;
	} else if (listing->sorted == NULL) {
		listing_sort(listing);
	} else if (listing->bits.told < listing->number) {
		command_bits_put(&listing->bits,
		    json_incref(json_object_iter_value(listing->sorted[listing->bits.told])));
	} else {
		listing_finish(listing);
		return false;
	}
	return true;
}

static void
listing_end(struct pending *pending)
{
	struct listing *listing = (struct listing *)pending;

	command_bits_end(pending);
	mem_free(listing->processes);
	tcp_owners_free(listing->owners);
	mem_free(listing->clients);
	mem_free(listing->sorted);
	mem_free(listing->whom);
	json_decref(listing->counts);
}

static const struct pending_kind listing_kind = {
	.size = sizeof(struct listing), .work = listing_work, .end = listing_end,
};

static const struct pending_kind killing_kind = {
	.size = sizeof(struct listing), .order = true, .work = listing_work, .end = listing_end,
};

static void
listing_start(void *arg, struct control_request *request, const char *name, const char *by, const char *whom)
{
	struct listing *listing = command_bits_new(arg, whom != NULL ? &killing_kind : &listing_kind, request, name,
	    true);

	listing->by = by;
	listing->whom = mem_copy_text(whom);
	listing->counts = json_object();
	pending_work(&listing->bits.pending);
}

void
commands_clients(void *arg, struct control_request *request, int argc, char **argv)
{
	const char *word = NULL, *by = NULL;
	bool counted = command_take_option(&argc, argv, "--by", &word);

	for (size_t i = 0; word != NULL && i < PROPERTIES; i++)
		if (strcmp(properties[i], word) == 0 && strcmp(word, "id") != 0)
			by = properties[i];
	if (counted && by == NULL) {
		control_usage(request);
		return;
	}
	if (!command_expect(request, argc, argv, 0, 1))
		return;
	if (argc > 1 && !command_need_clients(arg, request, argv[1]))
		return;
	listing_start(arg, request, argv[1], by, NULL);
	if (counted)
		control_put_inside(request, json_pack("{s:s}", "by", by));
	control_put(request, counted ? ",\"counts\":[" : "\"clients\":[");
}

/* A number without the zeros before it, as clients have theirs; anything else as it is. */
static const char *
without_zeros(const char *whom)
{
	size_t zeros = strspn(whom, "0");

	if (whom[strspn(whom, "0123456789")] != '\0')
		return whom;
	return zeros > 0 && whom[zeros] == '\0' ? whom + zeros - 1 : whom + zeros;
}

void
commands_kill(void *arg, struct control_request *request, int argc, char **argv)
{
	const char *by = NULL, *whom = NULL;
	char option[16];

	for (size_t i = 0; i < PROPERTIES_KILLED && by == NULL; i++) {
		snprintf(option, sizeof option, "--%s", properties[i]);
		if (command_take_option(&argc, argv, option, &whom))
			by = properties[i];
	}
	if (whom == NULL || whom[0] == '\0') {
		control_usage(request);
		return;
	}
	if (!command_expect(request, argc, argv, 1, 1))
		return;
	if (command_need_clients(arg, request, argv[1]))
		listing_start(arg, request, argv[1], by, without_zeros(whom));
}

/* table.h - the records of the table (layout.h): how each is made, found, closed, and what it holds. */
#ifndef HOLDFAST_KEEP_TABLE_H
#define HOLDFAST_KEEP_TABLE_H

#include "keep/layout.h"

/* Derives all that a process knows of the memory (struct table); to be called by each worker before anything is
 * claimed or closed, CLOSING records too.  Opens nothing.  Closes pipes that are nobody's and not empty. */
void table_derive(struct table *table);

/* Whether an operator has paused the service: new work is held. */
static inline bool
table_is_paused(const struct table *table, uint16_t service)
{
	return table->services[service].pause.value != 0;
}

/* Whether the service's upstream is treated as down by an operator's order. */
static inline bool
table_is_failing(const struct table *table, uint16_t service)
{
	return table->services[service].failing.value != 0;
}

/* How many service records have ever been used: they are used in order, and their word is never 0 again.  To look at
 * one beyond would give it memory. */
uint32_t table_services_used(const struct table *table);

/* Zeroes a service's record, all but the word, which no death may find 0: it would end the records.  Without a
 * socket.  What is large and never was used stays without memory. */
void table_service_clear(struct table_service *record);

static inline enum table_state
table_client_state(const struct table *table, uint32_t client)
{
	return TABLE_STATE(table->clients[client].word);
}

static inline enum table_state
table_conn_state(const struct table *table, uint32_t conn)
{
	return TABLE_STATE(table->conns[conn].word);
}

/* Takes a free record of a client, index > 0, or 0 if there is none.  Its word is still FREE, fd is -1, all else 0
 * but id, which is new: fill it in, then table_client_set() as the last. */
uint32_t table_client_claim(struct table *table);
uint32_t table_conn_claim(struct table *table);

/* Changes the state, the commit of whatever was stored before. */
void table_client_set(struct table *table, uint32_t client, enum table_state state);
void table_conn_set(struct table *table, uint32_t conn, enum table_state state);

/* State FREE, the generation raised.  Its file must be closed, its buffers and pipes released, conn 0 or shared. */
void table_client_free(struct table *table, uint32_t client);
void table_conn_free(struct table *table, uint32_t conn);

/* The service's records that are not FREE, in the order in which they came: the one behind this one, or the first for
 * 0; 0: there is no more.  Who closes the one he looks at asks for the next before. */
uint32_t table_client_next(const struct table *table, uint16_t service, uint32_t client);
uint32_t table_conn_next(const struct table *table, uint16_t service, uint32_t conn);

/* Whether it is there, and waits for a connection; or is served, by one of its own or by what all share. */
bool table_client_is_held(const struct table *table, uint32_t client);
bool table_client_is_open(const struct table *table, uint32_t client);

/* Says what serves it from now on: the commit of whatever was stored before. */
void table_client_take(struct table *table, uint32_t client, uint32_t conn);

/* Its own connection, or 0: it is held, or shares. */
uint32_t table_client_own(const struct table *table, uint32_t client);

/* Whether it has its own though others of its service share one. */
static inline bool
table_client_is_apart(const struct table *table, uint32_t client)
{
	return (table->clients[client].flags & TABLE_CLIENT_TRACKED) != 0 && table_client_own(table, client) != 0;
}

/* Takes a client through the order of T3: CLOSING, its own connection, its file, buffers, FREE.  Its events must have
 * been deleted.  Its bytes are added to the service's counters. */
void table_client_close(struct table *table, uint32_t client);

/* Lets go of the buffers and pipes of a client, whatever they hold. */
void table_client_release(struct table *table, uint32_t client);

/* Ends a connection, unless it is 0: CLOSING, its file, un-named by the client that names it, FREE.  A client that is
 * not closing is held from the first of these on. */
void table_conn_close(struct table *table, uint32_t conn);

/* Whether a client that is not being turned away names it. */
bool table_conn_is_taken(const struct table *table, uint32_t conn);

/* Whether it is READY and the one that the clients of its service share; makes it that one. */
bool table_conn_is_shared(const struct table *table, uint32_t conn);
void table_conn_share(struct table *table, uint32_t conn);

/* How many connections of the service are open, idle ones too, to the endpoint of this number; or, if none of those
 * named has it, to all whose endpoint is not named. */
uint32_t table_conns_open(const struct table *table, uint16_t service, uint16_t endpoint);

/* The service's endpoints have these numbers now, each at the place that is its number modulo TABLE_ENDPOINTS, where
 * 0 is none.  What is connected to others is left behind; now (microseconds, monotonic) is when, if it was not. */
void table_name_endpoints(struct table *table, uint16_t service, const uint16_t numbers[TABLE_ENDPOINTS],
    int64_t now);

/* What a record holds bytes in; 0 none. */
struct table_held {
	struct budget_payer payer;
	uint32_t buffer;
	uint16_t pipe;
};

/* All that records hold bytes in, each once. */
void table_each_held(const struct table *table, void (*visit)(void *arg, const struct table_held *held), void *arg);

/* What a file that the table names is. */
enum table_kind {
	TABLE_OF_DAEMON,    /* header.file[] */
	TABLE_OF_SYSTEMD,   /* activated sockets, also where a service listens on one */
	TABLE_OF_LISTENERS, /* a service's own, and the daemon's */
	TABLE_OF_PIPES,
	TABLE_OF_CLIENTS,
	TABLE_OF_CONNS,
	TABLE_OF_STRAYS,    /* listeners that no record names (keep/recover.h) */
};

/* All files that the table names, each once and always in the same order: what a new worker's sweep leaves open, what
 * goes along to another program (U1), and what is left with systemd (U3).  fd is where a file is named, and may be
 * changed; it is not -1. */
void table_each_file(const struct table *table, void (*visit)(void *arg, enum table_kind kind, volatile int32_t *fd),
    void *arg);

/* The configuration in force, as it was at one moment, while another process may put others in force: a copy, the
 * caller's to free with mem_free(), and its length. */
char *table_config_copy(const struct table *table, size_t *ret_length);

/* Whether its text is still what was put in force. */
bool table_config_is_whole(const struct table *table);

/* Puts a new configuration in force at once, or says -E2BIG. */
int table_config_set(struct table *table, const char *text, size_t length);

/* The status text for systemd. */
void table_status_set(struct table *table, const char *text);

/* Adds an entry to a service's history (explain). */
void table_history_add(struct table *table, uint16_t service, uint32_t kind, const char *text);

#endif

/* keep_side.h - what tests of keeper, table and relay stand on: sockets, records, streams that can be checked, and
 * a death between any two instructions. */
#ifndef HOLDFAST_TESTS_KEEP_SIDE_H
#define HOLDFAST_TESTS_KEEP_SIDE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keep/buffers.h"
#include "keep/budget.h"
#include "keep/table.h"

/* Who pays for buffers where that does not matter. */
static const struct budget_payer side_payer = { .service = 0 };

/* Two ends of a stream, close-on-exec and non-blocking. */
void side_pair(int ret_fd[2]);
void side_tcp_pair(int ret_fd[2]);

/* A socket of no use. */
int side_file(void);
bool side_is_open(int fd);

/* A Unix listener at an abstract name of its own, and its record as service 0, LIVE. */
int side_listener(struct table *table);

/* A client connected to the service's listener. */
int side_connect(const struct table *table);

/* Records of service 0: a held client; a connection in this state; a client that has a connection of its own, or, if
 * upstream_fd is -1, shares one. */
uint32_t side_client(struct table *table, int fd);
uint32_t side_conn(struct table *table, enum table_state state, int fd);
uint32_t side_session(struct table *table, int client_fd, int upstream_fd);

/* No record is in use, as in a table that is new; their files are left to the sweep. */
void side_clear(struct table *table);

/* Gives a session a buffer that holds this. */
void side_put(struct table *table, uint32_t session, enum table_direction direction, const char *text);

/* Sends, or reads what is there as a text; "EOF" at the end of file, "RESET" on ECONNRESET, "" if nothing is
 * there. */
void side_say(int fd, const char *text);
const char *side_hear(int fd);

/* Byte number offset of a stream. */
uint8_t side_byte(uint64_t seed, uint64_t offset);

/* Writes bytes offset to offset + size of a stream; gives how many were taken. */
size_t side_write(int fd, uint64_t seed, uint64_t offset, uint64_t size);

/* Reads up to size bytes and checks them.  Bytes, 0 for nothing there, -1 at the end; *ret_wrong counts bad bytes. */
long side_read(int fd, uint64_t seed, uint64_t offset, size_t size, unsigned *ret_wrong);

/* Runs the loop until done(arg), at most limit microseconds; gives whether it is done. */
bool side_run(struct event_base *loop, bool (*done)(void *arg), void *arg, int64_t limit);

/* Runs the loop until nothing is ready, without waiting: over Unix sockets all that follows from what was done. */
void side_settle(struct event_base *loop);

/* Runs the loop for span microseconds and gives how often it turned: a loop at rest turns once. */
unsigned side_turns(struct event_base *loop, int64_t span);

/* Waits until the word is value (or, with less, at least value) for at most limit microseconds. */
bool side_await(const volatile uint32_t *word, uint32_t value, int64_t limit);

/* Sanitizers multiply the instructions and what a process costs; without them each death is tried anyway. */
#ifdef __SANITIZE_ADDRESS__
#define SIDE_STRIDE 8
#else
#define SIDE_STRIDE 1
#endif

/* For each system call (its begin and its end) and for each instruction of act(): prepare; act in a process that
 * shares our files and dies there; check.  finished says that act came to its end.  With thousands of instructions
 * only some of them.  false if there is no ptrace here. */
bool side_every_step(void (*prepare)(void *arg), void (*act)(void *arg), void (*check)(void *arg, bool finished),
    void *arg);

#endif

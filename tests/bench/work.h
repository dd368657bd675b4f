/* work.h - what the client and the server of the bench say to each other. */
#ifndef HOLDFAST_TESTS_WORK_H
#define HOLDFAST_TESTS_WORK_H

#include <stdint.h>

#define WORK_CHUNK 65536u

enum work_kind {
	WORK_PING, /* messages of one size there and back, one at a time */
	WORK_UP,   /* the client sends without end */
	WORK_DOWN, /* the server sends without end */
	WORK_ASK,  /* connect, one ping, close */
	WORK_IDLE, /* one ping, then nothing */
	WORK_KINDS
};

/* The first bytes of a connection; of the first ping, where there are pings. */
struct work_hello {
	uint32_t kind;
	uint32_t size; /* of a message, at least sizeof(struct work_hello) */
};

/* Serves what comes in at the listening socket until the end of standard input.  Gives the exit code. */
int work_serve(int listener);

/* Serves Redis clients at the Unix socket over one connection to the port on 127.0.0.1, until it is killed. */
int work_mux(const char *path, uint16_t port);

/* Asks memcached at the address, "get" or "set", so many operations in all, each client depth of them at a time, and
 * prints how it was.  Gives the exit code. */
int work_memcache(const char *address, const char *command, unsigned count, unsigned depth, uint64_t operations);

/* A connection to an address, the path of a Unix socket or a port of 127.0.0.1; ends the program without. */
int work_connect(const char *address);

/* Does what standard input says, a command a line.  Gives the exit code. */
int work_command(void);

/* Nanoseconds of the monotonic clock. */
int64_t work_now(void);

#endif

/* control_side.h - for tests: a control socket with a register of its own, and clients of it, in one loop. */
#ifndef HOLDFAST_TESTS_CONTROL_SIDE_H
#define HOLDFAST_TESTS_CONTROL_SIDE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "base/clock.h"
#include "control/control.h"
#include "control/events.h"

#define SIDE_BOUND (10 * CLOCK_SECOND)

/* The daemon's side, and what its commands have seen: echo, later, size, events, patient, change. */
struct side {
	struct event_base *loop;
	int listener;
	struct sockaddr_un name;
	socklen_t name_length;
	struct control *control;
	struct events *events;
	struct control_request *waiting; /* the last "later" */
	unsigned cancelled;
	unsigned runs;
};

extern struct side side;

int side_setup(void **state);
int side_teardown(void **state);
#define SIDE_TEST(name) cmocka_unit_test_setup_teardown(name, side_setup, side_teardown)

/* One turn of the loop; nothing is waited for. */
void side_turn(void);

/* A connected client, which does not block. */
int side_client(void);

void side_put_bytes(int fd, const char *bytes, size_t length);
void side_put(int fd, const char *text);

/* The next answer, or NULL at the end of the connection. */
json_t *side_get(int fd);

/* The next answer is good, and its member key (unless NULL) is this JSON text. */
void side_expect_ok(int fd, const char *key, const char *text);

/* The next answer is an error with part in it. */
void side_expect_error(int fd, const char *part);

/* The connection ends; it is closed. */
void side_expect_end(int fd);

#endif

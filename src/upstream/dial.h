/* dial.h - one non-blocking connect to one address, with a time-out. */
#ifndef HOLDFAST_UPSTREAM_DIAL_H
#define HOLDFAST_UPSTREAM_DIAL_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "upstream/probe_talk.h"

struct dial_settings {
	int64_t connect_timeout;
	int keepalive_idle, keepalive_interval, keepalive_count; /* seconds, seconds, probes; idle 0: off */
	int user_timeout;                                        /* milliseconds; 0: the kernel's */
	struct probe_settings probe; /* asked before a connection is used */
};

struct dial;

/* error is 0 or a positive errno (ETIMEDOUT for our own time-out); the fd stays the caller's. */
typedef void dial_callback(void *arg, int error);

/* Makes the socket (close-on-exec, non-blocking) for the address: the fd, or -errno.  Nothing is sent yet, so
 * that the caller can name the file in the table first.  No option is set: whoever keeps it sets them. */
int dial_socket(const struct address *address);

/* Connects fd (borrowed) to the address.  Never calls back before it returns.  EAGAIN of a Unix socket with a
 * full backlog is tried again on a timer until the time-out (B6).
 *
 * event is the caller's memory for the watch on fd.  After success it may still be in the loop, for reading and
 * writing, its argument freed: the callback must delete it before it returns, best after adding its own event for fd,
 * which saves a system call.  After an error or dial_cancel() it is gone from the loop. */
struct dial *dial_start(struct event_base *loop, int fd, const struct address *address,
    const struct dial_settings *settings, struct event *event, dial_callback *callback, void *arg);
void dial_cancel(struct dial *dial);

/* After a worker's death (B6): whether this connecting or connected socket is worth keeping: 1 connected,
 * 0 still connecting, -1 never connected or broken. */
int dial_examine(int fd);

/* Sets keepalive and user time-out on a connection. */
void dial_tune(int fd, const struct dial_settings *settings);

/* Turns the user time-out of a connection off while its peer has closed its window and answers TCP's questions about
 * it: TCP would end it all the same.  To be called more often than that; patient says how it was left last.  Whether
 * it is off now. */
bool dial_heed(int fd, const struct dial_settings *settings, bool patient);

/* Small writes on it do not wait for the answers to earlier ones (TCP_NODELAY). */
void dial_hasten(int fd);

#endif

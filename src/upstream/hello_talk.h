/* hello_talk.h - decides what is said on a new connection before it counts as connected, and what must be answered:
 * the steps of hello, then what upstream/probe_talk asks.
 *
 * Pure: told what was sent, heard, or that the deadline has come, it leaves in talk->wants what to do next and in
 * talk->deadline when to be told hello_talk_late().
 */
#ifndef HOLDFAST_UPSTREAM_HELLO_TALK_H
#define HOLDFAST_UPSTREAM_HELLO_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "upstream/probe_talk.h"

#define HELLO_STEPS      16
#define HELLO_TEXT_MAX   65536u /* of a text, and of a file */
#define HELLO_LINE_MAX   4096u  /* of an answer, without its end */
#define HELLO_ERROR_SIZE 512
#define HELLO_CREDENTIAL "credential:" /* begins a send_file that systemd hands over */

/* Texts are owned; NULL none.  At most one of send and send_file is set. */
struct hello_step {
	char *send;      /* never shown */
	char *send_file; /* a path, or "credential:NAME": what it holds is sent, read for each connection */
	char *expect;    /* the next line must begin with this */
	char *abort_on;  /* a line that begins with this ends all attempts (P21) */
	int64_t timeout; /* of the step */
};

struct hello_settings {
	struct hello_step *steps; /* owned */
	size_t count;             /* at most HELLO_STEPS; 0: nothing is said */
	bool whole_replies;       /* the server speaks Redis' protocol: a step takes a whole reply, whose first
				   * line expect and abort_on see */
};

/* Copies into settings that own nothing; frees what they own; compares. */
void hello_settings_copy(struct hello_settings *to, const struct hello_settings *from);
void hello_settings_clear(struct hello_settings *settings);
bool hello_settings_are_same(const struct hello_settings *a, const struct hello_settings *b);

enum hello_wants { HELLO_SAY, HELLO_HEAR, HELLO_OVER };
enum hello_end { HELLO_DONE, HELLO_FAILED, HELLO_ABORTED };

struct hello_talk {
	enum hello_wants wants;
	enum hello_end end;           /* when over */
	size_t step;                  /* under way */
	int64_t deadline;             /* CLOCK_NEVER when over */
	enum probe_kind probe;        /* the caller's to set, like its time-out: what comes after all steps */
	int64_t probe_timeout;
	bool probing;                 /* it is under way */
	const char *sent;             /* borrowed, the caller's to set: what was sent so far; its words are hidden */
	size_t sent_length;
	uint64_t pending, skip;       /* whole_replies: elements, and bytes of a text, that are still to come */
	size_t length;                /* of line so far */
	char line[HELLO_LINE_MAX];
	char error[HELLO_ERROR_SIZE]; /* when over, not done: "hello: ..." or "probe: ..." */
};

/* All give talk->wants. */
void hello_talk_begin(struct hello_talk *talk, const struct hello_settings *settings, int64_t now);

/* The step's text, or the probe's, was sent. */
void hello_talk_said(struct hello_talk *talk, const struct hello_settings *settings, int64_t now);

/* These bytes come next.  How many of them are hello's: what is behind its last line's end is the client's.  Of a
 * probe's answer none is taken before all of it is there: they come again, with more. */
size_t hello_talk_heard(struct hello_talk *talk, const struct hello_settings *settings, const char *bytes,
    size_t length, int64_t now);

/* talk->deadline has come. */
void hello_talk_late(struct hello_talk *talk, const struct hello_settings *settings);

/* The connection is at its end; or something else ends the talk. */
void hello_talk_closed(struct hello_talk *talk);
void hello_talk_failed(struct hello_talk *talk, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

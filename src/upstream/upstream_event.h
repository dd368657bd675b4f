/* upstream_event.h - what an upstream tells of itself: to subscribers, handlers, and the history. */
#ifndef HOLDFAST_UPSTREAM_UPSTREAM_EVENT_H
#define HOLDFAST_UPSTREAM_UPSTREAM_EVENT_H

/* Kinds of struct upstream_event and of the history's entries. */
enum upstream_event_kind {
	UPSTREAM_ATTEMPTING,   /* attempting_to_connect */
	UPSTREAM_OBTAINED,     /* obtained_address */
	UPSTREAM_FAILED,       /* failed_to_connect */
	UPSTREAM_CONNECTED,
	UPSTREAM_DISCONNECTED,
	UPSTREAM_NOTE,         /* history only: look-up results, rest, expiry, what operators did */
};

struct upstream_event {
	enum upstream_event_kind kind;
	const char *address; /* borrowed; "" if none */
	const char *error;   /* borrowed; "" if none */
	unsigned failures;
};

/* The event's name as handlers are told it: "attempting_to_connect" ... "note". */
const char *upstream_event_name(enum upstream_event_kind kind);

#endif

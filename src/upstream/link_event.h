/* link_event.h - what a link tells of itself: to subscribers, handlers, and the history. */
#ifndef HOLDFAST_UPSTREAM_LINK_EVENT_H
#define HOLDFAST_UPSTREAM_LINK_EVENT_H

/* Kinds of struct link_event and of the history's entries. */
enum link_event_kind {
	LINK_ATTEMPTING,   /* attempting_to_connect */
	LINK_OBTAINED,     /* obtained_address */
	LINK_FAILED,       /* failed_to_connect */
	LINK_CONNECTED,
	LINK_DISCONNECTED,
	LINK_NOTE,         /* history only: look-up results, rest, expiry, what operators did */
};

struct link_event {
	enum link_event_kind kind;
	const char *address; /* borrowed; "" if none */
	const char *error;   /* borrowed; "" if none */
	unsigned failures;
};

/* The event's name as handlers are told it: "attempting_to_connect" ... "note". */
const char *link_event_name(enum link_event_kind kind);

#endif

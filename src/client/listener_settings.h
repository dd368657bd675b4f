/* listener_settings.h - what a listening socket is told, and those of a service together.
 */
#ifndef HOLDFAST_CLIENT_LISTENER_SETTINGS_H
#define HOLDFAST_CLIENT_LISTENER_SETTINGS_H

#include <stdbool.h>
#include <sys/types.h>

#include "keep/layout.h"

enum listener_type {
	LISTENER_STREAM,
	LISTENER_SEQPACKET, /* a packet is a message */
	LISTENER_DGRAM,     /* the same, one way; nobody connects */
};

struct listener_settings {
	enum listener_type type;
	char *path;          /* owned by who fills it; absolute, "@name", or of TCP a name (base/tcp_listen.h) */
	bool public;         /* of TCP: other hosts may reach it */
	mode_t mode;
	/* Owned likewise: names or numbers, which are asked for when the socket is guarded.  NULL: the daemon's. */
	char *owner, *group;
	int backlog;
	char **allow_users, **allow_groups; /* owned lists; both NULL: everybody */
	bool beside;         /* its service has others, among which a socket of systemd's is found by its path */
};

/* Those of a service. */
struct listeners_settings {
	struct listener_settings at[TABLE_LISTENERS];
	unsigned count;
};

/* Copies what is owned too; frees it, and makes all zero. */
void listener_settings_copy(struct listener_settings *to, const struct listener_settings *from);
void listener_settings_clear(struct listener_settings *settings);

/* The same of all but the first, whose fields are settings by themselves; compares all of them. */
void listeners_settings_copy(struct listeners_settings *to, const struct listeners_settings *from);
void listeners_settings_clear(struct listeners_settings *listeners);
bool listeners_settings_are_same(const struct listeners_settings *a, const struct listeners_settings *b);

#endif

/* probe.h - asks a server whether it is ready, in its own protocol (probe_talk), before a client is given to it. */
#ifndef HOLDFAST_UPSTREAM_PROBE_H
#define HOLDFAST_UPSTREAM_PROBE_H

#include <event2/event.h>

#include "base/address.h"
#include "upstream/dial.h"

struct probe;

/* error is NULL when the server is ready, else "probe: ..."; valid during the call. */
typedef void probe_callback(void *arg, const char *error);

/* Asks in settings->probe's protocol, within settings->connect_timeout once connected.  With fd -1 over a connection
 * of its own to address, which is closed again, in a way that its end is no error for the server.  Else over fd
 * (borrowed, connected, non-blocking, with no other event in the loop): what is behind the probe's answer stays
 * unread.  settings are used during the call only. */
struct probe *probe_start(struct event_base *loop, int fd, const struct address *address,
    const struct dial_settings *settings, probe_callback *callback, void *arg);
void probe_cancel(struct probe *probe);

#endif

/* crash.h - a test build kills its worker at a named place: HOLDFAST_CRASH=NAME:COUNT[,NAME:COUNT...].
 *
 * The worker dies of SIGKILL, or the signal number $HOLDFAST_CRASH_SIGNAL (0: it hangs), each COUNT-th time that the
 * place is passed.  The passes are counted in the table, so that a COUNT over 1 lets a recovery succeed in between.
 * Without --enable-crash-points nothing of this is compiled in.
 */
#ifndef HOLDFAST_KEEP_CRASH_H
#define HOLDFAST_KEEP_CRASH_H

#include "keep/table.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#define CRASH_POINTS(X) \
	X(ACCEPT_ACCEPTED, "accept.accepted") \
	X(ACCEPT_RECORDED, "accept.recorded") \
	X(BUFFER_CLAIMED, "buffer.claimed") \
	X(BUFFER_NAMED, "buffer.named") \
	X(BUFFER_UNNAMED, "buffer.unnamed") \
	X(IO_JOURNAL_RECEIVE_MARKED, "call.receive-marked") \
	X(IO_JOURNAL_RECEIVED, "call.received") \
	X(IO_JOURNAL_RECEIVE_STORED, "call.receive-stored") \
	X(IO_JOURNAL_SEND_MARKED, "call.send-marked") \
	X(IO_JOURNAL_SENT, "call.sent") \
	X(IO_JOURNAL_SEND_STORED, "call.send-stored") \
	X(IO_JOURNAL_FILLED, "call.filled") \
	X(IO_JOURNAL_DRAIN_MARKED, "call.drain-marked") \
	X(IO_JOURNAL_DRAINED, "call.drained") \
	X(IO_JOURNAL_DRAIN_STORED, "call.drain-stored") \
	X(IO_JOURNAL_PACKET_MARKED, "call.packet-marked") \
	X(IO_JOURNAL_PACKET_SENT, "call.packet-sent") \
	X(IO_JOURNAL_PACKET_STORED, "call.packet-stored") \
	X(IO_JOURNAL_GIVE_MARKED, "call.give-marked") \
	X(IO_JOURNAL_GIVEN, "call.given") \
	X(IO_JOURNAL_GIVE_STORED, "call.give-stored") \
	X(RING_COPIED, "flow.copied") \
	X(RING_RENAMED, "flow.renamed") \
	X(RING_UNNAMED, "flow.unnamed") \
	X(SHARED_COPIED, "shared.copied") \
	X(SHARED_ASKED, "shared.asked") \
	X(SHARED_ANSWERED, "shared.answered") \
	X(SHARED_ANSWERED_HERE, "shared.answered-here") \
	X(SHARED_BROADCAST, "shared.cast") \
	X(SHARED_LENT, "shared.lent") \
	X(SHARED_NAMED, "shared.named") \
	X(SHARED_LOST, "shared.lost") \
	X(SHARED_SETTLED, "shared.settled") \
	X(SHARED_UNNAMED, "shared.unnamed") \
	X(PIPE_OPENED, "pipe.opened") \
	X(PIPE_NAMED, "pipe.named") \
	X(PIPE_TAKEN, "pipe.taken") \
	X(PIPE_PASSED_FDS_BACK, "pipe.given-back") \
	X(PIPE_UNNAMED, "pipe.unnamed") \
	X(SHUTDOWN_BEFORE, "shutdown.before") \
	X(SHUTDOWN_AFTER, "shutdown.after") \
	X(OPEN_BEFORE, "open.before") \
	X(OPEN_COMMITTED, "open.committed") \
	X(OPEN_TAKEN, "open.taken") \
	X(RETURN_CLOSED, "return.closed") \
	X(RETURN_HELD, "return.held") \
	X(LINGER_MARKED, "linger.marked") \
	X(LINGER_PREPARED, "linger.prepared") \
	X(LINGER_SAID, "linger.said") \
	X(CONN_MARKED, "conn.marked") \
	X(CONN_CLOSED, "conn.closed") \
	X(CONN_UNNAMED, "conn.unnamed") \
	X(CONN_FREED, "conn.freed") \
	X(CLOSE_MARKED, "close.marked") \
	X(CLOSE_UPSTREAM, "close.upstream") \
	X(CLOSE_CLIENT, "close.client") \
	X(CLOSE_RELEASED, "close.released") \
	X(CLOSE_FREED, "close.freed") \
	X(REDO_COMMITTED, "redo.committed") \
	X(DIAL_SOCKET, "dial.socket") \
	X(DIAL_NAMED, "dial.named") \
	X(DIAL_STARTED, "dial.started") \
	X(DIAL_CONNECTED, "dial.connected") \
	X(HELLO_SAID, "hello.said") \
	X(HELLO_HEARD, "hello.heard") \
	X(UPSTREAM_STEPPED, "upstream.stepped") \
	X(UPSTREAM_COMMITTED, "upstream.committed") \
	X(UPSTREAM_ACTED, "upstream.acted") \
	X(TAKEOVER_PASSED_FDS, "takeover.given") \
	X(TAKEOVER_TOLD, "takeover.told") \
	X(RELOAD_COMMITTED, "reload.committed") \
	X(CONTROL_OPENED, "control.opened") \
	X(CONTROL_UNNAMED, "control.unnamed") \
	X(CONTROL_PLACED, "control.placed") \
	X(CONTROL_NAMED, "control.named") \
	X(METRICS_OPENED, "metrics.opened") \
	X(METRICS_UNNAMED, "metrics.unnamed") \
	X(METRICS_PLACED, "metrics.placed") \
	X(METRICS_NAMED, "metrics.named") \
	X(LOCK_OPENED, "lock.opened") \
	X(LOCK_REPLACED, "lock.replaced") \
	X(LISTENER_OPENED, "listener.opened") \
	X(LISTENER_PASSED_FDS, "listener.given") \
	X(LISTENER_UNLINKED, "listener.unlinked") \
	X(LISTENER_SHUT, "listener.shut") \
	X(LISTENER_UNNAMED, "listener.unnamed") \
	X(LISTENER_PLACED, "listener.placed") \
	X(LISTENER_NAMED, "listener.named") \
	X(SWITCH_ORDERED, "switch.ordered") \
	X(ENDPOINT_LISTED, "endpoint.listed") \
	X(ENDPOINT_BESIDE, "endpoint.beside") \
	X(ENDPOINT_TOLD, "endpoint.told") \
	X(ENDPOINT_HEALTH, "endpoint.health") \
	X(ENDPOINT_CUT, "endpoint.cut") \
	X(RECOVER_REDONE, "recover.redone") \
	X(RECOVER_IO_JOURNAL, "recover.call") \
	X(RECOVER_CLOSING, "recover.closing") \
	X(RECOVER_CLOSED, "recover.closed") \
	X(RECOVER_ADOPTED, "recover.adopted") \
	X(RECOVER_SWEPT, "recover.swept") \
	X(RECOVER_SERVICE, "recover.service") \
	X(RECOVER_EVENTS, "recover.events") \
	X(RECOVER_READY, "recover.ready")

enum crash_point {
#define CRASH_ENUM(name, text) CRASH_##name,
	CRASH_POINTS(CRASH_ENUM)
#undef CRASH_ENUM
	CRASH_COUNT
};

#ifdef HOLDFAST_CRASH_POINTS
#define CRASH_POINT(name) crash_here(CRASH_##name)
#else
#define CRASH_POINT(name) ((void)0)
#endif

/* Reads HOLDFAST_CRASH.  false if it names an unknown point.  Does nothing without --enable-crash-points. */
bool crash_open(struct table *table);

/* Prints all names, one a line; false if they are not compiled in. */
bool crash_list(void);

/* Counts the pass; at a wanted one says so on standard error and ends this process by SIGKILL.  Called by
 * CRASH_POINT() alone, after crash_open(). */
void crash_here(enum crash_point point);

#endif

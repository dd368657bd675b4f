/* notify.h - what the keeper tells systemd (K5): READY, STATUS, STOPPING, WATCHDOG.
 *
 * One datagram socket, opened before the first worker; without $NOTIFY_SOCKET all of it does nothing.
 */
#ifndef HOLDFAST_KEEP_NOTIFY_H
#define HOLDFAST_KEEP_NOTIFY_H

#include <stdbool.h>
#include <sys/types.h>

#include "keep/table.h"

/* Opens the socket and names it in the table.  0 or -errno. */
int notify_open(struct table *table);

/* Sends READY=1 once a worker is ready, and STATUS= whenever the text has changed.  What systemd does not take now is
 * sent by the next call. */
void notify_update(struct table *table);

/* Sends STOPPING=1, now or by the next notify_update(). */
void notify_stopping(struct table *table);

/* Sends WATCHDOG=1 if it can be sent now: the next one comes soon. */
void notify_watchdog(struct table *table);

/* Whether a debugger holds the process (TracerPid of /proc/PID/status).  Opens files. */
bool notify_is_traced(pid_t pid);

#endif

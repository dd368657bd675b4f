/* notify.h - what the keeper tells systemd (K5): READY, RELOADING, STATUS, STOPPING, WATCHDOG.
 *
 * One datagram socket, opened before the first worker; without $NOTIFY_SOCKET all of it does nothing.
 */
#ifndef HOLDFAST_KEEP_NOTIFY_H
#define HOLDFAST_KEEP_NOTIFY_H

#include <stdbool.h>

#include "keep/layout.h"

/* Opens the socket and names it in the table, unless it is there from before an upgrade.  0 or -errno. */
int notify_open(struct table *table);

/* Whether there is somebody to tell. */
bool notify_is_open(const struct table *table);

/* Whether that is systemd, which says so since version 248: others may read nothing, and keep no files. */
bool notify_is_systemd(void);

/* Sends READY=1 once a worker is ready, RELOADING=1 for each reload since and READY=1 after it, and STATUS= whenever
 * the text has changed.  What systemd does not take now is sent by the next call. */
void notify_update(struct table *table);

/* Sends STOPPING=1, now or by the next notify_update(). */
void notify_stopping(struct table *table);

/* Sends WATCHDOG=1 if it can be sent now: the next one comes soon.  As long as READY=1 has not been sent systemd is
 * also asked to wait for longer. */
void notify_watchdog(struct table *table);

/* Sends a message with files (keep/rights), waiting for room for as long as systemd can be expected to need.  For the
 * keeper while no worker lives.  0 or -errno. */
int notify_hand_over(const struct table *table, const char *text, const int *files, unsigned count);

/* Waits until all that was sent has been read.  -ETIMEDOUT: whoever it is does not answer.  Opens files. */
int notify_barrier(const struct table *table);

#endif

/* admission.h - how clients of a service come in: accepted, asked who they are, counted; and why nobody is accepted
 * for now. */
#ifndef HOLDFAST_CLIENT_ADMISSION_H
#define HOLDFAST_CLIENT_ADMISSION_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/closing.h"
#include "keep/table.h"

struct listeners_settings;
struct upstream;
struct admission;

/* Limits of waiting: clients; microseconds. */
enum admission_limit { ADMISSION_MAX_HELD, ADMISSION_HOLD_TIMEOUT, ADMISSION_LIMITS };

/* Of the service with this index in the table; all is borrowed.  came is told the record of each client that is
 * accepted; it says TABLE_CLIENT_ADOPTED until admission_ask() has been called for it: should this worker die before,
 * the next one asks.  exhausted is told that no file descriptor is left. */
struct admission *admission_new(struct event_base *loop, struct table *table, uint16_t service,
    void (*came)(void *arg, uint32_t index), void (*exhausted)(void *arg), void *arg);

/* NULL is fine.  Whoever is counted is forgotten. */
void admission_free(struct admission *admission);

/* Who may come in at which listener: names are looked up now, and not again; per_user 0: no limit. */
void admission_set(struct admission *admission, const struct listeners_settings *listeners, unsigned per_user);

/* Listener number i accepts from fd (borrowed) from now on, whatever has paused it; -1 for no more.  With last set it
 * takes in all who have connected to the socket before it, which was shut and is to go. */
void admission_listen(struct admission *admission, unsigned i, int fd, bool last);

/* Accepting pauses for this reason, the limit of which is most, or resumes.  Counted, and said once a minute at most,
 * since clients that come and go at the limit pause it again and again. */
void admission_pause(struct admission *admission, enum table_pause why, unsigned most);

/* A client was refused for this limit: said at once, then once a minute at most, with how many there were.  tell says
 * what is left to be told. */
void admission_note_refused(struct admission *admission, enum admission_limit limit, int64_t most, int64_t now);
void admission_tell_refused(struct admission *admission, int64_t now);

/* Why nobody is accepted for now; who came waits in the backlog. */
enum table_pause admission_why_paused(const struct admission *admission);

/* Decides on the client at the other end of fd: why it may not come in, NOT_ALLOWED or LIMIT, which is counted, and
 * logged once a minute per user; UNKNOWN: it may.  With a limit per user *ret_uid is counted then, until
 * admission_leave(); without one no credentials are asked for where none are needed, and *ret_uid is (uid_t)-1. */
enum closing_cause admission_ask(struct admission *admission, int fd, uid_t *ret_uid);

/* For a client that was let in earlier, by a dead worker or while there was no limit: counts it if there is a limit
 * now and *uid is still (uid_t)-1. */
void admission_rejoin(struct admission *admission, int fd, uid_t *uid);

/* uid as the functions above gave it. */
void admission_leave(struct admission *admission, uid_t uid);

/* Whether clients that connect now, or wait for a connection, are turned away: operators have closed it, or it is
 * down, not paused, and not to hold anybody then (refuses: on_down is "refuse").  upstream is borrowed; NULL: no
 * connection will come. */
bool admission_is_closed(const struct table *table, uint16_t service, const struct upstream *upstream, bool refuses);

#endif

/* admission.h - may this client come in?  Who it is, and how many of its kind are here already. */
#ifndef HOLDFAST_CLIENT_ADMISSION_H
#define HOLDFAST_CLIENT_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "keep/table.h"

struct upstream;
struct admission;

enum admission_result { ADMISSION_YES, ADMISSION_NOT_ALLOWED, ADMISSION_TOO_MANY };

/* name is the service's, for the log; borrowed. */
struct admission *admission_new(const char *name);

/* NULL is fine.  Whoever is counted is forgotten. */
void admission_free(struct admission *admission);

/* Lists as in peer_rules_new(): names are looked up now, and not again; per_user 0: no limit. */
void admission_set(struct admission *admission, char *const *users, char *const *groups, unsigned per_user);

/* Decides on the client at the other end of fd.  Who is not let in is logged, once a minute per user.  With a limit
 * per user *ret_uid is counted until admission_leave(); without one no credentials are asked for where none are
 * needed, and *ret_uid is (uid_t)-1. */
enum admission_result admission_ask(struct admission *admission, int fd, uid_t *ret_uid);

/* For a client that was let in earlier, by a dead worker or while there was no limit: counts it if there is a limit
 * now and *uid is still (uid_t)-1. */
void admission_rejoin(struct admission *admission, int fd, uid_t *uid);

/* Whether who comes to the service now, or waits for a connection, is turned away: operators have closed it, or it is
 * down, not paused, and not to hold anybody then (refuses: on_down is "refuse").  upstream is borrowed; NULL: no
 * connection will come. */
bool admission_is_closed(const struct table *table, uint16_t service, const struct upstream *upstream, bool refuses);

/* uid as the functions above gave it. */
void admission_leave(struct admission *admission, uid_t uid);

#endif

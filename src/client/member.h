/* member.h - one client of a service whose clients share an upstream connection. */
#ifndef HOLDFAST_CLIENT_MEMBER_H
#define HOLDFAST_CLIENT_MEMBER_H

#include <stdbool.h>

struct member;
struct session;
struct shared;

/* The client of the session, which is open, joins; the session is borrowed, and told of its end by
 * session_is_over(). */
struct member *member_new(struct shared *shared, struct session *session);

/* It leaves; what it asked is answered to nobody.  NULL is fine. */
void member_free(struct member *member);

/* Whether something that it asked has no reply yet. */
bool member_is_asking(const struct member *member);

/* Once in a while: whether the client has gone for good, unnoticed since nothing is read from it. */
bool member_is_gone(const struct member *member);

#endif

/* mux_client.h - one client of a service whose clients share an upstream connection. */
#ifndef HOLDFAST_CLIENT_MUX_CLIENT_H
#define HOLDFAST_CLIENT_MUX_CLIENT_H

#include <stdbool.h>

struct mux_client;
struct client;
struct shared;

/* The client of the session, which is open, joins; the session is borrowed, and told of its end by
 * client_is_over(). */
struct mux_client *mux_client_new(struct shared *shared, struct client *client);

/* It leaves; what it asked is answered to nobody.  NULL is fine. */
void mux_client_free(struct mux_client *mux_client);

/* Whether something that it asked has no reply yet. */
bool mux_client_is_asking(const struct mux_client *mux_client);

/* Once in a while: whether the client has gone for good, unnoticed since nothing is read from it. */
bool mux_client_is_gone(const struct mux_client *mux_client);

#endif

/* metrics_listener.h - where the metrics are served: a listening socket of this host alone.
 *
 * "unix:/PATH" or a loopback address with its port ("127.0.0.1:9464", "[::1]:9464"): what the metrics tell is
 * nobody's business elsewhere, and HTTP without a password must not be reached from there.
 */
#ifndef HOLDFAST_CLIENT_METRICS_LISTENER_H
#define HOLDFAST_CLIENT_METRICS_LISTENER_H

#include "client/listener.h"

/* What is wrong with an address to listen at: a static text, or NULL. */
const char *metrics_listener_check(const char *address);

/* For the socket of an address that is right: a file, "0660", or a port.  Its path is the caller's to free with
 * mem_free(). */
void metrics_listener_settings(const char *address, struct listener_settings *ret_settings);

#endif

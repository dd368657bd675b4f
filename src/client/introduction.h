/* introduction.h - says to the upstream who its client is, as the first bytes of a connection (the PROXY protocol).
 *
 * That a connection owes it stands in its record before a client has it, and how much was said of it before anything
 * else is (keep/io_journal): no death has it said twice, or has the client's first byte said without it.  It is none
 * of the client's bytes: those are counted, kept and given to another connection without it.
 */
#ifndef HOLDFAST_CLIENT_INTRODUCTION_H
#define HOLDFAST_CLIENT_INTRODUCTION_H

#include <stdint.h>

#include "base/proxy_header.h"
#include "keep/table.h"

/* This idle connection, which is about to be a client's, owes such a header, or (NONE) none. */
void introduction_owe(struct table *table, uint32_t conn, enum proxy_version version);

/* Says it if the client's connection still owes it.  A connection that does not take it whole is ended, and its
 * client, of whose bytes it has none, gets another. */
void introduction_say(struct table *table, uint32_t client);

#endif

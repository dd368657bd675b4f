/* mux_audit.h - whether what the clients of a service share can be followed, whatever a damaged table has made of it.
 *
 * keep/audit has seen to numbers and places; this looks at what stands there.
 */
#ifndef HOLDFAST_CLIENT_MUX_AUDIT_H
#define HOLDFAST_CLIENT_MUX_AUDIT_H

#include "client/mux_ask.h"

/* Puts it right, so that the least is lost; to be called before anything of it is used: a label that does not end is
 * none, a track that cannot be is never free again, messages for the spool that are none are dropped, and a reply of
 * which a part has passed and that cannot go on ends with its connection.  Whether anything was damaged. */
bool mux_audit(struct mux_rules *rules);

#endif

/* record_audit.h - whether an upstream's record can be resumed, whatever a damaged table has made of it.
 *
 * Pure.
 */
#ifndef HOLDFAST_UPSTREAM_RECORD_AUDIT_H
#define HOLDFAST_UPSTREAM_RECORD_AUDIT_H

#include "upstream/record.h"

/* Puts right what nothing depends on: texts end, nothing was in a time that is still to come, no wait is longer than
 * longest, an endpoint that cannot be one is none.  false: its state is none, and it is not to be resumed; it is as
 * record_clear() takes it.  now: monotonic. */
bool record_audit(struct upstream_record *record, int64_t longest, int64_t now);

#endif

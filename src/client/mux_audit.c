#include "client/mux_audit.h"

#include <string.h>

#include "client/label.h"
#include "client/mux_stream.h"
#include "client/ring.h"
#include "client/spool_segment.h"
#include "client/track.h"

/* The messages that wait for the disk are as many as have numbers. */
static bool
audit_waits(const struct mux_queue *queue)
{
	const struct table_shared *record = queue->record;
	const unsigned char *bytes = ring_bytes(queue->table, record->spool);
	size_t length = ring_length(queue->table, record->spool), at = 0;
	uint64_t count = 0;

	if (record->spool == 0)
		return false;
	for (; at + SPOOL_RECORD <= length; count++)
		at += SPOOL_RECORD + spool_record_length(bytes + at);
	return at != length || count != record->spool_next - record->spool_written;
}

/* What was acknowledged was read, and what was read was written. */
static bool
audit_spool(struct mux_queue *queue)
{
	struct table_shared *record = queue->record;

	if (record->spool_acknowledged <= record->spool_read && record->spool_read <= record->spool_written &&
	    record->spool_written <= record->spool_next && !audit_waits(queue))
		return false;
	record->spool_next = record->spool_written = record->spool_read = record->spool_acknowledged = 0;
	record->spool_identity = 0; /* the directory tells them afresh */
	ring_drop(queue->table, mux_queue_payer(queue), &record->spool);
	return true;
}

static bool
audit_stream(const struct mux_rules *rules)
{
	const struct mux_queue *queue = &rules->queue;
	uint32_t i = 0;

	if (queue->record->streamed == 0 || mux_stream_is_sane(rules))
		return false;
	while ((i = table_conn_next(queue->table, queue->service, i)) != 0)
		if (table_conn_is_shared(queue->table, i)) {
			table_conn_close(queue->table, i);
			break;
		}
	return true;
}

bool
mux_audit(struct mux_rules *rules)
{
	struct table *table = rules->queue.table;
	unsigned found = 0;

	for (uint32_t i = 0; (i = table_client_next(table, rules->queue.service, i)) != 0;)
		found += (unsigned)label_audit(table, i) + (unsigned)track_audit(table, i);
	found += (unsigned)audit_spool(&rules->queue) + (unsigned)audit_stream(rules);
	return found > 0;
}

/* sink.h - where log lines go: standard error or the journal, neither of which may ever make us wait.
 *
 * What is not taken at once (a pipe that is full, a terminal that is stopped, a journal that is slow) waits in a
 * small room of our own, in order.  When that is full further records are lost, and counted.  An inherited file is
 * never set to non-blocking: others share it.
 */
#ifndef HOLDFAST_BASE_SINK_H
#define HOLDFAST_BASE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SINK_ROOM       65536 /* bytes of records that wait */
#define SINK_RECORD_MAX 8192  /* bytes of one */

enum sink_kind {
	SINK_STDERR,  /* a record is a whole line, at most PIPE_BUF bytes */
	SINK_JOURNAL, /* a record is a message, by sink_encode() */
};

/* May lie in shared memory, so that what a dead process had not got rid of is counted too. */
struct sink_counts {
	volatile uint64_t lost;    /* records, since the start */
	volatile uint64_t told;    /* of which the log itself has told */
	volatile uint64_t waiting; /* records in this process's room */
};

/* Counts there from now on (borrowed); records that wait there by its word were another process's and are lost. */
void sink_count_in(struct sink_counts *counts);

/* Records that were lost and not told of yet; or that were told of now. */
uint64_t sink_untold(void);
void sink_note_told(uint64_t records);

/* The journal's socket, instead of the system's: for tests.  The text is borrowed; NULL: the system's. */
void sink_set_journal(const char *path);

/* Gives a record away, or lets it wait, or loses it.  0, or -errno: the journal is not there, or the record is too
 * long for it (-EMSGSIZE); then it is nowhere. */
int sink_put(enum sink_kind kind, const void *record, size_t length);

/* The same at once or not at all: false if it was not taken, and it is not counted then. */
bool sink_put_now(enum sink_kind kind, const void *record, size_t length);

/* Gives away what waits, as far as it is taken; whether something does. */
void sink_flush(void);
bool sink_is_waiting(void);

/* Adds a field in the journal's native form: NAME=VALUE, or with the length in front if VALUE has lines.  *length is
 * the record's so far.  false if there is no room for it, and nothing is added. */
bool sink_encode(char record[SINK_RECORD_MAX], size_t *length, const char *name, const char *value);

#endif

/* spool_segment.h - what a file of the spool holds: messages one behind the other, each with its checksum.
 *
 * Pure.  A segment begins with SPOOL_HEADER bytes: the magic, the version of the format, a checksum, the spool's
 * identity, the number of its first message.  A record follows for each message: its length, a checksum, its bytes.
 * Messages of a segment have numbers in a row; a record's checksum covers the spool's identity and the message's
 * number as well, so that what an earlier file has left on the disk is never taken for a message.  All numbers are
 * little-endian.  Checksums are CRC-32C (RFC 3720).
 *
 * A segment ends where its bytes end.  Where they are no whole record, it ends too, and what follows is lost: lengths
 * are not to be trusted behind a record that is damaged.
 *
 * The file "position" says how far the messages were acknowledged, in two places that are written in turn.
 */
#ifndef HOLDFAST_CLIENT_SPOOL_SEGMENT_H
#define HOLDFAST_CLIENT_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_HEADER   32u /* bytes */
#define SPOOL_RECORD   8u  /* bytes before each message */
#define SPOOL_POSITION 32u /* of each of the two places */

/* The CRC-32C of these bytes behind those that crc is of; 0: of none. */
uint32_t spool_crc(uint32_t crc, const void *bytes, size_t length);

/* What the header says. */
struct spool_segment {
	uint64_t spool;  /* its identity */
	uint64_t first;  /* the number of its first message */
};

void spool_segment_write(const struct spool_segment *segment, unsigned char *ret_header);

/* NULL, or what is wrong with it, for people. */
const char *spool_segment_read(const unsigned char *header, size_t length, struct spool_segment *ret_segment);

/* The length of a record's message, with which the record begins; and writes that alone, with nothing behind it. */
uint32_t spool_record_length(const unsigned char *record);
void spool_record_begin(unsigned char *ret_record, size_t length);

/* Writes what comes before this message's bytes, whose length is not 0. */
void spool_record_write(uint64_t spool, uint64_t number, const unsigned char *message, size_t length,
    unsigned char *ret_record);

enum spool_result {
	SPOOL_WHOLE,   /* there is a record, whose message stands SPOOL_RECORD bytes behind its start */
	SPOOL_MORE,    /* there is a part of one */
	SPOOL_DAMAGED, /* it is none */
};

/* The record that the bytes begin with, which must be of the message with this number, of at most max bytes.
 * ret_length: WHOLE: the message's bytes; MORE: those that must be there to say more. */
enum spool_result spool_record_read(uint64_t spool, uint64_t number, const unsigned char *bytes, size_t length,
    size_t max, size_t *ret_length);

/* What a place of the position's file says. */
struct spool_position {
	uint64_t spool;  /* its identity */
	uint64_t acknowledged; /* the number of the first message that is not */
	uint64_t turn;   /* counts up with each that is written: its place is turn % 2 */
};

void spool_position_write(const struct spool_position *position, unsigned char *ret_bytes);

/* The newer of both places, each of which may be damaged, or missing from the file; false: there is none. */
bool spool_position_read(const unsigned char *bytes, size_t length, struct spool_position *ret_position);

/* The name of the segment's file; the number that a name tells: false: it is no segment's. */
#define SPOOL_NAME 26 /* with its NUL */
void spool_segment_name(uint64_t first, char *ret_name);
bool spool_segment_is(const char *name, uint64_t *ret_first);

#endif

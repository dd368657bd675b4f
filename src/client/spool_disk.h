/* spool_disk.h - the directory of a spool: messages are written to its segments, read from them, and segments that
 * are done with are removed.
 *
 * A call takes as long as the disk takes, so that the thread of client/spool makes it, one at a time.
 */
#ifndef HOLDFAST_CLIENT_SPOOL_DISK_H
#define HOLDFAST_CLIENT_SPOOL_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_TOLD 256

struct spool_disk;

/* What is to be done in one go, and then what was. */
struct spool_job {
	/* settings, as they are now */
	uint64_t max_size;      /* bytes of all segments, with the damaged ones that are kept aside */
	bool syncs;             /* what is written counts when it is on the disk */
	bool makes_room;        /* the oldest messages go where there is no room for the newest */
	/* messages before this number are done with */
	uint64_t acknowledged;
	/* messages to be written, each behind what spool_record_begin() has written; they are made records in place.
	 * length 0: none */
	unsigned char *bytes;
	size_t length;
	uint64_t first;
	uint32_t count;
	/* messages from this number on were not read; whether they are to be */
	uint64_t next;
	bool reads;
	unsigned char *into;
	size_t size;

	/* why it could not be done, an errno and what was tried; 0: it was */
	int error;
	const char *what;
	bool written;           /* all messages that were to be */
	/* records that were read, which are whole, with numbers in a row up to next, exclusively; next may have gone
	 * on without any: there are none before it.  wants: into must have room for so much first; 0: it has */
	size_t got, wants;
	uint32_t got_count;
	/* the spool as it is now */
	bool opened;            /* just now: what follows is what the disk had */
	uint64_t spool;         /* its identity */
	uint64_t begin, end;    /* numbers of the first message that is there, and of the next to be written */
	uint64_t position;      /* what was acknowledged, as far as the disk knows */
	uint64_t bytes_there;   /* as max_size counts them */
	int64_t oldest;         /* wall clock, seconds: when the first segment was begun; 0: there is none */
	uint64_t dropped;       /* messages that were not read, and went to make room */
	uint64_t damaged;       /* messages that were found to be, at least, in this job */
	char told[SPOOL_TOLD];  /* what operators are to be told of damage; "": nothing */
};

/* Nothing is opened yet.  path is borrowed. */
struct spool_disk *spool_disk_new(const char *path);

/* Closes all; what is written stays.  NULL is fine. */
void spool_disk_free(struct spool_disk *disk);

/* Does the job, and opens the directory first if that was not done, or it was lost. */
void spool_disk_run(struct spool_disk *disk, struct spool_job *job);

/* What a job's error means. */
const char *spool_error_text(int error);

#endif

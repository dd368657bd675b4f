/* spool_rest.h - the last messages of a removed service go to its spool, beside the loop: what is still to be written
 * is written, then it is told how many messages stay there, or are lost.
 *
 * The service's record is gone meanwhile: a worker that dies takes what is not written with it.
 */
#ifndef HOLDFAST_CLIENT_SPOOL_REST_H
#define HOLDFAST_CLIENT_SPOOL_REST_H

#include "client/spool_thread.h"

struct spool_rest {
	struct spool_thread *thread; /* owned; NULL: there is none, and all are lost */
	int error;                   /* why */
	bool works;                  /* it has a job; else its job has all but messages to write */
	const char *name, *path;     /* borrowed: of the service, of the spool */
	unsigned char *bytes;        /* owned: records that no job has yet */
	size_t length;
	uint32_t count;
	uint64_t messages;           /* that are not acknowledged: there, in the job and here */
	uint64_t identity;           /* of the spool whose numbers these are; 0 none: */
	uint64_t number;             /* of the first message that is not known to be written */
	uint64_t acknowledged;       /* all before it */
};

/* It ends by itself. */
void spool_rest_start(const struct spool_rest *of);

#endif

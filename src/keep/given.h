/* given.h - the files that systemd hands over at the start: activated sockets, and what was stored with it (K2). */
#ifndef HOLDFAST_KEEP_GIVEN_H
#define HOLDFAST_KEEP_GIVEN_H

#include <stdbool.h>
#include <stddef.h>

struct given {
	struct given_file {
		int fd;      /* owned; -1: somebody has taken it */
		char *name;  /* owned; FileDescriptorName= or FDNAME= */
	} *files;            /* owned */
	size_t count;
};

/* Takes $LISTEN_FDS once and for all.  0 or -errno. */
int given_take(struct given *ret_given);

/* The file of this name becomes the caller's; -1 if there is none (any more). */
int given_claim(struct given *given, const char *name);

/* Closes what nobody has claimed, and frees. */
void given_clear(struct given *given);

#endif

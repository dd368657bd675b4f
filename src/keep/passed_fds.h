/* passed_fds.h - file descriptors that systemd hands over at start: activated sockets, and the fdstore (K2). */
#ifndef HOLDFAST_KEEP_PASSED_FDS_H
#define HOLDFAST_KEEP_PASSED_FDS_H

#include <stdbool.h>
#include <stddef.h>

struct passed_fds {
	struct passed_fds_file {
		int fd;      /* owned; -1: somebody has taken it */
		char *name;  /* owned; FileDescriptorName= or FDNAME= */
	} *files;            /* owned */
	size_t count;
};

/* Takes $LISTEN_FDS once and for all.  0 or -errno. */
int passed_fds_take(struct passed_fds *ret_passed_fds);

/* The file of this name becomes the caller's; -1 if there is none (any more). */
int passed_fds_claim(struct passed_fds *passed_fds, const char *name);

/* Closes what nobody has claimed, and frees. */
void passed_fds_clear(struct passed_fds *passed_fds);

#endif

/* spool_directory.h - the directory of a spool, and which files of it are there.
 *
 * The directory is made where it is missing, belongs to the daemon's user, and is locked while it is open.  Files are
 * segments, by the number of their first message, and segments that were put aside because they are damaged.  Files
 * of other names are left alone.  A call takes as long as the disk takes.
 */
#ifndef HOLDFAST_CLIENT_SPOOL_DIRECTORY_H
#define HOLDFAST_CLIENT_SPOOL_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

/* Its file descriptor, the caller's; or -errno, with what was tried. */
int spool_directory_open(const char *path, const char **ret_what);

struct spool_file {
	uint64_t first, size;
	int64_t born;      /* wall clock, seconds */
	bool aside;
};

/* Visits each, in no order; one that is visited may be removed.  0 or -errno. */
int spool_directory_each(int directory, void (*visit)(void *arg, const struct spool_file *file), void *arg);

/* When the segment was begun: wall clock, seconds; 0: it is not there. */
int64_t spool_directory_born(int directory, uint64_t first);

/* The segment goes, or is put aside.  false: it could not, and errno. */
bool spool_directory_remove(int directory, uint64_t first);
bool spool_directory_put_aside(int directory, uint64_t first);

/* All that were put aside go. */
void spool_directory_clear_aside(int directory);

#endif

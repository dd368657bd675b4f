/* place.h - whether a path still leads to the file that we made there.
 *
 * Others may remove or replace the file of a socket; what stands at the path then is not ours to unlink.  A bound
 * socket keeps its file's inode in use, so that no other file gets that number while the socket lives.
 */
#ifndef HOLDFAST_KEEP_PLACE_H
#define HOLDFAST_KEEP_PLACE_H

#include <stdbool.h>
#include <stdint.h>

/* May lie in the table.  Zero is unknown: whatever socket stands at the path then counts as ours. */
struct place {
	uint64_t device, inode;
};

/* What stands at the path now; unknown if nothing does, or for the name of an abstract socket ("" or "@..."). */
void place_of(const char *path, struct place *ret_place);

/* Whether the path leads there.  Always true for an abstract socket. */
bool place_is_at(const struct place *place, const char *path);

/* Unlinks the path if it leads there. */
void place_unlink(const struct place *place, const char *path);

#endif

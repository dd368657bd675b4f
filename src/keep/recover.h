/* recover.h - a new worker's first acts, steps 1 to 3 of surviving.md: redo, finish closing, sweep.
 *
 * After it, each open file descriptor is named by one live record, the calls that were under way when the last
 * worker died are accounted for, and clients that it had accepted but not recorded are held ones with
 * TABLE_CLIENT_ADOPTED.
 */
#ifndef HOLDFAST_KEEP_RECOVER_H
#define HOLDFAST_KEEP_RECOVER_H

#include "keep/table.h"

/* Harmless to repeat, also after a death in its midst.  Opens nothing before the end of step 2: a new file would
 * take a number that a record still means to close.  The sweep's own look into /proc comes after that, when a
 * number that is named is one in use; a death during it leaves a file that no record names, which the next sweep
 * closes. */
void recover_run(struct table *table);

/* Kills the process groups of programs that a dead worker left running: of one service; of all, and the upgrade
 * that was being tried; one group.  Their numbers are forgotten. */
void recover_end_programs_of(struct table_service *service);
void recover_end_programs(struct table *table);
void recover_end_group(volatile int32_t *group);

/* A listener that a dead worker had open for this name, in the midst of a reload; the caller's, or -1.  Whoever has
 * connected to it is there. */
int recover_take_stray(struct table *table, const struct sockaddr_un *name, socklen_t length);

/* Which of the service's listeners this connection was accepted from, or -1. */
int recover_listener_of(const struct table_service *service, int fd);

/* Adds a listener that no record names any more, to be taken by its name.  Who dies first has lost nothing: the next
 * sweep finds it among the open files. */
void recover_add_stray(struct table *table, int fd);

/* Closes those that nobody has taken. */
void recover_close_strays(struct table *table);

#endif

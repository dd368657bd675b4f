/* clone.h - a child with the same open files, as the keeper's worker is. */
#ifndef HOLDFAST_KEEP_CLONE_H
#define HOLDFAST_KEEP_CLONE_H

#include <sys/types.h>

/* As fork(), but what the child opens and closes is open and closed here, too (K3). */
pid_t clone_with_files(void);

#endif

/* memory_limit.h - how much memory this process may use: what its control groups and the machine allow. */
#ifndef HOLDFAST_BASE_MEMORY_LIMIT_H
#define HOLDFAST_BASE_MEMORY_LIMIT_H

#include <stdint.h>

/* Bytes, the least of the limits of all groups that it is in (cgroups(7), version 1 and 2; memory.high counts) and of
 * the machine's memory.  Reads files below /proc and /sys/fs/cgroup, which do not block; what cannot be read limits
 * nothing. */
uint64_t memory_limit(void);

/* The same by the text of a /proc/PID/cgroup, with the hierarchies below root. */
uint64_t memory_limit_of(const char *groups, const char *root);

#endif

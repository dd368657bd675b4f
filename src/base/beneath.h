/* beneath.h - opens what lies beneath a directory in which others may write: no link leads out of it.
 *
 * Links that stay beneath it are followed (openat2() with RESOLVE_BENEATH).  A kernel, or a seccomp filter, without
 * openat2() has none followed.
 */
#ifndef HOLDFAST_BASE_BENEATH_H
#define HOLDFAST_BASE_BENEATH_H

#include <sys/stat.h>

/* Opens PATH, relative to the directory, with these flags of open(); never blocks, never gives a controlling
 * terminal.  A file descriptor, or -errno: EXDEV for what leads out, ELOOP for links in a circle, EOPNOTSUPP for a
 * link that cannot be followed safely here. */
int beneath_open(int folder, const char *path, int flags);

/* What is there, without opening it: to open a device may act.  0 or -errno, as above. */
int beneath_stat(int folder, const char *path, struct stat *ret_st);

#endif

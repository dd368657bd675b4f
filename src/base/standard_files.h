/* standard_files.h - descriptors 0 to 2, which whoever starts us may have closed. */
#ifndef HOLDFAST_BASE_STANDARD_FILES_H
#define HOLDFAST_BASE_STANDARD_FILES_H

#include <stdbool.h>

/* Opens /dev/null in the place of each of 0 to 2 that is closed, to stay open over an exec: else the next file that
 * is opened, a socket or the shared memory, becomes standard error and is written to.  To be called before any file
 * is opened.  false if /dev/null cannot be opened; errno says why. */
bool standard_files_open(void);

#endif

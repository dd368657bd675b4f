/* file.h - descriptors 0 to 2, which whoever starts us may have closed; and small files of the kernel's. */
#ifndef HOLDFAST_BASE_FILE_H
#define HOLDFAST_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Opens /dev/null in the place of each of 0 to 2 that is closed, to stay open over an exec: else the next file that
 * is opened, a socket or the shared memory, becomes standard error and is written to.  To be called before any file
 * is opened.  false if /dev/null cannot be opened; errno says why. */
bool file_open_standard(void);

/* The file's beginning as a text; "" if it cannot be read. */
void file_read(const char *path, char *ret_text, size_t size);

/* The number behind "\nNAME:" in a text as /proc/PID/status has it; -1: none. */
long file_find_number(const char *text, const char *name);

#endif

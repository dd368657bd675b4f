/* rights.h - messages that carry open files (SCM_RIGHTS, unix(7)). */
#ifndef HOLDFAST_KEEP_RIGHTS_H
#define HOLDFAST_KEEP_RIGHTS_H

#include <sys/socket.h>

#define RIGHTS_MAX 253u /* the kernel's SCM_MAX_FD: files in one message */

/* Sends text, not empty, with count files, perhaps none; to is an address or NULL on a connected socket.  0 or
 * -errno. */
int rights_send(int fd, const struct sockaddr *to, socklen_t to_length, const char *text, const int *files,
    unsigned count);

/* Looks at the next message (recv's MSG_PEEK) and opens the files it carries, close-on-exec: how many; 0: there is no
 * message, or none with files. */
unsigned rights_look(int fd, int ret_files[RIGHTS_MAX]);

#endif

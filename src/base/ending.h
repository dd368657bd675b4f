/* ending.h - words for how a program ended. */
#ifndef HOLDFAST_BASE_ENDING_H
#define HOLDFAST_BASE_ENDING_H

#include <stddef.h>

#define ENDING_TEXT_SIZE 160
#define ENDING_LINE_SIZE 201

/* The cause: "exit 1", "killed by SIGSEGV", "not executable"; "" for exit 0.  status is waitpid's, or -1 if the
 * program never ran; exec_error is then execve's errno, or 0 when nothing is known. */
void ending_describe(int status, int exec_error, const char *program, char ret_text[ENDING_TEXT_SIZE]);

/* The last line of text that is not blank; what is not printable ASCII is escaped as \xNN. */
void ending_last_line(const char *text, size_t length, char ret_line[ENDING_LINE_SIZE]);

#endif

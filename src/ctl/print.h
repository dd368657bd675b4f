/* print.h - answers of the daemon, printed for people. */
#ifndef HOLDFAST_CTL_PRINT_H
#define HOLDFAST_CTL_PRINT_H

#include <jansson.h>

/* Prints the good answer to the command argv[0] to standard output. */
void print_answer(int argc, char *const *argv, const json_t *json);

/* Prints what is wrong to standard error. */
void print_error(int argc, char *const *argv, const json_t *json);

#endif

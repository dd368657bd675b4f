/* stage.h - what tests of asynchronous work stand on: a folder for their files, a loop with a bound, and the count of
 * what may be left behind. */
#ifndef HOLDFAST_TESTS_STAGE_H
#define HOLDFAST_TESTS_STAGE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "temporary.h"

/* The loop and the folder of this test program; made by stage_open(), a cmocka group set-up. */
extern struct event_base *stage_loop;
extern char stage_folder[TEMPORARY_SIZE];

int stage_open(void **state);
int stage_close(void **state);

/* A path below the folder; valid until the sixteenth call after this one. */
const char *stage_path(const char *name);

/* Writes a file (mode as given) and gives its path. */
const char *stage_write(const char *name, const char *text, mode_t mode);

/* Writes it aside and renames it into place, as publishers do. */
void stage_publish(const char *name, const char *text);

/* A shell script with this body; gives its path. */
const char *stage_script(const char *name, const char *body);

/* Runs the loop until *done or for at most limit microseconds; gives whether it is done. */
bool stage_run(const bool *done, int64_t limit);

/* Runs the loop for span microseconds: to see that something does not happen. */
void stage_idle(int64_t span);

/* Open files of this process. */
unsigned stage_count_files(void);

/* No child, dead or alive, is left. */
bool stage_no_children(void);

#endif

/* upgrade.h - another program file is executed in the keeper's place and takes over all files and the table (U1).
 *
 * For the keeper and for what comes before it, while no worker lives, but for two functions.
 */
#ifndef HOLDFAST_KEEP_UPGRADE_H
#define HOLDFAST_KEEP_UPGRADE_H

#include "keep/table.h"

/* What a program that is tried says if it can take over the table: another one that merely ends well is none of
 * ours.  Other versions compare it: the text never changes. */
#define UPGRADE_CAN_GO_ON "holdfastd can go" " on with the table"

/* Notes which program runs, and its arguments (borrowed, for good): to be executed again.  Opens its file. */
void upgrade_note_program(struct table *table, char **argv, const char *version);

/* In a worker: opens the file that stands at the program's path now, to be tried and executed: TABLE_FILE_NEXT.
 * Another one that takes its place meanwhile does not matter.  0 or -errno. */
int upgrade_open(struct table *table);

/* In a worker: closes one of the programs' files, if it is open. */
void upgrade_forget(struct table *table, enum table_file file);

/* Executes TABLE_FILE_NEXT.  Comes back only if that cannot be: -errno, with everything as before. */
int upgrade_execute(struct table *table);

/* Executes the previous program again, which is told why.  Comes back only if that cannot be, or if there is none. */
int upgrade_go_back(struct table *table, const char *reason);

/* In a program that was executed so: the number of the table's file, or -1. */
int upgrade_table_file(void);

/* Whether this program takes over from one that could not: before upgrade_accept(). */
bool upgrade_is_taken_back(void);

/* It has opened the table, whose records may have been copied for it: files are closed on exec again. */
void upgrade_accept(struct table *table, bool copied);

/* It cannot take over the table in this file: the previous program shall.  Comes back only if that cannot be. */
void upgrade_refuse(int table_file, char **argv, const char *reason);

#endif

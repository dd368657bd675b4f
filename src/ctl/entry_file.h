/* entry_file.h - an instance's file in a catalog's directory: written aside, synchronized and renamed; beaten for;
 * and taken out if it is still ours.
 *
 * The file's second line, which readers ignore, says which process it is of.  So the file of a process that has died
 * is replaced at once, and that of a living one never.  Of a process on another host nobody knows: its file is
 * replaced when it has expired.  Nothing in the catalog is kept open: it can be unmounted.
 */
#ifndef HOLDFAST_CTL_ENTRY_FILE_H
#define HOLDFAST_CTL_ENTRY_FILE_H

#include <stdbool.h>
#include <stddef.h>

#define ENTRY_FILE_NAME_MAX 200 /* so that the name that is written aside has room */
#define ENTRY_FILE_SAID     512

struct entry_file {
	const char *catalog, *service, *name; /* borrowed */
	char *text;                           /* owned: what stands in it */
};

enum entry_file_result {
	ENTRY_FILE_DONE,
	ENTRY_FILE_FAILED, /* may be better later */
	ENTRY_FILE_TAKEN   /* another has this name and keeps it */
};

/* words: the first line, without a newline. */
void entry_file_init(struct entry_file *file, const char *catalog, const char *service, const char *name,
    const char *words);
void entry_file_clear(struct entry_file *file);

/* NULL, or what is wrong with it as a file's name: a static text. */
const char *entry_file_bad_name(const char *name);

/* Whether it could be put there; nothing is changed.  ret_said: why not. */
enum entry_file_result entry_file_judge(const struct entry_file *file, char ret_said[ENTRY_FILE_SAID]);

/* It is there, and has changed just now.  *ret_written: it was not there before.  ret_said: why it failed. */
enum entry_file_result entry_file_put(const struct entry_file *file, bool *ret_written,
    char ret_said[ENTRY_FILE_SAID]);

/* Takes it out, if it is ours or a dead process's.  Whether it is not there now, or is another's. */
bool entry_file_withdraw(const struct entry_file *file, char ret_said[ENTRY_FILE_SAID]);

#endif

/* environment.h - the environment of the programs that are run: clean, but for what each of them needs.
 *
 * A list of NAME=VALUE as base/mem has it; the caller's to free with mem_list_free().
 */
#ifndef HOLDFAST_BASE_ENVIRONMENT_H
#define HOLDFAST_BASE_ENVIRONMENT_H

/* PATH, LANG, and CREDENTIALS_DIRECTORY if we have it. */
char **environment_new(void);

/* Sets NAME=VALUE, in the place of an earlier one of the same name. */
void environment_add(char ***environment, const char *setting);
void environment_set(char ***environment, const char *name, const char *value);

#endif

/* setting_types.h - what each type of setting does: take a value from a file, print, copy, clear it. */
#ifndef HOLDFAST_CONFIG_SETTING_TYPES_H
#define HOLDFAST_CONFIG_SETTING_TYPES_H

#include <libconfig.h>
#include <stdbool.h>
#include <stdio.h>

#include "config/settings.h"

/* Stores the value in the object's field, whose old value is freed; on an error the field stays.  NULL, or what
 * is wrong: a text to free with mem_free(). */
char *setting_take(const struct setting *setting, const config_setting_t *value, void *object);

/* After an error: the part of the value that it is about. */
const config_setting_t *setting_find_wrong(const struct setting *setting, const config_setting_t *value);

/* Prints the field as the file would have it, without name; the second for people, secrets hidden. */
void setting_print(const struct setting *setting, const void *object, FILE *out);
void setting_show(const struct setting *setting, const void *object, FILE *out);

/* Copies the field into one that owns nothing; frees what a field owns and makes it zero. */
void setting_copy(const struct setting *setting, void *to, const void *from);
void setting_clear(const struct setting *setting, void *object);

/* Whether both objects have the same value in the field. */
bool setting_is_same(const struct setting *setting, const void *a, const void *b);

/* "must be a time, not a list": a text to free with mem_free(). */
char *setting_wrong_type(const struct setting *setting, const config_setting_t *value);

#endif

/* setting_texts.h - types of settings that are written as texts: take one from a file, print it.
 *
 * For the table in setting_types.c, whose contract they keep: take gives NULL or what is wrong.
 */
#ifndef HOLDFAST_CONFIG_SETTING_TEXTS_H
#define HOLDFAST_CONFIG_SETTING_TEXTS_H

#include "config/setting_types.h"

char *setting_take_text(const struct setting *setting, const config_setting_t *value, void *field);
char *setting_take_path(const struct setting *setting, const config_setting_t *value, void *field);
void setting_print_text(const struct setting *setting, const void *field, FILE *out);
char *setting_take_list(const struct setting *setting, const config_setting_t *value, void *field);
/* The same for people: secrets hidden, also those behind an argument that names them. */
void setting_show_list(const void *field, bool arguments, char *const *secrets, FILE *out);
void setting_print_list(const struct setting *setting, const void *field, FILE *out);
char *setting_take_single(const struct setting *setting, const config_setting_t *value, void *field);
void setting_print_single(const struct setting *setting, const void *field, FILE *out);
char *setting_take_mode(const struct setting *setting, const config_setting_t *value, void *field);
void setting_print_mode(const struct setting *setting, const void *field, FILE *out);
char *setting_take_id(const struct setting *setting, const config_setting_t *value, void *field);
char *setting_take_choice(const struct setting *setting, const config_setting_t *value, void *field);
void setting_print_choice(const struct setting *setting, const void *field, FILE *out);

#endif

/* setting_numbers.h - types of settings that are numbers or times: take one from a file, print it.
 *
 * For the table in setting_types.c, whose contract they keep: take gives NULL or what is wrong.
 */
#ifndef HOLDFAST_CONFIG_SETTING_NUMBERS_H
#define HOLDFAST_CONFIG_SETTING_NUMBERS_H

#include "config/setting_types.h"

char *setting_take_bool(const struct setting *setting, const config_setting_t *value, void *field);
void setting_print_bool(const struct setting *setting, const void *field, FILE *out);
char *setting_take_integer(const struct setting *setting, const config_setting_t *value, void *field);
char *setting_take_size(const struct setting *setting, const config_setting_t *value, void *field);
char *setting_take_memory(const struct setting *setting, const config_setting_t *value, void *field);
void setting_print_memory(const struct setting *setting, const void *field, FILE *out);
char *setting_take_count(const struct setting *setting, const config_setting_t *value, void *field);
char *setting_take_count_or_auto(const struct setting *setting, const config_setting_t *value, void *field);
void setting_print_count_or_auto(const struct setting *setting, const void *field, FILE *out);
void setting_print_integer(const struct setting *setting, const void *field, FILE *out);
char *setting_take_number(const struct setting *setting, const config_setting_t *value, void *field);
void setting_print_number(const struct setting *setting, const void *field, FILE *out);
char *setting_take_time(const struct setting *setting, const config_setting_t *value, void *field);
void setting_print_time(const struct setting *setting, const void *field, FILE *out);
char *setting_take_int_time(const struct setting *setting, const config_setting_t *value, void *field);
void setting_print_int_time(const struct setting *setting, const void *field, FILE *out);

#endif

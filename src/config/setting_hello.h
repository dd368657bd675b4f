/* setting_hello.h - the setting hello: a list of groups, each a step.
 *
 * For the table in setting_types.c, whose contract it keeps: take gives NULL or what is wrong.
 */
#ifndef HOLDFAST_CONFIG_SETTING_HELLO_H
#define HOLDFAST_CONFIG_SETTING_HELLO_H

#include "config/setting_types.h"

char *setting_take_hello(const struct setting *setting, const config_setting_t *value, void *field);

/* The part of a value that take finds something wrong with. */
const config_setting_t *setting_find_wrong_hello(const config_setting_t *value);

void setting_print_hello(const struct setting *setting, const void *field, FILE *out);

/* The same with "***" for what is sent. */
void setting_show_hello(const struct setting *setting, const void *field, FILE *out);

#endif

/* types.h - the types of settings: what each takes from a file, prints, copies, compares, clears. */
#ifndef HOLDFAST_CONFIG_TYPES_H
#define HOLDFAST_CONFIG_TYPES_H

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What stands in the file, and the type of the field it fills. */
enum setting_type {
	SETTING_TEXT,         /* char *; "" is NULL */
	SETTING_PATH,         /* the same, absolute */
	SETTING_PROGRAM,      /* the same, of a program */
	SETTING_NAMES,        /* char **: users or groups, names or numbers */
	SETTING_ADDRESS,      /* char **: one address */
	SETTING_ADDRESSES,    /* char **: several */
	SETTING_ENVIRONMENT,  /* char **: NAME=VALUE */
	SETTING_ARGUMENTS,    /* char **: a list of texts, of which some may be secret */
	SETTING_BOOL,         /* bool */
	SETTING_COUNT,        /* unsigned */
	SETTING_COUNT_OR_AUTO, /* the same; "auto" is UINT_MAX */
	SETTING_SIZE,         /* unsigned, bytes */
	SETTING_MEMORY,       /* int64_t, bytes; 0 is a default that depends */
	SETTING_INTEGER,      /* int, not negative */
	SETTING_NUMBER,       /* double */
	SETTING_TIME,         /* int64_t, microseconds */
	SETTING_TIME_OR_AUTO, /* the same; "auto" is -1 */
	SETTING_LIMIT,        /* int64_t, microseconds; 0 in the file is CLOCK_NEVER */
	SETTING_SECONDS,      /* int, whole seconds */
	SETTING_MILLISECONDS, /* int, milliseconds */
	SETTING_MODE,         /* mode_t: text of octal digits */
	SETTING_ID,           /* char *: a user or group, name or number; whether there is one is not asked */
	SETTING_CHOICE,       /* an enum, by name */
	SETTING_LISTENERS,    /* struct listeners_settings: a list of groups or paths; the first is in rows too */
	SETTING_HELLO,        /* struct hello_settings: a list of groups */
	SETTING_TYPES
};

/* How a reload brings a changed value in force; the later, the stronger. */
enum setting_reload {
	SETTING_SAME,     /* no value has changed */
	SETTING_IN_PLACE, /* without touching a connection or a timer; seen by what begins afterwards */
	SETTING_RENEW,    /* the service's upstream side starts afresh; attached and held clients stay */
	SETTING_RESTART,  /* not while running: the reload is refused */
};

struct setting_choice {
	const char *name; /* borrowed; NULL ends the list */
	int value;
};

struct setting {
	const char *name;     /* borrowed; "retry.delay"; at most one dot */
	const char *fallback; /* borrowed; default, as it would be written in the file */
	enum setting_type type;
	double min, max;      /* numbers; times in seconds; lengths of texts and lists; modes */
	enum setting_reload reload;
	size_t offset;        /* of the field */
	const struct setting_choice *choices; /* borrowed; SETTING_CHOICE only */
};

/* Stores the value in the field, whose old value is freed; on an error the field stays.  NULL, or what is wrong: a
 * text to be freed with mem_free().  Not for SETTING_HELLO and SETTING_LISTENERS, as
 * type_print(). */
char *type_take(const struct setting *setting, const config_setting_t *value, void *field);

/* "must be a time, not a list": a text to be freed with mem_free(). */
char *type_wrong(const struct setting *setting, const config_setting_t *value);

/* Prints the field as the file would have it, without name. */
void type_print(const struct setting *setting, const void *field, FILE *out);

/* The same of arguments and variables for people: "***" for what secret.h finds to be a secret, with these names. */
void type_show_list(const struct setting *setting, const void *field, char *const *secrets, FILE *out);

/* The object's field, borrowed. */
void *setting_field(const struct setting *setting, const void *object);

/* Copies the field of an object into one that owns nothing; frees what a field owns and makes it zero. */
void setting_copy(const struct setting *setting, void *to, const void *from);
void setting_clear(const struct setting *setting, void *object);

/* Whether both objects have the same value in the field. */
bool setting_is_same(const struct setting *setting, const void *a, const void *b);

#endif

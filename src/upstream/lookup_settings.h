/* lookup_settings.h - where a service is looked up, and how.
 */
#ifndef HOLDFAST_UPSTREAM_LOOKUP_SETTINGS_H
#define HOLDFAST_UPSTREAM_LOOKUP_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

/* Exactly one of addresses, script, catalog is set.  All owned. */
struct lookup_settings {
	char **addresses;
	char *script;
	bool unsafe;         /* it and the programs for events are run whoever can have changed them */
	bool watch;          /* it stays, and says when the list changes */
	char **arguments;
	char **environment;  /* NAME=VALUE */
	char **secrets;      /* names, beside those that look secret, whose values nobody is shown: base/secret.h */
	int64_t timeout;     /* of the script, and of resolving host names */
	int64_t min_interval; /* between two starts of the script, at least */
	int64_t refresh;     /* 0: not */
	char *catalog;
	int64_t max_age;     /* CLOCK_NEVER: no limit */
	char **owners;       /* further users whose catalog files count */
	bool keep_last;
};

#endif

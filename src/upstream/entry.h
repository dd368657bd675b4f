/* entry.h - what stands in the files of a catalog: read with suspicion, parsed strictly; and what a script says in a
 * line. */
#ifndef HOLDFAST_UPSTREAM_ENTRY_H
#define HOLDFAST_UPSTREAM_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/address.h"

#define ENTRY_FILE_MAX   65536
#define ENTRY_ERROR_SIZE 96

/* Whose files count, besides root's and our own. */
struct entry_owners {
	uid_t *uids;  /* owned */
	size_t count;
};

#define ENTRY_FROM_SIZE 64

struct entry {
	struct address address;
	int64_t ttl;               /* microseconds; CLOCK_NEVER: none given */
	uint16_t priority, weight; /* 0 and 1 unless given */
	char from[ENTRY_FROM_SIZE]; /* the file that says so, perhaps cut; "" if there is but one place */
};

/* Names or numbers of users; unknown ones are left out. */
void entry_owners_init(struct entry_owners *owners, char *const *names);
void entry_owners_clear(struct entry_owners *owners);

/* Whether a name in a catalog's folder is a copy's: not hidden, not something half-written. */
bool entry_is_name(const char *name);

/* Reads a regular file, at most 64 KiB, of an allowed owner, that ends in a newline.  Its bytes (owned by the caller,
 * NUL-terminated) and what fstat says of it; or NULL and the cause in ret_error. */
char *entry_read_file(int folder, const char *name, const struct entry_owners *owners, struct stat *ret_stat,
    char ret_error[ENTRY_ERROR_SIZE]);

/* Parses ADDRESS [ttl=SECONDS] [priority=N] [weight=N], changing line.  NULL, or a static text. */
const char *entry_parse(char *line, struct entry *ret_entry);

/* Parses ADDRESS [priority=N] [weight=N], changing line; the address may have blanks.  NULL, or a static text. */
const char *entry_parse_printed(char *line, struct entry *ret_entry);

#endif

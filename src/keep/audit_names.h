/* audit_names.h - which numbers are named, and which of them several times. */
#ifndef HOLDFAST_KEEP_AUDIT_NAMES_H
#define HOLDFAST_KEEP_AUDIT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

struct audit_names {
	unsigned char *once, *twice; /* owned; a bit for each number */
	uint32_t count;
};

/* For the numbers below count. */
void audit_names_new(struct audit_names *names, uint32_t count);
void audit_names_free(struct audit_names *names);

void audit_names_add(struct audit_names *names, uint32_t number);
bool audit_names_has(const struct audit_names *names, uint32_t number);
bool audit_names_several(const struct audit_names *names, uint32_t number);

#endif

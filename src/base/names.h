/* names.h - users and groups by name and number; no long wait for a name service (LDAP, sssd) that does not answer.
 *
 * Looks into /etc/passwd and /etc/group first.  What is not there a child asks the name services for, which is waited
 * for 200 ms; if it takes longer it is not known, and for a minute no other is asked.  All waits in a second together
 * are no longer: a name that is asked for after them is not known.
 */
#ifndef HOLDFAST_BASE_NAMES_H
#define HOLDFAST_BASE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAMES_SIZE 256 /* of a name and its NUL */

enum names_kind { NAMES_USER, NAMES_GROUP };

/* The number of a name, or of a number as text.  false: not known. */
bool names_find(enum names_kind kind, const char *name, uint32_t *ret_id);

/* As names_find(), but waits as long as the name services take. */
bool names_ask(enum names_kind kind, const char *name, uint32_t *ret_id);

/* The name of a number, cut to size.  false: not known. */
bool names_of(enum names_kind kind, uint32_t id, char *ret_name, size_t size);

#endif

/* names.h - users and groups by name and number; no long wait for a name service (LDAP, sssd) that does not answer.
 *
 * Looks into /etc/passwd and /etc/group first.  What is not there a child asks the name services for, which is waited
 * for 200 ms; if it takes longer it is not known, and for a minute no other is asked.  All waits in a second together
 * are no longer: who comes beyond is not known.
 */
#ifndef HOLDFAST_BASE_NAMES_H
#define HOLDFAST_BASE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NAMES_SIZE 256 /* of a name and its NUL */

/* The number of a name, or of a number as text.  false: not known. */
bool names_find_user(const char *name, uid_t *ret_uid);
bool names_find_group(const char *name, gid_t *ret_gid);

/* The name of a number, cut to size.  false: not known. */
bool names_of_user(uid_t uid, char *ret_name, size_t size);
bool names_of_group(gid_t gid, char *ret_name, size_t size);

/* As names_find_user() and names_find_group(), but wait as long as the name services take. */
bool names_ask_user(const char *name, uint32_t *ret_uid);
bool names_ask_group(const char *name, uint32_t *ret_gid);

#endif

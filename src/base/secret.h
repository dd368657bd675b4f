/* secret.h - which part of an argument or a variable is a secret, a password or a token: people are shown "***".
 *
 * A secret stands behind a name that looks secret and "=" or ":"; is all of an argument if that before it (before,
 * NULL none) is such a name with a dash; or is the password in a URL.  A name looks secret if a word of it is one
 * such as password, token or key.  Others are named by the operator (names, a list that ends with NULL, or NULL).
 */
#ifndef HOLDFAST_BASE_SECRET_H
#define HOLDFAST_BASE_SECRET_H

#include <stdbool.h>

#define SECRET_HIDDEN "***"

/* A copy of the text with SECRET_HIDDEN in the secret's place; to be freed with mem_free(). */
char *secret_hide(const char *text, const char *before, char *const *names);

/* Whether what stands in the secret's place is SECRET_HIDDEN: what was shown is given back. */
bool secret_is_hidden(const char *text, const char *before, char *const *names);

/* Hides, in place, each secret of the list wherever it stands in the text; NULL is fine.  Values of less than 4 bytes
 * are left: they are too likely to be something else. */
void secret_mask(char *text, char *const *list, char *const *names);

#endif

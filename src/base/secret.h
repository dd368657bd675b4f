/* secret.h - which part of an argument or a variable is a secret, a password or a token: people are shown "***".
 *
 * A name looks secret if a word of it is one such as password, token or key.  Others are named by the operator.
 */
#ifndef HOLDFAST_BASE_SECRET_H
#define HOLDFAST_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define SECRET_HIDDEN "***"

/* Where the secret begins, and how long it is; borrowed from the text. */
struct secret {
	const char *begin;
	size_t length;
};

/* Whether the text holds a secret: behind a name that looks secret or is one of names (a list that ends with NULL, or
 * NULL) and "=" or ":"; all of it, if before (the argument before it, NULL none) is such a name with a dash; or the
 * password in a URL. */
bool secret_find(const char *text, const char *before, char *const *names, struct secret *ret_secret);

/* A copy of the text with SECRET_HIDDEN in the secret's place; to be freed with mem_free(). */
char *secret_hide(const char *text, const char *before, char *const *names);

/* Whether what stands in the secret's place is SECRET_HIDDEN: what was shown is given back. */
bool secret_is_hidden(const char *text, const char *before, char *const *names);

/* Hides, in place, each secret of the list wherever it stands in the text; NULL is fine.  Values of less than 4 bytes
 * are left: they are too likely to be something else. */
void secret_mask(char *text, char *const *list, char *const *names);

#endif

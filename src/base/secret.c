#include "base/secret.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define SECRET_LEAST 4

/* Where a secret begins, and how long it is; borrowed from the text. */
struct secret {
	const char *begin;
	size_t length;
};

/* A name with one of these in it is a secret's. */
static const char *const secret_parts[] = {
	"password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "privatekey", "authorization",
};

/* These are too short for that: they are a word of the name. */
static const char *const secret_words[] = { "pass", "pw", "pwd", "key", "auth" };

/* Letters of the name alone, small: "API_KEY" and "api-key" are the same. */
static void
secret_normalize(const char *name, size_t length, char ret_name[64])
{
	size_t n = 0;

	for (size_t i = 0; i < length && n < 63; i++)
		if (isalnum((unsigned char)name[i]))
			ret_name[n++] = (char)tolower((unsigned char)name[i]);
	ret_name[n] = '\0';
}

static bool
secret_has_word(const char *name, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		size_t word = 0;

		while (i + word < length && isalnum((unsigned char)name[i + word]))
			word++;
		for (size_t k = 0; word > 0 && k < sizeof secret_words / sizeof secret_words[0]; k++)
			if (strlen(secret_words[k]) == word && strncasecmp(secret_words[k], name + i, word) == 0)
				return true;
		i += word;
	}
	return false;
}

static bool
secret_is_name(const char *name, size_t length, char *const *names)
{
	char normalized[64];

	for (; length > 0 && *name == '-'; length--)
		name++;
	for (; names != NULL && *names != NULL; names++)
		if (strlen(*names) == length && strncmp(*names, name, length) == 0)
			return true;
	secret_normalize(name, length, normalized);
	for (size_t i = 0; i < sizeof secret_parts / sizeof secret_parts[0]; i++)
		if (strstr(normalized, secret_parts[i]) != NULL)
			return true;
	return secret_has_word(name, length);
}

/* "scheme://user:SECRET@host" */
static bool
secret_find_in_url(const char *text, struct secret *ret_secret)
{
	const char *user = strstr(text, "://"), *at, *colon;

	if (user == NULL)
		return false;
	user += 3;
	at = memrchr(user, '@', strcspn(user, "/?#"));
	colon = at == NULL ? NULL : memchr(user, ':', (size_t)(at - user));
	if (colon == NULL || at == colon + 1)
		return false;
	*ret_secret = (struct secret){ colon + 1, (size_t)(at - colon - 1) };
	return true;
}

static bool
secret_find(const char *text, const char *before, char *const *names, struct secret *ret_secret)
{
	size_t name = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");
	const char *value = text + name + 1 + (text[name] == '\0' ? 0 : strspn(text + name + 1, " "));

	if (before != NULL && *before == '-' && strpbrk(before, "=:") == NULL && *text != '\0' && *text != '-' &&
	    secret_is_name(before, strlen(before), names)) {
		*ret_secret = (struct secret){ text, strlen(text) };
		return true;
	}
	if (name > 0 && (text[name] == '=' || text[name] == ':') && *value != '\0' &&
	    secret_is_name(text, name, names)) {
		*ret_secret = (struct secret){ value, strlen(value) };
		return true;
	}
	return secret_find_in_url(text, ret_secret);
}

char *
secret_hide(const char *text, const char *before, char *const *names)
{
	struct secret secret;

	if (!secret_find(text, before, names, &secret))
		return mem_copy_text(text);
	return mem_print("%.*s" SECRET_HIDDEN "%s", (int)(secret.begin - text), text, secret.begin + secret.length);
}

bool
secret_is_hidden(const char *text, const char *before, char *const *names)
{
	struct secret secret;

	return secret_find(text, before, names, &secret) && secret.length == strlen(SECRET_HIDDEN) &&
	    memcmp(secret.begin, SECRET_HIDDEN, secret.length) == 0;
}

static void
secret_mask_one(char *text, const struct secret *secret)
{
	size_t hidden = strlen(SECRET_HIDDEN);
	char *at = text;

	while ((at = memmem(at, strlen(at), secret->begin, secret->length)) != NULL) {
		memcpy(at, SECRET_HIDDEN, hidden);
		at += hidden;
		memmove(at, at + secret->length - hidden, strlen(at + secret->length - hidden) + 1);
	}
}

void
secret_mask(char *text, char *const *list, char *const *names)
{
	const char *before = NULL;
	struct secret secret;

	for (; text != NULL && list != NULL && *list != NULL; before = *list++)
		if (secret_find(*list, before, names, &secret) && secret.length >= SECRET_LEAST)
			secret_mask_one(text, &secret);
}

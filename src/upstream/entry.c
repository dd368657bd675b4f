#include "upstream/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/names.h"

#define ENTRY_TTL_MAX    1e9 /* seconds */
#define ENTRY_NUMBER_MAX 65535

void
entry_owners_init(struct entry_owners *owners, char *const *names)
{
	uid_t uid;

	owners->uids = NULL;
	owners->count = 0;
	for (; names != NULL && *names != NULL; names++) {
		if (!names_find_user(*names, &uid))
			continue;
		owners->uids = mem_resize(owners->uids, owners->count + 1, sizeof *owners->uids);
		owners->uids[owners->count++] = uid;
	}
}

void
entry_owners_clear(struct entry_owners *owners)
{
	mem_free(owners->uids);
	owners->uids = NULL;
	owners->count = 0;
}

static bool
entry_owner_counts(const struct entry_owners *owners, uid_t uid)
{
	if (uid == 0 || uid == geteuid())
		return true;
	for (size_t i = 0; i < owners->count; i++)
		if (owners->uids[i] == uid)
			return true;
	return false;
}

bool
entry_is_name(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || name[0] == '.' || name[length - 1] == '~')
		return false;
	return length < 4 || strcmp(name + length - 4, ".tmp") != 0;
}

/* Nothing but a regular file is ever opened: an open alone can block (a FIFO) or act (a device). */
static int
entry_open(int folder, const char *name, const struct entry_owners *owners, struct stat *st,
    char error[ENTRY_ERROR_SIZE])
{
	int fd = -1;

	if (fstatat(folder, name, st, 0) == -1)
		goto failed;
	if (!S_ISREG(st->st_mode)) {
		snprintf(error, ENTRY_ERROR_SIZE, "not a regular file");
		return -1;
	}
	fd = openat(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1 || fstat(fd, st) == -1)
		goto failed;
	if (!S_ISREG(st->st_mode))
		snprintf(error, ENTRY_ERROR_SIZE, "not a regular file");
	else if (!entry_owner_counts(owners, st->st_uid))
		snprintf(error, ENTRY_ERROR_SIZE, "owned by user %u, who is not in lookup.owners",
		    (unsigned)st->st_uid);
	else if (st->st_size > ENTRY_FILE_MAX)
		snprintf(error, ENTRY_ERROR_SIZE, "larger than 64 KiB");
	else
		return fd;
	close(fd);
	return -1;
failed:
	snprintf(error, ENTRY_ERROR_SIZE, "%s", strerror(errno));
	if (fd != -1)
		close(fd);
	return -1;
}

char *
entry_read_file(int folder, const char *name, const struct entry_owners *owners, struct stat *ret_stat,
    char ret_error[ENTRY_ERROR_SIZE])
{
	int fd = entry_open(folder, name, owners, ret_stat, ret_error);
	size_t length = 0;
	char *bytes;
	ssize_t n;

	if (fd == -1)
		return NULL;
	bytes = mem_new(ENTRY_FILE_MAX + 1, 1);
	while (length < ENTRY_FILE_MAX && (n = read(fd, bytes + length, ENTRY_FILE_MAX - length)) > 0)
		length += (size_t)n;
	close(fd);
	if (length > 0 && bytes[length - 1] == '\n' && memchr(bytes, '\0', length) == NULL)
		return bytes;
	snprintf(ret_error, ENTRY_ERROR_SIZE, length == 0 ? "empty" : bytes[length - 1] != '\n' ?
	    "no newline at its end" : "a NUL byte in it");
	mem_free(bytes);
	return NULL;
}

/* A plain decimal number: no sign, no exponent, no hexadecimal. */
static bool
entry_parse_number(const char *text, double max, double *ret_number)
{
	if (text[0] < '0' || text[0] > '9' || text[strspn(text, "0123456789.")] != '\0')
		return false;
	errno = 0;
	*ret_number = strtod(text, (char **)&text);
	return *text == '\0' && errno == 0 && *ret_number <= max;
}

static const char *
entry_parse_word(const char *word, struct entry *entry)
{
	double number;

	if (strncmp(word, "ttl=", 4) == 0) {
		if (!entry_parse_number(word + 4, ENTRY_TTL_MAX, &number) || number <= 0)
			return "ttl= is not a number of seconds";
		entry->ttl = (int64_t)(number * (double)CLOCK_SECOND + 0.5);
	} else if (strncmp(word, "priority=", 9) == 0) {
		if (strchr(word, '.') != NULL || !entry_parse_number(word + 9, ENTRY_NUMBER_MAX, &number))
			return "priority= is not a whole number up to 65535";
		entry->priority = (uint16_t)number;
	} else if (strncmp(word, "weight=", 7) == 0) {
		if (strchr(word, '.') != NULL || !entry_parse_number(word + 7, ENTRY_NUMBER_MAX, &number))
			return "weight= is not a whole number up to 65535";
		entry->weight = (uint16_t)number;
	} else {
		return "behind the address there is something else than ttl=, priority=, weight=";
	}
	return NULL;
}

const char *
entry_parse(char *line, struct entry *ret_entry)
{
	struct entry entry = { .ttl = CLOCK_NEVER, .weight = 1 };
	const char *word, *error;

	do
		word = strsep(&line, " \t");
	while (word != NULL && word[0] == '\0');
	if (word == NULL)
		return "the first line is blank";
	error = address_parse(word, &entry.address);
	while (error == NULL && (word = strsep(&line, " \t")) != NULL)
		if (word[0] != '\0')
			error = entry_parse_word(word, &entry);
	if (error == NULL)
		*ret_entry = entry;
	return error;
}

/* The last word if it is one that may stand behind an address, cut off with the blanks before it; else NULL. */
static char *
entry_cut_word(char *line)
{
	char *word = line + strlen(line);

	while (word > line && word[-1] != ' ' && word[-1] != '\t')
		word--;
	if (word == line || (strncmp(word, "priority=", 9) != 0 && strncmp(word, "weight=", 7) != 0))
		return NULL;
	for (char *end = word; end > line && (end[-1] == ' ' || end[-1] == '\t'); end--)
		end[-1] = '\0';
	return word;
}

const char *
entry_parse_printed(char *line, struct entry *ret_entry)
{
	struct entry entry = { .ttl = CLOCK_NEVER, .weight = 1 };
	const char *word, *error = NULL;

	while (error == NULL && (word = entry_cut_word(line)) != NULL)
		error = entry_parse_word(word, &entry);
	if (error == NULL)
		error = address_parse(line, &entry.address);
	if (error == NULL)
		*ret_entry = entry;
	return error;
}

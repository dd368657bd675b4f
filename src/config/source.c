#include "config/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/syntax.h"

static char *
source_read_all(int fd, size_t *ret_length)
{
	char *text = mem_new(SOURCE_MAX + 2, 1);
	size_t length = 0;
	ssize_t n;

	while (length <= SOURCE_MAX && (n = read(fd, text + length, SOURCE_MAX + 1 - length)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			mem_free(text);
			return NULL;
		}
		length += (size_t)n;
	}
	*ret_length = length;
	if (length > 0 && length <= SOURCE_MAX && text[length - 1] != '\n')
		text[length] = '\n'; /* libconfig wants one behind a comment; not counted */
	return text;
}

/* The file's text, NUL-terminated; or NULL and what is wrong. */
static char *
source_read_text(const char *path, size_t *ret_length, const char **ret_wrong)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat status;
	char *text = NULL;

	*ret_wrong = NULL;
	if (fd == -1 || fstat(fd, &status) == -1)
		*ret_wrong = strerror(errno);
	else if (!S_ISREG(status.st_mode))
		*ret_wrong = S_ISDIR(status.st_mode) ? "is a directory" : "is not a regular file";
	else if ((text = source_read_all(fd, ret_length)) == NULL)
		*ret_wrong = strerror(errno);
	else if (*ret_length > SOURCE_MAX)
		*ret_wrong = "is larger than 1 MiB";
	if (fd != -1)
		close(fd);
	if (*ret_wrong != NULL) {
		mem_free(text);
		text = NULL;
	}
	return text;
}

/* The tree of a text that is known to be safe, or ours. */
static struct source *
source_new(const char *name, const char *text, struct config_errors *errors)
{
	struct source *source = mem_new(1, sizeof *source);

	source->name = mem_copy_text(name);
	config_init(&source->tree);
	if (config_read_string(&source->tree, text) == CONFIG_TRUE)
		return source;
	config_error(errors, "%s:%d: %s", name, config_error_line(&source->tree), config_error_text(&source->tree));
	source_free(source);
	return NULL;
}

struct source *
source_read(const char *path, struct config_errors *errors)
{
	struct source *source = NULL;
	const char *unread;
	size_t length = 0;
	char *text = source_read_text(path, &length, &unread), *wrong;
	unsigned line;

	if (text == NULL) {
		config_error(errors, "%s: %s", path, unread);
		return NULL;
	}
	if ((wrong = syntax_check(text, length, &line)) != NULL)
		config_error(errors, "%s:%u: %s", path, line, wrong);
	else
		source = source_new(path, text, errors);
	mem_free(wrong);
	mem_free(text);
	return source;
}

struct source *
source_parse(const char *text, size_t length, const char *name, struct config_errors *errors)
{
	char *copy = mem_copy_bytes(text, length);
	struct source *source = source_new(name, copy, errors);

	mem_free(copy);
	return source;
}

void
source_free(struct source *source)
{
	if (source == NULL)
		return;
	config_destroy(&source->tree);
	mem_free(source->name);
	mem_free(source);
}

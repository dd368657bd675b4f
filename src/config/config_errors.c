#include "config/config_errors.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

static bool
config_errors_know(char *const *lines, size_t count, const char *line)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(lines[i], line) == 0)
			return true;
	return false;
}

/* Adds a line that is not there yet: what is wrong in defaults is found again in each service. */
static void
config_errors_add(char ***lines, size_t *count, size_t *further, char *line)
{
	bool known = config_errors_know(*lines, *count, line);

	if (known || *count == CONFIG_ERRORS_MAX) {
		*further += !known;
		mem_free(line);
		return;
	}
	*lines = mem_resize(*lines, *count + 2, sizeof **lines);
	(*lines)[(*count)++] = line;
	(*lines)[*count] = NULL;
}

void
config_error(struct config_errors *errors, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	config_errors_add(&errors->errors, &errors->count, &errors->further, mem_vprint(format, args));
	va_end(args);
}

void
config_failure(struct config_errors *errors, const char *format, ...)
{
	size_t before = errors->count + errors->further;
	va_list args;

	va_start(args, format);
	config_errors_add(&errors->errors, &errors->count, &errors->further, mem_vprint(format, args));
	va_end(args);
	errors->failures += errors->count + errors->further - before;
}

void
config_warning(struct config_errors *errors, const char *format, ...)
{
	size_t further = 0;
	va_list args;

	va_start(args, format);
	config_errors_add(&errors->warnings, &errors->warning_count, &further, mem_vprint(format, args));
	va_end(args);
}

void
config_errors_clear(struct config_errors *errors)
{
	mem_list_free(errors->errors);
	mem_list_free(errors->warnings);
	*errors = (struct config_errors) { 0 };
}

/* What config/syntax lets through libconfig reads: it ends nobody, includes no file and leaves none open, and nests
 * no deeper than it may.  The input is the file's text. */
#include <libconfig.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/syntax.h"
#include "pieces.h"

static bool reading;

/* libconfig 1.5 calls exit() where it cannot go on. */
static void
on_exit_while_reading(void)
{
	if (reading)
		abort();
}

static int
lowest_free(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

static void
check_depth(const config_setting_t *setting, unsigned depth)
{
	assert(depth <= SYNTAX_DEPTH + 1); /* the file itself, and what stands in the deepest */
	assert(config_setting_length(setting) <= 1 << 20);
	assert(config_setting_source_file(setting) == NULL);
	if (config_setting_is_aggregate(setting))
		for (int i = 0; i < config_setting_length(setting); i++)
			check_depth(config_setting_get_elem(setting, (unsigned)i), depth + 1);
}

static void
check_read(const char *text)
{
	int before = lowest_free();
	config_t config;

	reading = true;
	config_init(&config);
	assert(config_read_string(&config, text) == CONFIG_TRUE);
	check_depth(config_root_setting(&config), 0);
	config_destroy(&config);
	reading = false;
	assert(lowest_free() == before);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	char *text = mem_new(size + 2, 1), *wrong;
	unsigned line, lines = 1;

	if (!ready)
		atexit(on_exit_while_reading);
	ready = true;
	memcpy(text, data, size);
	if (size > 0 && text[size - 1] != '\n')
		text[size++] = '\n';
	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	wrong = syntax_check(text, size, &line);
	if (wrong == NULL)
		check_read(text);
	else
		assert(line >= 1 && line <= lines);
	mem_free(wrong);
	mem_free(text);
	return 0;
}

#include "base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Free bytes that are not worth looking for whole pages. */
#define MEM_SPARE (256u << 10)

static void (*mem_act)(void);

void
mem_on_failure(void (*act)(void))
{
	mem_act = act;
}

static void *
mem_checked(void *memory)
{
	void (*act)(void) = mem_act;

	if (memory == NULL) {
		mem_act = NULL;
		if (act != NULL)
			act();
		fputs("holdfast: out of memory; this process ends\n", stderr);
		abort();
	}
	return memory;
}

void *
mem_new(size_t count, size_t size)
{
	return mem_checked(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *
mem_resize(void *old, size_t count, size_t size)
{
	if (count == 0 || size == 0) {
		free(old);
		return NULL;
	}
	return mem_checked(reallocarray(old, count, size));
}

void *
mem_realloc(void *old, size_t size)
{
	return mem_checked(realloc(old, size > 0 ? size : 1));
}

void *
mem_malloc(size_t size)
{
	return mem_realloc(NULL, size);
}

char *
mem_copy_text(const char *text)
{
	return text == NULL ? NULL : mem_checked(strdup(text));
}

char *
mem_copy_bytes(const void *bytes, size_t length)
{
	char *copy = mem_new(length + 1, 1);

	if (length > 0)
		memcpy(copy, bytes, length);
	return copy;
}

char *
mem_vprint(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) == -1)
		text = NULL;
	return mem_checked(text);
}

FILE *
mem_stream(char **ret_text, size_t *ret_length)
{
	return mem_checked(open_memstream(ret_text, ret_length));
}

char *
mem_print(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = mem_vprint(format, args);
	va_end(args);
	return text;
}

void
mem_trim(void)
{
	static size_t left; /* of what was free before, the kernel has the pages */
	size_t spare = mallinfo2().fordblks;

	if (spare < left)
		left = spare;
	if (spare - left < MEM_SPARE)
		return;
	malloc_trim(0);
	left = spare;
}

void
mem_free(void *memory)
{
	free(memory);
}

size_t
mem_list_length(char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

bool
mem_text_is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool
mem_list_is_same(char *const *a, char *const *b)
{
	size_t length = mem_list_length(a), i = 0;

	if (mem_list_length(b) != length)
		return false;
	while (i < length && strcmp(a[i], b[i]) == 0)
		i++;
	return i == length;
}

char **
mem_list_copy(char *const *list)
{
	char **copy = NULL;

	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		mem_list_add(&copy, list[i]);
	return copy;
}

void
mem_list_add(char ***list, const char *text)
{
	size_t n = mem_list_length(*list);

	*list = mem_resize(*list, n + 2, sizeof **list);
	(*list)[n] = mem_copy_text(text);
	(*list)[n + 1] = NULL;
}

void
mem_list_free(char **list)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

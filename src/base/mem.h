/* mem.h - memory that is there or the program ends.
 *
 * Everything that comes from outside has a stated maximum elsewhere; what is asked for here is
 * small, and a program of this kind cannot go on sensibly without it.  All results are the
 * caller's to free with mem_free().
 */
#ifndef HOLDFAST_BASE_MEM_H
#define HOLDFAST_BASE_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Calls this once when there is none, before the program ends; NULL: nothing. */
void mem_on_failure(void (*act)(void));

/* Zeroed memory for count items of size bytes. */
void *mem_new(size_t count, size_t size);

/* Grows or shrinks; what is new is not zeroed.  count of 0 frees and gives NULL. */
void *mem_resize(void *old, size_t count, size_t size);

/* As malloc() and realloc(), for libraries, which may not notice everywhere that there is none. */
void *mem_malloc(size_t size);
void *mem_realloc(void *old, size_t size);

/* A copy of a text, or NULL for NULL. */
char *mem_copy_text(const char *text);

/* A copy of length bytes with a final NUL added. */
char *mem_copy_bytes(const void *bytes, size_t length);

/* A text made as printf makes it. */
char *mem_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *mem_vprint(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

/* Writes a text that grows, as open_memstream() does. */
FILE *mem_stream(char **ret_text, size_t *ret_length);

/* Gives free memory back to the kernel, if 256 KiB more are free than after the last time; for a slow timer. */
void mem_trim(void);

/* Frees; NULL is fine. */
void mem_free(void *memory);

/* Whether both texts are the same, or both are NULL. */
bool mem_text_is_same(const char *a, const char *b);

/* Texts in a NULL-terminated list.  NULL is the empty list. */
size_t mem_list_length(char *const *list);
char **mem_list_copy(char *const *list);
bool mem_list_is_same(char *const *a, char *const *b);
void mem_list_add(char ***list, const char *text);
void mem_list_free(char **list);

#endif

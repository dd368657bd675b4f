#include "keep/buffers.h"

#include <assert.h>
#include <sys/mman.h>

#define BUFFERS_PAGE 4096u
/* Free ones of a class that keep their pages, until buffers_trim(): as many as a burst of clients may need, for a
 * page that is given back and taken again costs more than all that passes through it. */
#define BUFFERS_WARM       1024u
#define BUFFERS_WARM_LARGE 2u

/* Each class has as many bytes as the smallest one, but at least so many buffers. */
#define BUFFERS_LEAST 4u

size_t
buffers_class_size(uint32_t class)
{
	return (size_t)TABLE_BUFFER_SIZE << (2 * class);
}

uint32_t
buffers_number(uint32_t class, uint32_t sessions)
{
	uint32_t number = 2 * sessions >> 2 * class;

	return number > BUFFERS_LEAST ? number : BUFFERS_LEAST;
}

size_t
buffers_largest(void)
{
	return buffers_class_size(TABLE_CLASSES - 1);
}

static uint32_t
buffers_class(const struct table *table, uint32_t buffer)
{
	uint32_t class = 0;

	while (buffer >= table->class[class].end)
		class++;
	return class;
}

size_t
buffers_size(const struct table *table, uint32_t buffer)
{
	return buffers_class_size(buffers_class(table, buffer));
}

unsigned char *
buffers_bytes(const struct table *table, uint32_t buffer)
{
	const struct table_class *class = &table->class[buffers_class(table, buffer)];

	return class->bytes + (size_t)(buffer - class->first) * buffers_class_size((uint32_t)(class - table->class));
}

void
buffers_touch(const struct table *table, uint32_t buffer, size_t begin, size_t end)
{
	volatile unsigned char *bytes = buffers_bytes(table, buffer);

	for (size_t i = begin; i < end; i = (i / BUFFERS_PAGE + 1) * BUFFERS_PAGE)
		bytes[i] = bytes[i];
}

/* Gives a free buffer's pages back to the kernel and puts it on the cold list.  Tiny ones share pages. */
static void
buffers_cool(struct table *table, struct table_class *class, uint32_t buffer)
{
	size_t size = buffers_size(table, buffer);

	if (size >= BUFFERS_PAGE)
		madvise(buffers_bytes(table, buffer), size, MADV_REMOVE);
	table->buffers[buffer].head = class->cold;
	class->cold = buffer;
}

static uint32_t
buffers_claim_warm(struct table *table, struct table_class *class)
{
	uint32_t buffer = class->warm;

	class->warm = table->buffers[buffer].head;
	class->warm_count--;
	if (class->warm_count < class->warm_least)
		class->warm_least = class->warm_count;
	return buffer;
}

static uint32_t
buffers_claim_cold(struct table *table, struct table_class *class)
{
	uint32_t *high = &table->header->buffer_high[class - table->class];
	uint32_t buffer = class->cold;

	if (buffer != 0)
		class->cold = table->buffers[buffer].head;
	else if (*high < class->end)
		buffer = (*high)++;
	else
		return 0;
	if (class == table->class)
		buffers_touch(table, buffer, 0, TABLE_BUFFER_SIZE);
	return buffer;
}

/* A larger one will do where there is none of the right size. */
uint32_t
buffers_claim(struct table *table, size_t size)
{
	uint32_t class = 0, buffer = 0;

	while (class < TABLE_CLASSES && buffers_class_size(class) < size)
		class++;
	assert(class < TABLE_CLASSES);
	for (; buffer == 0 && class < TABLE_CLASSES; class++)
		if (table->class[class].warm != 0)
			buffer = buffers_claim_warm(table, &table->class[class]);
		else
			buffer = buffers_claim_cold(table, &table->class[class]);
	if (buffer != 0)
		table->buffers[buffer].head = table->buffers[buffer].tail = 0;
	return buffer;
}

void
buffers_free(struct table *table, uint32_t buffer)
{
	struct table_class *class = &table->class[buffers_class(table, buffer)];

	table->buffers[buffer].tail = 0;
	if (class->warm_count >= (class == table->class ? BUFFERS_WARM : BUFFERS_WARM_LARGE)) {
		buffers_cool(table, class, buffer);
		return;
	}
	table->buffers[buffer].head = class->warm;
	class->warm = buffer;
	class->warm_count++;
}

/* A buffer's tail beyond any size marks it as named while the free ones are looked for. */
#define BUFFERS_MARK (UINT32_C(1) << 31)

static void
buffers_mark(struct table *table, uint32_t buffer)
{
	if (buffer != 0)
		table->buffers[buffer].tail |= BUFFERS_MARK;
}

static void
buffers_mark_named(struct table *table)
{
	uint32_t services = table_services_used(table);

	for (uint32_t i = 1; i < table->header->session_high; i++)
		if (table_session_state(table, i) != TABLE_FREE) {
			buffers_mark(table, table->sessions[i].buffer[TABLE_UP]);
			buffers_mark(table, table->sessions[i].buffer[TABLE_DOWN]);
		}
	for (uint32_t i = 0; i < services; i++) {
		buffers_mark(table, table->services[i].shared.out);
		buffers_mark(table, table->services[i].shared.owed);
	}
}

void
buffers_derive(struct table *table)
{
	struct table_class *class;

	buffers_mark_named(table);
	for (uint32_t c = 0; c < TABLE_CLASSES; c++) {
		class = &table->class[c];
		class->warm = class->cold = class->warm_count = class->warm_least = 0;
		for (uint32_t i = table->header->buffer_high[c]; i-- > class->first;)
			if (table->buffers[i].tail & BUFFERS_MARK)
				table->buffers[i].tail &= ~BUFFERS_MARK;
			else
				buffers_cool(table, class, i);
	}
}

void
buffers_trim(struct table *table)
{
	for (struct table_class *class = table->class; class < table->class + TABLE_CLASSES; class++) {
		for (; class->warm_least > 0; class->warm_least--) {
			uint32_t buffer = class->warm;

			class->warm = table->buffers[buffer].head;
			class->warm_count--;
			buffers_cool(table, class, buffer);
		}
		class->warm_least = class->warm_count;
	}
}

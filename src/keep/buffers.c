#include "keep/buffers.h"

#include <assert.h>
#include <sys/mman.h>

#define BUFFERS_PAGE 4096u
/* Free ones of a class that keep their pages, until buffers_trim(): as many as a burst of clients may need, for a
 * page that is given back and taken again costs more than all that passes through it. */
#define BUFFERS_WARM       1024u
#define BUFFERS_WARM_LARGE 2u

size_t
buffers_largest(void)
{
	return table_class_size(TABLE_CLASSES - 1);
}

static void
buffers_touch(const struct table *table, uint32_t buffer, size_t begin, size_t end)
{
	volatile unsigned char *bytes = buffers_bytes(table, buffer);

	for (size_t i = begin; i < end; i += BUFFERS_PAGE)
		bytes[i] = bytes[i];
}

uint32_t
buffers_open(struct table *table, uint32_t buffer, size_t begin, size_t want)
{
	size_t size = buffers_size(table, buffer), there = (size_t)table->pages[buffer] * BUFFERS_PAGE;
	size_t end = begin + want < size ? begin + want : size;

	if (end > there) {
		buffers_touch(table, buffer, there, end);
		table->pages[buffer] = (uint16_t)((end + BUFFERS_PAGE - 1) / BUFFERS_PAGE);
		there = (size_t)table->pages[buffer] * BUFFERS_PAGE;
	}
	return (uint32_t)(there < size ? there : size);
}

/* Gives a free buffer's pages back to the kernel and puts it on the cold list.  Tiny ones share pages. */
static void
buffers_cool(struct table *table, struct table_class *class, uint32_t buffer)
{
	size_t size = buffers_size(table, buffer);

	if (size >= BUFFERS_PAGE)
		madvise(buffers_bytes(table, buffer), size, MADV_REMOVE);
	table->pages[buffer] = 0;
	table->buffers[buffer].head = class->cold;
	class->cold = buffer;
}

/* One with pages if there is any; 0: none is free. */
static uint32_t
buffers_claim_of(struct table *table, struct table_class *class)
{
	uint32_t *high = &table->header->buffer_high[class - table->class];
	uint32_t buffer = class->warm != 0 ? class->warm : class->cold;

	if (buffer == 0)
		return *high < class->end ? (*high)++ : 0;
	if (buffer != class->warm) {
		class->cold = table->buffers[buffer].head;
		return buffer;
	}
	class->warm = table->buffers[buffer].head;
	class->warm_count--;
	if (class->warm_count < class->warm_least)
		class->warm_least = class->warm_count;
	return buffer;
}

static void
buffers_charge(struct table *table, struct budget_payer payer, uint32_t buffer)
{
	budget_take(table->budget, payer, buffers_size(table, buffer));
	if (buffer >= table->class[TABLE_LEAN].first)
		budget_note_lean(table->budget, payer, 1);
}

/* It is the payer's from now on. */
static uint32_t
buffers_hand_out(struct table *table, struct budget_payer payer, uint32_t buffer)
{
	if (buffer == 0)
		return 0;
	table->buffers[buffer].head = table->buffers[buffer].tail = 0;
	buffers_charge(table, payer, buffer);
	return buffer;
}

/* A larger one will do where there is none of the right size. */
uint32_t
buffers_claim(struct table *table, struct budget_payer payer, size_t size)
{
	uint32_t class = 0, buffer = 0;

	while (class < TABLE_CLASSES && table_class_size(class) < size)
		class++;
	assert(class < TABLE_CLASSES);
	if (!budget_permits(table->budget, payer, table_class_size(class)))
		return 0;
	for (; buffer == 0 && class < TABLE_CLASSES; class++)
		buffer = buffers_claim_of(table, &table->class[class]);
	return buffers_hand_out(table, payer, buffer);
}

uint32_t
buffers_claim_lean(struct table *table, struct budget_payer payer)
{
	return buffers_hand_out(table, payer, buffers_claim_of(table, &table->class[TABLE_LEAN]));
}

/* Free ones that keep their pages count too: as far as the bound has room for them. */
static bool
buffers_may_stay_warm(const struct table *table, const struct table_class *class, size_t size)
{
	uint64_t most = budget_most(table->budget);

	return class->warm_count < (size <= TABLE_BUFFER_SIZE ? BUFFERS_WARM : BUFFERS_WARM_LARGE) &&
	    (most == 0 || budget_taken(table->budget) + (class->warm_count + 1) * size <= most / 4);
}

void
buffers_free(struct table *table, struct budget_payer payer, uint32_t buffer)
{
	struct table_class *class = &table->class[buffers_class(table, buffer)];
	size_t size = table_class_size((uint32_t)(class - table->class));

	table->buffers[buffer].tail = 0;
	budget_give(table->budget, payer, size);
	if (class == &table->class[TABLE_LEAN])
		budget_note_lean(table->budget, payer, -1);
	if (!buffers_may_stay_warm(table, class, size)) {
		buffers_cool(table, class, buffer);
		return;
	}
	table->buffers[buffer].head = class->warm;
	class->warm = buffer;
	class->warm_count++;
}

/* In shared mode what goes to a client, or came from the upstream, is here already. */
struct budget_payer
buffers_payer(const struct table *table, uint32_t session, enum table_direction direction)
{
	uint16_t service = table->clients[session].service;

	return (struct budget_payer){ .service = service,
		.moves_on = direction == TABLE_DOWN && table->services[service].shared.framing != 0 };
}

/* A buffer's tail beyond any size marks it as named while the free ones are looked for. */
#define BUFFERS_MARK (UINT32_C(1) << 31)

void
buffers_mark(struct table *table, struct budget_payer payer, uint32_t buffer)
{
	if (buffer == 0 || table->buffers[buffer].tail & BUFFERS_MARK)
		return;
	table->buffers[buffer].tail |= BUFFERS_MARK;
	buffers_charge(table, payer, buffer);
}

void
buffers_find_free(struct table *table)
{
	struct table_class *class;

	for (uint32_t c = 0; c <= TABLE_LEAN; c++) {
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
	for (struct table_class *class = table->class; class <= &table->class[TABLE_LEAN]; class++) {
		for (; class->warm_least > 0; class->warm_least--) {
			uint32_t buffer = class->warm;

			class->warm = table->buffers[buffer].head;
			class->warm_count--;
			buffers_cool(table, class, buffer);
		}
		class->warm_least = class->warm_count;
	}
}

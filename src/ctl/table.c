#include "ctl/table.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct table {
	struct libscols_table *scols; /* owned */
	struct libscols_line *line;   /* borrowed; the last */
	size_t cell;                  /* of it, to be set next */
};

/* 0, or the program ends: there is no memory. */
static void
need(bool good)
{
	if (good)
		return;
	fputs("holdfastctl: out of memory\n", stderr);
	exit(1);
}

static int
column_flags(enum table_column_kind kind)
{
	switch (kind) {
	case TABLE_NUMBER: return SCOLS_FL_RIGHT;
	case TABLE_CUT: return SCOLS_FL_TRUNC;
	case TABLE_WRAP: return SCOLS_FL_WRAP;
	default: return 0;
	}
}

struct table *
table_new(const struct table_column *columns, bool heading)
{
	struct table *table = mem_new(1, sizeof *table);

	table->scols = scols_new_table();
	need(table->scols != NULL);
	scols_table_enable_noheadings(table->scols, !heading);
	for (; columns->name != NULL; columns++)
		need(scols_table_new_column(table->scols, columns->name, 0, column_flags(columns->kind)) != NULL);
	return table;
}

void
table_line(struct table *table)
{
	table->line = scols_table_new_line(table->scols, NULL);
	need(table->line != NULL);
	table->cell = 0;
}

void
table_cell(struct table *table, const char *text)
{
	need(scols_line_set_data(table->line, table->cell++, text == NULL ? "" : text) == 0);
}

void
table_cell_number(struct table *table, long long number)
{
	char text[32];

	snprintf(text, sizeof text, "%lld", number);
	table_cell(table, text);
}

void
table_print(struct table *table)
{
	scols_print_table(table->scols);
	scols_unref_table(table->scols);
	mem_free(table);
}

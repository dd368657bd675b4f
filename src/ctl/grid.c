#include "ctl/grid.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct grid {
	struct libscols_table *scols; /* owned */
	struct libscols_line *line;   /* borrowed; the last */
	size_t cell;                  /* of it, to be set next */
};

/* 0, or the program ends: there is no memory. */
static void
grid_need(bool good)
{
	if (good)
		return;
	fputs("holdfastctl: out of memory\n", stderr);
	exit(1);
}

static int
grid_column_flags(enum grid_column_kind kind)
{
	switch (kind) {
	case GRID_NUMBER: return SCOLS_FL_RIGHT;
	case GRID_CUT: return SCOLS_FL_TRUNC;
	case GRID_WRAP: return SCOLS_FL_WRAP;
	default: return 0;
	}
}

struct grid *
grid_new(const struct grid_column *columns, bool heading)
{
	struct grid *grid = mem_new(1, sizeof *grid);

	grid->scols = scols_new_table();
	grid_need(grid->scols != NULL);
	scols_table_enable_noheadings(grid->scols, !heading);
	for (; columns->name != NULL; columns++)
		grid_need(scols_table_new_column(grid->scols, columns->name, 0,
		    grid_column_flags(columns->kind)) != NULL);
	return grid;
}

void
grid_line(struct grid *grid)
{
	grid->line = scols_table_new_line(grid->scols, NULL);
	grid_need(grid->line != NULL);
	grid->cell = 0;
}

void
grid_cell(struct grid *grid, const char *text)
{
	grid_need(scols_line_set_data(grid->line, grid->cell++, text == NULL ? "" : text) == 0);
}

void
grid_cell_number(struct grid *grid, long long number)
{
	char text[32];

	snprintf(text, sizeof text, "%lld", number);
	grid_cell(grid, text);
}

void
grid_print(struct grid *grid)
{
	scols_print_table(grid->scols);
	scols_unref_table(grid->scols);
	mem_free(grid);
}

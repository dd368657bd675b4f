/* grid.h - a table for people: as wide as the terminal at most, plain text elsewhere. */
#ifndef HOLDFAST_CTL_GRID_H
#define HOLDFAST_CTL_GRID_H

#include <stdbool.h>

enum grid_column_kind { GRID_TEXT, GRID_NUMBER, GRID_CUT /* may be cut */, GRID_WRAP /* may be folded */ };

struct grid_column {
	const char *name;   /* borrowed; NULL ends a list of columns */
	enum grid_column_kind kind;
};

struct grid;

/* A table with these columns; with a heading or not. */
struct grid *grid_new(const struct grid_column *columns, bool heading);

/* A further line; its cells are set from left to right.  Values are copied; NULL is an empty cell. */
void grid_line(struct grid *grid);
void grid_cell(struct grid *grid, const char *text);
void grid_cell_number(struct grid *grid, long long number);

/* Prints it to standard output and frees it. */
void grid_print(struct grid *grid);

#endif

/* table.h - a table for people: as wide as the terminal at most, plain text elsewhere. */
#ifndef HOLDFAST_CTL_TABLE_H
#define HOLDFAST_CTL_TABLE_H

#include <stdbool.h>

enum table_column_kind { TABLE_TEXT, TABLE_NUMBER, TABLE_CUT /* may be cut */, TABLE_WRAP /* may be folded */ };

struct table_column {
	const char *name;   /* NULL ends a list of columns */
	enum table_column_kind kind;
};

struct table;

/* A table with these columns; with a heading or not. */
struct table *table_new(const struct table_column *columns, bool heading);

/* A further line; its cells are set from left to right.  Values are copied; NULL is an empty cell. */
void table_line(struct table *table);
void table_cell(struct table *table, const char *text);
void table_cell_number(struct table *table, long long number);

/* Prints it to standard output and frees it. */
void table_print(struct table *table);

#endif

/* top_columns.h - the table of "holdfastctl top": which columns a terminal has, and what stands in them.
 *
 * Pure.
 */
#ifndef HOLDFAST_CTL_TOP_COLUMNS_H
#define HOLDFAST_CTL_TOP_COLUMNS_H

#include <stdint.h>

#include "ctl/sample.h"
#include "ctl/screen.h"
#include "ctl/top_state.h"

#define TOP_COLUMNS 24 /* more than there are */

struct top_columns {
	struct {
		size_t which;
		int width;
	} list[TOP_COLUMNS];
	size_t count;
	bool wide;      /* spans of time are shown as "2min 3s", else as "2min" */
	int64_t wall;   /* the wall clock */
};

/* Chooses columns for the screen and this sample; wall is the time of the wall clock. */
void top_columns_choose(struct top_columns *columns, const struct screen *screen, const struct sample *sample,
    int64_t wall);

/* Puts a line with the heads; an arrow shows by which column is sorted, and which way. */
void top_columns_put_heads(const struct top_columns *columns, struct screen *screen, enum top_sort sort,
    bool reverse);

/* Puts a line with what is known of the service. */
void top_columns_put_row(const struct top_columns *columns, struct screen *screen,
    const struct sample_service *service);

/* Why the service is as it is; while there is nothing to say about that, the last error and how old it is.  To be
 * freed with mem_free(). */
char *top_columns_error(const struct top_columns *columns, const struct sample_service *service);

/* How a state's word is shown. */
enum screen_look top_columns_look(const char *state);

/* A rate or a number in at most four characters: 0, 7.5, 999, 1.2K, 34M; units of 1000, or of 1024. */
const char *top_columns_short(double number, unsigned unit);

#endif

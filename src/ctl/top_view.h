/* top_view.h - what "holdfastctl top" shows: a state and a sample in, a screen out.
 *
 * Pure: the time is told.  ctl/top.c paints it.
 */
#ifndef HOLDFAST_CTL_TOP_VIEW_H
#define HOLDFAST_CTL_TOP_VIEW_H

#include <jansson.h>
#include <stdint.h>

#include "ctl/screen.h"
#include "ctl/top_state.h"

struct top_scene {
	const struct sample *sample; /* borrowed; NULL: nothing has been heard yet */
	const json_t *history;       /* borrowed; the answer to "explain", or NULL while there is none */
	const char *away;            /* borrowed; why the daemon says nothing, or NULL */
	double away_seconds;         /* for so long */
	int64_t wall;                /* the wall clock, microseconds since 1970 UTC */
};

/* A number in four characters at most, thousands (units) as K, M ...; in one of a few buffers. */
const char *top_view_short(double number, unsigned unit);

/* How a word looks: the one for a service's state, a kind of event, an endpoint's state. */
enum screen_look top_view_look(const char *word);

/* Fills the screen, which is empty.  Told to the state: what can be seen at once, and how far one can scroll. */
void top_view_show(struct screen *screen, struct top_state *state, const struct top_scene *scene);

#endif

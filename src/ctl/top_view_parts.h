/* top_view_parts.h - between ctl/top_view.c and the pages that are read (ctl/top_pages.c). */
#ifndef HOLDFAST_CTL_TOP_VIEW_PARTS_H
#define HOLDFAST_CTL_TOP_VIEW_PARTS_H

#include "ctl/top_view.h"

/* Puts text and frees it. */
void top_view_take(struct screen *screen, enum screen_look look, char *text);

/* Puts a line that says why the daemon says nothing, if it does not. */
void top_view_away(struct screen *screen, const struct top_scene *scene);

/* Tells the state that there are so many lines, of which so many are seen at once. */
void top_view_scroll(struct top_state *state, int lines, int page);

/* Puts pairs of a key and what it does, as many as have a place; NULL ends them. */
void top_view_keys(struct screen *screen, const char *const *keys);

/* Empty lines, until only so many are left. */
void top_view_down_to(struct screen *screen, int left);

/* top_pages.c: fill the whole screen. */
void top_view_help(struct screen *screen, struct top_state *state);
void top_view_explain(struct screen *screen, struct top_state *state, const struct top_scene *scene);

#endif

/* screen.h - a screen of text as data: lines, and how the parts of each look.  ncurses paints it (ctl/top.c), tests
 * read it.
 *
 * Pure.  Texts are UTF-8; what has no place is cut, with an ellipsis; what could not be shown, or would move the
 * cursor, becomes a question mark.  No line is ever wider than the screen.
 */
#ifndef HOLDFAST_CTL_SCREEN_H
#define HOLDFAST_CTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

enum screen_look {
	SCREEN_PLAIN, SCREEN_DIM, SCREEN_BOLD,
	SCREEN_HEAD,  /* of a table */
	SCREEN_ALARM, /* what must be seen */
	SCREEN_UP, SCREEN_DOWN, SCREEN_HOLD, SCREEN_PAUSED, SCREEN_CLOSED, /* states of services */
	SCREEN_LOOKS
};

#define SCREEN_SPANS 64  /* of a line; further ones look like the last */
#define SCREEN_SIDE  1000 /* columns and lines at most; a larger terminal is used in part */

struct screen_span {
	size_t begin, end;     /* bytes of the line's text */
	enum screen_look look;
};

struct screen_line {
	char *text;            /* owned */
	size_t length, size;
	int width;             /* columns so far */
	struct screen_span spans[SCREEN_SPANS];
	size_t span_count;
	bool chosen;           /* the line where the user is */
};

struct screen {
	int width, height;         /* columns, lines */
	bool ascii;                /* nothing but ASCII can be shown */
	struct screen_line *lines; /* owned; height of them */
	int count;                 /* lines begun */
};

struct screen *screen_new(int width, int height, bool ascii);
void screen_free(struct screen *screen);

/* Begins the next line; what is put when the screen is full is put nowhere. */
void screen_line(struct screen *screen);

/* How many lines can still be begun. */
int screen_left(const struct screen *screen);

/* How many columns of the current line are left. */
int screen_room(const struct screen *screen);

/* The current line is where the user is. */
void screen_choose(struct screen *screen);

/* Puts text behind what the line has. */
void screen_put(struct screen *screen, enum screen_look look, const char *text);

/* Likewise, cut or filled with blanks to so many columns; with blanks before it. */
void screen_put_left(struct screen *screen, enum screen_look look, int width, const char *text);
void screen_put_right(struct screen *screen, enum screen_look look, int width, const char *text);

/* Puts text so that it ends with the screen's last column, blanks before it; left out if it has no place. */
void screen_put_end(struct screen *screen, enum screen_look look, const char *text);

/* Fills the line with blanks. */
void screen_fill(struct screen *screen, enum screen_look look);

/* How many columns the text takes. */
int screen_width(const struct screen *screen, const char *text);

/* How many bytes of text fill a line of so many columns, broken at a blank if there is one; *ret_next: where the
 * next line begins.  At least one character, so that one always comes to the end. */
size_t screen_fold(const struct screen *screen, const char *text, int width, const char **ret_next);

#endif

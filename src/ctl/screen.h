/* screen.h - a screen as one text of lines, and in them bytes that say how what follows looks.  ncurses paints it
 * (ctl/top.c), tests read it.
 *
 * Pure.  Texts are UTF-8; what has no place is cut, with an ellipsis; what could not be shown, or would move the
 * cursor, becomes a question mark.  No line is ever wider than the screen.
 */
#ifndef HOLDFAST_CTL_SCREEN_H
#define HOLDFAST_CTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum screen_look {
	SCREEN_PLAIN, SCREEN_DIM, SCREEN_BOLD,
	SCREEN_HEAD,   /* of a table */
	SCREEN_ALARM,  /* what must be seen */
	SCREEN_UP, SCREEN_DOWN, SCREEN_HOLD, SCREEN_PAUSED, SCREEN_CLOSED, /* states of services */
	SCREEN_LOOKS,
	SCREEN_CHOSEN = SCREEN_LOOKS /* the whole line, where the user is */
};

/* A look stands in texts, given and made, as a byte that UTF-8 never has (so that no text of the daemon's holds one).
 * It is good to the line's end, or the next; a line begins plain. */
#define SCREEN_MARK(look) (0xf5 + (int)(look)) /* for %c */
#define AS_PLAIN  "\xf5"
#define AS_DIM    "\xf6"
#define AS_BOLD   "\xf7"
#define AS_ALARM  "\xf9"
#define AS_HOLD   "\xfc"
#define AS_CHOSEN "\xff"
#define SCREEN_MARKS "\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff"

#define SCREEN_SIDE 1000 /* columns and lines at most; a larger terminal is used in part */

struct screen {
	int width, height;          /* columns, lines */
	bool ascii;                 /* nothing but ASCII can be shown */
	int count;                  /* lines begun; with one too many nothing is put any more */
	int column;                 /* of the current line, where the next text stands */
	FILE *out;                  /* owned; writes text */
	char *text;                 /* owned; see screen_text() */
	size_t length;
};

struct screen *screen_new(int width, int height, bool ascii);

/* Likewise, with as many lines as are begun: of it screen_put_lines() shows a part. */
struct screen *screen_new_page(const struct screen *screen);
void screen_free(struct screen *screen);

/* All that was put; stays the screen's. */
const char *screen_text(struct screen *screen);

/* How many lines can still be begun, and how many columns of the current line are left. */
int screen_left(const struct screen *screen);
int screen_room(const struct screen *screen);

/* Begins the next line with text, made as printf makes it; what is put when the screen is full is put nowhere. */
void screen_line(struct screen *screen, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts text behind what the line has. */
void screen_put(struct screen *screen, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts text cut or filled to so many columns, as "%*s" does: blanks before it, or behind it if width is negative. */
void screen_put_cell(struct screen *screen, enum screen_look look, int width, const char *text);

/* Puts most lines of the page, from that with number first, counted from 0. */
void screen_put_lines(struct screen *screen, struct screen *page, size_t first, int most);

/* How many columns the text takes. */
int screen_width(const struct screen *screen, const char *text);

/* How many bytes of text fill a line of so many columns, broken at a blank if there is one; *ret_next: where the
 * next line begins.  At least one character, so that one always comes to the end. */
size_t screen_fold(const struct screen *screen, const char *text, int width, const char **ret_next);

#endif

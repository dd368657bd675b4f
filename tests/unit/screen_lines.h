/* What the tests of screens share: a screen's text taken apart. */
#ifndef TESTS_UNIT_SCREEN_LINES_H
#define TESTS_UNIT_SCREEN_LINES_H

#include <stdbool.h>
#include <string.h>

#include "ctl/screen.h"

/* A line that was taken apart. */
struct seen {
	char text[4 * SCREEN_SIDE + 1];
	enum screen_look looks[4 * SCREEN_SIDE + 1]; /* of each byte of the text */
	bool chosen;
};

/* The line with this number; empty if there is none.  It stays until the next call. */
static inline const struct seen *
seen_line(struct screen *screen, int number)
{
	static struct seen seen;
	enum screen_look look = SCREEN_PLAIN;
	const char *at = screen_text(screen);
	size_t length = 0;

	memset(&seen, 0, sizeof seen);
	for (; *at != '\0' && number >= 0; at++) {
		if (*at == '\n')
			number--;
		else if (number == 0 && (unsigned char)*at == SCREEN_MARK(SCREEN_CHOSEN))
			seen.chosen = true;
		else if (number == 0 && (unsigned char)*at >= SCREEN_MARK(SCREEN_PLAIN))
			look = (enum screen_look)((unsigned char)*at - SCREEN_MARK(SCREEN_PLAIN));
		else if (number == 0) {
			seen.looks[length] = look;
			seen.text[length++] = *at;
		}
	}
	return &seen;
}

#endif

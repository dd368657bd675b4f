#include "ctl/screen.h"

#include <stdint.h>
#include <string.h>
#include <wchar.h>

#include "base/mem.h"

/* One character: where it is, how it is shown. */
struct glyph {
	const char *bytes; /* borrowed */
	size_t length;
	size_t taken;      /* bytes of the text */
	int width;
};

struct screen *
screen_new(int width, int height, bool ascii)
{
	struct screen *screen = mem_new(1, sizeof *screen);

	screen->width = width < 1 ? 1 : width > SCREEN_SIDE ? SCREEN_SIDE : width;
	screen->height = height < 1 ? 1 : height > SCREEN_SIDE ? SCREEN_SIDE : height;
	screen->ascii = ascii;
	screen->lines = mem_new((size_t)screen->height, sizeof *screen->lines);
	return screen;
}

void
screen_free(struct screen *screen)
{
	if (screen == NULL)
		return;
	for (int i = 0; i < screen->height; i++)
		mem_free(screen->lines[i].text);
	mem_free(screen->lines);
	mem_free(screen);
}

/* How many bytes the character has that begins with this one, or 0 if none does. */
static size_t
screen_length(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* The code point that begins at text and its length, or 0 for what is none. */
static uint32_t
screen_decode(const unsigned char *text, size_t *ret_length)
{
	size_t length = screen_length(text[0]);
	uint32_t code = length == 1 ? text[0] : length == 0 ? 0 : text[0] & (0x7fu >> length);

	*ret_length = 1;
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (length > 1)
		*ret_length = length;
	return code;
}

/* The character at text, which has not ended. */
static struct glyph
screen_glyph(const struct screen *screen, const char *text)
{
	struct glyph glyph = { .bytes = text };
	uint32_t code = screen_decode((const unsigned char *)text, &glyph.taken);

	glyph.length = glyph.taken;
	glyph.width = code < 0x80 ? 1 : screen->ascii ? -1 : wcwidth((wchar_t)code);
	if (code < ' ' || code == 0x7f || glyph.width < 0) {
		glyph.bytes = code == '\n' || code == '\t' ? " " : "?";
		glyph.length = 1;
		glyph.width = 1;
	}
	return glyph;
}

int
screen_width(const struct screen *screen, const char *text)
{
	int width = 0;

	while (*text != '\0') {
		struct glyph glyph = screen_glyph(screen, text);

		width += glyph.width;
		text += glyph.taken;
	}
	return width;
}

size_t
screen_fold(const struct screen *screen, const char *text, int width, const char **ret_next)
{
	const char *at = text, *blank = NULL;
	int used = 0;

	while (*at != '\0') {
		struct glyph glyph = screen_glyph(screen, at);

		if (used + glyph.width > width && at > text)
			break;
		if (*at == ' ' && at > text)
			blank = at;
		used += glyph.width;
		at += glyph.taken;
	}
	if (*at != '\0' && *at != ' ' && blank != NULL)
		at = blank;
	*ret_next = at + strspn(at, " ");
	return (size_t)(at - text);
}

void
screen_line(struct screen *screen)
{
	if (screen->count <= screen->height)
		screen->count++;
}

int
screen_left(const struct screen *screen)
{
	return screen->count < screen->height ? screen->height - screen->count : 0;
}

/* The current line, or NULL when the screen is full. */
static struct screen_line *
screen_current(struct screen *screen)
{
	return screen->count < 1 || screen->count > screen->height ? NULL : &screen->lines[screen->count - 1];
}

int
screen_room(const struct screen *screen)
{
	return screen->count < 1 || screen->count > screen->height ? 0
	    : screen->width - screen->lines[screen->count - 1].width;
}

void
screen_choose(struct screen *screen)
{
	struct screen_line *line = screen_current(screen);

	if (line != NULL)
		line->chosen = true;
}

/* Adds bytes of so many columns, which have their place. */
static void
screen_append(struct screen_line *line, const char *bytes, size_t length, int width)
{
	if (line->length + length + 1 > line->size) {
		line->size = (line->length + length + 1) * 2;
		line->text = mem_resize(line->text, line->size, 1);
	}
	memcpy(line->text + line->length, bytes, length);
	line->length += length;
	line->text[line->length] = '\0';
	line->width += width;
}

static void
screen_blanks(struct screen_line *line, int width)
{
	while (width-- > 0)
		screen_append(line, " ", 1, 1);
}

/* Adds what fits into so many columns; gives how many it took. */
static int
screen_add(const struct screen *screen, struct screen_line *line, const char *text, int width)
{
	bool cut = screen_width(screen, text) > width;
	int used = 0, room = cut ? width - 1 : width;

	while (*text != '\0') {
		struct glyph glyph = screen_glyph(screen, text);

		if (used + glyph.width > room)
			break;
		screen_append(line, glyph.bytes, glyph.length, glyph.width);
		used += glyph.width;
		text += glyph.taken;
	}
	if (cut && width > 0) {
		screen_append(line, screen->ascii ? "~" : "\u2026", screen->ascii ? 1 : strlen("\u2026"), 1);
		used++;
	}
	return used;
}

/* What was added from begin on looks like this. */
static void
screen_span(struct screen_line *line, size_t begin, enum screen_look look)
{
	struct screen_span *last = line->span_count == 0 ? NULL : &line->spans[line->span_count - 1];

	if (begin == line->length)
		return;
	if (last != NULL && (last->look == look || line->span_count == SCREEN_SPANS)) {
		last->end = line->length;
		return;
	}
	line->spans[line->span_count++] = (struct screen_span){ begin, line->length, look };
}

/* Puts text into width columns, blanks before or behind it. */
static void
screen_put_into(struct screen *screen, enum screen_look look, int width, bool right, const char *text)
{
	struct screen_line *line = screen_current(screen);
	size_t begin;
	int used;

	if (line == NULL)
		return;
	if (width > screen->width - line->width)
		width = screen->width - line->width;
	begin = line->length;
	used = screen_width(screen, text);
	if (right)
		screen_blanks(line, width - used);
	used = screen_add(screen, line, text, width);
	if (!right)
		screen_blanks(line, width - used);
	screen_span(line, begin, look);
}

void
screen_put(struct screen *screen, enum screen_look look, const char *text)
{
	screen_put_into(screen, look, screen_width(screen, text), false, text);
}

void
screen_put_left(struct screen *screen, enum screen_look look, int width, const char *text)
{
	screen_put_into(screen, look, width, false, text);
}

void
screen_put_right(struct screen *screen, enum screen_look look, int width, const char *text)
{
	screen_put_into(screen, look, width, true, text);
}

void
screen_put_end(struct screen *screen, enum screen_look look, const char *text)
{
	struct screen_line *line = screen_current(screen);

	if (line != NULL && screen_width(screen, text) <= screen->width - line->width)
		screen_put_into(screen, look, screen->width - line->width, true, text);
}

void
screen_fill(struct screen *screen, enum screen_look look)
{
	screen_put_into(screen, look, screen->width, false, "");
}

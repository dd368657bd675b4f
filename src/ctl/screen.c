#include "ctl/screen.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/escape.h"
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
	screen->out = mem_stream(&screen->text, &screen->length);
	return screen;
}

struct screen *
screen_new_page(const struct screen *screen)
{
	struct screen *page = screen_new(screen->width, 1, screen->ascii);

	page->height = INT_MAX - 1;
	return page;
}

void
screen_free(struct screen *screen)
{
	if (screen == NULL)
		return;
	fclose(screen->out);
	free(screen->text);
	mem_free(screen);
}

const char *
screen_text(struct screen *screen)
{
	fflush(screen->out);
	return screen->text;
}

/* The character at text, which has not ended.  Bytes that are none are shown one by one, looks not at all. */
static struct glyph
screen_glyph(const struct screen *screen, const char *text)
{
	bool foreign = screen->ascii && (unsigned char)*text >= 0x80;
	mbstate_t state = { 0 };
	wchar_t wide = L'\0';
	size_t length = foreign ? (size_t)-1 : mbrtowc(&wide, text, strnlen(text, MB_LEN_MAX), &state);
	struct glyph glyph = { .bytes = text, .length = length, .taken = length, .width = -1 };

	if ((unsigned char)*text >= SCREEN_MARK(SCREEN_PLAIN))
		return (struct glyph){ text, 1, 1, 0 };
	if (length > MB_LEN_MAX)
		glyph.taken = 1;
	else if (escape_is_harmless(text, length, &length))
		glyph.width = wcwidth(wide);
	while (foreign && ((unsigned char)text[glyph.taken] & 0xc0) == 0x80)
		glyph.taken++;
	if (glyph.width < 0)
		glyph = (struct glyph){ *text == '\n' || *text == '\t' ? " " : "?", 1, glyph.taken, 1 };
	return glyph;
}

int
screen_width(const struct screen *screen, const char *text)
{
	struct glyph glyph;
	int width = 0;

	for (; *text != '\0'; text += glyph.taken) {
		glyph = screen_glyph(screen, text);
		width += glyph.width;
	}
	return width;
}

size_t
screen_fold(const struct screen *screen, const char *text, int width, const char **ret_next)
{
	const char *at = text, *blank = NULL;
	struct glyph glyph;

	for (int used = 0; *at != '\0'; used += glyph.width, at += glyph.taken) {
		glyph = screen_glyph(screen, at);
		if (used + glyph.width > width && at > text)
			break;
		if (*at == ' ' && at > text)
			blank = at;
	}
	if (*at != '\0' && *at != ' ' && blank != NULL)
		at = blank;
	*ret_next = at + strspn(at, " ");
	return (size_t)(at - text);
}

int
screen_left(const struct screen *screen)
{
	return screen->count < screen->height ? screen->height - screen->count : 0;
}

int
screen_room(const struct screen *screen)
{
	return screen->count < 1 || screen->count > screen->height ? 0 : screen->width - screen->column;
}

/* Writes text cut or filled to so many columns, of which there are as many: blanks before it, or behind it. */
static void
screen_write(struct screen *screen, const char *text, int width, bool right)
{
	int needed = screen_width(screen, text), blanks = needed < width ? width - needed : 0, used = 0;
	bool cut = needed > width;
	struct glyph glyph;

	fprintf(screen->out, "%*s", right ? blanks : 0, "");
	for (; *text != '\0'; text += glyph.taken, used += glyph.width) {
		glyph = screen_glyph(screen, text);
		if (used + glyph.width > width - cut)
			break;
		fwrite(glyph.bytes, 1, glyph.length, screen->out);
	}
	if (cut)
		fprintf(screen->out, "%s%*s", screen->ascii ? "~" : "\u2026", width - used - 1, "");
	fprintf(screen->out, "%*s", right ? 0 : blanks, "");
	screen->column += width;
}

void
screen_put_cell(struct screen *screen, enum screen_look look, int width, const char *text)
{
	int room = screen_room(screen);

	if (width == 0 || room == 0)
		return;
	putc(SCREEN_MARK(look), screen->out);
	screen_write(screen, text, abs(width) < room ? abs(width) : room, width > 0);
}

static void __attribute__((format(printf, 2, 0)))
screen_vput(struct screen *screen, const char *format, va_list args)
{
	char *text = mem_vprint(format, args);
	int width = screen_width(screen, text), room = screen_room(screen);

	if (room > 0)
		screen_write(screen, text, width < room ? width : room, false);
	mem_free(text);
}

void
screen_put(struct screen *screen, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	screen_vput(screen, format, args);
	va_end(args);
}

void
screen_line(struct screen *screen, const char *format, ...)
{
	va_list args;

	if (screen->count > 0 && screen->count < screen->height)
		putc('\n', screen->out);
	screen->column = 0;
	if (screen->count <= screen->height)
		screen->count++;
	va_start(args, format);
	screen_vput(screen, format, args);
	va_end(args);
}

void
screen_put_lines(struct screen *screen, struct screen *page, size_t first, int most)
{
	const char *line = screen_text(page);

	for (int i = 0; i < (int)first + most && *line != '\0'; i++) {
		const char *end = strchrnul(line, '\n');

		if (i >= (int)first) {
			screen_line(screen, AS_PLAIN);
			fwrite(line, 1, screen_room(screen) > 0 ? (size_t)(end - line) : 0, screen->out);
		}
		line = end + (*end == '\n');
	}
}

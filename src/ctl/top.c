#include "ctl/top.h"

#define NCURSES_NOMACROS
#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/ask.h"
#include "ctl/sample.h"
#include "ctl/screen.h"
#include "ctl/top_ask.h"
#include "ctl/top_state.h"
#include "ctl/top_view.h"

#define ESCAPE_TIME 25                       /* milliseconds in which the rest of a key's sequence comes */
#define PAINT_TIME  (CLOCK_SECOND - CLOCK_SECOND / 10) /* after which the spans of time that are shown are old */

struct top {
	struct top_ask ask;
	struct top_state state;
	struct sample *sample;  /* owned; NULL before the first */
	json_t *history;        /* owned; of state.explained, or NULL */
	char history_of[TOP_NAME_SIZE];
	SCREEN *terminal;       /* owned; ncurses' */
	bool ascii;
	bool changed;           /* since it was painted */
	bool away;              /* the daemon's absence was painted */
	int64_t painted_at;     /* monotonic */
	attr_t looks[SCREEN_LOOKS];
};

static volatile sig_atomic_t top_ended;

static void
top_end_signal(int number)
{
	top_ended = number;
}

/* Colours only add to what is bold or reversed: all can be read without them. */
static void
top_set_looks(attr_t looks[SCREEN_LOOKS])
{
	static const struct {
		attr_t plain;
		short colour;
	} rows[SCREEN_LOOKS] = {
		[SCREEN_PLAIN] = { A_NORMAL, -1 }, [SCREEN_DIM] = { A_DIM, -1 }, [SCREEN_BOLD] = { A_BOLD, -1 },
		[SCREEN_HEAD] = { A_REVERSE, -1 }, [SCREEN_ALARM] = { A_BOLD | A_REVERSE, COLOR_RED },
		[SCREEN_UP] = { A_NORMAL, COLOR_GREEN }, [SCREEN_DOWN] = { A_BOLD, COLOR_RED },
		[SCREEN_HOLD] = { A_BOLD, COLOR_YELLOW }, [SCREEN_PAUSED] = { A_BOLD, COLOR_CYAN },
		[SCREEN_CLOSED] = { A_BOLD, COLOR_MAGENTA },
	};
	const char *forbidden = getenv("NO_COLOR");
	bool colours = (forbidden == NULL || forbidden[0] == '\0') && has_colors() && start_color() == OK &&
	    use_default_colors() == OK;

	for (short i = 0; i < SCREEN_LOOKS; i++) {
		looks[i] = rows[i].plain;
		if (colours && rows[i].colour != -1 && init_pair((short)(i + 1), rows[i].colour, -1) == OK)
			looks[i] |= (attr_t)COLOR_PAIR(i + 1);
	}
}

static void
top_paint_line(const struct top *top, int at, const struct screen_line *line)
{
	move(at, 0);
	for (size_t i = 0; i < line->span_count; i++) {
		const struct screen_span *span = &line->spans[i];

		attrset((int)(top->looks[span->look] | (line->chosen ? A_REVERSE : 0)));
		addnstr(line->text + span->begin, (int)(span->end - span->begin));
	}
	attrset(A_NORMAL);
}

static void
top_paint(struct top *top, int64_t now)
{
	char *away = top_ask_away(&top->ask, now);
	bool of_this = strcmp(top->history_of, top->state.explained) == 0;
	struct top_scene scene = {
		.sample = top->sample, .history = of_this ? top->history : NULL, .away = away, .wall = clock_wall(),
		.away_seconds = (double)(now - top->ask.heard_at) / (double)CLOCK_SECOND,
	};
	struct screen *screen = screen_new(COLS, LINES, top->ascii);

	top_view_show(screen, &top->state, &scene);
	erase();
	for (int i = 0; i < screen->count && i < screen->height; i++)
		top_paint_line(top, i, &screen->lines[i]);
	refresh();
	screen_free(screen);
	top->changed = false;
	top->away = away != NULL;
	top->painted_at = now;
	mem_free(away);
}

/* Whether what is painted is no longer so. */
static bool
top_is_old(const struct top *top, int64_t now)
{
	char *away = top_ask_away(&top->ask, now);
	bool away_changed = top->away != (away != NULL);

	mem_free(away);
	return top->changed || away_changed || now - top->painted_at >= PAINT_TIME;
}

static int
top_key(int key)
{
	static const struct { int curses, key; } keys[] = {
		{ KEY_UP, TOP_KEY_UP }, { KEY_DOWN, TOP_KEY_DOWN }, { KEY_LEFT, TOP_KEY_LEFT },
		{ KEY_RIGHT, TOP_KEY_RIGHT }, { KEY_PPAGE, TOP_KEY_PAGE_UP }, { KEY_NPAGE, TOP_KEY_PAGE_DOWN },
		{ KEY_HOME, TOP_KEY_HOME }, { KEY_END, TOP_KEY_END },
		{ KEY_ENTER, TOP_KEY_ENTER }, { '\r', TOP_KEY_ENTER }, { '\n', TOP_KEY_ENTER },
		{ KEY_BACKSPACE, TOP_KEY_ERASE }, { 0x7f, TOP_KEY_ERASE }, { '\b', TOP_KEY_ERASE },
		{ 0x1b, TOP_KEY_ESCAPE }, { KEY_F(1), TOP_KEY_HELP },
	};

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (keys[i].curses == key)
			return keys[i].key;
	return key < 256 ? key : 0;
}

/* All keys that were pressed, a change of the terminal's size being one; false when the user has had enough. */
static bool
top_read_keys(struct top *top)
{
	int key;

	while ((key = getch()) != ERR) {
		top->changed = true;
		if (key == '\f')
			clearok(curscr, TRUE);
		if (!top_state_key(&top->state, top_key(key)))
			return false;
		if (top->sample != NULL)
			top_state_arrange(&top->state, top->sample);
		if (top->state.page == TOP_EXPLAIN && strcmp(top->history_of, top->state.explained) != 0)
			top_ask_hurry(&top->ask, clock_now());
	}
	return true;
}

/* Takes the answers that have come. */
static void
top_take_answers(struct top *top)
{
	struct sample *sample;

	if (top->ask.status != NULL) {
		sample = sample_new(top->ask.status, clock_now(), top->sample);
		top->ask.status = NULL;
		sample_free(top->sample);
		top->sample = sample;
		top_state_arrange(&top->state, sample);
		top->changed = true;
	}
	if (top->ask.history != NULL) {
		json_decref(top->history);
		top->history = top->ask.history;
		top->ask.history = NULL;
		top->changed = true;
		snprintf(top->history_of, sizeof top->history_of, "%s", top->state.explained);
	}
}

/* Waits for a key, an answer, or the time to do something; false when the terminal is gone. */
static bool
top_wait(const struct top *top)
{
	struct pollfd files[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = top->ask.awaited == TOP_AWAITS_NOTHING ? -1 : top->ask.ask.fd, .events = POLLIN },
	};
	int64_t left = (top_ask_deadline(&top->ask) - clock_now()) / 1000 + 1;
	int timeout = left < 0 ? 1000 : left > 1000 ? 1000 : (int)left;

	if (poll(files, 2, timeout) == -1)
		return errno == EINTR;
	return (files[0].revents & (POLLHUP | POLLERR | POLLNVAL)) == 0;
}

static void
top_loop(struct top *top)
{
	while (top_ended == 0) {
		const char *explained = top->state.page == TOP_EXPLAIN ? top->state.explained : NULL;
		int64_t now = clock_now();

		top_ask_turn(&top->ask, explained, now);
		top_take_answers(top);
		if (top_is_old(top, now))
			top_paint(top, now);
		if (!top_wait(top) || !top_read_keys(top))
			break;
	}
}

static void
top_close_terminal(struct top *top)
{
	endwin();
	delscreen(top->terminal);
}

/* Begins to paint, or says why that is not possible. */
static bool
top_open_terminal(struct top *top)
{
	struct sigaction action = { .sa_handler = top_end_signal };
	const char *name = getenv("TERM");

	/* ncurses would end the program on these, without closing its screen on HUP. */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	top->terminal = name == NULL ? NULL : newterm(NULL, stdout, stdin);
	if (top->terminal == NULL) {
		fprintf(stderr, "holdfastctl: \"top\" does not know the terminal \"%s\" (TERM)\n",
		    name == NULL ? "" : name);
		return false;
	}
	if (tigetstr("cup") == NULL) {
		top_close_terminal(top);
		fprintf(stderr, "holdfastctl: \"top\" cannot paint on the terminal \"%s\" (TERM)\n", name);
		return false;
	}
	top->ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(ESCAPE_TIME);
	curs_set(0);
	top_set_looks(top->looks);
	return true;
}

int
top_run(const char *socket, int argc, char **argv)
{
	struct top top = { .sample = NULL };
	int code = ASK_USAGE, error;
	char *path;

	(void)argc;
	(void)argv;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fputs("holdfastctl: \"top\" needs a terminal; for a script there is holdfastctl --json status\n",
		    stderr);
		return ASK_USAGE;
	}
	path = ask_socket(socket);
	setlocale(LC_CTYPE, "");
	top_state_init(&top.state);
	error = top_ask_begin(&top.ask, path, clock_now());
	if (error != 0) {
		ask_explain(path, error);
		code = ASK_UNREACHED;
	} else if (top_open_terminal(&top)) {
		top_loop(&top);
		top_close_terminal(&top);
		code = ASK_YES;
	}
	top_ask_end(&top.ask);
	top_state_free(&top.state);
	sample_free(top.sample);
	json_decref(top.history);
	mem_free(path);
	return code;
}

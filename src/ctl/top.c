#include "ctl/top.h"

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
#include "ctl/screen.h"
#include "ctl/show.h"
#include "ctl/top_state.h"
#include "ctl/top_view.h"

#define ESCAPE_TIME 25                       /* milliseconds in which the rest of a key's sequence comes */
#define PAINT_TIME  (CLOCK_SECOND - CLOCK_SECOND / 10) /* after which the spans of time that are shown are old */

#define EVERY       CLOCK_SECOND             /* a status */
#define AGAIN       (250 * CLOCK_MILLISECOND) /* between attempts to connect */
#define SILENCE     (2 * CLOCK_SECOND)       /* without an answer: it is said */

struct top {
	/* The conversation: status once a second, over worker deaths and restarts; it never waits. */
	const char *path;       /* borrowed; the control socket */
	struct ask ask;
	bool awaits_status, awaits_history;
	int64_t asked_at;       /* monotonic; when the awaited was asked for */
	int64_t next;           /* monotonic; when to ask, or to connect, again */
	int64_t heard_at;       /* monotonic; when an answer came last */
	char *reason;           /* owned; why there is no connection, or NULL */
	/* What was heard. */
	struct top_state state;
	struct sample *sample;  /* owned; NULL before the first */
	json_t *history;        /* owned; of the member "service"; or NULL */
	/* The terminal. */
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

static bool
top_awaits(const struct top *top)
{
	return top->awaits_status || top->awaits_history;
}

/* Why nothing is heard, or NULL while all is well. */
static const char *
top_away(const struct top *top, int64_t now)
{
	if (top->ask.fd == -1 && top->reason != NULL)
		return top->reason;
	return top_awaits(top) && now - top->asked_at >= SILENCE ? "the daemon is connected and says nothing" : NULL;
}

/* That of the service that is explained, or NULL. */
static const json_t *
top_history(const struct top *top)
{
	return strcmp(show_text(top->history, "service"), top->state.explained) == 0 ? top->history : NULL;
}

static void
top_paint_text(const struct top *top, const char *text)
{
	attr_t look = A_NORMAL, chosen = A_NORMAL;

	erase();
	for (int line = 0; *text != '\0';) {
		size_t length = 1;
		int mark = (unsigned char)*text - SCREEN_MARK(SCREEN_PLAIN);

		if (*text == '\n') {
			look = chosen = A_NORMAL;
			move(++line, 0);
		} else if (mark == SCREEN_CHOSEN) {
			chosen = A_REVERSE;
		} else if (mark >= 0) {
			look = top->looks[mark];
		} else {
			length = strcspn(text, "\n" SCREEN_MARKS);
			attrset((int)(look | chosen));
			addnstr(text, (int)length);
		}
		text += length;
	}
	attrset(A_NORMAL);
	refresh();
}

static void
top_paint(struct top *top, int64_t now)
{
	struct top_scene scene = {
		.sample = top->sample, .history = top_history(top), .away = top_away(top, now),
		.away_seconds = (double)(now - top->heard_at) / (double)CLOCK_SECOND, .wall = clock_wall(),
	};
	struct screen *screen = screen_new(COLS, LINES, top->ascii);

	top_view_show(screen, &top->state, &scene);
	top_paint_text(top, screen_text(screen));
	screen_free(screen);
	top->changed = false;
	top->away = scene.away != NULL;
	top->painted_at = now;
}

/* Whether what is painted is no longer so. */
static bool
top_is_old(const struct top *top, int64_t now)
{
	return top->changed || top->away != (top_away(top, now) != NULL) || now - top->painted_at >= PAINT_TIME;
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
		if (key == '\n' || key == KEY_ENTER)
			key = TOP_KEY_ENTER;
		if (key == '\b' || key == 0x7f)
			key = TOP_KEY_ERASE;
		if (!top_state_key(&top->state, key))
			return false;
		if (top->sample != NULL)
			top_state_arrange(&top->state, top->sample);
		if (top->state.page == TOP_EXPLAIN && top_history(top) == NULL && !top_awaits(top))
			top->next = clock_now();
	}
	return true;
}

/* The connection is gone, for this reason; NULL leaves the one before. */
static void
top_lose(struct top *top, const char *reason, int64_t next)
{
	ask_close(&top->ask);
	top->awaits_status = top->awaits_history = false;
	top->next = next;
	if (reason == NULL)
		return;
	mem_free(top->reason);
	top->reason = mem_copy_text(reason);
}

/* Asks for the status, and for the history of the service that is explained. */
static void
top_send(struct top *top, int64_t now)
{
	char *words[] = { (char[]){ "explain" }, top->state.explained };
	char *explain = ask_quote(2, words), *line;

	top->awaits_history = top->state.page == TOP_EXPLAIN;
	line = top->awaits_history ? mem_print("status\n%s", explain) : mem_copy_text("status");
	top->awaits_status = true;
	top->asked_at = now;
	top->next = now + EVERY;
	if (ask_send(&top->ask, line) != 0)
		top_lose(top, NULL, now);
	mem_free(line);
	mem_free(explain);
}

/* The status, which is taken over. */
static void
top_take_status(struct top *top, json_t *answer, int64_t now)
{
	struct sample *sample = sample_new(answer, now, top->sample);

	sample_free(top->sample);
	top->sample = sample;
	top_state_arrange(&top->state, sample);
	mem_free(top->reason);
	top->reason = NULL;
	top->heard_at = now;
	top->awaits_status = false;
}

/* An answer has come: that to status first.  A history that is an error, of a service that is gone, names none. */
static void
top_hear(struct top *top, const char *line, int64_t now)
{
	json_t *answer = json_loads(line, 0, NULL);
	const char *error = show_text(answer, "error");

	top->changed = true;
	if (top->awaits_status && json_is_array(json_object_get(answer, "services"))) {
		top_take_status(top, json_incref(answer), now);
	} else if (!top->awaits_status && json_is_object(answer)) {
		if (!show_has(answer, "service"))
			json_object_set_new(answer, "service", json_string(top->state.explained));
		json_decref(top->history);
		top->history = json_incref(answer);
		top->awaits_history = false;
	} else {
		top_lose(top, error[0] == '\0' ? "the answer is not understood" : error, now + EVERY);
	}
	json_decref(answer);
}

/* Does what can be done now: connects again, reads, asks. */
static void
top_converse(struct top *top, int64_t now)
{
	const char *line;
	int error;

	if (top->ask.fd == -1 && now >= top->next) {
		error = ask_connect(&top->ask, top->path);
		if (error != 0)
			top_lose(top, ask_reason(top->path, error), now + AGAIN);
	}
	while (top_awaits(top)) {
		line = ask_line(&top->ask, 0, &error);
		if (line != NULL)
			top_hear(top, line, now);
		else if (error == ETIMEDOUT)
			return;
		else
			top_lose(top, NULL, now);
	}
	if (top->ask.fd != -1 && now >= top->next)
		top_send(top, now);
}

/* Waits for a key, an answer, or the time to do something; false when the terminal is gone. */
static bool
top_wait(const struct top *top)
{
	struct pollfd files[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = top_awaits(top) ? top->ask.fd : -1, .events = POLLIN },
	};
	int64_t deadline = top_awaits(top) ? top->asked_at + SILENCE : top->next;
	int64_t left = (deadline - clock_now()) / 1000 + 1;
	int timeout = left < 0 ? 1000 : left > 1000 ? 1000 : (int)left;

	if (poll(files, 2, timeout) == -1)
		return errno == EINTR;
	return (files[0].revents & (POLLHUP | POLLERR | POLLNVAL)) == 0;
}

static void
top_loop(struct top *top)
{
	while (top_ended == 0) {
		int64_t now = clock_now();

		top_converse(top, now);
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
	const char *name = getenv("TERM"), *wrong = NULL;

	/* ncurses would end the program on these, without closing its screen on HUP. */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	top->terminal = name == NULL ? NULL : newterm(NULL, stdout, stdin);
	if (top->terminal == NULL) {
		wrong = "does not know";
	} else if (tigetstr("cup") == NULL) {
		wrong = "cannot draw on";
		top_close_terminal(top);
	}
	if (wrong != NULL) {
		fprintf(stderr, "holdfastctl: \"top\" %s the terminal \"%s\" (TERM)\n", wrong,
		    name == NULL ? "" : name);
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
top_run(const char *socket)
{
	struct top top = { .sample = NULL };
	int code = ASK_USAGE, error;
	char *path;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fputs("holdfastctl: \"top\" needs a terminal; for a script there is holdfastctl --json status\n",
		    stderr);
		return ASK_USAGE;
	}
	top.path = path = ask_socket(socket);
	top.next = top.heard_at = clock_now();
	setlocale(LC_CTYPE, "");
	top_state_init(&top.state);
	error = ask_connect(&top.ask, path);
	if (error != 0) {
		ask_explain(path, error);
		code = ASK_UNREACHED;
	} else if (top_open_terminal(&top)) {
		top_loop(&top);
		top_close_terminal(&top);
		code = ASK_YES;
	}
	ask_close(&top.ask);
	mem_free(top.reason);
	top_state_free(&top.state);
	sample_free(top.sample);
	json_decref(top.history);
	mem_free(path);
	return code;
}

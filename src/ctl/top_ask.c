#include "ctl/top_ask.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/show.h"

#define EVERY        CLOCK_SECOND            /* a status */
#define AGAIN        (250 * CLOCK_MILLISECOND) /* between attempts to connect */
#define SILENCE      (2 * CLOCK_SECOND)      /* without an answer: it is said */

int
top_ask_begin(struct top_ask *top, const char *path, int64_t now)
{
	memset(top, 0, sizeof *top);
	top->path = path;
	top->next = top->heard_at = now;
	return ask_connect(&top->ask, path);
}

void
top_ask_end(struct top_ask *top)
{
	ask_close(&top->ask);
	mem_free(top->reason);
	json_decref(top->status);
	json_decref(top->history);
}

/* The connection is gone; reason is taken over, NULL leaves the one before. */
static void
top_ask_lose(struct top_ask *top, char *reason, int64_t next)
{
	ask_close(&top->ask);
	top->awaited = TOP_AWAITS_NOTHING;
	top->next = next;
	if (reason == NULL)
		return;
	mem_free(top->reason);
	top->reason = reason;
}

static void
top_ask_connect(struct top_ask *top, int64_t now)
{
	int error = ask_connect(&top->ask, top->path);

	if (error != 0)
		top_ask_lose(top, ask_reason(top->path, error), now + AGAIN);
}

static void
top_ask_send(struct top_ask *top, enum top_awaited what, const char *service, int64_t now)
{
	char *words[] = { (char[]){ "explain" }, (char *)(uintptr_t)service };
	char *line = what == TOP_AWAITS_STATUS ? mem_copy_text("status") : ask_quote(2, words);
	int error = ask_send(&top->ask, line);

	mem_free(line);
	if (error != 0) {
		top_ask_lose(top, NULL, now);
		return;
	}
	top->awaited = what;
	top->asked_at = now;
}

static void
top_ask_take(json_t **place, json_t *answer)
{
	json_decref(*place);
	*place = answer;
}

/* An answer has come; the history follows the status. */
static void
top_ask_heard(struct top_ask *top, const char *line, const char *explained, int64_t now)
{
	json_t *answer = json_loads(line, 0, NULL);
	enum top_awaited awaited = top->awaited;

	top->awaited = TOP_AWAITS_NOTHING;
	if (awaited == TOP_AWAITS_EXPLAIN && json_is_object(answer)) {
		top_ask_take(&top->history, answer);
		return;
	}
	if (awaited != TOP_AWAITS_STATUS || !json_is_array(json_object_get(answer, "services"))) {
		const char *error = show_text(answer, "error");

		top_ask_lose(top, mem_copy_text(error[0] == '\0' ? "the answer is not understood" : error),
		    now + EVERY);
		json_decref(answer);
		return;
	}
	mem_free(top->reason);
	top->reason = NULL;
	top->heard_at = now;
	top_ask_take(&top->status, answer);
	if (explained != NULL)
		top_ask_send(top, TOP_AWAITS_EXPLAIN, explained, now);
}

void
top_ask_turn(struct top_ask *top, const char *explained, int64_t now)
{
	const char *line;
	int error;

	if (top->ask.fd == -1 && now >= top->next)
		top_ask_connect(top, now);
	while (top->awaited != TOP_AWAITS_NOTHING) {
		line = ask_line(&top->ask, 0, &error);
		if (line != NULL)
			top_ask_heard(top, line, explained, now);
		else if (error == ETIMEDOUT)
			return;
		else
			top_ask_lose(top, NULL, now);
	}
	if (top->ask.fd == -1 || now < top->next)
		return;
	top->next = now + EVERY;
	top_ask_send(top, TOP_AWAITS_STATUS, NULL, now);
}

void
top_ask_hurry(struct top_ask *top, int64_t now)
{
	if (top->awaited == TOP_AWAITS_NOTHING && top->ask.fd != -1)
		top->next = now;
}

int64_t
top_ask_deadline(const struct top_ask *top)
{
	return top->awaited == TOP_AWAITS_NOTHING ? top->next : top->asked_at + SILENCE;
}

char *
top_ask_away(const struct top_ask *top, int64_t now)
{
	if (top->ask.fd == -1 && top->reason != NULL)
		return mem_copy_text(top->reason);
	if (top->awaited != TOP_AWAITS_NOTHING && now - top->asked_at >= SILENCE)
		return mem_copy_text("the daemon is connected and says nothing");
	return NULL;
}

#include "upstream/script_watch.h"

#include <event2/buffer.h>
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "upstream/entry.h"

/* Many may be started at once, after a worker's death; each start holds up the loop until the program runs. */
#define WATCH_GAP (2 * CLOCK_MILLISECOND)

struct script_watch {
	const struct script *script;  /* borrowed */
	volatile pid_t *ret_group;    /* borrowed; may be NULL */
	const struct script_watch_callbacks *callbacks; /* borrowed */
	void *arg;                    /* borrowed */
	bool on;
	struct child *child;          /* owned; NULL when it does not run */
	struct loop_timer again;      /* until it is run */
	struct loop_timer news;       /* there is some */
	unsigned failures;            /* runs in a row that gave no list */
	int64_t start_at;             /* of the next run; 0: it runs */
	bool in_turn;                 /* that is when others have been started */
	int64_t begun_at, heard_at;   /* this run, and its last list; 0 none */
	struct evbuffer *coming;      /* owned: what of a list is there */
	char *list;                   /* owned; NULL none */
	size_t length;
};

static void
watch_take_list(struct script_watch *watch, size_t length)
{
	bool same = watch->list != NULL && watch->heard_at != 0 && watch->length == length &&
	    memcmp(evbuffer_pullup(watch->coming, (ev_ssize_t)length), watch->list, length) == 0;

	watch->heard_at = clock_now();
	watch->failures = 0;
	if (same) {
		evbuffer_drain(watch->coming, length);
		return;
	}
	mem_free(watch->list);
	watch->list = mem_new(length + 1, 1);
	watch->length = length;
	evbuffer_remove(watch->coming, watch->list, length);
	loop_timer_soon(&watch->news);
}

/* Where the first list in what has come ends, behind the empty line; 0: it is not whole. */
static size_t
watch_end_of_list(const struct script_watch *watch)
{
	struct evbuffer_ptr end = evbuffer_search(watch->coming, "\n\n", 2, NULL);
	char first;

	if (evbuffer_copyout(watch->coming, &first, 1) == 1 && first == '\n')
		return 1;
	return end.pos == -1 ? 0 : (size_t)end.pos + 2;
}

static bool
watch_on_said(void *arg, const char *bytes, size_t length)
{
	struct script_watch *watch = arg;
	size_t end;

	evbuffer_add(watch->coming, bytes, length);
	while ((end = watch_end_of_list(watch)) != 0 && end <= ENTRY_OUTPUT_MAX)
		watch_take_list(watch, end);
	return evbuffer_get_length(watch->coming) <= ENTRY_OUTPUT_MAX;
}

/* It runs no more, and its list counts no more. */
static void
watch_forget(struct script_watch *watch)
{
	watch->child = NULL;
	watch->heard_at = 0;
	evbuffer_drain(watch->coming, evbuffer_get_length(watch->coming));
	loop_timer_stop(&watch->news);
}

static void
watch_start_at(struct script_watch *watch, int64_t at)
{
	watch->start_at = at;
	watch->in_turn = false;
	loop_timer_at(&watch->again, at);
}

static void
watch_on_ended(void *arg, const struct child_result *result)
{
	struct script_watch *watch = arg;
	bool same = watch->failures > 0;
	const char *cause = result->error != NULL ? result->error : "exit 0";
	char *error = mem_print("lookup script --watch: %s%s%s", cause, result->last_line[0] != '\0' ? ": " : "",
	    result->last_line);
	int64_t again;

	watch->failures += watch->heard_at == 0;
	watch_forget(watch);
	again = watch->begun_at + watch->callbacks->delay(watch->arg, watch->failures);
	watch_start_at(watch, again);
	watch->callbacks->ended(watch->arg, script_mask(watch->script, error), again, same);
	mem_free(error);
}

static void
watch_on_again(void *arg)
{
	static int64_t next; /* of all: one after the other */
	struct script_watch *watch = arg;
	int64_t now = clock_now();

	if (!watch->in_turn && now < next) {
		watch_start_at(watch, next);
		watch->in_turn = true;
		next += WATCH_GAP;
		return;
	}
	if (!watch->in_turn)
		next = now + WATCH_GAP;
	watch->begun_at = now;
	watch->start_at = watch->heard_at = 0;
	watch->child = script_start(watch->script, watch_on_said, watch->ret_group, watch_on_ended, watch);
}

static void
watch_on_news(void *arg)
{
	struct script_watch *watch = arg;

	watch->callbacks->news(watch->arg);
}

struct script_watch *
script_watch_new(const struct script *script, volatile pid_t *ret_group,
    const struct script_watch_callbacks *callbacks, void *arg)
{
	struct script_watch *watch = mem_new(1, sizeof *watch);

	*watch = (struct script_watch){ .script = script, .ret_group = ret_group, .callbacks = callbacks, .arg = arg,
		.coming = evbuffer_new() };
	loop_timer_init(&watch->again, script->loop, watch_on_again, watch);
	loop_timer_init(&watch->news, script->loop, watch_on_news, watch);
	return watch;
}

static void
watch_stop(struct script_watch *watch)
{
	child_cancel(watch->child);
	watch_forget(watch);
	loop_timer_stop(&watch->again);
}

void
script_watch_free(struct script_watch *watch)
{
	if (watch == NULL)
		return;
	watch_stop(watch);
	evbuffer_free(watch->coming);
	mem_free(watch->list);
	mem_free(watch);
}

/* From start to start, also where it was not wanted for a while. */
void
script_watch_run(struct script_watch *watch, bool on)
{
	if (on == watch->on)
		return;
	watch->on = on;
	if (!on)
		watch_stop(watch);
	else
		watch_start_at(watch, watch->begun_at == 0 ? clock_now() :
		    watch->begun_at + watch->callbacks->delay(watch->arg, watch->failures));
}

const char *
script_watch_list(const struct script_watch *watch, size_t *ret_length)
{
	int64_t refresh = watch->script->settings->refresh;

	if (watch->heard_at == 0 || (refresh > 0 && clock_now() - watch->heard_at > refresh))
		return NULL;
	*ret_length = watch->length;
	return watch->list;
}

int64_t
script_watch_expected(const struct script_watch *watch)
{
	int64_t from = watch->begun_at == 0 ? watch->start_at : watch->child != NULL && watch->heard_at == 0 ?
	    watch->begun_at : 0;

	return from == 0 ? 0 : clock_after(from, watch->script->settings->timeout);
}

#include "base/watch.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"

/* IN_ATTRIB is "touch"; the change of one of a file's two times alone ("touch -m") is IN_MODIFY. */
#define WATCH_EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | \
	IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK | IN_MASK_ADD)

/* Of sockets and the like: what bears a name in a directory, not what is written into it. */
#define WATCH_NAMES (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | \
	IN_ONLYDIR | IN_MASK_ADD)

#define WATCH_FOLDERS 3 /* at most, in one watch */

struct watch_place {
	int number;    /* inotify's watch descriptor: one for each directory, however many watch it */
	char *name;    /* owned; NULL: all names */
};

struct watch {
	LIST_ENTRY(watch) next;
	void (*changed)(void *arg);
	void *arg;     /* borrowed */
	bool marked;   /* something changed */
	struct watch_place places[WATCH_FOLDERS];
	unsigned place_count;
};

static struct {
	int fd;
	struct event_base *loop; /* borrowed */
	struct event event;
	LIST_HEAD(, watch) watches;
} watch_shared = { .fd = -1 };

static void
watch_mark(const struct inotify_event *change)
{
	struct watch *watch;

	LIST_FOREACH(watch, &watch_shared.watches, next)
		for (unsigned i = 0; i < watch->place_count; i++) {
			const struct watch_place *place = &watch->places[i];

			if (change->mask & IN_Q_OVERFLOW ||
			    (change->wd == place->number && (change->len == 0 || place->name == NULL ||
			    strcmp(change->name, place->name) == 0)))
				watch->marked = true;
		}
}

static void
watch_on_change(evutil_socket_t fd, short what, void *arg)
{
	char changes[16 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *change;
	struct watch *watch;
	ssize_t length = read(fd, changes, sizeof changes);

	(void)what;
	(void)arg;
	for (ssize_t at = 0; at < length; at += (ssize_t)(sizeof *change + change->len)) {
		change = (const struct inotify_event *)(const void *)(changes + at);
		watch_mark(change);
	}
	LIST_FOREACH(watch, &watch_shared.watches, next)
		if (watch->marked) {
			watch->marked = false;
			watch->changed(watch->arg);
		}
}

static void
watch_open(struct event_base *loop)
{
	watch_shared.loop = loop;
	watch_shared.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch_shared.fd == -1)
		return;
	event_assign(&watch_shared.event, loop, watch_shared.fd, EV_READ | EV_PERSIST, watch_on_change, NULL);
	loop_event_add(&watch_shared.event);
}

struct watch *
watch_new(struct event_base *loop, void (*changed)(void *arg), void *arg)
{
	struct watch *watch = mem_new(1, sizeof *watch);

	if (LIST_EMPTY(&watch_shared.watches))
		watch_open(loop);
	assert(watch_shared.loop == loop);
	watch->changed = changed;
	watch->arg = arg;
	LIST_INSERT_HEAD(&watch_shared.watches, watch, next);
	return watch;
}

static bool
watch_is_used(int number)
{
	struct watch *watch;

	LIST_FOREACH(watch, &watch_shared.watches, next)
		for (unsigned i = 0; i < watch->place_count; i++)
			if (watch->places[i].number == number)
				return true;
	return false;
}

static void
watch_add(struct watch *watch, const char *path, const char *name, uint32_t events)
{
	int number = watch_shared.fd == -1 ? -1 : inotify_add_watch(watch_shared.fd, path, events);

	if (number != -1)
		watch->places[watch->place_count++] = (struct watch_place){ number, mem_copy_text(name) };
}

/* Watches the directory that the path is in for the path's last part, and before it, so that nothing falls between,
 * the directory that this one is in. */
static void
watch_above(struct watch *watch, char *path, unsigned levels, uint32_t events)
{
	char *slash = strrchr(path, '/');

	if (slash == NULL || levels == 0)
		return;
	*slash = '\0';
	watch_above(watch, path, levels - 1, events);
	watch_add(watch, slash == path ? "/" : path, slash + 1, events);
	*slash = '/';
}

void
watch_path(struct watch *watch, const char *path, bool contents)
{
	struct watch_place before[WATCH_FOLDERS];
	unsigned before_count = watch->place_count;
	char *copy = mem_copy_text(path[0] == '/' ? path : "");

	memcpy(before, watch->places, sizeof before);
	watch->place_count = 0;
	watch_above(watch, copy, 2, contents ? WATCH_EVENTS : WATCH_NAMES);
	if (contents)
		watch_add(watch, path, NULL, WATCH_EVENTS);
	for (unsigned i = 0; i < before_count; i++) {
		/* A directory that is gone has taken its number along; the kernel then refuses, which is fine. */
		if (!watch_is_used(before[i].number))
			inotify_rm_watch(watch_shared.fd, before[i].number);
		mem_free(before[i].name);
	}
	mem_free(copy);
}

void
watch_free(struct watch *watch)
{
	if (watch == NULL)
		return;
	watch_path(watch, "", false);
	LIST_REMOVE(watch, next);
	mem_free(watch);
	if (!LIST_EMPTY(&watch_shared.watches) || watch_shared.fd == -1)
		return;
	loop_event_stop(&watch_shared.event);
	close(watch_shared.fd);
	watch_shared.fd = -1;
	memset(&watch_shared.event, 0, sizeof watch_shared.event);
}

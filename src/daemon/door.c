#include "daemon/door.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "keep/crash.h"
#include "keep/recover.h"

/* The socket that systemd has handed over under this name, or -1. */
static int
door_activated(const struct table *table, const char *name)
{
	const struct table_header *header = table->header;

	for (uint32_t i = 0; i < header->activated_count; i++)
		if (strcmp(header->activated[i].name, name) == 0)
			return header->activated[i].fd;
	return -1;
}

/* Whether what systemd has handed over is what the settings want; NULL or what is wrong. */
static char *
door_examine(const char *name, int fd, enum listener_type wanted, struct door *ret_door)
{
	struct door door = { .there = true, .activated = true, .fd = fd, .length = sizeof door.bound };
	socklen_t int_length = sizeof(int);
	int listening = 0, type = 0;

	if (getsockname(fd, (struct sockaddr *)&door.bound, &door.length) == -1 ||
	    door.bound.sun_family != AF_UNIX ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_length) == -1 ||
	    (!listening && wanted != LISTENER_DGRAM))
		return mem_print("the socket handed over under the name \"%s\" is not a listening Unix socket", name);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_length) == -1 || type != listener_socket_type(wanted))
		return mem_print("the socket handed over under the name \"%s\" is not of listen.type: ListenStream=, "
		    "ListenSequentialPacket= and ListenDatagram= are for stream, seqpacket and dgram", name);
	*ret_door = door;
	return NULL;
}

static char *
door_adopt(const char *name, int fd, enum listener_type wanted, struct door *ret_door)
{
	char *wrong = door_examine(name, fd, wanted, ret_door);

	if (wrong != NULL)
		return wrong;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	place_of(ret_door->bound.sun_path, &ret_door->place);
	return NULL;
}

static void
door_of_record(const struct table_service *record, struct door *ret_door)
{
	*ret_door = (struct door){ .there = record->listener_fd != -1, .activated = record->activated,
		.fd = record->listener_fd, .bound = record->bound, .length = record->bound_length,
		.place = record->place };
}

bool
door_is_activated(const struct table *table, const char *name)
{
	return door_activated(table, name) != -1;
}

/* Owner, mode and backlog of a socket that is open already.  NULL or what is wrong. */
static char *
door_set(const struct door *door, const struct listener_settings *settings)
{
	if (settings->type != LISTENER_DGRAM)
		listen(door->fd, settings->backlog);
	return listener_guard(settings);
}

char *
door_prepare_given(const struct table_service *giver, const struct listener_settings *settings, struct door *ret_door)
{
	door_of_record(giver, ret_door);
	ret_door->given = true;
	return door_set(ret_door, settings);
}

/* What a dead worker had opened already, with who has connected to it: true if there is one, of the right type. */
static bool
door_find(struct table *table, const struct listener_settings *settings, struct door *door)
{
	struct door found;
	char *wrong = listener_name(settings->path, &door->bound, &door->length);

	if (wrong == NULL && (door->fd = recover_take_stray(table, &door->bound, door->length)) == -1)
		return false;
	if (wrong == NULL)
		wrong = door_examine(settings->path, door->fd, settings->type, &found);
	if (wrong == NULL)
		wrong = door_set(door, settings);
	place_of(door->bound.sun_path, &door->place);
	if (wrong == NULL && (settings->path[0] == '@' || door->place.inode != 0))
		return true;
	mem_free(wrong);
	if (door->fd != -1)
		close(door->fd);
	return false;
}

char *
door_prepare(struct table *table, const char *name, const struct listener_settings *settings,
    const char *runtime_directory, struct door *ret_door)
{
	int activated = door_activated(table, name);
	struct door door = { .there = true, .fd = -1 };
	char *wrong = NULL;

	if (activated != -1)
		return door_adopt(name, activated, settings->type, ret_door);
	if (!door_find(table, settings, &door))
		wrong = listener_open(settings, runtime_directory, &door.fd, &door.bound, &door.length);
	if (wrong != NULL)
		return wrong;
	place_of(door.bound.sun_path, &door.place);
	table_note_file(table, door.fd);
	CRASH_POINT(LISTENER_OPENED);
	*ret_door = door;
	return NULL;
}

char *
door_rehearse(const struct table *table, const char *name, const struct listener_settings *settings,
    const char *runtime_directory)
{
	int activated = door_activated(table, name);
	struct door door;

	return activated == -1 ? listener_rehearse(settings, runtime_directory, false) :
	    door_examine(name, activated, settings->type, &door);
}

void
door_commit(struct table_service *record, struct door *door, struct door *ret_before)
{
	door_of_record(record, ret_before);
	record->listener_fd = -1; /* the name and the number change together, or the number is nobody's */
	table_barrier();
	CRASH_POINT(LISTENER_UNNAMED);
	record->bound = door->bound;
	record->bound_length = door->length;
	record->place = door->place;
	record->activated = door->activated;
	table_barrier();
	CRASH_POINT(LISTENER_PLACED);
	record->listener_fd = door->fd;
	*door = (struct door){ 0 };
	CRASH_POINT(LISTENER_NAMED);
}

void
door_take_away(struct table_service *record, struct door *ret_before)
{
	door_of_record(record, ret_before);
	record->listener_fd = -1;
}

/* Not what others have put in its place. */
static void
door_unlink(const struct door *door)
{
	place_unlink(&door->place, door->bound.sun_path);
}

void
door_shut(const struct table_service *record)
{
	struct door door;

	door_of_record(record, &door);
	if (!door.there || door.activated)
		return;
	door_unlink(&door);
	CRASH_POINT(LISTENER_UNLINKED);
	listener_shut(door.fd);
	CRASH_POINT(LISTENER_SHUT);
}

void
door_drop(struct door *door)
{
	if (door->there && !door->activated && !door->given)
		close(door->fd);
	*door = (struct door){ 0 };
}

void
door_end(struct table_service *record)
{
	struct door before;

	door_of_record(record, &before);
	if (before.there && !before.activated)
		door_unlink(&before); /* while the record names it: whoever comes after a death does it again */
	door_take_away(record, &before);
	door_drop(&before);
}

void
door_close(struct door *door)
{
	if (door->there && !door->activated && !door->given)
		door_unlink(door);
	door_drop(door);
}

bool
door_is_named(const struct table_service *record, const char *path)
{
	size_t length = record->bound_length - offsetof(struct sockaddr_un, sun_path);
	const char *bound = record->bound.sun_path;

	if (record->listener_fd == -1 || record->activated)
		return false;
	if (path[0] == '@')
		return bound[0] == '\0' && length == strlen(path) && memcmp(bound + 1, path + 1, length - 1) == 0;
	return strcmp(bound, path) == 0;
}

bool
door_is_there(const struct table_service *record)
{
	return record->listener_fd == -1 || place_is_at(&record->place, record->bound.sun_path);
}

bool
door_is_at(const struct table_service *record, const struct listener_settings *settings)
{
	return (record->listener_fd != -1 && record->activated) || door_is_named(record, settings->path);
}

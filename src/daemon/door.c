#include "daemon/door.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "keep/crash.h"

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

static char *
door_adopt(struct table_service *record, int fd)
{
	socklen_t length = sizeof record->bound, int_length = sizeof(int);
	int listening = 0;

	if (getsockname(fd, (struct sockaddr *)&record->bound, &length) == -1 ||
	    record->bound.sun_family != AF_UNIX ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_length) == -1 || !listening)
		return mem_print("the socket handed over under the name \"%s\" is not a listening Unix socket",
		    record->name);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	record->bound_length = length;
	record->activated = 1;
	record->listener_fd = fd;
	return NULL;
}

char *
door_open(struct table *table, struct table_service *record, const struct listener_settings *settings,
    const char *runtime_directory)
{
	int fd, activated = door_activated(table, record->name);
	struct sockaddr_un bound;
	socklen_t length;
	char *wrong;

	if (activated != -1)
		return door_adopt(record, activated);
	wrong = listener_open(settings, runtime_directory, &fd, &bound, &length);
	if (wrong != NULL)
		return wrong;
	record->bound = bound;
	record->bound_length = length;
	record->listener_fd = table_note_file(table, fd);
	CRASH_POINT(LISTENER_NAMED);
	return NULL;
}

char *
door_renew(struct table *table, struct table_service *record, const struct listener_settings *before,
    const struct listener_settings *settings, const char *runtime_directory)
{
	if (record->activated)
		return NULL;
	if (strcmp(before->path, settings->path) != 0)
		return door_open(table, record, settings, runtime_directory);
	listen(record->listener_fd, settings->backlog);
	return listener_guard(settings);
}

void
door_close(const struct table_service *record, int fd, const char *path)
{
	if (fd == -1 || record->activated)
		return;
	if (path[0] != '@')
		unlink(path);
	close(fd);
}

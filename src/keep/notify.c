#include "keep/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct {
	struct sockaddr_un address;
	socklen_t length;
	bool ready;              /* READY=1 has been sent */
	bool stopping;           /* STOPPING=1 is still to be sent */
	uint32_t status_version; /* of the status last sent */
} notify_state;

int
notify_open(struct table *table)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length;
	int fd;

	memset(&notify_state, 0, sizeof notify_state);
	if (path == NULL || (path[0] != '/' && path[0] != '@'))
		return 0;
	length = strlen(path);
	if (length >= sizeof notify_state.address.sun_path)
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -errno;
	notify_state.address.sun_family = AF_UNIX;
	memcpy(notify_state.address.sun_path, path, length);
	if (path[0] == '@')
		notify_state.address.sun_path[0] = '\0';
	notify_state.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	table->header->file[TABLE_FILE_NOTIFY] = table_note_file(table, fd);
	unsetenv("NOTIFY_SOCKET");
	return 0;
}

/* false if it is to be tried again: systemd's queue is full, or systemd is being executed anew. */
static bool
notify_send(struct table *table, const char *text)
{
	int fd = table->header->file[TABLE_FILE_NOTIFY];

	return fd == -1 || sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&notify_state.address,
	    notify_state.length) != -1;
}

/* A status that is just being written is left for the next time. */
static void
notify_status(struct table *table)
{
	const struct table_header *header = table->header;
	char text[TABLE_STATUS_SIZE + 16];
	uint32_t version = header->status_version;

	if ((version & 1) != 0 || version == notify_state.status_version)
		return;
	table_barrier();
	snprintf(text, sizeof text, "STATUS=%s", header->status);
	table_barrier();
	if (header->status_version == version && notify_send(table, text))
		notify_state.status_version = version;
}

void
notify_update(struct table *table)
{
	if (table->header->ready && !notify_state.ready)
		notify_state.ready = notify_send(table, "READY=1");
	if (notify_state.stopping)
		notify_stopping(table);
	notify_status(table);
}

void
notify_stopping(struct table *table)
{
	notify_state.stopping = !notify_send(table, "STOPPING=1");
}

void
notify_watchdog(struct table *table)
{
	notify_send(table, "WATCHDOG=1");
}

bool
notify_is_traced(pid_t pid)
{
	char path[64], line[128];
	int tracer = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	while (fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "TracerPid: %d", &tracer) == 1)
			break;
	fclose(file);
	return tracer != 0;
}

#include "keep/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "keep/rights.h"

#define NOTIFY_PATIENCE_SYSTEMD 10000 /* milliseconds */
#define NOTIFY_PATIENCE_OTHER   500
#define NOTIFY_LONGER           "EXTEND_TIMEOUT_USEC=30000000"

static struct {
	struct sockaddr_un address;
	socklen_t length;
	bool ready;              /* READY=1 has been sent */
	bool stopping;           /* STOPPING=1 is still to be sent */
	uint32_t status_version; /* of the status last sent */
	uint32_t reloads;        /* of header.reloads, what it has been told of */
} notify_state;

/* Reads $NOTIFY_SOCKET, which stays for the fdstore and for an upgrade's program.  0 or -errno. */
static int
notify_read_address(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length;

	memset(&notify_state, 0, sizeof notify_state);
	if (path == NULL || (path[0] != '/' && path[0] != '@'))
		return 0;
	length = strlen(path);
	if (length >= sizeof notify_state.address.sun_path)
		return -ENAMETOOLONG;
	notify_state.address.sun_family = AF_UNIX;
	memcpy(notify_state.address.sun_path, path, length);
	if (path[0] == '@')
		notify_state.address.sun_path[0] = '\0';
	notify_state.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	return 0;
}

int
notify_open(struct table *table)
{
	int fd, error = notify_read_address();

	notify_state.reloads = table->header->reloads & ~1u; /* one that was begun is told of again */
	if (error < 0 || notify_state.length == 0 || notify_is_open(table))
		return error;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -errno;
	table->header->file[TABLE_FILE_NOTIFY] = table_note_file(table, fd);
	return 0;
}

bool
notify_is_open(const struct table *table)
{
	return table->header->file[TABLE_FILE_NOTIFY] != -1;
}

/* false if it is to be tried again: systemd's queue is full, or systemd is being executed again. */
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

/* A reload that was over before anybody looked is told of all the same: whoever asked for it by a signal waits. */
static void
notify_reloads(struct table *table)
{
	uint32_t reloads = table->header->reloads;
	char text[64];

	if (notify_state.reloads % 2 == 0 && reloads != notify_state.reloads) {
		snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_now());
		if (notify_send(table, text))
			notify_state.reloads = reloads | 1;
	}
	if (notify_state.reloads % 2 == 1 && reloads % 2 == 0 && notify_send(table, "READY=1"))
		notify_state.reloads = reloads;
}

void
notify_update(struct table *table)
{
	if (table->header->ready && !notify_state.ready)
		notify_state.ready = notify_send(table, "READY=1");
	if (notify_state.ready)
		notify_reloads(table);
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
	notify_send(table, notify_state.ready ? "WATCHDOG=1" : "WATCHDOG=1\n" NOTIFY_LONGER);
}

bool
notify_is_systemd(void)
{
	const char *pid = getenv("SYSTEMD_EXEC_PID");

	return pid != NULL && atoi(pid) == getpid();
}

static int
notify_patience(void)
{
	return notify_is_systemd() ? NOTIFY_PATIENCE_SYSTEMD : NOTIFY_PATIENCE_OTHER;
}

int
notify_hand_over(const struct table *table, const char *text, const int *files, unsigned count)
{
	int fd = table->header->file[TABLE_FILE_NOTIFY], error;
	int64_t until = clock_now() + notify_patience() * CLOCK_MILLISECOND;

	if (fd == -1)
		return -ENOTCONN;
	for (;;) {
		error = rights_send(fd, (struct sockaddr *)&notify_state.address, notify_state.length, text, files,
		    count);
		if (error == 0 || !loop_is_busy(-error) || clock_now() >= until)
			return error;
		poll(NULL, 0, 1); /* a datagram socket does not tell when the receiver has room */
	}
}

int
notify_barrier(const struct table *table)
{
	struct pollfd end;
	int ends[2], error;

	if (pipe2(ends, O_CLOEXEC) == -1)
		return -errno;
	error = notify_hand_over(table, "BARRIER=1", &ends[1], 1);
	close(ends[1]);
	end = (struct pollfd){ .fd = ends[0] };
	if (error == 0 && poll(&end, 1, notify_patience()) != 1)
		error = -ETIMEDOUT;
	close(ends[0]);
	return error;
}

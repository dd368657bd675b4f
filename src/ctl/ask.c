#include "ctl/ask.h"

#include <errno.h>
#include <event2/buffer.h>
#include <grp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/show.h"

#define SYSTEM_SOCKET "/run/holdfast/control.sock"
#define LINE_MAX_BYTES (16u << 20)
#define CONNECT_TIME   5 /* seconds that a full backlog may take */
#define AGAIN_PAUSE    20000000 /* nanoseconds between two attempts */

char *
ask_socket(const char *named)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char *path;

	if (named == NULL)
		named = getenv("HOLDFAST_SOCKET");
	if (named != NULL && named[0] != '\0')
		return mem_copy_text(named);
	if (runtime != NULL && runtime[0] != '\0') {
		path = mem_print("%s/holdfast/control.sock", runtime);
		if (access(path, F_OK) == 0)
			return path;
		mem_free(path);
	}
	return mem_copy_text(SYSTEM_SOCKET);
}

int
ask_connect(struct ask *ask, const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = CONNECT_TIME };
	size_t length = strlen(path);

	*ask = (struct ask){ .fd = -1 };
	if (length >= sizeof name.sun_path)
		return ENAMETOOLONG;
	memcpy(name.sun_path, path, length);
	if (path[0] == '@')
		name.sun_path[0] = '\0';
	ask->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ask->fd == -1)
		return errno;
	setsockopt(ask->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (connect(ask->fd, (struct sockaddr *)&name,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] != '@'))) == -1) {
		int error = errno == EAGAIN ? ETIMEDOUT : errno;

		ask_close(ask);
		return error;
	}
	ask->in = evbuffer_new();
	if (ask->in == NULL)
		abort();
	return 0;
}

/* The name of the group that may use the socket, or NULL. */
static const char *
ask_socket_group(const char *path)
{
	const struct group *group;
	struct stat st;

	if (stat(path, &st) == -1 || (st.st_mode & S_IWGRP) == 0)
		return NULL;
	group = getgrgid(st.st_gid);
	return group == NULL ? NULL : group->gr_name;
}

const char *
ask_reason(const char *path, int error)
{
	const char *group;

	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return show_format("no socket at %s: start the daemon (systemctl start holdfast), or name its "
		    "control socket with -s", path);
	case ECONNREFUSED:
		return show_format("nobody listens at %s: the daemon has ended; start it (systemctl start holdfast)",
		    path);
	case EACCES:
	case EPERM:
		group = ask_socket_group(path);
		return show_format("permission denied at %s: use sudo, or become a member of %s%s", path,
		    group == NULL ? "the socket's group" : "the group ", group == NULL ? "" : group);
	default:
		return show_format("%s: %s", path, strerror(error));
	}
}

void
ask_explain(const char *path, int error)
{
	fprintf(stderr, "holdfastctl: %s\n", ask_reason(path, error));
}

int
ask_send(struct ask *ask, const char *text)
{
	char *line = mem_print("%s\n", text);
	size_t length = strlen(line);
	ssize_t count;
	int error = 0;

	for (size_t sent = 0; sent < length && error == 0;) {
		count = send(ask->fd, line + sent, length - sent, MSG_NOSIGNAL);
		if (count >= 0)
			sent += (size_t)count;
		else if (errno != EINTR)
			error = errno;
	}
	mem_free(line);
	return error;
}

/* Waits until something can be read: 0 or a positive errno. */
static int
ask_wait_readable(int fd, int64_t deadline)
{
	struct pollfd file = { .fd = fd, .events = POLLIN };
	int timeout = -1, ready;

	do {
		if (deadline != CLOCK_NEVER) {
			int64_t left = (deadline - clock_now() + 999) / 1000;

			timeout = left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
		}
		ready = poll(&file, 1, timeout);
	} while (ready == -1 && errno == EINTR);
	return ready == 1 ? 0 : ready == 0 ? ETIMEDOUT : errno;
}

char *
ask_line(struct ask *ask, int64_t deadline, int *ret_error)
{
	size_t searched = 0;
	int count = 1;

	free(ask->line);
	ask->line = NULL;
	for (*ret_error = 0; *ret_error == 0 && count > 0;) {
		struct evbuffer_ptr from;

		evbuffer_ptr_set(ask->in, &from, searched, EVBUFFER_PTR_SET);
		if (evbuffer_search(ask->in, "\n", 1, &from).pos != -1)
			return ask->line = evbuffer_readln(ask->in, NULL, EVBUFFER_EOL_LF);
		searched = evbuffer_get_length(ask->in);
		*ret_error = searched >= LINE_MAX_BYTES ? EMSGSIZE : ask_wait_readable(ask->fd, deadline);
		if (*ret_error == 0 && (count = evbuffer_read(ask->in, ask->fd, -1)) == -1)
			*ret_error = errno;
	}
	return NULL;
}

void
ask_close(struct ask *ask)
{
	if (ask->fd != -1)
		close(ask->fd);
	if (ask->in != NULL)
		evbuffer_free(ask->in);
	free(ask->line);
	*ask = (struct ask){ .fd = -1 };
}

void
ask_pause(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = AGAIN_PAUSE }, NULL);
}

char *
ask_quote(int argc, char *const *argv)
{
	size_t size = 1;
	char *line, *to;

	for (int i = 0; i < argc; i++)
		size += 2 * strlen(argv[i]) + 3;
	line = to = mem_new(size, 1);
	for (int i = 0; i < argc; i++) {
		bool quoted = argv[i][0] == '\0' || strpbrk(argv[i], " \t\"\\") != NULL;

		if (i > 0)
			*to++ = ' ';
		if (quoted)
			*to++ = '"';
		for (const char *from = argv[i]; *from != '\0'; from++) {
			if (*from == '"' || *from == '\\')
				*to++ = '\\';
			*to++ = *from;
		}
		if (quoted)
			*to++ = '"';
	}
	return line;
}

json_t *
ask_once(const char *path, const char *command, const char *service, int64_t deadline, int *ret_error)
{
	char *words[] = { (char *)(uintptr_t)command, (char *)(uintptr_t)service }, *line;
	json_t *answer = NULL;
	struct ask ask;

	*ret_error = -ask_connect(&ask, path);
	if (*ret_error != 0)
		return NULL;
	line = ask_quote(service == NULL ? 1 : 2, words);
	*ret_error = ask_send(&ask, line);
	mem_free(line);
	line = *ret_error != 0 ? NULL : ask_line(&ask, deadline, ret_error);
	if (line != NULL) {
		answer = json_loads(line, 0, NULL);
		*ret_error = answer == NULL ? EBADMSG : 0;
	}
	ask_close(&ask);
	return answer;
}

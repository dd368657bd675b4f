#include "tls/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/mem.h"

#define LISTEN_BACKLOG 4096
#define LISTEN_READY "HOLDFAST_TLS_READY" /* the file descriptor to tell */
#define LISTEN_MADE "HOLDFAST_TLS_MADE"   /* the path belongs to the program */

/* What is at the path, which may be another's. */
static void
listen_remember(struct listen_place *place, const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return;
	place->device = st.st_dev;
	place->inode = st.st_ino;
}

static int
listen_bind(int fd, const char *path)
{
	struct sockaddr_un place = { .sun_family = AF_UNIX };
	mode_t mask;
	int result;

	if (strlen(path) >= sizeof place.sun_path)
		return -ENAMETOOLONG;
	memcpy(place.sun_path, path, strlen(path));
	(void)unlink(path);
	mask = umask(0177);
	result = bind(fd, (struct sockaddr *)&place, sizeof place) == -1 ? -errno : 0;
	umask(mask);
	return result == 0 && listen(fd, LISTEN_BACKLOG) == -1 ? -errno : result;
}

/* The directory of a path to which clients can connect; or -errno. */
static int
listen_open_directory(const char *path)
{
	char *copy;
	int fd;

	if (strlen(path) >= sizeof ((struct sockaddr_un *)0)->sun_path)
		return -ENAMETOOLONG;
	copy = mem_copy_text(path);
	fd = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	mem_free(copy);
	return fd == -1 ? -errno : fd;
}

/* Made beside and moved there, so that there is no moment without a socket where another instance listens.  Beside is
 * no other's: two may be started at once, of which the last to move has the path.  Its own path leads through the
 * directory's file, since it could be too long otherwise. */
static int
listen_make(struct listen_place *place)
{
	int directory = listen_open_directory(place->path), error;
	char beside[64];

	if (directory < 0)
		return directory;
	snprintf(beside, sizeof beside, "/proc/self/fd/%d/.holdfast-tls-%d", directory, (int)getpid());
	place->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	error = place->fd == -1 ? -errno : listen_bind(place->fd, beside);
	listen_remember(place, beside);
	if (error == 0 && rename(beside, place->path) == -1) {
		error = -errno;
		(void)unlink(beside);
	}
	place->made = error == 0;
	if (error != 0 && place->fd != -1)
		close(place->fd);
	close(directory);
	return error;
}

int
listen_open(const char *path, struct listen_place *ret_place)
{
	int error = 0, handed = sd_listen_fds(1);

	*ret_place = (struct listen_place){ .fd = -1, .path = path };
	if (handed > 0) {
		ret_place->fd = SD_LISTEN_FDS_START;
		if (sd_is_socket_unix(ret_place->fd, SOCK_STREAM, 1, NULL, 0) <= 0)
			return -ENOTSOCK;
		ret_place->made = getenv(LISTEN_MADE) != NULL;
		fcntl(ret_place->fd, F_SETFL, fcntl(ret_place->fd, F_GETFL) | O_NONBLOCK);
		listen_remember(ret_place, path);
	} else
		error = listen_make(ret_place);
	return error;
}

bool
listen_is_taken(const struct listen_place *place)
{
	struct listen_place now = { .inode = 0 };

	if (!place->made || place->fd == -1)
		return false;
	listen_remember(&now, place->path);
	return now.inode != 0 && (now.inode != place->inode || now.device != place->device);
}

void
listen_close(struct listen_place *place)
{
	struct listen_place now = *place;

	if (place->fd == -1)
		return;
	close(place->fd);
	place->fd = -1;
	now.inode = 0;
	listen_remember(&now, place->path);
	if (place->made && now.inode == place->inode && now.device == place->device)
		(void)unlink(place->path);
}

static void
listen_set(const char *name, int number)
{
	char text[16];

	snprintf(text, sizeof text, "%d", number);
	setenv(name, text, 1);
}

/* In a child of a child of ours: becomes the new instance, or ends.  Its parent has ended before: systemd supervises
 * its own children alone, which it then becomes, and would not notice the death of ours. */
static void
listen_execute(const struct listen_place *place, pid_t parent, int ready, char **argv)
{
	int tell = fcntl(ready, F_DUPFD, SD_LISTEN_FDS_START + 1);

	while (getppid() == parent)
		usleep(1000);
	if (place->fd == SD_LISTEN_FDS_START)
		fcntl(place->fd, F_SETFD, 0);
	else
		dup2(place->fd, SD_LISTEN_FDS_START);
	listen_set("LISTEN_PID", getpid());
	listen_set("LISTEN_FDS", 1);
	listen_set(LISTEN_READY, tell);
	if (place->made)
		setenv(LISTEN_MADE, "1", 1);
	execvp(argv[0], argv);
	_exit(127);
}

int
listen_hand_over(const struct listen_place *place, char **argv)
{
	int ends[2], error;
	pid_t child, parent;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1)
		return -errno;
	child = fork();
	if (child == 0) {
		parent = getpid();
		if (fork() == 0)
			listen_execute(place, parent, ends[1], argv);
		_exit(0);
	}
	error = errno;
	close(ends[1]);
	if (child != -1)
		return ends[0];
	close(ends[0]);
	return -error;
}

bool
listen_is_handed_over(void)
{
	return getenv(LISTEN_READY) != NULL;
}

void
listen_tell_ready(void)
{
	const char *text = getenv(LISTEN_READY);
	int fd = text == NULL ? -1 : atoi(text);
	pid_t self = getpid();

	unsetenv(LISTEN_READY);
	unsetenv(LISTEN_MADE);
	if (fd <= SD_LISTEN_FDS_START) {
		sd_notifyf(0, "MAINPID=%d\nREADY=1", (int)self);
		return;
	}
	(void)!write(fd, &self, sizeof self);
	close(fd);
}

int
listen_hear_ready(int fd)
{
	pid_t successor = 0;
	ssize_t length = read(fd, &successor, sizeof successor);

	if (length == -1)
		return -errno;
	if (length == 0)
		return -ECHILD;
	if (length == sizeof successor)
		sd_notifyf(0, "MAINPID=%d", (int)successor);
	return 0;
}

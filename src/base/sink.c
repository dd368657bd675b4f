#include "base/sink.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define SINK_JOURNAL_PATH "/run/systemd/journal/socket"
#define SINK_SEND_BUFFER  (8 << 20)

/* How to write to standard error without waiting. */
enum sink_way {
	SINK_PLAINLY, /* a file, or an opening of our own that does not block */
	SINK_SEND,    /* a socket */
	SINK_NOWAIT,  /* a pipe or terminal that may not be opened again: asked for each write, or of poll() */
};

struct sink_record {
	uint32_t length;
	uint32_t kind;
};

static struct sink_counts sink_counts;
static char sink_room[SINK_ROOM];

static struct {
	struct sink_counts *counts; /* borrowed */
	const char *journal_path;   /* borrowed */
	int journal;                /* socket; 0 not open yet */
	enum sink_way way;
	int own;                    /* standard error, opened again; 0 none */
	dev_t device;               /* what standard error was when that was found out */
	ino_t inode;
	bool torn;                  /* the last line was written in part */
	size_t head, tail;          /* of what waits in the room */
} sink = { .counts = &sink_counts };

void
sink_count_in(struct sink_counts *counts)
{
	sink.counts = counts;
	counts->lost += counts->waiting;
	counts->waiting = 0;
}

uint64_t
sink_untold(void)
{
	return sink.counts->lost - sink.counts->told;
}

void
sink_note_told(uint64_t records)
{
	sink.counts->told += records;
}

void
sink_set_journal(const char *path)
{
	sink.journal_path = path;
}

/* Finds out what standard error is, once, and again if another file has come in its place.  Of pipes and terminals:
 * O_NONBLOCK of an opening of our own is nobody else's. */
static void
sink_look_at_stderr(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) == -1 || (st.st_dev == sink.device && st.st_ino == sink.inode))
		return;
	sink.device = st.st_dev;
	sink.inode = st.st_ino;
	if (sink.own != 0)
		close(sink.own);
	sink.own = 0;
	sink.way = S_ISSOCK(st.st_mode) ? SINK_SEND : SINK_PLAINLY;
	if (!S_ISFIFO(st.st_mode) && !isatty(STDERR_FILENO))
		return;
	sink.own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (sink.own == -1) {
		sink.own = 0;
		sink.way = SINK_NOWAIT;
	}
}

/* Kernels before 6.4 know no RWF_NOWAIT for pipes, and none does for terminals.  What poll() says holds for one line
 * of at most PIPE_BUF bytes, unless somebody else writes just then. */
static ssize_t
sink_write_nowait(const struct iovec *line)
{
	struct pollfd look = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t n = pwritev2(STDERR_FILENO, line, 1, -1, RWF_NOWAIT);

	if (n != -1 || errno != EOPNOTSUPP)
		return n;
	if (poll(&look, 1, 0) == 1 && (look.revents & POLLOUT))
		return writev(STDERR_FILENO, line, 1);
	errno = EAGAIN;
	return -1;
}

static ssize_t
sink_write(const struct iovec *line)
{
	sink_look_at_stderr();
	switch (sink.way) {
	case SINK_SEND:
		return send(STDERR_FILENO, line->iov_base, line->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case SINK_NOWAIT:
		return sink_write_nowait(line);
	default:
		return writev(sink.own != 0 ? sink.own : STDERR_FILENO, line, 1);
	}
}

/* 0 or -errno.  A line that was written in part is not written again; the next begins on a line of its own. */
static int
sink_try_stderr(const void *record, size_t length)
{
	static char newline[] = "\n";
	struct iovec line = { .iov_base = newline, .iov_len = 1 };
	ssize_t n;

	if (sink.torn && sink_write(&line) != 1)
		return -EAGAIN;
	sink.torn = false;
	line = (struct iovec){ .iov_base = (void *)(uintptr_t)record, .iov_len = length };
	n = sink_write(&line);
	sink.torn = n != -1 && (size_t)n < length;
	return n == -1 ? -errno : 0;
}

static int
sink_open_journal(void)
{
	int size = SINK_SEND_BUFFER;

	sink.journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sink.journal == -1) {
		sink.journal = 0;
		return -errno;
	}
	setsockopt(sink.journal, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	return 0;
}

/* 0 or -errno.  By its path each time: it may have been restarted with another socket. */
static int
sink_try_journal(const void *record, size_t length)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	const char *path = sink.journal_path != NULL ? sink.journal_path : SINK_JOURNAL_PATH;
	int error = sink.journal == 0 ? sink_open_journal() : 0;

	if (error < 0)
		return error;
	strncpy(name.sun_path, path, sizeof name.sun_path - 1);
	return sendto(sink.journal, record, length, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&name,
	    sizeof name) == -1 ? -errno : 0;
}

static int
sink_try(enum sink_kind kind, const void *record, size_t length)
{
	return kind == SINK_JOURNAL ? sink_try_journal(record, length) : sink_try_stderr(record, length);
}

/* Whether it may be taken later.  EMFILE: there is no file for the journal's socket just now. */
static bool
sink_is_full(int error)
{
	return error == -EAGAIN || error == -EINTR || error == -ENOBUFS || error == -ENOMEM || error == -EMFILE ||
	    error == -ENFILE;
}

void
sink_flush(void)
{
	struct sink_record record;
	int error;

	while (sink.head < sink.tail) {
		memcpy(&record, sink_room + sink.head, sizeof record);
		error = sink_try((enum sink_kind)record.kind, sink_room + sink.head + sizeof record, record.length);
		if (sink_is_full(error))
			return;
		sink.counts->lost += error < 0;
		sink.counts->waiting--;
		sink.head += sizeof record + record.length;
	}
	sink.head = sink.tail = 0;
}

bool
sink_is_waiting(void)
{
	return sink.head < sink.tail;
}

static void
sink_wait(enum sink_kind kind, const void *bytes, size_t length)
{
	struct sink_record record = { .length = (uint32_t)length, .kind = (uint32_t)kind };

	if (sink.tail + sizeof record + length > sizeof sink_room) {
		memmove(sink_room, sink_room + sink.head, sink.tail - sink.head);
		sink.tail -= sink.head;
		sink.head = 0;
	}
	/* Once one is lost all are until the log has told of it: what is missing is in one place. */
	if (sink_untold() > 0 || sink.tail + sizeof record + length > sizeof sink_room) {
		sink.counts->lost++;
		return;
	}
	memcpy(sink_room + sink.tail, &record, sizeof record);
	memcpy(sink_room + sink.tail + sizeof record, bytes, length);
	sink.tail += sizeof record + length;
	sink.counts->waiting++;
}

int
sink_put(enum sink_kind kind, const void *record, size_t length)
{
	int error;

	sink_flush();
	error = sink.head < sink.tail ? -EAGAIN : sink_try(kind, record, length);
	if (sink_is_full(error))
		sink_wait(kind, record, length);
	else if (error < 0 && kind == SINK_JOURNAL)
		return error;
	else if (error < 0)
		sink.counts->lost++;
	return 0;
}

bool
sink_put_now(enum sink_kind kind, const void *record, size_t length)
{
	sink_flush();
	return sink.head == sink.tail && sink_try(kind, record, length) == 0;
}

bool
sink_encode(char record[SINK_RECORD_MAX], size_t *length, const char *name, const char *value)
{
	size_t name_length = strlen(name), value_length = strlen(value);
	bool lines = strchr(value, '\n') != NULL;
	uint64_t prefix = htole64(value_length);
	char *at = record + *length;

	if (*length + name_length + value_length + sizeof prefix + 2 > SINK_RECORD_MAX)
		return false;
	at = (char *)mempcpy(at, name, name_length);
	*at++ = lines ? '\n' : '=';
	if (lines)
		at = (char *)mempcpy(at, &prefix, sizeof prefix);
	at = (char *)mempcpy(at, value, value_length);
	*at++ = '\n';
	*length = (size_t)(at - record);
	return true;
}

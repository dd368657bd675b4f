#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/escape.h"

#define LOG_JOURNAL_PATH  "/run/systemd/journal/socket"
#define LOG_SEND_BUFFER   (8 << 20)
#define LOG_WAITING_MAX   65536 /* bytes of records that wait */
#define LOG_RECORD_MAX    8192  /* bytes of one */
#define LOG_TEXT_MAX      2048
#define LOG_TEXT_CUT      256  /* of a message that the journal finds too long */
#define LOG_LINE_MAX      (LOG_TEXT_MAX + 128)
#define LOG_END_TRIES     20
#define LOG_END_PAUSE     10   /* milliseconds */
#define LOG_LIMITED_MAX   256 /* services whose rate is watched; a further one shares a place */
#define LOG_SERVICE_SIZE  65
#define LOG_WINDOW        (10 * CLOCK_SECOND)
#define LOG_WINDOW_LINES  20

enum log_kind {
	LOG_TO_STDERR,  /* a record is a whole line, at most PIPE_BUF bytes */
	LOG_TO_JOURNAL, /* a record is a message, fields in the journal's native form */
};

/* How to write to standard error without waiting. */
enum log_way {
	LOG_PLAINLY, /* a file, or an opening of our own that does not block */
	LOG_SEND,    /* a socket */
	LOG_NOWAIT,  /* a pipe or terminal that may not be opened again: asked for each write, or of poll() */
};

/* Before what waits. */
struct log_record {
	uint32_t length;
	uint32_t kind;
};

struct log_rate {
	unsigned lines;
	unsigned suppressed;
	int64_t since;
	char service[LOG_SERVICE_SIZE]; /* of the last line that was left out */
};

struct log_message {
	enum log_level level;
	const char *service, *event, *address; /* NULL: none */
	const char *text;                      /* escaped, the service in front */
};

static struct {
	enum log_level level;
	bool journal;
	bool starting; /* log_set_starting() */
	struct log_rate rates[LOG_LIMITED_MAX];
} log_state = { .level = LOG_LEVEL_INFO };

static struct log_counts log_own_counts;
static char log_waiting[LOG_WAITING_MAX];

static struct {
	struct log_counts *counts;  /* borrowed */
	const char *journal_path;   /* borrowed */
	int journal;                /* socket; 0 not open yet */
	enum log_way way;
	int own;                    /* standard error, opened again; 0 none */
	dev_t device;               /* what standard error was when that was found out */
	ino_t inode;
	bool torn;                  /* the last line was written in part */
	size_t head, tail;          /* of what is in log_waiting */
} log_out = { .counts = &log_own_counts };

const char log_event_rare[] = "";

static const char *const log_names[] = { "error", "warning", "notice", "info", "debug" };

/* sd-daemon's and syslog's priorities of our levels. */
static const char log_priorities[] = { '3', '4', '5', '6', '7' };

static bool
log_stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	    fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void
log_open(enum log_target target, enum log_level level)
{
	log_state.level = level;
	log_state.journal = target == LOG_TARGET_JOURNAL || (target == LOG_TARGET_AUTO && log_stderr_is_journal());
}

void
log_set_starting(bool starting)
{
	log_state.starting = starting && log_stderr_is_journal();
}

void
log_set_level(enum log_level level)
{
	log_state.level = level;
}

enum log_level
log_get_level(void)
{
	return log_state.level;
}

const char *
log_level_name(enum log_level level)
{
	return log_names[level];
}

bool
log_level_parse(const char *name, enum log_level *ret_level)
{
	for (unsigned i = 0; i < sizeof log_names / sizeof log_names[0]; i++)
		if (strcmp(name, log_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return true;
		}
	return false;
}

static uint64_t
log_untold(void)
{
	return log_out.counts->lost - log_out.counts->told;
}

void
log_count_in(struct log_counts *counts)
{
	log_out.counts = counts;
	counts->lost += counts->waiting;
	counts->waiting = 0;
}

void
log_set_journal(const char *path)
{
	log_out.journal_path = path;
}

/* Finds out what standard error is, once, and again if another file has come in its place.  Of pipes and terminals:
 * O_NONBLOCK of an opening of our own is nobody else's. */
static void
log_look_at_stderr(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) == -1 || (st.st_dev == log_out.device && st.st_ino == log_out.inode))
		return;
	log_out.device = st.st_dev;
	log_out.inode = st.st_ino;
	if (log_out.own != 0)
		close(log_out.own);
	log_out.own = 0;
	log_out.way = S_ISSOCK(st.st_mode) ? LOG_SEND : LOG_PLAINLY;
	if (!S_ISFIFO(st.st_mode) && !isatty(STDERR_FILENO))
		return;
	log_out.own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (log_out.own == -1) {
		log_out.own = 0;
		log_out.way = LOG_NOWAIT;
	}
}

/* Kernels before 6.4 know no RWF_NOWAIT for pipes, and none does for terminals.  What poll() says holds for one line
 * of at most PIPE_BUF bytes, unless somebody else writes just then. */
static ssize_t
log_write_nowait(const struct iovec *line)
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
log_write(const struct iovec *line)
{
	log_look_at_stderr();
	switch (log_out.way) {
	case LOG_SEND:
		return send(STDERR_FILENO, line->iov_base, line->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case LOG_NOWAIT:
		return log_write_nowait(line);
	default:
		return writev(log_out.own != 0 ? log_out.own : STDERR_FILENO, line, 1);
	}
}

/* 0 or -errno.  A line that was written in part is not written again; the next begins on a line of its own. */
static int
log_try_stderr(const void *record, size_t length)
{
	static char newline[] = "\n";
	struct iovec line = { .iov_base = newline, .iov_len = 1 };
	ssize_t n;

	if (log_out.torn && log_write(&line) != 1)
		return -EAGAIN;
	log_out.torn = false;
	line = (struct iovec){ .iov_base = (void *)(uintptr_t)record, .iov_len = length };
	n = log_write(&line);
	log_out.torn = n != -1 && (size_t)n < length;
	return n == -1 ? -errno : 0;
}

static int
log_open_journal(void)
{
	int size = LOG_SEND_BUFFER;

	log_out.journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (log_out.journal == -1) {
		log_out.journal = 0;
		return -errno;
	}
	setsockopt(log_out.journal, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	return 0;
}

/* 0 or -errno.  By its path each time: it may have been restarted with another socket. */
static int
log_try_journal(const void *record, size_t length)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	const char *path = log_out.journal_path != NULL ? log_out.journal_path : LOG_JOURNAL_PATH;
	int error = log_out.journal == 0 ? log_open_journal() : 0;

	if (error < 0)
		return error;
	strncpy(name.sun_path, path, sizeof name.sun_path - 1);
	return sendto(log_out.journal, record, length, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&name,
	    sizeof name) == -1 ? -errno : 0;
}

static int
log_try(enum log_kind kind, const void *record, size_t length)
{
	return kind == LOG_TO_JOURNAL ? log_try_journal(record, length) : log_try_stderr(record, length);
}

/* Whether it may be taken later.  EMFILE: there is no file for the journal's socket just now. */
static bool
log_is_full(int error)
{
	return error == -EAGAIN || error == -EINTR || error == -ENOBUFS || error == -ENOMEM || error == -EMFILE ||
	    error == -ENFILE;
}

/* Gives away what waits, as far as it is taken. */
static void
log_flush(void)
{
	struct log_record record;
	int error;

	while (log_out.head < log_out.tail) {
		memcpy(&record, log_waiting + log_out.head, sizeof record);
		error = log_try((enum log_kind)record.kind, log_waiting + log_out.head + sizeof record,
		    record.length);
		if (log_is_full(error))
			return;
		log_out.counts->lost += error < 0;
		log_out.counts->waiting--;
		log_out.head += sizeof record + record.length;
	}
	log_out.head = log_out.tail = 0;
}

static void
log_keep(enum log_kind kind, const void *bytes, size_t length)
{
	struct log_record record = { .length = (uint32_t)length, .kind = (uint32_t)kind };

	if (log_out.tail + sizeof record + length > sizeof log_waiting) {
		memmove(log_waiting, log_waiting + log_out.head, log_out.tail - log_out.head);
		log_out.tail -= log_out.head;
		log_out.head = 0;
	}
	/* Once one is lost all are until the log has told of it: what is missing is in one place. */
	if (log_untold() > 0 || log_out.tail + sizeof record + length > sizeof log_waiting) {
		log_out.counts->lost++;
		return;
	}
	memcpy(log_waiting + log_out.tail, &record, sizeof record);
	memcpy(log_waiting + log_out.tail + sizeof record, bytes, length);
	log_out.tail += sizeof record + length;
	log_out.counts->waiting++;
}

/* Gives a record away, or lets it wait, or loses it.  0, or -errno: the journal is not there, or the record is too
 * long for it (-EMSGSIZE); then it is nowhere. */
static int
log_give(enum log_kind kind, const void *record, size_t length)
{
	int error;

	log_flush();
	error = log_out.head < log_out.tail ? -EAGAIN : log_try(kind, record, length);
	if (log_is_full(error))
		log_keep(kind, record, length);
	else if (error < 0 && kind == LOG_TO_JOURNAL)
		return error;
	else if (error < 0)
		log_out.counts->lost++;
	return 0;
}

/* The same at once or not at all: false if it was not taken, and it is not counted then. */
static bool
log_give_now(enum log_kind kind, const void *record, size_t length)
{
	log_flush();
	return log_out.head == log_out.tail && log_try(kind, record, length) == 0;
}

static size_t
log_line_of(enum log_level level, const char *text, char ret_line[LOG_LINE_MAX])
{
	char when[CLOCK_TEXT_SIZE];
	int n;

	clock_format(clock_wall(), when);
	n = snprintf(ret_line, LOG_LINE_MAX, "%s %s %s\n", when, log_names[level], text);
	return n < LOG_LINE_MAX ? (size_t)n : LOG_LINE_MAX - 1;
}

/* Adds NAME=VALUE, if there is room.  No value has lines: they are escaped, or have letters only. */
static void
log_add_field(char record[LOG_RECORD_MAX], size_t *length, const char *name, const char *value)
{
	size_t room = LOG_RECORD_MAX - *length;
	int n = value == NULL ? 0 : snprintf(record + *length, room, "%s=%s\n", name, value);

	*length += (size_t)n < room ? (size_t)n : 0;
}

static size_t
log_message_of(const struct log_message *message, char ret_record[LOG_RECORD_MAX])
{
	char priority[2] = { log_priorities[message->level], '\0' };
	size_t length = 0;

	log_add_field(ret_record, &length, "SYSLOG_IDENTIFIER", program_invocation_short_name);
	log_add_field(ret_record, &length, "PRIORITY", priority);
	log_add_field(ret_record, &length, "HOLDFAST_SERVICE", message->service);
	log_add_field(ret_record, &length, "HOLDFAST_EVENT", message->event);
	log_add_field(ret_record, &length, "HOLDFAST_ADDRESS", message->address);
	log_add_field(ret_record, &length, "MESSAGE", message->text);
	return length;
}

/* The message as a record of the log's target. */
static enum log_kind
log_record_of(const struct log_message *message, char ret_record[LOG_RECORD_MAX], size_t *ret_length)
{
	if (log_state.journal && !(log_state.starting && message->level == LOG_LEVEL_ERROR)) {
		*ret_length = log_message_of(message, ret_record);
		return LOG_TO_JOURNAL;
	}
	/* Standard error being the journal: "<3>" tells it the priority, it knows the rest. */
	*ret_length = !log_state.journal ? log_line_of(message->level, message->text, ret_record)
	    : (size_t)snprintf(ret_record, LOG_LINE_MAX, "<%c>%.*s\n", log_priorities[message->level], LOG_TEXT_MAX,
	    message->text);
	return LOG_TO_STDERR;
}

/* Lines were lost and lines are taken again: one says how many, before any other. */
static void
log_tell_lost(void)
{
	char text[128], record[LOG_RECORD_MAX];
	struct log_message message = { .level = LOG_LEVEL_WARNING, .text = text };
	uint64_t lost = log_untold();
	enum log_kind kind;
	size_t length;

	if (lost == 0)
		return;
	snprintf(text, sizeof text, "%" PRIu64 " log lines were lost: %s", lost,
	    log_state.journal ? "the journal did not take them" : "nobody read standard error");
	kind = log_record_of(&message, record, &length);
	if (log_give_now(kind, record, length))
		log_out.counts->told += lost;
}

/* A message that is too long for the journal is cut; without a journal it goes to standard error. */
static void
log_put_message(const struct log_message *message)
{
	struct log_message cut = *message;
	char record[LOG_RECORD_MAX], text[LOG_TEXT_CUT];
	size_t length;
	enum log_kind kind = log_record_of(message, record, &length);
	int error = log_give(kind, record, length);

	if (error == -EMSGSIZE) {
		snprintf(text, sizeof text, "%.*s", LOG_TEXT_CUT - 1, message->text);
		cut.text = text;
		length = log_message_of(&cut, record);
		error = log_give(LOG_TO_JOURNAL, record, length);
	}
	if (error < 0) {
		length = log_line_of(message->level, message->text, record);
		log_give(LOG_TO_STDERR, record, length);
	}
}

/* text is not escaped yet. */
static void
log_put(struct log_message message, const char *text)
{
	char whole[LOG_TEXT_MAX], escaped[LOG_TEXT_MAX];

	snprintf(whole, sizeof whole, "%s%s%s", message.service != NULL ? message.service : "",
	    message.service != NULL ? ": " : "", text);
	escape(whole, strlen(whole), 0, escaped, sizeof escaped);
	message.text = escaped;
	log_tell_lost();
	log_put_message(&message);
}

/* The window is over: how many lines were left out in it? */
static void
log_end_window(struct log_rate *rate)
{
	char text[96];

	if (rate->suppressed == 0)
		return;
	snprintf(text, sizeof text, "suppressed %u further line%s: at most %d in %d s are written", rate->suppressed,
	    rate->suppressed == 1 ? "" : "s", LOG_WINDOW_LINES, (int)(LOG_WINDOW / CLOCK_SECOND));
	rate->suppressed = 0;
	log_put((struct log_message){ .level = LOG_LEVEL_WARNING, .service = rate->service }, text);
}

void
log_end(void)
{
	for (int i = 0; i < LOG_END_TRIES && log_out.head < log_out.tail; i++) {
		poll(NULL, 0, LOG_END_PAUSE);
		log_flush();
	}
	log_tell_lost();
}

void
log_tell_suppressed(int64_t now)
{
	log_flush();
	log_tell_lost();
	for (struct log_rate *rate = log_state.rates; rate < log_state.rates + LOG_LIMITED_MAX; rate++)
		if (rate->suppressed > 0 && now - rate->since >= LOG_WINDOW)
			log_end_window(rate);
}

/* Whether this line of the service may be written; tells first how many before it were not. */
static bool
log_may(const char *service)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	int64_t now = clock_now();
	struct log_rate *rate;

	for (const char *c = service; *c != '\0'; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	rate = &log_state.rates[hash % LOG_LIMITED_MAX];
	if (rate->since == 0 || now - rate->since >= LOG_WINDOW) {
		log_end_window(rate);
		rate->since = now;
		rate->lines = 0;
	}
	if (rate->lines >= LOG_WINDOW_LINES) {
		rate->suppressed++;
		snprintf(rate->service, sizeof rate->service, "%s", service);
		return false;
	}
	rate->lines++;
	return true;
}

void
log_event(enum log_level level, const char *service, const char *event, const char *address,
    const char *format, ...)
{
	char text[LOG_TEXT_MAX];
	va_list args;

	if (level > log_state.level ||
	    (service != NULL && event != log_event_rare && level < LOG_LEVEL_DEBUG && !log_may(service)))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	log_put((struct log_message){ .level = level, .service = service,
	    .event = event == log_event_rare ? NULL : event, .address = address }, text);
}

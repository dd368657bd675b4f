#include "base/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/clock.h"

#define LOG_TEXT_MAX      2048
#define LOG_LIMITED_MAX   256 /* services whose rate is watched; a further one shares a place */
#define LOG_SERVICE_SIZE  65
#define LOG_WINDOW        (10 * CLOCK_SECOND)
#define LOG_WINDOW_LINES  20

struct log_rate {
	unsigned lines;
	unsigned suppressed;
	int64_t since;
	char service[LOG_SERVICE_SIZE]; /* of the last line that was left out */
};

static struct {
	enum log_level level;
	bool journal;
	bool starting; /* log_set_starting() */
	unsigned lost; /* lines that nobody read in time */
	struct log_rate rates[LOG_LIMITED_MAX];
} log_state = { .level = LOG_LEVEL_INFO };

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

/* Escapes control characters in place as far as the room goes. */
static void
log_escape(const char *text, char *ret_text, size_t room)
{
	size_t n = 0;

	for (; *text != '\0' && n + 5 < room; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			n += (size_t)snprintf(ret_text + n, room - n, "\\x%02x", (unsigned char)*text);
		else
			ret_text[n++] = *text;
	ret_text[n] = '\0';
}

/* Nobody may read what we say; a pipe has room for a line whenever poll says so (PIPE_BUF). */
static bool
log_can_write(void)
{
	struct pollfd look = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&look, 1, 0) != 0;
}

static void
log_put_stderr(enum log_level level, const char *text)
{
	char when[CLOCK_TEXT_SIZE], line[LOG_TEXT_MAX + 128], lost[128];
	int n;
	ssize_t ignored;

	if (!log_can_write()) {
		log_state.lost++;
		return;
	}
	clock_format(clock_wall(), when);
	n = snprintf(line, sizeof line, "%s %s %s\n", when, log_names[level], text);
	if (log_state.lost > 0) {
		ignored = write(STDERR_FILENO, lost, (size_t)snprintf(lost, sizeof lost,
		    "%s warning %u lines were lost: nobody read them\n", when, log_state.lost));
		log_state.lost = 0;
	}
	ignored = write(STDERR_FILENO, line, n < (int)sizeof line ? (size_t)n : sizeof line - 1);
	(void)ignored;
}

static void
log_put_journal(enum log_level level, const char *service, const char *event, const char *address,
    const char *text)
{
	char fields[5][LOG_TEXT_MAX + 64];
	struct iovec iov[5];
	int n = 0;

#define FIELD(...) (iov[n].iov_len = (size_t)snprintf(fields[n], sizeof fields[n], __VA_ARGS__), \
    iov[n].iov_base = fields[n], n++)
	FIELD("MESSAGE=%s", text);
	FIELD("PRIORITY=%c", log_priorities[level]);
	if (service != NULL)
		FIELD("HOLDFAST_SERVICE=%s", service);
	if (event != NULL)
		FIELD("HOLDFAST_EVENT=%s", event);
	if (address != NULL)
		FIELD("HOLDFAST_ADDRESS=%s", address);
#undef FIELD
	if (sd_journal_sendv(iov, n) < 0)
		log_put_stderr(level, text);
}

/* Standard error being the journal: "<3>" tells it the priority, it knows the rest. */
static void
log_put_stream(enum log_level level, const char *text)
{
	dprintf(STDERR_FILENO, "<%c>%s\n", log_priorities[level], text);
}

static void
log_put(enum log_level level, const char *service, const char *event, const char *address, const char *text)
{
	char whole[LOG_TEXT_MAX], escaped[LOG_TEXT_MAX];

	snprintf(whole, sizeof whole, "%s%s%s", service != NULL ? service : "", service != NULL ? ": " : "", text);
	log_escape(whole, escaped, sizeof escaped);
	if (log_state.journal && log_state.starting && level == LOG_LEVEL_ERROR)
		log_put_stream(level, escaped);
	else if (log_state.journal)
		log_put_journal(level, service, event, address, escaped);
	else
		log_put_stderr(level, escaped);
}

static struct log_rate *
log_rate_of(const char *service)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (const char *c = service; *c != '\0'; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	return &log_state.rates[hash % LOG_LIMITED_MAX];
}

/* The window is over: how many lines were left out in it? */
static void
log_end_window(struct log_rate *rate)
{
	char text[64];

	if (rate->suppressed == 0)
		return;
	snprintf(text, sizeof text, "suppressed %u", rate->suppressed);
	rate->suppressed = 0;
	log_put(LOG_LEVEL_WARNING, rate->service, NULL, NULL, text);
}

void
log_tell_suppressed(int64_t now)
{
	for (struct log_rate *rate = log_state.rates; rate < log_state.rates + LOG_LIMITED_MAX; rate++)
		if (rate->suppressed > 0 && now - rate->since >= LOG_WINDOW)
			log_end_window(rate);
}

/* Whether this line of the service may be written; tells first how many before it were not. */
static bool
log_may(const char *service)
{
	struct log_rate *rate = log_rate_of(service);
	int64_t now = clock_now();

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

/* Whether a line of this level is wanted, and within the service's limit. */
static bool
log_wants(enum log_level level, const char *service)
{
	return level <= log_state.level && (service == NULL || level >= LOG_LEVEL_DEBUG || log_may(service));
}

static void
log_vput(enum log_level level, const char *service, const char *event, const char *address,
    const char *format, va_list args)
{
	char text[LOG_TEXT_MAX];

	vsnprintf(text, sizeof text, format, args);
	log_put(level, service, event, address, text);
}

void
log_line(enum log_level level, const char *service, const char *format, ...)
{
	va_list args;

	if (!log_wants(level, service))
		return;
	va_start(args, format);
	log_vput(level, service, NULL, NULL, format, args);
	va_end(args);
}

void
log_rare(enum log_level level, const char *service, const char *format, ...)
{
	va_list args;

	if (level > log_state.level)
		return;
	va_start(args, format);
	log_vput(level, service, NULL, NULL, format, args);
	va_end(args);
}

void
log_event(enum log_level level, const char *service, const char *event, const char *address,
    const char *format, ...)
{
	va_list args;

	if (!log_wants(level, service))
		return;
	va_start(args, format);
	log_vput(level, service, event, address, format, args);
	va_end(args);
}

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/sink.h"

#define LOG_TEXT_MAX      2048
#define LOG_TEXT_CUT      256  /* of a message that the journal finds too long */
#define LOG_LINE_MAX      (LOG_TEXT_MAX + 128)
#define LOG_END_TRIES     20
#define LOG_END_PAUSE     10   /* milliseconds */
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

static size_t
log_line_of(enum log_level level, const char *text, char ret_line[LOG_LINE_MAX])
{
	char when[CLOCK_TEXT_SIZE];
	int n;

	clock_format(clock_wall(), when);
	n = snprintf(ret_line, LOG_LINE_MAX, "%s %s %s\n", when, log_names[level], text);
	return n < LOG_LINE_MAX ? (size_t)n : LOG_LINE_MAX - 1;
}

static size_t
log_message_of(const struct log_message *message, char ret_record[SINK_RECORD_MAX])
{
	char priority[2] = { log_priorities[message->level], '\0' };
	size_t length = 0;

	sink_encode(ret_record, &length, "SYSLOG_IDENTIFIER", program_invocation_short_name);
	sink_encode(ret_record, &length, "PRIORITY", priority);
	if (message->service != NULL)
		sink_encode(ret_record, &length, "HOLDFAST_SERVICE", message->service);
	if (message->event != NULL)
		sink_encode(ret_record, &length, "HOLDFAST_EVENT", message->event);
	if (message->address != NULL)
		sink_encode(ret_record, &length, "HOLDFAST_ADDRESS", message->address);
	sink_encode(ret_record, &length, "MESSAGE", message->text);
	return length;
}

/* The message as a record of the log's target. */
static enum sink_kind
log_record_of(const struct log_message *message, char ret_record[SINK_RECORD_MAX], size_t *ret_length)
{
	if (log_state.journal && !(log_state.starting && message->level == LOG_LEVEL_ERROR)) {
		*ret_length = log_message_of(message, ret_record);
		return SINK_JOURNAL;
	}
	/* Standard error being the journal: "<3>" tells it the priority, it knows the rest. */
	*ret_length = !log_state.journal ? log_line_of(message->level, message->text, ret_record)
	    : (size_t)snprintf(ret_record, LOG_LINE_MAX, "<%c>%.*s\n", log_priorities[message->level], LOG_TEXT_MAX,
	    message->text);
	return SINK_STDERR;
}

/* Lines were lost and lines are taken again: one says how many, before any other. */
static void
log_tell_lost(void)
{
	char text[128], record[SINK_RECORD_MAX];
	struct log_message message = { .level = LOG_LEVEL_WARNING, .text = text };
	uint64_t lost = sink_untold();
	enum sink_kind kind;
	size_t length;

	if (lost == 0)
		return;
	snprintf(text, sizeof text, "%" PRIu64 " log lines were lost: %s", lost,
	    log_state.journal ? "the journal did not take them" : "nobody read standard error");
	kind = log_record_of(&message, record, &length);
	if (sink_put_now(kind, record, length))
		sink_note_told(lost);
}

/* A message that is too long for the journal is cut; without a journal it goes to standard error. */
static void
log_put_message(const struct log_message *message)
{
	struct log_message cut = *message;
	char record[SINK_RECORD_MAX], text[LOG_TEXT_CUT];
	size_t length;
	enum sink_kind kind = log_record_of(message, record, &length);
	int error = sink_put(kind, record, length);

	if (error == -EMSGSIZE) {
		snprintf(text, sizeof text, "%.*s", LOG_TEXT_CUT - 1, message->text);
		cut.text = text;
		length = log_message_of(&cut, record);
		error = sink_put(SINK_JOURNAL, record, length);
	}
	if (error < 0) {
		length = log_line_of(message->level, message->text, record);
		sink_put(SINK_STDERR, record, length);
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
	char text[64];

	if (rate->suppressed == 0)
		return;
	snprintf(text, sizeof text, "suppressed %u", rate->suppressed);
	rate->suppressed = 0;
	log_put((struct log_message){ .level = LOG_LEVEL_WARNING, .service = rate->service }, text);
}

void
log_end(void)
{
	for (int i = 0; i < LOG_END_TRIES && sink_is_waiting(); i++) {
		poll(NULL, 0, LOG_END_PAUSE);
		sink_flush();
	}
	log_tell_lost();
}

void
log_tell_suppressed(int64_t now)
{
	sink_flush();
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

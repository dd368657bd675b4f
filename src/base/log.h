/* log.h - one line a message, to the journal (with fields) or to standard error (with a UTC time).
 *
 * Only code that knows which service it works for logs; lower layers return errors.  A service may
 * log 20 lines in 10 s, the rest is counted and told as "suppressed N further lines".  Control characters in the
 * text are escaped.
 *
 * No caller ever waits.  What is not taken at once (a pipe that is full, a terminal that is stopped, a journal that
 * is slow) waits in 64 KiB of our own, in order; when they are full further lines are lost, counted and told.  An
 * inherited file is never set to non-blocking: others share it.
 */
#ifndef HOLDFAST_BASE_LOG_H
#define HOLDFAST_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_target { LOG_TARGET_AUTO, LOG_TARGET_JOURNAL, LOG_TARGET_STDERR };

/* May lie in shared memory, so that what a dead process had not got rid of is counted too. */
struct log_counts {
	volatile uint64_t lost;    /* lines, since the start */
	volatile uint64_t told;    /* of which the log itself has told */
	volatile uint64_t waiting; /* lines that this process still has */
};

/* Counts there from now on (borrowed); lines that wait there by its word were another process's and are lost. */
void log_count_in(struct log_counts *counts);

/* The journal's socket, instead of the system's: for tests.  The text is borrowed; NULL: the system's. */
void log_set_journal(const char *path);

/* AUTO is the journal if standard error is connected to it ($JOURNAL_STREAM), else standard error. */
void log_open(enum log_target target, enum log_level level);

/* From true to false, errors go to standard error where that is the journal, without fields: of other lines it learns
 * the unit from the sender's /proc, and a daemon that cannot start is gone before. */
void log_set_starting(bool starting);

void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* "error", "warning", "notice", "info", "debug"; log_level_parse gives false for anything else. */
const char *log_level_name(enum log_level level);
bool log_level_parse(const char *name, enum log_level *ret_level);

/* One line.  service may be NULL; else it is put in front of the text and limited in rate.  With journal fields
 * HOLDFAST_EVENT and HOLDFAST_ADDRESS; either may be NULL. */
void log_event(enum log_level level, const char *service, const char *event, const char *address,
    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Without these fields. */
#define log_line(level, service, ...) log_event(level, service, NULL, NULL, __VA_ARGS__)

/* The same, but not counted by the limit of rate: for what its caller says once in a while only. */
#define log_rare(level, service, ...) log_event(level, service, log_event_rare, NULL, __VA_ARGS__)
extern const char log_event_rare[];

/* Tells of lines that were left out, once their 10 s are over and though no further line comes, and of those that
 * were lost; gives away what waits.  To be called every 250 ms or so. */
void log_tell_suppressed(int64_t now);

/* The process is going to end: waits up to 200 ms until what waits is taken. */
void log_end(void);

#define log_error(service, ...)   log_line(LOG_LEVEL_ERROR, service, __VA_ARGS__)
#define log_warning(service, ...) log_line(LOG_LEVEL_WARNING, service, __VA_ARGS__)
#define log_notice(service, ...)  log_line(LOG_LEVEL_NOTICE, service, __VA_ARGS__)
#define log_info(service, ...)    log_line(LOG_LEVEL_INFO, service, __VA_ARGS__)
#define log_debug(service, ...)   log_line(LOG_LEVEL_DEBUG, service, __VA_ARGS__)

#endif

/* verdict.h - decides what monitoring is told: the daemon's status in, an exit code and lines of text out.
 *
 * Pure.  The form is that of monitoring plugins: a first line "TEXT | PERFDATA", then a line per service that is not
 * well.
 */
#ifndef HOLDFAST_CTL_VERDICT_H
#define HOLDFAST_CTL_VERDICT_H

#include <jansson.h>
#include <stdint.h>

/* The exit codes of "holdfastctl check", the same for every monitoring plugin. */
enum verdict_level { VERDICT_OK, VERDICT_WARNING, VERDICT_CRITICAL, VERDICT_UNKNOWN };

#define VERDICT_LINES    20   /* about services that are not well; of more it is told how many */
#define VERDICT_PERFDATA 4096 /* bytes; services that do not fit are in the sums only */
#define VERDICT_PAUSE    600  /* seconds that a service may be paused before somebody is told */
#define VERDICT_EXPIRY   (21 * 86400) /* before the end of a certificate */

/* Seconds that a service may be down; longer is a warning, or critical. */
struct verdict_limits { double warning, critical; };

/* Judges the answer to "status" at the time wall (microseconds since 1970 UTC).  *ret_text: what to print, newline at
 * the end; to be freed with mem_free(). */
enum verdict_level verdict_judge(const json_t *answer, const struct verdict_limits *limits, int64_t wall,
    char **ret_text);

/* The line that says why nothing can be judged; to be freed with mem_free(). */
char *verdict_alone(enum verdict_level level, const char *reason);

#endif

/* liveness.h - decides when an upstream that all share counts as dead: it is silent, or does not answer a heartbeat.
 *
 * Pure: told what is owed and when something came, it says what to do now.
 */
#ifndef HOLDFAST_CLIENT_LIVENESS_H
#define HOLDFAST_CLIENT_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

/* Times in microseconds. */
struct liveness_settings {
	int64_t reply_timeout; /* 0: none */
	bool beats;            /* a heartbeat is configured */
	int64_t interval, timeout; /* heartbeat.* */
};

struct liveness {
	int64_t heard;  /* when something last came, or the connection began */
	int64_t asked;  /* when it was given something while it owed nothing; 0: it owes nothing */
	int64_t beaten; /* when the heartbeat that is not answered yet was sent; 0: none is out */
};

enum liveness_verdict {
	LIVENESS_ALIVE,
	LIVENESS_BEAT,     /* send a heartbeat, and set beaten */
	LIVENESS_SILENT,   /* reply_timeout is over: lost */
	LIVENESS_NO_PULSE, /* heartbeat.timeout is over: lost */
};

enum liveness_verdict liveness_judge(const struct liveness *liveness, const struct liveness_settings *settings,
    int64_t now);

/* How often to ask; 0: never. */
int64_t liveness_period(const struct liveness_settings *settings);

#endif

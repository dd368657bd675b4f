/* probe_talk.h - what is said to a server to learn whether it is ready, and what its answer means.
 *
 * Pure.  A server may listen long before it serves: PostgreSQL that is starting, Redis that is loading its data.
 */
#ifndef HOLDFAST_UPSTREAM_PROBE_TALK_H
#define HOLDFAST_UPSTREAM_PROBE_TALK_H

#include <stdbool.h>
#include <stddef.h>

#define PROBE_PATH_MAX   1024 /* of settings.path */
#define PROBE_TEXT_SIZE  (PROBE_PATH_MAX + 512)
#define PROBE_ANSWER_MAX 1024u /* bytes of an answer that are looked at */
#define PROBE_WHY_SIZE   400

enum probe_kind { PROBE_NONE, PROBE_POSTGRESQL, PROBE_REDIS, PROBE_MYSQL, PROBE_HTTP };

struct probe_settings {
	enum probe_kind kind;
	char *path; /* owned; http: what is asked for */
};

enum probe_result { PROBE_MORE, PROBE_READY, PROBE_NOT_READY };

/* Whether it is spoken on a connection of its own: what it says cannot be taken back. */
bool probe_is_aside(enum probe_kind kind);

/* What is said first, to the server at this address: its length; 0: nothing, the server speaks first. */
size_t probe_request(const struct probe_settings *settings, const char *address, char ret_text[PROBE_TEXT_SIZE]);

/* What the answer so far means.  READY: *ret_taken of its bytes are the probe's, what is behind them is the client's.
 * NOT_READY: *ret_why says why.  An answer of PROBE_ANSWER_MAX bytes is never MORE. */
enum probe_result probe_judge(enum probe_kind kind, const unsigned char *answer, size_t length, size_t *ret_taken,
    char ret_why[PROBE_WHY_SIZE]);

/* What ends the talk properly after such an answer, that its end is no error in the server's log: its length. */
size_t probe_farewell(enum probe_kind kind, const unsigned char *answer, size_t length,
    char ret_text[PROBE_TEXT_SIZE]);

#endif

/* mux_judge.h - what becomes of one request of a client that shares a connection: whether the upstream gets it, and
 * in which words.
 */
#ifndef HOLDFAST_CLIENT_MUX_JUDGE_H
#define HOLDFAST_CLIENT_MUX_JUDGE_H

#include "client/mux_queue.h"
#include "client/shared_settings.h"
#include "framing/memcache.h"
#include "framing/resp_command.h"

/* Whose it is; all borrowed. */
struct mux_judge_of {
	const struct table *table;
	uint32_t client;
	const struct shared_settings *settings;
	const struct resp_connection *resp;
};

struct mux_judged {
	enum framing_verdict verdict;
	size_t length;         /* the request's */
	const char *answer;    /* as in the judgement of its framing; borrowed from there */
	size_t answer_length;
	unsigned spoken;       /* the client's protocol of RESP before it */
	struct resp_judgement resp;
	struct memcache_judgement memcache;
};

/* A whole request, as the framing has found it.  Framings that are no protocol pass all. */
void mux_judge(const struct mux_judge_of *of, const unsigned char *request, size_t length,
    struct mux_judged *ret_judged);

/* Whether it is for the upstream, but in other words. */
static inline bool
mux_judged_is_changed(const struct mux_judged *judged)
{
	return judged->verdict == FRAMING_FORWARD && (judged->resp.instead != NULL || judged->memcache.silence != 0);
}

/* How many bytes these words have; writes them to room. */
size_t mux_judged_length(const struct mux_judged *judged);
void mux_judged_write(const struct mux_judged *judged, const unsigned char *request, unsigned char *room);

/* What the client says of itself with it, and speaks from now on, and what it is not told.  Borrows from it. */
struct mux_queue_change mux_judged_change(const struct mux_judged *judged);

/* Whether the client of this entry does not get a whole reply. */
static inline bool
mux_judge_is_silent(const struct framing *framing, uint64_t who, const unsigned char *reply, size_t length)
{
	return mux_queue_silence(who) != 0 && framing->is_silent(mux_queue_silence(who), reply, length);
}

#endif

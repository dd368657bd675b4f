/* memcache.h - which requests of memcached's text protocol (with its meta commands) may pass over a connection that
 * others share, and in which words.
 *
 * Pure.  Replies can be counted only if each request has one.  So a request that asks for fewer (noreply, the flag q)
 * goes to the server without these words, and the client does not get the replies that it would not have got.  What
 * the server would take for several requests, or for none, never reaches it.
 */
#ifndef HOLDFAST_FRAMING_MEMCACHE_H
#define HOLDFAST_FRAMING_MEMCACHE_H

#include <stddef.h>

#include "framing/framing.h"

#define MEMCACHE_KEY_MAX     250  /* bytes, memcached's own */
#define MEMCACHE_LINE_MAX    2048 /* the same, with the newline; get and gets may have more */
#define MEMCACHE_WORDS_MAX   19   /* of a meta command, the same */
#define MEMCACHE_ANSWER_SIZE 128

struct memcache_judgement {
	/* Without FRAMING_FORWARD: the reply, for which nothing is sent; length 0: none is due. */
	char answer[MEMCACHE_ANSWER_SIZE];
	size_t length;
	/* FRAMING_FORWARD: the replies that the client does not get, for framing->is_silent(); 0: it gets all.  If it
	 * is not 0, cut_length bytes from cut on are left out of the request. */
	unsigned silence;
	size_t cut, cut_length;
};

/* Judges a whole request, as framing_of(FRAMING_MEMCACHE)->request found it.  Verdicts are FRAMING_FORWARD,
 * FRAMING_ANSWER, FRAMING_QUIT, and FRAMING_REFUSE for a command that is not known: what follows may be no
 * request. */
enum framing_verdict memcache_judge(const unsigned char *request, size_t length,
    struct memcache_judgement *judgement);

#endif

/* ask.h - what the parts of the message clients share. */
#ifndef HOLDFAST_TESTS_ASK_H
#define HOLDFAST_TESTS_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ASK_KEYS  8u    /* of each client */
#define ASK_MARKS 2048u /* measurements at most */

/* What may be asked; the modes choose among these. */
enum question_kind { SET, GET, MSET, MGET, LPUSH, LRANGE, ECHO, INCR, LINE, QUESTION_KINDS };

struct question {
	enum question_kind kind;
	unsigned key;
	uint64_t n;    /* of the value */
	int64_t since; /* when it was asked, microseconds */
};

/* What is known of a counter of ours: of values of a key, of a list's length, of an INCR. */
struct known {
	uint64_t low;   /* the last that was answered well: the far end is not behind it */
	uint64_t high;  /* the last that was answered at all: it may have been done or not */
	uint64_t asked; /* the last that was asked: seen before its answer where requests are sent again */
};

struct bytes {
	char *at; /* owned */
	size_t begin, end, size;
};

struct client {
	int fd;                 /* -1: not connected */
	unsigned number;
	bool leaver;            /* goes in the midst of its requests, again and again */
	bool deaf;              /* never reads */
	bool seen, done, shut;
	uint32_t interest;      /* of epoll */
	uint64_t limit, asked;  /* operations; limit 0: until time is over */
	uint64_t visit_left;    /* operations until it connects anew */
	struct bytes in, out;
	struct question *questions; /* owned; a ring of ask.depth */
	unsigned first, waiting;    /* the oldest one, and how many */
	struct known keys[ASK_KEYS], list, counter;
	uint64_t heard;         /* feed: messages */
	uint64_t next;          /* feed: the number that must come */
};

struct ask_mode {
	const char *name;
	bool hears; /* there are replies, or a feed */
	bool asks;
	/* Appends a request to out and fills in the question. */
	void (*ask)(struct client *client, struct question *question);
	/* Bytes of the first message; 0: more are needed; -1: malformed. */
	ssize_t (*length)(const char *bytes, size_t length);
	/* Whether it is the right answer; without one has complained. */
	bool (*right)(struct client *client, const struct question *question, const char *reply, size_t length);
	/* The request may have been done or not. */
	void (*lost)(struct client *client, const struct question *question);
};

struct ask {
	const struct ask_mode *mode;
	const char *path;         /* of a Unix socket, or */
	int port;                 /* of 127.0.0.1 */
	const char *prefix;       /* of keys */
	const char *error;        /* a reply that is tolerated, or NULL */
	unsigned count, depth, leavers, deaf;
	unsigned mix[64], mixed;  /* kinds of questions, drawn from */
	uint64_t visit, rate, ack;
	size_t value_bytes;
	bool split, half_close, again, forgets, lost_ok;
	int epoll;
	int64_t now, begin, stop, progress, patience; /* microseconds */
	uint64_t seed, asked;
	unsigned busy;            /* clients that are not done */
	unsigned unseen;          /* clients without a first answer */
	unsigned unconnected;
	uint64_t right, tolerated, wrong, lost, visits, deaf_closed;
	struct client *clients;
};
extern struct ask ask;
extern const struct ask_mode mode_own, mode_incr, mode_line, mode_tell, mode_feed;

/* ask.c */
void complain(const struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t ask_random(void);

/* ask_client.c */
void bytes_append(struct bytes *bytes, const char *from, size_t length);
void bytes_print(struct bytes *bytes, const char *format, ...) __attribute__((format(printf, 2, 3)));
void clients_begin(void);
void clients_again(void); /* asks where a pause is over, connects who is not */
void client_work(struct client *client, uint32_t events);
void clients_complain(void);

/* ask_redis.c: the kinds of a list of names, "set,get"; false: one is unknown. */
bool mix_parse(const char *names);

/* ask_figures.c */
void figures_mark(void);
void figures_right(int64_t took);
void figures_pass(int64_t took); /* of the loop itself */
void figures_print(void);

#endif

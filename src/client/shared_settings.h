/* shared_settings.h - what may be set of a service whose clients share a connection (mode = "shared"), and the
 * messages that are made of it. */
#ifndef HOLDFAST_CLIENT_SHARED_SETTINGS_H
#define HOLDFAST_CLIENT_SHARED_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/listener.h"
#include "framing/framing.h"
#include "framing/resp_command.h"
#include "keep/table.h"

enum shared_replies { SHARED_ORDERED, SHARED_NONE, SHARED_BROADCAST };
enum shared_fsync { SHARED_FSYNC_NO, SHARED_FSYNC_ALWAYS };
enum shared_on_loss { SHARED_FAIL, SHARED_RETRY };
enum shared_on_full { SHARED_BLOCK, SHARED_DROP_NEWEST, SHARED_DROP_OLDEST };

#define SHARED_MESSAGE_MAX (16u << 20) /* max_message, at most */
#define SHARED_QUEUE_MAX   (32u << 20) /* queue_size, at most */
#define SHARED_SLACK       (1u << 20)  /* what a client may have waiting for it beyond max_message */

#define SHARED_REPLY_AUTO  (-1)       /* reply_timeout: 30 s, while others wait, where one request can hold up all */

struct shared_settings {
	enum framing_kind framing;
	enum shared_replies replies;
	enum listener_type type;     /* of the service's socket */
	unsigned max_message;        /* bytes */
	unsigned max_in_flight;
	enum shared_on_full on_full; /* replies none: what becomes of a message that has no place in the queue */
	unsigned queue_size;         /* bytes */
	bool split_datagrams;        /* framing line: each line of a datagram is a message */
	int64_t reply_timeout;       /* microseconds; 0: none; SHARED_REPLY_AUTO */
	enum shared_on_loss on_loss;
	char *loss_reply;            /* owned; NULL none */
	char *heartbeat_send, *heartbeat_expect; /* owned; NULL none */
	int64_t heartbeat_interval, heartbeat_timeout;
	enum resp_on_state on_state; /* framing resp: what becomes of who needs a connection of its own */
	unsigned max_own;            /* clients that have one, at most */
	int64_t own_linger;          /* microseconds that one keeps it after it needs it no more */
	char *spool_path;            /* owned: the directory of the spool; NULL none */
	int64_t spool_max_size;      /* bytes */
	enum shared_fsync spool_fsync;
};

/* What a worker must know of a service that is in no configuration any more is written to the table, and read from
 * it; false: the service has no shared mode. */
void shared_note(struct table_shared *record, const struct shared_settings *settings);
bool shared_recall(const struct table_shared *record, struct shared_settings *ret_settings);

/* How long a reply may be owed in silence: microseconds, 0: for ever; *ret_spares: while nobody else waits for it, it
 * may be so for ever too. */
int64_t shared_reply_timeout(const struct shared_settings *settings, bool *ret_spares);

/* Whether a text, that of a request (heartbeat.send) or of a reply (loss_reply), is or can be made one message, which
 * has a reply: NULL, or what is wrong, to be freed with mem_free(). */
char *shared_check(const struct shared_settings *settings, const char *text, bool request);

/* A message, framed. */
struct shared_text {
	char *bytes;   /* owned; NULL: there is none */
	size_t length;
};

/* The reply to a request that is lost, and a heartbeat; they replace what *text holds.  Without the first the
 * client is closed. */
void shared_make_loss_reply(const struct shared_settings *settings, struct shared_text *text);
void shared_make_heartbeat(const struct shared_settings *settings, struct shared_text *text);

/* What a client is told whose messages are all on the disk; "" where no client is. */
void shared_make_confirmation(const struct shared_settings *settings, struct shared_text *text);

/* Whether the upstream's message answers a heartbeat: anything will do if nothing is expected. */
bool shared_is_pulse(const struct shared_settings *settings, const unsigned char *message, size_t length);

#endif

/* layout.h - what outlives a worker: the shared memory that keeper and workers map, and what lies where in it.
 *
 * Named T1 to T4 after surviving.md.  No pointer is stored.  A record's state is the last store of its
 * making (T2); one word is one commit point (T4), so those words are volatile.  What can be derived (free
 * lists, queues, events, end-of-file flags) is not here.
 *
 * The memory is one memfd, made at its full size (sparse), in this order: header, services, clients, connections,
 * buffer records, two places for the configuration, labels and tracks of clients, buffers.  Index 0 of clients,
 * connections and buffers is never used, so that 0 means none.
 *
 * A client and its upstream connection are two records, and a file descriptor stands in one of all records.  The
 * client names its connection: client.conn is the one word that says who has which, so that a connection is taken by
 * one store, and who is not named by a client is idle (table_conn_is_taken()).  How each change is made, and what a
 * death at any point of it leaves:
 *
 *   take      client.conn = i.  Before: idle, the client is held.  After: in use; the list of idle ones is derived.
 *   own       as take, of a client that shares: client.conn goes from SHARED to i, and back again; then conn is idle.
 *   share     conn.role = SHARED, or TAKEOVER of a standby.  services[].shared.upstream, which names it, is derived.
 *   take over a standby's conn.role = TAKEOVER when it is shared; = SHARED (or NEXT, if it is not shared yet) when
 *             the upstream's machine was told.
 *   end       conn CLOSING, the commit: who names it is held, or closing itself, from here on.  Then its file is
 *             closed and un-named, client.conn = 0, conn FREE: no client names a record that can be claimed.
 *   close     client CLOSING, the commit; its own connection ends as above; then its own file, buffers, pipes; FREE.
 *   refuse    client LINGERING: it is held, or shares; client.conn = 0 follows.
 *
 * keep/table makes and ends records; keep/recover finishes what is CLOSING.
 */
#ifndef HOLDFAST_KEEP_LAYOUT_H
#define HOLDFAST_KEEP_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/log.h"
#include "keep/budget.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#define TABLE_MAGIC          "holdfast"
#ifdef HOLDFAST_NEXT_LAYOUT
#define TABLE_LAYOUT         9u          /* a test build: the layout that comes next, whatever that will be */
#else
#define TABLE_LAYOUT         8u
#endif
#define TABLE_LAYOUT_FIRST   8u          /* of those before, whose records were others */
#define TABLE_SERVICES       1024u
#define TABLE_FILES_MAX   (1u << 20)
#ifdef HOLDFAST_TINY_BUFFERS
#define TABLE_BUFFER_SIZE    512u        /* a test build: every boundary is met all the time */
#define TABLE_CLASSES        9u
#else
#define TABLE_BUFFER_SIZE    65536u      /* of the smallest class; each further one has four times as much */
#define TABLE_CLASSES        6u
#endif
#define TABLE_LEAN           TABLE_CLASSES /* one class more, of buffers for whom there is no memory */
#define TABLE_NAME_SIZE      65          /* a service's name and its NUL */
#define TABLE_CONFIG_MAX     (16u << 20) /* bytes of the configuration in force, as text */
#define TABLE_LISTENERS      8u          /* of a service, at most */
#define TABLE_ACTIVATED      64          /* sockets handed over by systemd */
#define TABLE_STATUS_SIZE    512
#define TABLE_ENDPOINTS      64          /* places for a service's endpoints (upstream/endpoints.h) */
#define TABLE_UPSTREAM_SIZE  65536       /* room for struct upstream_record of upstream/upstream.c */
#define TABLE_LABEL_TEXT     248u        /* what a client says of itself: bytes that are kept */
#define TABLE_TRACK_SIZE     1528u       /* room for struct resp_track of framing/resp_track.h */
#define TABLE_STREAM_SIZE    192u        /* room for struct resp_stream of framing/resp_stream.h */
#define TABLE_HISTORY        64
#define TABLE_HISTORY_TEXT   232
#define TABLE_OUTAGES        32
#define TABLE_BLAMED         8
#define TABLE_REDO           16
#define TABLE_LAST_FILES     8           /* numbers left to lookups and the control socket: operators must see */
#define TABLE_CRASHES        4
#define TABLE_HISTOGRAM      16          /* steps of a histogram, the one without an end included */
#define TABLE_PIPES          64u         /* of 256 KiB: a quarter of pipe-user-pages-soft's default */

/* The state of anything that has a record, in the low 8 bits of its word; the generation above. */
enum table_state {
	TABLE_FREE = 0,
	TABLE_LIVE,      /* a service; a client, which is held, has a connection, or shares one: see conn */
	TABLE_LINGERING, /* a client that was turned away: it is told why, and what it says is dropped */
	TABLE_DIALLING,  /* a connection on its way: connect, hello, probe */
	TABLE_READY,     /* a connection that is idle or in use */
	TABLE_CLOSING,   /* a client or connection: to be closed and freed, whatever happens; a service: removed, its
			  * clients end */
};

#define TABLE_STATE(word)      ((enum table_state)((word) & 0xff))
#define TABLE_GENERATION(word) ((word) >> 8)

/* The two directions of a client's bytes; also the index of its buffers. */
enum table_direction { TABLE_UP = 0 /* client to upstream */, TABLE_DOWN = 1 };

/* A client.  A line of the cache. */
struct table_client {
	volatile uint32_t word;      /* generation and state: the commit */
	volatile int32_t fd;         /* -1 none */
	volatile uint32_t conn;      /* its connection: 0 none, it is held; or TABLE_CONN_SHARED */
	uint16_t service;
	uint16_t flags;              /* TABLE_CLIENT_* */
	volatile uint32_t buffer[2]; /* of each direction; 0 none */
	volatile uint16_t pipe[2];   /* of each direction, which then has no buffer; 0 none */
	uint32_t active;             /* tick of the monotonic clock of the last byte */
	uint64_t id;                 /* counts up: the order of arrival, and the operators' name for it */
	int64_t since;               /* monotonic microseconds of the accept, or of when it began to wait again */
	uint64_t bytes[2];           /* delivered, of each direction */
#ifdef HOLDFAST_NEXT_LAYOUT
	uint64_t next;
#endif
};

/* The client is served by what its service's clients share, whether that is connected now or not. */
#define TABLE_CONN_SHARED UINT32_MAX

/* Accepted by a dead worker that could not make a record: who it is has not been looked at. */
#define TABLE_CLIENT_ADOPTED 1u
/* A client of shared mode that asks nothing more: closed when it has been given what it is owed. */
#define TABLE_CLIENT_LAST 2u
/* Stands for all who send datagrams to the service's socket; has no file of its own. */
#define TABLE_CLIENT_DATAGRAMS 4u
/* In shared mode: the client has said HELLO 3. */
#define TABLE_CLIENT_RESP3 8u
/* It is turned away, and has not been told why: its answer is still to be put into its buffer. */
#define TABLE_CLIENT_UNTOLD 16u

/* It has said something of itself: its label counts.  Its own connection's track does. */
#define TABLE_CLIENT_LABELLED 32u
#define TABLE_CLIENT_TRACKED 64u

/* With a spool: a message of it was dropped, so that it is not told that all are on the disk. */
#define TABLE_CLIENT_DROPPED 128u

/* What a client of shared mode has said of itself (client/label), in one of two places; of those that have. */
struct table_label {
	uint64_t place;
	char text[2][TABLE_LABEL_TEXT];
};

/* What is known of the state of a client's own connection (client/own), in one of two places; of those that have such
 * a connection. */
struct table_track {
	volatile uint64_t place;
	_Alignas(8) unsigned char state[2][TABLE_TRACK_SIZE];
};

/* What a connection is for. */
enum table_role {
	TABLE_ROLE_NEXT,     /* for the next client; in use when one names it */
	TABLE_ROLE_SHARED,   /* all clients of its service use it */
	TABLE_ROLE_STANDBY,  /* kept for a failover */
	TABLE_ROLE_TAKEOVER, /* it stood by and is shared now; the upstream's machine has not been told yet */
	TABLE_ROLE_OWN,      /* shared mode: for a client whose commands need a connection of its own */
	TABLE_ROLES
};

/* An upstream connection. */
struct table_conn {
	volatile uint32_t word;      /* generation and state: the commit */
	volatile int32_t fd;         /* -1 none */
	uint16_t service;
	volatile uint16_t role;      /* enum table_role */
	uint16_t flags;              /* TABLE_CONN_* */
	uint16_t endpoint;           /* its number (upstream/endpoints.h); 0 unknown */
	int64_t since;               /* monotonic microseconds of when it was ready */
	int64_t left_at;             /* likewise, when its endpoint had lost its place to another; 0 never */
#ifdef HOLDFAST_NEXT_LAYOUT
	uint64_t next;
#endif
};

/* It has its socket options, which are worth it from this age on, in microseconds. */
#define TABLE_CONN_TUNED 1u
#define TABLE_TUNE_AGE INT64_C(1000000)
/* The server has closed its window and lives: the user time-out is off. */
#define TABLE_CONN_PATIENT 2u
/* It begins with a header of the PROXY protocol, of this version, which says who has it (client/introduction):
 * nothing of that was said yet, all of it (HEADED), or a part, with which it is of no use (CUT). */
#define TABLE_CONN_HEADER_V1 4u
#define TABLE_CONN_HEADER_V2 8u
#define TABLE_CONN_HEADED 16u
#define TABLE_CONN_HEADER_CUT 32u
/* It goes by holdfast-tls: of TLS 1.3 or 1.2 (neither: TLS begins later, as MySQL's does), and resumed, or not. */
#define TABLE_CONN_TLS 64u
#define TABLE_CONN_TLS_1_3 128u
#define TABLE_CONN_TLS_RESUMED 256u
#define TABLE_CONN_TLS_1_2 512u

/* Where the bytes of a buffer begin and end; both together can be changed as one word (X1). */
struct table_buffer {
	_Alignas(8) volatile uint32_t head;
	volatile uint32_t tail;
};

/* Who is owed a reply: the client's generation and slot in one word (X3), with what it is not told of the reply in
 * bits that no slot has (FRAMING_SILENT_* of framing/framing.h), or TABLE_PENDING_NOBODY; and where its request ends
 * in the stream of all of the service's requests. */
struct table_pending {
	uint64_t who;
	uint64_t end;
};

#define TABLE_PENDING_NOBODY UINT64_C(0) /* a heartbeat's */
#define TABLE_PENDING_KEPT (UINT64_C(1) << 62) /* a message whose client is not known any more */
#define TABLE_PENDING_SPOOLED (UINT64_C(1) << 63) /* and one from the spool: its number is in the bits below */
#define TABLE_PENDING_SILENCE 28 /* a client's: the lowest of the four bits of what it is not told */
#define TABLE_STUCK_GUILTY UINT32_MAX /* the oldest request is why the connection is given up: it ends as lost */

/* What the clients of a service share (shared mode).  What is beyond the tails does not count (X2). */
struct table_shared {
	volatile uint32_t upstream;   /* the connection in use, or one that ended and is not settled; 0 none */
	volatile uint32_t in;         /* buffer of what came from it and was not handed out yet; 0 none */
	volatile uint32_t out;        /* the same, of the requests that are owed a reply, and those to be sent */
	volatile uint32_t pending;    /* the same, of a ring of struct table_pending */
	uint32_t stuck;               /* losses in a row at which stuck_at was the oldest that was owed; or GUILTY */
	uint64_t stuck_at;
	int64_t stuck_since;          /* monotonic */
	uint64_t pending_head, pending_tail; /* count up */
	uint64_t out_end;             /* offset in the stream of requests of out's end */
	volatile uint64_t sent;       /* and of the end of what the connection in use was given */
	/* a broadcast under way: clients from this slot on still miss it; 0 none */
	uint64_t broadcast_slot;
	uint64_t broadcast_length;         /* bytes of it at the head of what came from the upstream */
	uint64_t broadcast_messages;
	/* settings that a service which is being removed still goes by */
	uint8_t framing, replies, type, on_full;
	uint32_t max_message, queue_size;
	uint64_t messages[2];         /* of clients, and to them */
	uint64_t lost, retried;       /* requests */
	/* of the reply to the oldest request so many bytes have passed to its asker, and more are to come; 0: none */
	uint64_t streamed;
	uint64_t stream_place;        /* of what is known of that reply (client/mux_stream), in one of two places */
	_Alignas(8) unsigned char stream[2][TABLE_STREAM_SIZE];
	uint64_t dropped;             /* messages that found the queue full; and those of them that the log told of */
	uint64_t dropped_told;
	uint64_t unfinished;          /* messages whose clients ended within them */
	/* a drop under way: behind so many requests so many are dropped, of so many bytes; no count: there is none */
	uint64_t gap_before, gap_count, gap_bytes;
	/* messages that go through the spool (client/spool): the buffer of those on their way to the disk; numbers,
	 * each of the first that is not yet: acknowledged by the upstream's host, in out, on the disk, said */
	volatile uint32_t spool, reserved;
	uint64_t spool_identity;      /* the directory's; 0: it was not read yet */
	uint64_t spool_acknowledged, spool_read, spool_written, spool_next;
	uint64_t spool_damaged;       /* messages */
};

/* A pooled pipe; it is there if read_fd is not -1, the commit. */
struct table_pipe {
	volatile int32_t read_fd, write_fd;
};

/* What happened to a service, for explain.  text ends with NUL. */
struct table_event {
	int64_t wall;
	uint32_t kind, reserved;
	char text[TABLE_HISTORY_TEXT + 8];
};

/* When a service was down, by the wall clock; to is 0 while it is.  Changed by redo records, with what else an outage
 * changes. */
struct table_outage {
	int64_t from, to;
};

/* Counters of a service.  Only added to. */
struct table_counters {
	uint64_t clients;           /* accepted */
	uint64_t refused_down, refused_held_max, refused_hold_timeout, refused_permission, refused_per_user;
	uint64_t bytes[2];          /* of clients that have ended; status adds those of the living */
	uint64_t lost_bytes;        /* handed to a dead connection under on_upstream_end = "reconnect" */
};

/* How long something took, for the metrics.  A step's bound is keep/histogram.c's. */
struct table_histogram {
	uint64_t step[TABLE_HISTOGRAM]; /* how often, each step alone */
	uint64_t sum;                   /* microseconds */
};

enum table_histogram_kind {
	TABLE_HISTOGRAM_CONNECT, TABLE_HISTOGRAM_LOOKUP, TABLE_HISTOGRAM_HOLD, TABLE_HISTOGRAM_OUTAGE,
	TABLE_HISTOGRAM_KINDS
};

/* Why a service accepts nobody for now: new clients wait in its socket's backlog. */
enum table_pause { TABLE_PAUSE_NONE, TABLE_PAUSE_MAX_CLIENTS, TABLE_PAUSE_MAX_HELD, TABLE_PAUSE_FILES, TABLE_PAUSES };

/* Who has set something of a service, and when; it holds while value is not 0, the commit.  Of a pause that is over
 * since is the end, by the monotonic clock: hold_timeout starts afresh there. */
struct table_order {
	volatile uint64_t value;
	int64_t since;               /* wall clock, but see above */
	uint32_t uid, reserved;
};

/* The file that we made at a path.  Zero is unknown: whatever socket stands at the path then counts as ours.  A bound
 * socket keeps its file's inode in use, so that no other file gets that number while the socket lives. */
struct place {
	uint64_t device, inode;
};

/* A listening socket; the worker's, named here. */
struct table_socket {
	volatile int32_t fd;         /* -1 none; the commit */
	uint32_t length;             /* of bound; an accepted socket bears this name */
	struct sockaddr_un bound;    /* of TCP's (AF_UNSPEC) the path is its address in words */
	struct place place;          /* of its file, by which we know it from others' */
	int64_t shut_since;          /* wall clock: it cannot be opened since then; 0: it is open */
	uint8_t activated;           /* it came from systemd: never unlinked */
	uint8_t reserved[7];
};

struct table_service {
	volatile uint32_t word;      /* generation and state: the commit */
	char name[TABLE_NAME_SIZE];
	struct table_socket sockets[TABLE_LISTENERS]; /* where its clients come in, in the settings' order */
	int64_t since;               /* wall clock of its making */
	volatile uint32_t administered; /* TABLE_ADMIN_*: what an operator set, outlives all */
	uint32_t administered_uid;
	int64_t administered_since;  /* wall clock */
	struct table_order pause;    /* value 1: new work is held */
	struct table_order failing;  /* value: until then, monotonic, the upstream is treated as down */
	struct table_histogram histogram[TABLE_HISTOGRAM_KINDS];
	uint64_t settings_hash;      /* of the settings that the upstream works by */
	int64_t drain_deadline;      /* of a removed service's clients; monotonic, 0 none */
	volatile int32_t groups[4];  /* process groups of programs that run (TABLE_GROUP_*); 0 none */
	struct table_counters counters;
	struct table_shared shared;
	volatile uint64_t history_next; /* counts up; the newest is at (history_next - 1) % TABLE_HISTORY */
	struct table_event history[TABLE_HISTORY];
	_Alignas(64) unsigned char upstream[TABLE_UPSTREAM_SIZE]; /* upstream/upstream.c's */
	uint64_t pauses[TABLE_PAUSES]; /* how often accepting paused, by reason */
	uint64_t outages_next;         /* counts up; the newest is at (outages_next - 1) % TABLE_OUTAGES */
	struct table_outage outages[TABLE_OUTAGES];
#ifdef HOLDFAST_NEXT_LAYOUT
	uint64_t next[9];
#endif
};

enum table_admin { TABLE_ADMIN_NONE = 0, TABLE_ADMIN_CLOSED, TABLE_ADMIN_DRAINED };
enum table_group { TABLE_GROUP_LOOKUP, TABLE_GROUP_HANDLER, TABLE_GROUP_NOTIFY, TABLE_GROUP_WATCH };

/* The one system call under way whose result must not be lost (B1).  The worker has one thread, so one
 * record is enough.  Prepared, and done again after a death, by keep/io_journal. */
struct table_io_journal {
	volatile uint32_t phase;     /* TABLE_IO_JOURNAL_* */
	uint32_t index;              /* the client's; GIVE: the service's; HEADER: the connection's */
	uint32_t buffer;
	uint32_t direction;
	uint32_t base;               /* head, tail, or what the pipe held before the call; HEADER: its length */
	uint32_t whole;              /* PACKET: bytes of the message with its framing; DECLINE: of the request */
	uint64_t base_bytes;         /* client.bytes[direction] before a send or drain; GIVE: shared.sent; COPY: what
	                              * the pipe held before the call */
	struct mmsghdr message;
	struct iovec vector;
};

enum table_io_journal_phase {
	TABLE_IO_JOURNAL_NONE = 0, TABLE_IO_JOURNAL_RECEIVE, TABLE_IO_JOURNAL_SEND, TABLE_IO_JOURNAL_DRAIN,
	TABLE_IO_JOURNAL_PACKET, /* one message to a client of packets */
	TABLE_IO_JOURNAL_GIVE,   /* requests to the connection that all share */
	TABLE_IO_JOURNAL_HEADER, /* who the client is, to a connection that it has just been given */
	TABLE_IO_JOURNAL_DECLINE, /* an answer of ours to what the client asks, which nobody else is to hear */
	TABLE_IO_JOURNAL_COPY    /* from a pipe into a buffer */
};

/* Several words changed as one (X1): entries first, count last; to be applied while count is not 0. */
struct table_redo {
	volatile uint32_t count;
	struct {
		uint64_t offset; /* of a uint64_t, from the table's begin */
		uint64_t value;  /* new, absolute */
	} entry[TABLE_REDO];
};

/* Files that the keeper made before the first worker (K1, K2); -1 none. */
enum table_file {
	TABLE_FILE_MEMORY,
	TABLE_FILE_NOTIFY,  /* datagram socket towards systemd */
	TABLE_FILE_REQUEST, /* eventfd: look at requests */
	TABLE_FILE_LOCK,    /* another instance cannot take it */
	TABLE_FILE_PROGRAM, /* the program that runs, to be executed again (U1) */
	TABLE_FILE_FORMER,  /* and the one before an upgrade, until a worker of this one was ready */
	TABLE_FILE_NEXT,    /* and the one of an upgrade, while it is tried */
	TABLE_FILE_DIRECTORY, /* the runtime directory, locked too: its lock file can be removed */
	TABLE_FILES = 12    /* room for further ones */
};

#define TABLE_FILE_UNKNOWN (-2) /* in struct table */

/* Bits of requests. */
#define TABLE_REQUEST_STOP   1u
#define TABLE_REQUEST_RELOAD 2u
#define TABLE_REQUEST_DUMP   4u
#define TABLE_REQUEST_STOP_NOW 8u
#define TABLE_REQUEST_RELOADING 16u /* a reload was begun; a worker that finds it set does it again */
#define TABLE_REQUEST_UPGRADE 32u
#define TABLE_REQUEST_UPGRADING 64u /* likewise: the new program is being tried (U2) */
#define TABLE_REQUEST_EXECUTE 128u /* it was good: the keeper is to execute it.  In its place, not beside it */

/* How the program that runs has come to the table. */
enum table_origin {
	TABLE_NEW, TABLE_RESTARTED /* from systemd, U3 */, TABLE_UPGRADED, TABLE_REFUSED /* the new one: back */
};

struct table_activated {
	volatile int32_t fd;
	char name[256]; /* FileDescriptorName= */
};

#define TABLE_HANDLING_CONN (UINT32_C(1) << 31)

/* A death of the worker, as the keeper saw it. */
struct table_death {
	int32_t status; /* as waitpid gives it */
	uint32_t hung;  /* killed by the keeper for its heartbeat */
	uint32_t condemned; /* what it handled had its third strike and is closed (K7) */
	uint32_t handled, generation; /* as header.handling; 0 none */
	int64_t at;     /* monotonic */
	int64_t silent; /* since its last heartbeat, as far as the keeper knows */
	int32_t pid, reserved;
};

/* What every layout's header begins with: how large and how many the parts are.  A layout differs from the one before
 * only by what is added at the ends of header and records, so that the next can read those of one (keep/migrate). */
struct table_shape {
	char magic[8];
	uint32_t layout;
	uint32_t services, files, buffers;    /* capacity of the arrays; files: of clients and of connections each */
	uint64_t size;                        /* of the whole memory */
	uint32_t header_size, service_size, client_size, conn_size, buffer_size; /* bytes of each record */
	uint32_t classes, smallest;           /* of buffers: how many, and the bytes of the smallest */
	uint32_t client_more;                 /* bytes of a client's label and track together; 0: there are none */
};

/* What of a damaged table was given up by whoever has taken it over (keep/audit); to be logged by the next worker
 * that gets so far. */
struct table_damage {
	volatile uint32_t all;       /* everything but the sockets that clients come in by */
	volatile uint32_t words;     /* put right, with nothing lost */
	uint32_t services;           /* whose clients' common queue was */
	uint32_t clients, conns;
	volatile uint32_t give_up;   /* the keeper's: worker after worker has died of it, so that all is to be */
};

struct table_header {
	struct table_shape shape;
	volatile int32_t file[TABLE_FILES];
	uint32_t activated_count;
	struct table_activated activated[TABLE_ACTIVATED];

	/* between keeper and worker */
	volatile uint32_t heartbeat;
	volatile uint32_t ready;
	volatile uint32_t requests;
	volatile uint32_t stopping;
	volatile uint32_t was_ready;  /* some worker was: a worker's failure is no failure to start */
	volatile uint32_t outside;    /* the signal that ends this worker was sent to it (K7) */
	volatile int32_t keeper_pid, worker_pid; /* keeper_pid is 0 under --no-keeper */
	volatile uint32_t worker_restarts;
	volatile uint32_t handling;   /* client, or TABLE_HANDLING_CONN | connection, whose bytes are; 0 none (K7) */
	struct table_death blamed[TABLE_BLAMED]; /* own-made deaths, a ring */
	uint32_t blamed_next;
	struct table_death last_death;
	volatile uint32_t last_death_new; /* to be logged by the next worker */
	volatile uint32_t status_version; /* odd while status is written */
	char status[TABLE_STATUS_SIZE];

	/* of the whole daemon */
	int64_t started; /* wall clock */
	uint64_t next_id;
	uint32_t client_high, conn_high; /* records beyond were never used */
	uint32_t buffer_high[TABLE_CLASSES + 1]; /* the same, of each class of buffers */
	uint32_t file_high;    /* the highest file descriptor seen */
	uint32_t log_level;    /* as an operator set it, plus 1; 0: as configured */
	int64_t stop_deadline; /* monotonic: when clients are closed, once stopping; 0 not yet */
	uint64_t crash_hits[TABLE_CRASHES]; /* of a test build's crash points */
	struct table_io_journal io_journal;
	struct table_redo redo;
	struct table_pipe pipe[TABLE_PIPES + 1]; /* the first is never used, so that 0 means none */

	/* the configuration in force, in one of two places; the other is free for the next */
	uint32_t config_current; /* counts up: an even one is in the first place */
	uint32_t config_length[2];
	char config_path[4096];
	char config_error[TABLE_STATUS_SIZE]; /* of the last reload; "" none */

	/* upgrade and restart */
	volatile uint32_t reloads;            /* counts up at begin and end of each: odd while one is carried out */
	volatile uint32_t fdstore;            /* files that systemd keeps, plus 1; 0: none, or they are void (U3) */
	volatile int32_t trial;               /* process group of the new program that is tried; 0 none */
	volatile int32_t reading;             /* likewise, of the child that reads the configuration */
	uint32_t upgrades, restarts;          /* so far */
	volatile uint32_t origin;             /* enum table_origin, to be logged by the next worker */
	char upgrade_error[TABLE_STATUS_SIZE]; /* of the last upgrade; "" none */
	struct log_counts log;                /* lines that nobody took */
	struct table_socket control, metrics;
	/* of sockets that systemd has handed over for no service; "" none */
	char passed_fds_error[256];
	char version[32];                     /* of the program that runs */
	char program[4096];                   /* its file's absolute path */
	struct table_damage damage;
	uint64_t config_sum[2];               /* of each configuration's text: whether it is whole */
	volatile int32_t restart_error;       /* the errno that kept systemd from getting all (U3), to be logged */
#ifdef HOLDFAST_NEXT_LAYOUT
	char next[200];
#endif
};

/* Buffers of one size, as this process sees them; the lists are linked by head, and derived. */
struct table_class {
	uint32_t first, end;   /* their indexes */
	uint32_t warm;         /* first of the free ones with pages; 0 none */
	uint32_t cold;         /* first of those without */
	uint32_t warm_count;
	uint32_t warm_least;   /* the fewest since the last buffers_trim() */
	unsigned char *bytes;  /* borrowed */
};

/* How many connections are READY to one of a service's endpoints; behind those, to others. */
#define TABLE_OPEN      (TABLE_ENDPOINTS + 1)
#define TABLE_OPEN_SIZE (TABLE_SERVICES * TABLE_OPEN * sizeof(struct table_open))
struct table_open {
	uint32_t count;
	uint16_t number; /* the endpoint's; 0 none */
};

/* The records that each service has, in the order in which they came to it. */
struct table_index {
	struct { uint32_t first, last; } *service; /* owned; 0 none */
	uint32_t services;                         /* those beyond never had one */
	struct { uint32_t next, before; } *record; /* owned; of those that are not free */
};

/* A process's view of the memory.  What is not a pointer into its one mapping, which goes with table_free(), is this
 * process's alone, and derived by each worker (table_derive()). */
struct table {
	struct table_header *header;
	struct table_shape shape;      /* the header's, as it was checked: nobody goes by what stands there since */
	int32_t file[TABLE_FILES];     /* the same of header.file; TABLE_FILE_UNKNOWN: others may change it */
	struct table_service *services;
	struct table_client *clients;
	struct table_conn *conns;
	struct table_buffer *buffers;
	struct table_class class[TABLE_CLASSES + 1];
	char *config;          /* two places of TABLE_CONFIG_MAX */
	struct table_label *labels; /* of clients, by index */
	struct table_track *tracks;
	uint16_t *pages;       /* owned: how many pages of each buffer are known to be there, from its start on */
	struct table_index client_index, conn_index;
	uint32_t *taken_by;    /* owned: the client that names each connection, 0 none */
	struct table_open *conns_open; /* owned: table_conns_open() counts, of each service; pages that are not needed
	                                * are never there */
	uint32_t free_client, free_conn; /* first of each list, linked by fd */
	uint64_t free_pipes;   /* open and no client's, a bit each from pipe 1 on */
	uint64_t idle_pipes;   /* those of them that were free all the time since the last pipes_trim() */
	bool no_pipes;         /* no more could be made, until then */
	struct budget *budget; /* owned: of all buffers and pipes */
	uint32_t clients_used; /* records of clients that are not free */
	uint32_t lingering;    /* clients that are being turned away */
	int32_t *stray;        /* owned: open listeners that no record names (keep/recover.h) */
	size_t stray_count;
};

/* Stores before it are done before stores after it, whoever looks after a death: a worker's stores are seen as a
 * prefix of the program's order (T4), so that keeping the compiler to that order is enough. */
static inline void
table_barrier(void)
{
	__asm__ volatile("" ::: "memory");
}

/* A sign of life of the worker's, also in the midst of long work (K6).  For the keeper it does nothing. */
static inline void
table_beat(const struct table *table)
{
	table->header->heartbeat++;
}

/* Notes that this file descriptor is in use, for the sweep's bound.  Gives fd back. */
static inline int
table_note_file(struct table *table, int fd)
{
	if (fd > 0 && (uint32_t)fd > table->header->file_high)
		table->header->file_high = (uint32_t)fd;
	return fd;
}

/* Bytes of a buffer of this class. */
static inline size_t
table_class_size(uint32_t class)
{
	return class == TABLE_LEAN ? TABLE_BUFFER_SIZE / 16 : (size_t)TABLE_BUFFER_SIZE << (2 * class);
}

/* The most files, up to this number, whose memory the address space has room for, with some for all else: it is
 * bounded by RLIMIT_AS, or by 32 bits.  64 at least. */
uint32_t table_fitting(uint32_t files_max);

/* Makes the memory for as many clients, and as many connections, as there may be file descriptors, maps it and
 * writes the header.  0 or -errno. */
int table_new(uint32_t files_max, struct table *ret_table);

/* Forgets the counts of open connections. */
void table_free_open(struct table *table);

/* What the header of a table of this program for so many files begins with. */
void table_shape(uint32_t files, struct table_shape *ret_shape);

/* Sets the pointers to the parts of memory, by the sizes that its header tells; with memory NULL counts only.  The
 * bytes of all. */
size_t table_lay_out(struct table *table, void *memory, const struct table_shape *shape);

/* Whether the numbers in the header are such as a program of ours writes: the memory may be anything. */
bool table_is_sane(const struct table *table);

/* Maps the memory that another program left in fd, which is the table's then; with copy set, a private copy of it, to
 * be looked at while others work on it.  -EPROTO: of another layout. */
int table_open(int fd, bool copy, struct table *ret_table);

/* Unmaps and closes the memory (no-keeper mode and tests). */
void table_free(struct table *table);

#endif

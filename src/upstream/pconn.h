/* pconn.h - decides when one upstream is looked up, dialled, and tried again.
 *
 * Pure: told what happened and when, it answers with what to do (PCONN_DO_*) and leaves in p->deadline when
 * to be told PCONN_DEADLINE.  Rules P1 to P30 of the persistent connection are named where they are kept.
 *
 * All zero is a new one; it begins with PCONN_START.  It holds no pointer and may lie in the shared table.
 */
#ifndef HOLDFAST_UPSTREAM_PCONN_H
#define HOLDFAST_UPSTREAM_PCONN_H

#include <stdbool.h>
#include <stdint.h>

#include "upstream/delay.h"

#define PCONN_DIALS 64 /* further dials under way at most */
#define PCONN_YOUNG INT64_C(1000000) /* P27: an unused connection that ends younger than this has failed */

/* Times in microseconds. */
struct pconn_settings {
	struct delay_settings retry;
	int64_t spread;      /* retry.spread (P24) */
	int64_t hold_retry;  /* 0: attempts keep to the delay though clients are held */
	unsigned warm;       /* P25, P30 */
	bool eager;          /* P1 with warm = 0 too: an attempt's connection proves that the server is there */
	bool fades;          /* P28: what two expiries, or a server that speaks first, end for good is warm itself */
};

enum pconn_state {
	PCONN_NEW,
	PCONN_IDLE,         /* P30: no client has connected, or attempts have failed and none waits */
	PCONN_ATTEMPTING,   /* the handler of attempting_to_connect runs */
	PCONN_LOOKUP,       /* an attempt: the lookup is under way */
	PCONN_OBTAINED,     /* the handler of obtained_address runs */
	PCONN_DIAL,         /* an attempt: its dials are under way, or the next one is about to be offered */
	PCONN_FAILED,       /* the handler of failed_to_connect runs */
	PCONN_WAIT,         /* until p->deadline */
	PCONN_CONNECTED,    /* the handler of connected may still run; after TAKEN_OVER those that lead to it */
	PCONN_DISCONNECTED, /* the handler of disconnected runs */
	PCONN_CLOSED,
	PCONN_STATES
};

enum pconn_event {
	PCONN_START,
	PCONN_DEADLINE,      /* p->deadline has come */
	PCONN_HANDLED,       /* the handler has ended, well or not (P11) */
	PCONN_LOOKED_UP,
	PCONN_LOOKUP_FAILED, /* with same */
	PCONN_OFFERED,       /* the attempt's next endpoint; with fresh.  OFFERED, DIALED and DIAL_FAILED of an
	                      * attempt are told when no handler runs (P9) */
	PCONN_DIALED,        /* one of the attempt's dials, the others were ended; or while connected a further one */
	PCONN_DIAL_FAILED,   /* with same and further; while connected: a further dial, on all endpoints */
	PCONN_HELD,          /* the number of held clients, or an order, has changed, or just: look again */
	PCONN_TAKEN,         /* P25: a client has a ready connection now */
	PCONN_ANSWERED,      /* over a taken one the first byte has come from the upstream */
	PCONN_SPOKE,         /* P28: the server has spoken on one that nobody has taken */
	PCONN_ENDED,         /* P27: the server has ended an unused one; with age and elsewhere */
	PCONN_LOST,          /* the current connection is gone, none is ready; with age */
	PCONN_TAKEN_OVER,    /* the same, but one that was kept ready has taken its place; with age */
	PCONN_WAKE,          /* P24: the catalog's list has changed */
	PCONN_RECONNECT,     /* drop it and connect again, at once: an operator's, or the upstream's own */
	PCONN_RENEW,         /* a reload changed the service: what was known is void, its lookup was ended */
	PCONN_CLOSE,         /* P16 */
	PCONN_DRAIN,         /* P20 */
	PCONN_ABORT,         /* P21; the attempt's own end is told after it */
	PCONN_OPEN,          /* restart after any of these */
	PCONN_EVENTS
};

struct pconn_input {
	enum pconn_event event;
	int64_t now;
	uint32_t roll;       /* 32 random bits, or DELAY_EXACT (P5) */
	/* counts as they are after the event */
	unsigned held;       /* clients that wait */
	unsigned ready;      /* connections nobody has taken */
	unsigned dialling;   /* dials under way */
	bool elsewhere;      /* ENDED: there is a healthy endpoint */
	bool fresh;          /* OFFERED: the endpoint is to be reported (P8, P23) */
	bool further;        /* DIAL_FAILED: other dials of the attempt are under way, or come */
	bool same;           /* *_FAILED: the error is not to be reported (P8, P23) */
	int64_t age;         /* ENDED, LOST, TAKEN_OVER: since its connect */
	/* operator settings, as they are after the event */
	bool paused;         /* nothing is begun or kept ready; an attempt under way comes to its end */
	bool in_use;         /* the current connection is, and a pause waits for it */
	bool failing;        /* the upstream counts as down */
};

/* What to do.  REPORT comes before HANDLE; the event is p->event. */
#define PCONN_DO_REPORT           0x001u /* tell subscribers (P12) */
#define PCONN_DO_HANDLE           0x002u /* run the handler; then HANDLED */
#define PCONN_DO_LOOKUP           0x004u /* then LOOKED_UP or LOOKUP_FAILED */
#define PCONN_DO_DIAL             0x008u /* begin the attempt's dials, unless they are; then OFFERED, DIALED, ... */
#define PCONN_DO_FILL             0x010u /* pconn_wanted() further dials, each over all endpoints */
#define PCONN_DO_DROP             0x020u /* close what is ready, end dials and the lookup for further ones */
#define PCONN_DO_ANSWER_CONNECTED 0x040u /* P13, P14: who waits has a connection */
#define PCONN_DO_ANSWER_FAILED    0x080u /* P14: the attempt has failed with the last error */
#define PCONN_DO_ANSWER_CLOSED    0x100u /* P13, P14: closed, or the abort's error */
#define PCONN_DO_FINISHED         0x200u /* P16, P18: closed now */
#define PCONN_DO_EXPIRED          0x400u /* P27: count an expiry */
#define PCONN_DO_REST             0x800u /* P28: say it */
#define PCONN_DO_FAIL             0x1000u /* end the lookup or dial under way; then *_FAILED, for an operator */
#define PCONN_DO_GO               0x4000u /* dial what was offered */
#define PCONN_DO_STOP             0x8000u /* offer no further one (P16) */
#define PCONN_DO_GIVE_UP          0x2000u /* an operator setting ends the connection: say which */

/* In their order: PCONN_REPORT_x is what the handler is run for. */
enum pconn_report {
	PCONN_REPORT_NONE,
	PCONN_REPORT_ATTEMPTING,
	PCONN_REPORT_OBTAINED,
	PCONN_REPORT_FAILED,
	PCONN_REPORT_CONNECTED,
	PCONN_REPORT_DISCONNECTED
};

enum pconn_ending { PCONN_END_NONE, PCONN_END_DRAIN, PCONN_END_ABORT };

struct pconn {
	uint8_t state;
	uint8_t event;       /* enum pconn_report: the last one reported */
	uint8_t ending;      /* the first of drain and abort (P21) */
	uint8_t closing;     /* P16 */
	uint8_t reopen;      /* PCONN_OPEN came while closing */
	uint8_t outage;      /* attempting_to_connect was reported, connected not yet */
	uint8_t woken;       /* a wake came during the attempt */
	uint8_t located;     /* the attempt's lookup has given endpoints */
	uint8_t last;        /* FAILED: with that the attempt is over */
	uint8_t renewed;     /* a reload came while a handler ran */
	/* while connected */
	uint8_t handling;    /* the handler of p->event runs (P10) */
	uint8_t lost;        /* its end is waited for */
	uint8_t taken_over;  /* the same, and the events of TAKEN_OVER, or obtained_address again, come then */
	uint8_t looking;     /* a lookup for further dials is under way */
	uint8_t known;       /* the endpoints are good for further dials */
	uint8_t replacing;   /* an unused one ended, its replacement is not there yet */
	uint8_t expiring;    /* that is counted if the replacement succeeds (P27) */
	uint8_t expiries;    /* with no client between */
	uint8_t resting;     /* P28 */
	uint8_t cold;        /* P28: until a reload changes the service, where warm fades */
	uint8_t slow;        /* a further dial failed: no other before fill_at */
	uint32_t failures;   /* P22 */
	uint32_t failures_before; /* the last success */
	uint8_t ordered;     /* paused or failing, as of the last step */
	uint8_t doomed;      /* LOOKUP, DIAL: it fails for an operator, whatever comes of it */
	int64_t deadline;    /* CLOCK_NEVER: none */
	int64_t attempt_at;  /* start of the last attempt */
	int64_t retry_at;    /* P4: end of its delay */
	int64_t wake_at;     /* P24: a wake's moment */
	int64_t early_at;    /* P24: when somebody is held */
	int64_t early_first; /* 0: none yet */
	int64_t early_last;
	int64_t fill_at;     /* further dials not before */
	int64_t expired_at;  /* older connections than this are not counted again */
};

/* Tells the machine what has happened; settings are looked at in each step (P6). */
unsigned pconn_step(struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* P26: what must be under way in the present state, to be begun again after a worker's death. */
unsigned pconn_resume(const struct pconn *p);

/* How many connections are kept ready now, if no client comes (P25, P28). */
unsigned pconn_warm(const struct pconn *p, const struct pconn_settings *s);

/* How many further dials to begin now, for clients held and connections kept warm. */
unsigned pconn_wanted(const struct pconn *p, const struct pconn_settings *s, const struct pconn_input *in);

/* P13, P15: a connection is there and is not known to have died; or the last dial succeeded (P30). */
bool pconn_is_connected(const struct pconn *p);

/* P17. */
bool pconn_is_closed(const struct pconn *p);

#endif

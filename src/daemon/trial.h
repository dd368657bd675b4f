/* trial.h - the worker's part of an upgrade (U1): the new program is tried; the rest is left to the keeper. */
#ifndef HOLDFAST_DAEMON_TRIAL_H
#define HOLDFAST_DAEMON_TRIAL_H

#include "control/pending.h"
#include "keep/table.h"

struct trial;

/* Who asked for an upgrade waits among the pendings for this topic, and is told NULL: the program is good, and is
 * executed at once; or a text, why not.  All is borrowed. */
struct trial *trial_new(struct event_base *loop, struct table *table, const char *version, struct pendings *pendings,
    unsigned topic);

/* Ends one under way.  NULL is fine. */
void trial_free(struct trial *trial);

/* Tries the program file; if it is good the keeper executes it.  Once more while it is tried: the file may be another
 * by then (U2). */
void trial_ask(struct trial *trial);

/* While held a program that was found good waits to be executed. */
void trial_hold(struct trial *trial, bool held);

#endif

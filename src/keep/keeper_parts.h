/* keeper_parts.h - what keeper.c (the parent) and keeper_worker.c (the worker's side) share; nobody else's. */
#ifndef HOLDFAST_KEEP_KEEPER_PARTS_H
#define HOLDFAST_KEEP_KEEPER_PARTS_H

/* Signals that mean something to the daemon; up to a 0. */
extern const int keeper_forwarded[];

/* Signals of deaths that a program brings upon itself (K7); up to a 0. */
extern const int keeper_own_making[];

#endif

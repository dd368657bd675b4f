/* victim.h - when memory runs out, the kernel shall take the worker and spare the keeper (K8). */
#ifndef HOLDFAST_KEEP_VICTIM_H
#define HOLDFAST_KEEP_VICTIM_H

/* Raises this process's own oom_score_adj, which needs no privilege.  Opens a file: not before the sweep. */
void victim_volunteer(void);

#endif

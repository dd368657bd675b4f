/* top.h - "holdfastctl top": all services live, painted with ncurses. */
#ifndef HOLDFAST_CTL_TOP_H
#define HOLDFAST_CTL_TOP_H

/* Runs it until the user has had enough.  socket: the control socket as it was named, or NULL.  The exit code (enum
 * ask_exit). */
int top_run(const char *socket);

#endif

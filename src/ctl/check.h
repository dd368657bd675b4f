/* check.h - "holdfastctl check": asks the daemon, lets ctl/verdict judge, prints and exits as plugins do. */
#ifndef HOLDFAST_CTL_CHECK_H
#define HOLDFAST_CTL_CHECK_H

/* Runs it: argv[0] is the command.  socket: the control socket as it was named, or NULL.  The exit code (enum
 * verdict_level). */
int check_run(const char *socket, int argc, char **argv);

#endif

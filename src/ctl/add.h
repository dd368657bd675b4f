/* add.h - holdfastctl add and remove: a service that is a file of its own in the include directory. */
#ifndef HOLDFAST_CTL_ADD_H
#define HOLDFAST_CTL_ADD_H

/* Writes DIRECTORY/NAME.conf, or removes one that was written like this, and has the daemon of that control socket
 * (NULL: the usual one) read its files again.  What the daemon refuses is undone.  argv[0] is "add" or "remove".
 * The exit code. */
int add_run(const char *socket, int argc, char **argv);

#endif

/* listen.h - the socket that clients connect to: one's own, systemd's, or that of the instance before. */
#ifndef HOLDFAST_TLS_LISTEN_H
#define HOLDFAST_TLS_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

struct listen_place {
	int fd;             /* owned; -1: closed */
	const char *path;   /* borrowed */
	bool made;          /* the path is ours, to be removed at the end */
	dev_t device;
	ino_t inode;        /* of what is there; another instance may put its own in its place */
};

/* Listens.  0 or -errno; -ENOTSOCK if what was handed over is no listening Unix socket. */
int listen_open(const char *path, struct listen_place *ret_place);

/* Whether another has put its own socket at the path that was made here: nobody comes here any more. */
bool listen_is_taken(const struct listen_place *place);

/* Closes it, and removes the path if it is still ours. */
void listen_close(struct listen_place *place);

/* Starts argv again with the socket.  A file descriptor that is readable when the new instance listens or has failed;
 * or -errno. */
int listen_hand_over(const struct listen_place *place, char **argv);

/* What is to be read there.  0: the new instance listens, and systemd is told that it is the main process: it listens
 * to the main process alone, so the new one cannot say that itself.  -ECHILD: it has ended.  Or -errno. */
int listen_hear_ready(int fd);

/* Whether an instance before has handed its socket over. */
bool listen_is_handed_over(void);

/* Says that we serve: to the instance before, or where there is none to systemd. */
void listen_tell_ready(void);

#endif

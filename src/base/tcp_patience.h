/* tcp_patience.h - a peer that has closed its window, and says so, is alive: TCP's user time-out would end it. */
#ifndef HOLDFAST_BASE_TCP_PATIENCE_H
#define HOLDFAST_BASE_TCP_PATIENCE_H

#include <stdbool.h>

/* Turns the user time-out (milliseconds) of a connection off while its peer has closed its window and answers TCP's
 * questions about it.  To be called more often than that; patient says how it was left last.  Whether it is off now;
 * of a Unix socket never. */
bool tcp_patience_heed(int fd, int user_timeout, bool patient);

#endif

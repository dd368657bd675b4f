/* work.c - the same work for each proxy of the bench, as a client and as the server behind it.
 *
 *   work serve LISTENING-FD       until the end of standard input
 *   work mux PATH PORT            the least that can stand between Redis and its clients (see work_mux.c)
 *   work memcache ADDRESS get|set CLIENTS DEPTH COUNT   so many operations with memcached; says how it was, a line of
 *                                 JSON: operations a second, and microseconds of DEPTH of them
 *   work ask                      commands on standard input, answers on standard output:
 *
 *     open KIND COUNT SIZE ADDRESS   makes the connections (KIND by number, see work.h; ADDRESS is the path of a
 *                                    Unix socket or a port of 127.0.0.1); says "ready"
 *     run MILLISECONDS [PAUSE]       works; says what was done, a line of JSON.  PAUSE: microseconds between
 *                                    connections, where there is but one at a time
 *     close                          says "closed"
 */
#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

int64_t
work_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void
raise_file_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

int
main(int argc, char **argv)
{
	raise_file_limit();
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return work_serve(atoi(argv[2]));
	if (argc == 4 && strcmp(argv[1], "mux") == 0)
		return work_mux(argv[2], (uint16_t)atoi(argv[3]));
	if (argc == 7 && strcmp(argv[1], "memcache") == 0)
		return work_memcache(argv[2], argv[3], (unsigned)atoi(argv[4]), (unsigned)atoi(argv[5]),
		    strtoull(argv[6], NULL, 10));
	if (argc == 2 && strcmp(argv[1], "ask") == 0)
		return work_command();
	fputs("usage: work serve LISTENING-FD | work mux PATH PORT | work ask | "
	    "work memcache ADDRESS get|set CLIENTS DEPTH COUNT\n", stderr);
	return 2;
}

#include "upstream/tls_start.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define PAUSE      CLOCK_SECOND       /* between two starts */
#define TIMEOUT    (5 * CLOCK_SECOND) /* until it listens */
#define TELL_AGAIN (60 * CLOCK_SECOND)

/* One for all services: of two that are started at once the second takes the socket of the first. */
static struct {
	struct child *child; /* owned: until it listens; NULL: none */
	int64_t next;        /* no start before */
	int64_t told;        /* when a failure was, 0 not yet */
} starting;

static void
tls_start_on_end(void *arg, const struct child_result *result)
{
	int64_t now = clock_now();

	(void)arg;
	starting.child = NULL;
	if (result->error == NULL) {
		log_notice(NULL, "tls: holdfast-tls is started");
	} else if (starting.told == 0 || now - starting.told >= TELL_AGAIN) {
		starting.told = now;
		log_error(NULL, "tls: holdfast-tls cannot be started: %s%s%s; it is tried again with the next "
		    "attempt", result->error, result->last_line[0] != '\0' ? ": " : "", result->last_line);
	}
}

void
tls_start(struct event_base *loop, const struct table *table, const char *socket)
{
	const struct table_header *header = table->header;
	const char *slash = strrchr(header->program, '/');
	int64_t now = clock_now();
	char *program, *with, **environment;
	struct child_job job = { .timeout = TIMEOUT };

	if (starting.child != NULL || now < starting.next)
		return;
	starting.next = now + PAUSE;
	program = mem_print("%.*s/holdfast-tls", slash == NULL ? 0 : (int)(slash - header->program), header->program);
	with = mem_print("%d", header->keeper_pid != 0 ? (int)header->keeper_pid : (int)getpid());
	environment = child_environment((const char *[]){ NULL });
	job.program = program;
	job.environment = environment;
	job.arguments = (char *[]){ (char *)(uintptr_t)"--background", (char *)(uintptr_t)"--with", with,
		(char *)(uintptr_t)"--socket", (char *)(uintptr_t)socket, NULL };
	starting.child = child_start(loop, &job, NULL, tls_start_on_end, NULL);
	mem_list_free(environment);
	mem_free(with);
	mem_free(program);
}

#include "daemon/metrics_socket.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "client/listener.h"
#include "client/metrics_listener.h"
#include "keep/crash.h"
#include "keep/recover.h"

#define METRICS_RETRY (10 * CLOCK_SECOND)

struct metrics_socket {
	struct event_base *loop;     /* borrowed */
	struct table *table;         /* borrowed */
	struct metrics *(*take)(void *arg, enum metrics_format format);
	void *arg;                   /* borrowed */
	const struct config *config; /* borrowed; in force; NULL: none yet */
	struct metrics_http *http;   /* owned; NULL none */
	char *error;                 /* owned; NULL: all is well */
	struct loop_timer retry;
};

static volatile int32_t *
metrics_socket_fd(const struct metrics_socket *metrics)
{
	return &metrics->table->header->file[TABLE_FILE_METRICS];
}

static void
metrics_socket_serve(struct metrics_socket *metrics)
{
	int fd = *metrics_socket_fd(metrics);

	metrics_http_free(metrics->http);
	metrics->http = fd == -1 ? NULL : metrics_http_new(metrics->loop, fd,
	    metrics->table->header->shape.files - TABLE_LAST_FILES, metrics->take, metrics->arg);
}

/* Whether the socket that is there, or its absence, is what the configuration says. */
static bool
metrics_socket_is(const struct metrics_socket *metrics, const struct config *config)
{
	int fd = *metrics_socket_fd(metrics);

	return config->metrics_listen == NULL ? fd == -1 : metrics_listener_is_at(fd, config->metrics_listen) &&
	    metrics_listener_is_there(fd, &metrics->table->header->metrics_place);
}

/* What a dead worker had opened already, or a new one.  NULL or what is wrong. */
static char *
metrics_socket_open(const struct metrics_socket *metrics, const struct config *config, int *ret_fd)
{
	struct sockaddr_un name;
	socklen_t length;
	char *wrong = NULL;

	*ret_fd = -1;
	if (metrics_listener_name_unix(config->metrics_listen, &name, &length))
		*ret_fd = recover_take_stray(metrics->table, &name, length);
	if (*ret_fd == -1)
		wrong = metrics_listener_open(config->metrics_listen, config->runtime_directory, ret_fd);
	return wrong;
}

char *
metrics_socket_prepare(const struct metrics_socket *metrics, const struct config *config, int *ret_fd)
{
	char *wrong, *error;

	*ret_fd = -1;
	if (config->metrics_listen == NULL || metrics_socket_is(metrics, config))
		return NULL;
	wrong = metrics_socket_open(metrics, config, ret_fd);
	if (wrong == NULL) {
		table_note_file(metrics->table, *ret_fd);
		CRASH_POINT(METRICS_OPENED);
		return NULL;
	}
	error = mem_print("metrics.listen: %s", wrong);
	mem_free(wrong);
	return error;
}

/* The path goes first: a new worker knows it by nothing but the file.  The old one is shut before it is un-named: the
 * next worker closes it.  The place changes while no number is named, or it would be taken for another file's. */
void
metrics_socket_change(struct metrics_socket *metrics, const struct config *config, int fd)
{
	struct place *place = &metrics->table->header->metrics_place;
	volatile int32_t *named = metrics_socket_fd(metrics);
	int before = *named;

	if (fd == -1 && metrics_socket_is(metrics, config))
		return;
	metrics_listener_unlink(before, place);
	if (before != -1)
		listener_shut(before);
	*named = -1;
	table_barrier();
	CRASH_POINT(METRICS_UNNAMED);
	metrics_listener_place(fd, place);
	table_barrier();
	CRASH_POINT(METRICS_PLACED);
	*named = fd;
	CRASH_POINT(METRICS_NAMED);
	metrics_socket_serve(metrics);
	if (before != -1)
		close(before);
}

void
metrics_socket_undo(int fd)
{
	struct place place;

	if (fd == -1)
		return;
	metrics_listener_place(fd, &place);
	metrics_listener_unlink(fd, &place);
	close(fd);
}

/* Takes the text over; NULL: all is well.  Told once for each reason. */
static void
metrics_socket_note(struct metrics_socket *metrics, char *wrong)
{
	char *before = metrics->error;

	if (wrong != NULL && (before == NULL || strcmp(before, wrong) != 0))
		log_error(NULL, "%s; it is tried again every %d s", wrong, (int)(METRICS_RETRY / CLOCK_SECOND));
	else if (wrong == NULL && before != NULL)
		log_notice(NULL, "metrics.listen: the socket is open now");
	metrics->error = wrong;
	mem_free(before);
	loop_timer_at(&metrics->retry, wrong == NULL ? CLOCK_NEVER : clock_now() + METRICS_RETRY);
}

static void
metrics_socket_try(void *arg)
{
	struct metrics_socket *metrics = arg;
	char *wrong;
	int opened;

	if (metrics->table->header->stop_deadline != 0)
		return;
	wrong = metrics_socket_prepare(metrics, metrics->config, &opened);
	if (wrong == NULL)
		metrics_socket_change(metrics, metrics->config, opened);
	metrics_socket_note(metrics, wrong);
}

void
metrics_socket_set(struct metrics_socket *metrics, const struct config *config)
{
	metrics->config = config;
	metrics_socket_try(metrics);
}

void
metrics_socket_look(struct metrics_socket *metrics, char ret_path[METRICS_SOCKET_PATH])
{
	const char *listen = metrics->config->metrics_listen;
	bool gone = *metrics_socket_fd(metrics) != -1 && !metrics_socket_is(metrics, metrics->config);
	bool tried = metrics->error != NULL;
	struct sockaddr_un name = { .sun_path = "" };
	socklen_t length;

	if (tried != gone)
		metrics_socket_try(metrics);
	if (gone && !tried && metrics->error == NULL)
		log_warning(NULL, "metrics.listen: socket %s was removed; created again", listen);
	if (listen == NULL || !metrics_listener_name_unix(listen, &name, &length))
		name.sun_path[0] = '\0';
	snprintf(ret_path, METRICS_SOCKET_PATH, "%s", name.sun_path);
}

const char *
metrics_socket_error(const struct metrics_socket *metrics)
{
	return metrics->error;
}

struct metrics_socket *
metrics_socket_new(struct event_base *loop, struct table *table,
    struct metrics *(*take)(void *arg, enum metrics_format format), void *arg)
{
	struct metrics_socket *metrics = mem_new(1, sizeof *metrics);

	*metrics = (struct metrics_socket){ .loop = loop, .table = table, .take = take, .arg = arg };
	loop_timer_init(&metrics->retry, loop, metrics_socket_try, metrics);
	metrics_socket_serve(metrics);
	return metrics;
}

void
metrics_socket_free(struct metrics_socket *metrics)
{
	if (metrics == NULL)
		return;
	loop_timer_stop(&metrics->retry);
	mem_free(metrics->error);
	metrics_http_free(metrics->http);
	metrics_listener_unlink(*metrics_socket_fd(metrics), &metrics->table->header->metrics_place);
	mem_free(metrics);
}

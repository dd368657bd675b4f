#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "client/listener.h"
#include "client/metrics_listener.h"
#include "daemon/daemon_parts.h"
#include "keep/crash.h"
#include "keep/recover.h"

#define METRICS_RETRY (10 * CLOCK_SECOND)

static volatile int32_t *
daemon_metrics_fd(const struct daemon *daemon)
{
	return &daemon->table->header->file[TABLE_FILE_METRICS];
}

static struct metrics *
daemon_take_metrics(void *arg, enum metrics_format format)
{
	const struct daemon *daemon = arg;

	return commands_take_metrics(&daemon->commands, format);
}

static void
daemon_serve_metrics(struct daemon *daemon)
{
	metrics_http_free(daemon->metrics);
	daemon->metrics = NULL;
	if (*daemon_metrics_fd(daemon) != -1)
		daemon->metrics = metrics_http_new(daemon->loop, *daemon_metrics_fd(daemon),
		    daemon->table->header->shape.files - TABLE_LAST_FILES, daemon_take_metrics, daemon);
}

/* Whether the socket that is there, or its absence, is what the configuration says. */
static bool
daemon_has_metrics(const struct daemon *daemon, const struct config *config)
{
	int fd = *daemon_metrics_fd(daemon);

	return config->metrics_listen == NULL ? fd == -1 : metrics_listener_is_at(fd, config->metrics_listen) &&
	    metrics_listener_is_there(fd, &daemon->table->header->metrics_place);
}

/* What a dead worker had opened already, or a new one.  NULL or what is wrong. */
static char *
daemon_open_metrics(const struct daemon *daemon, const struct config *config, int *ret_fd)
{
	struct sockaddr_un name;
	socklen_t length;
	char *wrong = NULL;

	*ret_fd = -1;
	if (metrics_listener_name_unix(config->metrics_listen, &name, &length))
		*ret_fd = recover_take_stray(daemon->table, &name, length);
	if (*ret_fd == -1)
		wrong = metrics_listener_open(config->metrics_listen, config->runtime_directory, ret_fd);
	return wrong;
}

char *
daemon_prepare_metrics(const struct daemon *daemon, const struct config *config, int *ret_fd)
{
	char *wrong, *error;

	*ret_fd = -1;
	if (config->metrics_listen == NULL || daemon_has_metrics(daemon, config))
		return NULL;
	wrong = daemon_open_metrics(daemon, config, ret_fd);
	if (wrong == NULL) {
		table_note_file(daemon->table, *ret_fd);
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
daemon_change_metrics(struct daemon *daemon, const struct config *config, int fd)
{
	struct place *place = &daemon->table->header->metrics_place;
	volatile int32_t *named = daemon_metrics_fd(daemon);
	int before = *named;

	if (fd == -1 && daemon_has_metrics(daemon, config))
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
	daemon_serve_metrics(daemon);
	if (before != -1)
		close(before);
}

void
daemon_undo_metrics(int fd)
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
daemon_note_metrics(struct daemon *daemon, char *wrong)
{
	char *before = daemon->metrics_error;

	if (wrong != NULL && (before == NULL || strcmp(before, wrong) != 0))
		log_error(NULL, "%s; it is tried again every %d s", wrong, (int)(METRICS_RETRY / CLOCK_SECOND));
	else if (wrong == NULL && before != NULL)
		log_notice(NULL, "metrics.listen: the socket is open now");
	daemon->metrics_error = wrong;
	mem_free(before);
	loop_timer_at(&daemon->metrics_retry, wrong == NULL ? CLOCK_NEVER : clock_now() + METRICS_RETRY);
}

void
daemon_on_metrics_retry(void *arg)
{
	struct daemon *daemon = arg;
	char *wrong;
	int opened;

	if (daemon->stopping)
		return;
	wrong = daemon_prepare_metrics(daemon, daemon->config, &opened);
	if (wrong == NULL)
		daemon_change_metrics(daemon, daemon->config, opened);
	daemon_note_metrics(daemon, wrong);
}

void
daemon_look_after_metrics(struct daemon *daemon)
{
	const char *listen = daemon->config->metrics_listen;
	struct sockaddr_un name;
	socklen_t length;
	bool gone = *daemon_metrics_fd(daemon) != -1 && !daemon_has_metrics(daemon, daemon->config);

	if (daemon->metrics_error == NULL && gone) {
		daemon_on_metrics_retry(daemon);
		if (daemon->metrics_error == NULL)
			log_warning(NULL, "metrics.listen: socket %s was removed; created again", listen);
	} else if (daemon->metrics_error != NULL && !gone) {
		daemon_on_metrics_retry(daemon);
	}
	watch_path(daemon->metrics_watch, listen != NULL && metrics_listener_name_unix(listen, &name, &length) ?
	    name.sun_path : "", false);
}

void
daemon_start_metrics(struct daemon *daemon)
{
	daemon_serve_metrics(daemon);
	daemon_on_metrics_retry(daemon);
}

void
daemon_end_metrics(struct daemon *daemon)
{
	loop_timer_stop(&daemon->metrics_retry);
	mem_free(daemon->metrics_error);
	metrics_http_free(daemon->metrics);
	metrics_listener_unlink(*daemon_metrics_fd(daemon), &daemon->table->header->metrics_place);
}

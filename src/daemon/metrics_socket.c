#include "daemon/metrics_socket.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/metrics_listener.h"

#define METRICS_RETRY (10 * CLOCK_SECOND)

struct metrics_socket {
	struct event_base *loop;     /* borrowed */
	struct table *table;         /* borrowed */
	void (*answer)(void *arg, const struct http_asked *asked, struct http_answer *ret_answer);
	void *arg;                   /* borrowed */
	struct listener_settings settings; /* its path is owned */
	struct listen_socket *socket; /* owned; NULL: none is wanted */
	struct http *http;           /* owned; NULL none */
};

static void
metrics_socket_listen(void *arg, int fd, bool last)
{
	struct metrics_socket *metrics = arg;

	(void)last; /* whoever has connected asks again */
	http_free(metrics->http);
	metrics->http = fd == -1 ? NULL : http_new(metrics->loop, fd,
	    metrics->table->shape.files - TABLE_LAST_FILES, metrics->answer, metrics->arg);
}

static void
metrics_socket_tell(void *arg, enum listen_socket_news news, const char *text)
{
	(void)arg;
	if (news == LISTEN_SOCKET_FAILED)
		log_error(NULL, "%s; it is tried again every %d s", text, (int)(METRICS_RETRY / CLOCK_SECOND));
	else if (news == LISTEN_SOCKET_OPEN)
		log_notice(NULL, "metrics.listen: the socket is open now");
	else
		log_warning(NULL, "metrics.listen: socket unix:%s was removed; created again", text);
}

char *
metrics_socket_prepare(const struct metrics_socket *metrics, const struct config *config,
    struct prepared_socket *ret_prepared)
{
	const struct table_socket *record = &metrics->table->header->metrics;
	struct listener_settings settings;
	char *wrong = NULL, *error = NULL;

	if (config->metrics_listen == NULL)
		return NULL;
	metrics_listener_settings(config->metrics_listen, &settings);
	if (!listen_socket_is_named(record, settings.path) || listen_socket_is_missing(metrics->socket))
		wrong = listen_socket_prepare(metrics->table, LISTEN_SOCKET_METRICS, NULL, &settings,
		    config->runtime_directory, ret_prepared);
	if (wrong != NULL)
		error = mem_print("metrics.listen: %s", wrong);
	mem_free(wrong);
	mem_free(settings.path);
	return error;
}

static struct listen_socket *
metrics_socket_make(struct metrics_socket *metrics, const char *runtime_directory)
{
	struct listen_socket_user user = { .kind = LISTEN_SOCKET_METRICS, .record = &metrics->table->header->metrics,
		.wrong = "metrics.listen: ", .listen = metrics_socket_listen, .tell = metrics_socket_tell,
		.arg = metrics };

	return listen_socket_new(metrics->loop, metrics->table, runtime_directory, &user);
}

void
metrics_socket_set(struct metrics_socket *metrics, const struct config *config, struct prepared_socket *prepared)
{
	char *before = metrics->settings.path;

	metrics->settings.path = NULL;
	if (metrics->socket == NULL)
		metrics->socket = metrics_socket_make(metrics, config->runtime_directory);
	if (config->metrics_listen == NULL) {
		listen_socket_close(metrics->socket);
		metrics->socket = NULL;
	} else {
		metrics_listener_settings(config->metrics_listen, &metrics->settings);
		listen_socket_settle(metrics->socket, &metrics->settings, METRICS_RETRY, prepared);
	}
	mem_free(before);
}

struct listen_socket *
metrics_socket_listen_socket(const struct metrics_socket *metrics)
{
	return metrics->socket;
}

struct metrics_socket *
metrics_socket_new(struct event_base *loop, struct table *table,
    void (*answer)(void *arg, const struct http_asked *asked, struct http_answer *ret_answer), void *arg)
{
	struct metrics_socket *metrics = mem_new(1, sizeof *metrics);

	*metrics = (struct metrics_socket){ .loop = loop, .table = table, .answer = answer, .arg = arg };
	return metrics;
}

void
metrics_socket_free(struct metrics_socket *metrics)
{
	if (metrics == NULL)
		return;
	listen_socket_close(metrics->socket);
	mem_free(metrics->settings.path);
	mem_free(metrics);
}

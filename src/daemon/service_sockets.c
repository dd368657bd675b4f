#include "daemon/service_sockets.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "upstream/upstream.h"

struct service_socket {
	struct service_sockets *all;  /* borrowed */
	unsigned i;                   /* of its listener */
	struct listen_socket *socket; /* owned; NULL: none is wanted */
};

struct service_sockets {
	struct event_base *loop;      /* borrowed */
	struct table *table;          /* borrowed */
	uint16_t index;
	struct table_service *record; /* borrowed: the table's */
	char *runtime_directory;      /* owned */
	const struct listeners_settings *listeners; /* borrowed; NULL not yet */
	int64_t delay;
	struct service_socket at[TABLE_LISTENERS];
	char *text;                   /* owned */
	void (*listen)(void *arg, unsigned i, int fd, bool last);
	void *arg;                    /* borrowed */
};

static void
service_socket_listen(void *arg, int fd, bool last)
{
	const struct service_socket *socket = arg;

	socket->all->listen(socket->all->arg, socket->i, fd, last);
}

static void
service_socket_tell(void *arg, enum listen_socket_news news, const char *text)
{
	const struct service_socket *socket = arg;
	const struct service_sockets *all = socket->all;

	if (news == LISTEN_SOCKET_OPEN && all->listeners->count == 1) {
		upstream_note(all->table, all->index, LOG_LEVEL_NOTICE, "its socket is open now");
	} else if (news == LISTEN_SOCKET_OPEN) {
		upstream_note(all->table, all->index, LOG_LEVEL_NOTICE, "socket %s is open now", text);
	} else if (news == LISTEN_SOCKET_MADE_AGAIN) {
		upstream_note(all->table, all->index, LOG_LEVEL_NOTICE, "socket %s was removed; created again", text);
	} else {
		table_history_add(all->table, all->index, UPSTREAM_NOTE, text);
		log_error(all->record->name, "%s; %s; it is tried again every %.1f s", text,
		    !listen_socket_is_shut(socket->socket) ? "the socket stays where it was" :
		    all->listeners->count == 1 ? "nobody can connect" : "nobody can connect there",
		    (double)all->delay / CLOCK_SECOND);
	}
}

struct service_sockets *
service_sockets_new(struct event_base *loop, struct table *table, uint16_t index, const char *runtime_directory,
    void (*listen)(void *arg, unsigned i, int fd, bool last), void *arg)
{
	struct service_sockets *self = mem_new(1, sizeof *self);

	*self = (struct service_sockets){ .loop = loop, .table = table, .index = index,
		.record = &table->services[index], .runtime_directory = mem_copy_text(runtime_directory),
		.listen = listen, .arg = arg };
	for (unsigned i = 0; i < TABLE_LISTENERS; i++)
		self->at[i] = (struct service_socket){ .all = self, .i = i };
	return self;
}

void
service_sockets_free(struct service_sockets *self)
{
	if (self == NULL)
		return;
	for (unsigned i = 0; i < TABLE_LISTENERS; i++)
		listen_socket_free(self->at[i].socket);
	mem_free(self->runtime_directory);
	mem_free(self->text);
	mem_free(self);
}

void
service_sockets_close(struct service_sockets *self)
{
	for (unsigned i = 0; self != NULL && i < TABLE_LISTENERS; i++) {
		listen_socket_close(self->at[i].socket);
		self->at[i].socket = NULL;
	}
	service_sockets_free(self);
}

static void
service_socket_begin(struct service_socket *socket)
{
	struct service_sockets *all = socket->all;

	if (socket->socket == NULL)
		socket->socket = listen_socket_new(all->loop, all->table, all->runtime_directory,
		    &(struct listen_socket_user){ .kind = LISTEN_SOCKET_SERVICE,
			.record = &all->record->sockets[socket->i], .name = all->record->name, .wrong = "",
			.listen = service_socket_listen, .tell = service_socket_tell, .arg = socket });
}

/* Who is left in the table by a dead worker beyond the listeners is dropped as by the reload that it was in. */
void
service_sockets_settle(struct service_sockets *self, const struct listeners_settings *listeners, int64_t delay,
    struct prepared_socket *prepared)
{
	self->listeners = listeners;
	self->delay = delay;
	for (unsigned i = 0; i < TABLE_LISTENERS; i++) {
		struct service_socket *socket = &self->at[i];

		if (i < listeners->count || self->record->sockets[i].fd != -1)
			service_socket_begin(socket);
		if (i < listeners->count) {
			listen_socket_settle(socket->socket, &listeners->at[i], delay,
			    prepared == NULL ? NULL : &prepared[i]);
		} else if (socket->socket != NULL) {
			listen_socket_drop(socket->socket);
			socket->socket = NULL;
		} else if (self->record->sockets[i].length > 0) { /* it was given away */
			self->record->sockets[i] = (struct table_socket){ .fd = -1 };
		}
	}
}

struct listen_socket *
service_sockets_at(const struct service_sockets *self, unsigned i)
{
	return self == NULL || i >= TABLE_LISTENERS ? NULL : self->at[i].socket;
}

void
service_sockets_look_after(struct service_sockets *self)
{
	for (unsigned i = 0; self != NULL && i < TABLE_LISTENERS; i++)
		listen_socket_look_after(self->at[i].socket);
}

void
service_sockets_retry(struct service_sockets *self)
{
	for (unsigned i = 0; self != NULL && i < TABLE_LISTENERS; i++)
		listen_socket_retry(self->at[i].socket);
}

unsigned
service_sockets_count(const struct service_sockets *self)
{
	return self->listeners->count;
}

const char *
service_sockets_path(const struct service_sockets *self, unsigned i)
{
	const struct table_socket *record = &self->record->sockets[i];

	return record->activated && record->bound.sun_path[0] != '\0' ? record->bound.sun_path :
	    self->listeners->at[i].path;
}

const char *
service_sockets_text(struct service_sockets *self)
{
	char *longer;

	if (self->listeners->count == 1)
		return service_sockets_path(self, 0);
	mem_free(self->text);
	self->text = mem_copy_text(service_sockets_path(self, 0));
	for (unsigned i = 1; i < self->listeners->count; i++) {
		longer = mem_print("%s, %s", self->text, service_sockets_path(self, i));
		mem_free(self->text);
		self->text = longer;
	}
	return self->text;
}

const char *
service_sockets_error(const struct service_sockets *self)
{
	const char *error = NULL;

	for (unsigned i = 0; self != NULL && i < TABLE_LISTENERS && error == NULL; i++)
		error = listen_socket_error(self->at[i].socket);
	return error;
}

bool
service_sockets_are_shut(const struct service_sockets *self)
{
	for (unsigned i = 0; self != NULL && i < self->listeners->count; i++)
		if (!listen_socket_is_shut(self->at[i].socket))
			return false;
	return self != NULL;
}

int64_t
service_sockets_shut_since(const struct service_sockets *self)
{
	int64_t since = 0;

	for (unsigned i = 0; i < self->listeners->count; i++)
		if (self->record->sockets[i].shut_since > since)
			since = self->record->sockets[i].shut_since;
	return since;
}

int64_t
service_sockets_next(const struct service_sockets *self)
{
	int64_t next = CLOCK_NEVER;

	for (unsigned i = 0; i < self->listeners->count; i++)
		if (listen_socket_error(self->at[i].socket) != NULL && listen_socket_next(self->at[i].socket) < next)
			next = listen_socket_next(self->at[i].socket);
	return next;
}

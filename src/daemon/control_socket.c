#include "daemon/control_socket.h"

#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "client/listener.h"
#include "keep/crash.h"
#include "keep/recover.h"

/* What a dead worker had opened already, or a new one.  NULL or what is wrong. */
static char *
control_socket_get(struct table *table, const struct config *config, int *ret_fd)
{
	struct sockaddr_un bound;
	socklen_t length;
	char *wrong = listener_name(config->control.listener.path, &bound, &length);

	if (wrong == NULL && (*ret_fd = recover_take_stray(table, &bound, length)) == -1)
		wrong = listener_open(&config->control.listener, config->runtime_directory, ret_fd, &bound, &length);
	if (wrong != NULL)
		return wrong;
	table_note_file(table, *ret_fd);
	CRASH_POINT(CONTROL_OPENED);
	return NULL;
}

/* While no number is named: the place is of the file that is named next, or it would be taken for another's. */
static void
control_socket_name(struct table *table, const struct config *config, int fd)
{
	struct table_header *header = table->header;

	place_of(config->control.listener.path, &header->control_place);
	table_barrier();
	CRASH_POINT(CONTROL_PLACED);
	header->file[TABLE_FILE_CONTROL] = fd;
	CRASH_POINT(CONTROL_NAMED);
}

char *
control_socket_open(struct table *table, const struct config *config)
{
	char *wrong = NULL;
	int fd;

	if (table->header->file[TABLE_FILE_CONTROL] == -1 && (wrong = control_socket_get(table, config, &fd)) == NULL)
		control_socket_name(table, config, fd);
	return wrong;
}

bool
control_socket_is_there(const struct table *table, const struct config *config)
{
	return place_is_at(&table->header->control_place, config->control.listener.path);
}

/* Who has connected to the old one is heard still.  It is shut before it is un-named: the next worker closes it. */
char *
control_socket_look(struct table *table, const struct config *config, struct control *control)
{
	volatile int32_t *named = &table->header->file[TABLE_FILE_CONTROL];
	int fd, before = *named;
	char *wrong, *text;

	if (control_socket_is_there(table, config))
		return NULL;
	wrong = control_socket_get(table, config, &fd);
	if (wrong != NULL) {
		text = mem_print("the control socket was removed, and cannot be created again: %s", wrong);
		mem_free(wrong);
		return text;
	}
	control_listen(control, fd);
	*named = -1;
	table_barrier();
	CRASH_POINT(CONTROL_UNNAMED);
	control_socket_name(table, config, fd);
	close(before);
	log_warning(NULL, "control socket %s was removed; created again", config->control.listener.path);
	return NULL;
}

void
control_socket_unlink(const struct table *table, const struct config *config)
{
	if (table->header->file[TABLE_FILE_CONTROL] != -1)
		place_unlink(&table->header->control_place, config->control.listener.path);
}

#include "upstream/own_socket.h"

#include <string.h>
#include <sys/stat.h>

const char own_socket_error[] = "it is one of this daemon's own sockets: a loop";

static bool
own_socket_is_there(const struct place *place, const struct stat *found)
{
	return place->inode != 0 && place->inode == found->st_ino && place->device == found->st_dev;
}

/* Records lie 50 KiB apart: each is looked at once, and none beyond the first that was never used. */
bool
own_socket_is(const struct table *table, const struct address *address)
{
	const struct sockaddr_un *socket = (const struct sockaddr_un *)(const void *)&address->socket;
	const struct table_header *header = table->header;
	struct stat found;

	if (address->kind != ADDRESS_SOCKET || socket->sun_family != AF_UNIX || stat(socket->sun_path, &found) == -1)
		return false;
	if (own_socket_is_there(&header->control_place, &found) ||
	    own_socket_is_there(&header->metrics_place, &found))
		return true;
	for (uint32_t i = 0; i < header->shape.services && table->services[i].word != 0; i++)
		if (table->services[i].listener_fd != -1 &&
		    (own_socket_is_there(&table->services[i].place, &found) ||
		    strcmp(table->services[i].bound.sun_path, socket->sun_path) == 0))
			return true;
	return false;
}

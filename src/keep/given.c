#include "keep/given.h"

#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/mem.h"

int
given_take(struct given *ret_given)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	*ret_given = (struct given){ 0 };
	if (n <= 0)
		return n;
	ret_given->files = mem_new((size_t)n, sizeof *ret_given->files);
	ret_given->count = (size_t)n;
	for (int i = 0; i < n; i++) {
		ret_given->files[i].fd = SD_LISTEN_FDS_START + i;
		ret_given->files[i].name = mem_copy_text(names[i]);
		free(names[i]);
	}
	free(names);
	return 0;
}

int
given_claim(struct given *given, const char *name)
{
	for (size_t i = 0; i < given->count; i++) {
		struct given_file *file = &given->files[i];
		int fd = file->fd;

		if (fd != -1 && strcmp(file->name, name) == 0) {
			file->fd = -1;
			return fd;
		}
	}
	return -1;
}

void
given_clear(struct given *given)
{
	for (size_t i = 0; i < given->count; i++) {
		if (given->files[i].fd != -1)
			close(given->files[i].fd);
		mem_free(given->files[i].name);
	}
	mem_free(given->files);
	*given = (struct given){ 0 };
}

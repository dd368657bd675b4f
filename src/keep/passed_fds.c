#include "keep/passed_fds.h"

#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/mem.h"

int
passed_fds_take(struct passed_fds *ret_passed_fds)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	*ret_passed_fds = (struct passed_fds){ 0 };
	if (n <= 0)
		return n;
	ret_passed_fds->files = mem_new((size_t)n, sizeof *ret_passed_fds->files);
	ret_passed_fds->count = (size_t)n;
	for (int i = 0; i < n; i++) {
		ret_passed_fds->files[i].fd = SD_LISTEN_FDS_START + i;
		ret_passed_fds->files[i].name = mem_copy_text(names[i]);
		free(names[i]);
	}
	free(names);
	return 0;
}

int
passed_fds_claim(struct passed_fds *passed_fds, const char *name)
{
	for (size_t i = 0; i < passed_fds->count; i++) {
		struct passed_fds_file *file = &passed_fds->files[i];
		int fd = file->fd;

		if (fd != -1 && strcmp(file->name, name) == 0) {
			file->fd = -1;
			return fd;
		}
	}
	return -1;
}

void
passed_fds_clear(struct passed_fds *passed_fds)
{
	for (size_t i = 0; i < passed_fds->count; i++) {
		if (passed_fds->files[i].fd != -1)
			close(passed_fds->files[i].fd);
		mem_free(passed_fds->files[i].name);
	}
	mem_free(passed_fds->files);
	*passed_fds = (struct passed_fds){ 0 };
}

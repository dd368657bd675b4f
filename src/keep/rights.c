#include "keep/rights.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct rights {
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
	struct iovec vector;
	struct msghdr header;
};

static void
rights_prepare(struct rights *rights, void *bytes, size_t length)
{
	rights->vector = (struct iovec){ .iov_base = bytes, .iov_len = length };
	rights->header = (struct msghdr){ .msg_iov = &rights->vector, .msg_iovlen = 1 };
}

static void
rights_add(struct rights *rights, const int *files, size_t size)
{
	struct cmsghdr *control;

	rights->header.msg_control = rights->control;
	rights->header.msg_controllen = CMSG_SPACE(size);
	control = CMSG_FIRSTHDR(&rights->header);
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(control), files, size);
}

int
rights_send(int fd, const struct sockaddr *to, socklen_t to_length, const char *text, const int *files,
    unsigned count)
{
	struct rights rights = { .control = "" };

	rights_prepare(&rights, (void *)text, strlen(text));
	rights.header.msg_name = (void *)to;
	rights.header.msg_namelen = to_length;
	if (count > 0)
		rights_add(&rights, files, count * sizeof *files);
	return sendmsg(fd, &rights.header, MSG_NOSIGNAL) == -1 ? -errno : 0;
}

unsigned
rights_look(int fd, int ret_files[RIGHTS_MAX])
{
	const struct cmsghdr *control;
	struct rights rights;
	size_t size;
	char byte;

	rights_prepare(&rights, &byte, sizeof byte);
	rights.header.msg_control = rights.control;
	rights.header.msg_controllen = sizeof rights.control;
	if (recvmsg(fd, &rights.header, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
		return 0;
	control = CMSG_FIRSTHDR(&rights.header);
	if (control == NULL || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
		return 0;
	size = control->cmsg_len - CMSG_LEN(0);
	memcpy(ret_files, CMSG_DATA(control), size);
	return (unsigned)(size / sizeof *ret_files);
}

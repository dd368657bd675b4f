#include "client/peer.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PEER_GROUPS_MAX 1024

int
peer_get(int fd, struct peer *ret_peer)
{
	struct ucred credentials;
	socklen_t length = sizeof credentials;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == -1)
		return -errno;
	ret_peer->pid = credentials.pid;
	ret_peer->uid = credentials.uid;
	ret_peer->gid = credentials.gid;
	return 0;
}

static bool
peer_is_number(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static bool
peer_is_user(uid_t uid, char *const *users)
{
	const struct passwd *entry;

	for (; users != NULL && *users != NULL; users++) {
		if (peer_is_number(*users)) {
			if (strtoul(*users, NULL, 10) == uid)
				return true;
		} else if ((entry = getpwnam(*users)) != NULL && entry->pw_uid == uid) {
			return true;
		}
	}
	return false;
}

static bool
peer_group_matches(gid_t gid, char *const *groups)
{
	const struct group *entry;

	for (; groups != NULL && *groups != NULL; groups++) {
		if (peer_is_number(*groups)) {
			if (strtoul(*groups, NULL, 10) == gid)
				return true;
		} else if ((entry = getgrnam(*groups)) != NULL && entry->gr_gid == gid) {
			return true;
		}
	}
	return false;
}

static bool
peer_is_in_group(int fd, const struct peer *peer, char *const *groups)
{
	gid_t supplementary[PEER_GROUPS_MAX];
	socklen_t length = sizeof supplementary;

	if (peer_group_matches(peer->gid, groups))
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, supplementary, &length) == -1)
		return false;
	for (size_t i = 0; i < length / sizeof supplementary[0]; i++)
		if (peer_group_matches(supplementary[i], groups))
			return true;
	return false;
}

bool
peer_allowed(int fd, const struct peer *peer, char *const *users, char *const *groups)
{
	bool anybody = (users == NULL || *users == NULL) && (groups == NULL || *groups == NULL);

	return anybody || peer_is_user(peer->uid, users) ||
	    (groups != NULL && *groups != NULL && peer_is_in_group(fd, peer, groups));
}

/* The process's path in the unified (or systemd's own) control group hierarchy; false if it cannot be read. */
static bool
peer_control_group(pid_t pid, char *ret_path, size_t size)
{
	char path[64], line[4096];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof line, file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0 || strstr(line, ":name=systemd:") != NULL) {
			snprintf(ret_path, size, "%s", strrchr(line, ':') + 1);
			found = strchr(ret_path, '/') != NULL;
		}
	}
	fclose(file);
	return found;
}

/* The last part of path that ends in the suffix, without what stands before prefix's end. */
static void
peer_part(const char *path, const char *prefix, const char *suffix, char ret_part[PEER_UNIT_SIZE])
{
	size_t tail = strlen(suffix);

	for (const char *part = path; part != NULL; part = strchr(part, '/')) {
		size_t length;
		const char *begin;

		part += *part == '/';
		length = strcspn(part, "/");
		begin = strncmp(part, prefix, strlen(prefix)) == 0 ? part + strlen(prefix) : NULL;
		if (begin != NULL && length >= strlen(prefix) + tail && length < PEER_UNIT_SIZE &&
		    strncmp(part + length - tail, suffix, tail) == 0)
			snprintf(ret_part, PEER_UNIT_SIZE, "%.*s", (int)(part + length - begin), begin);
	}
}

void
peer_unit(pid_t pid, char ret_unit[PEER_UNIT_SIZE])
{
	char path[4096];

	ret_unit[0] = '\0';
	if (!peer_control_group(pid, path, sizeof path))
		return;
	peer_part(path, "", ".service", ret_unit);
	if (ret_unit[0] == '\0')
		peer_part(path, "", ".scope", ret_unit);
}

void
peer_container(pid_t pid, char ret_container[PEER_UNIT_SIZE])
{
	static const char *const prefixes[] = { "docker-", "libpod-", "machine-", "cri-containerd-", "crio-" };
	char path[4096];

	ret_container[0] = '\0';
	if (!peer_control_group(pid, path, sizeof path))
		return;
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0] && ret_container[0] == '\0'; i++)
		peer_part(path, prefixes[i], ".scope", ret_container);
	if (ret_container[0] != '\0')
		ret_container[strlen(ret_container) - strlen(".scope")] = '\0';
}

void
peer_user(uid_t uid, char *ret_name, size_t size)
{
	const struct passwd *entry = getpwuid(uid);

	if (entry != NULL)
		snprintf(ret_name, size, "%s", entry->pw_name);
	else
		snprintf(ret_name, size, "%u", (unsigned)uid);
}

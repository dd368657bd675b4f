#include "client/peer.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/names.h"

#define PEER_GROUPS_MAX 1024
#define PEER_OVERFLOW   65534 /* unless the kernel says otherwise */

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

/* What the kernel shows for a user or group of another user namespace; asked once. */
static uint32_t
peer_overflow(enum names_kind kind)
{
	static const char *const paths[] = { [NAMES_USER] = "/proc/sys/kernel/overflowuid",
		[NAMES_GROUP] = "/proc/sys/kernel/overflowgid" };
	static uint32_t overflow[2]; /* 0: not read yet */
	FILE *file;

	if (overflow[kind] != 0)
		return overflow[kind];
	file = fopen(paths[kind], "re");
	if (file == NULL || fscanf(file, "%u", &overflow[kind]) != 1 || overflow[kind] == 0)
		overflow[kind] = PEER_OVERFLOW;
	if (file != NULL)
		fclose(file);
	return overflow[kind];
}

static bool
peer_is_unknown(enum names_kind kind, uint32_t id)
{
	return id == peer_overflow(kind) || id == UINT32_MAX;
}

bool
peer_is_unknown_user(uid_t uid)
{
	return peer_is_unknown(NAMES_USER, uid);
}

struct peer_rules {
	uint32_t *ids[2]; /* owned; by enum names_kind */
	size_t count[2];
};

/* false if the text is not a number; one that no user or group can have is (uid_t)-1. */
static bool
peer_parse_number(const char *text, uint32_t *ret_number)
{
	unsigned long number;

	if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
		return false;
	errno = 0;
	number = strtoul(text, NULL, 10);
	*ret_number = errno != 0 || number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
	return true;
}

static bool
peer_find(enum names_kind kind, const char *name, uint32_t *ret_id)
{
	return peer_parse_number(name, ret_id) || names_find(kind, name, ret_id);
}

bool
peer_name_is_unknown(const char *name, bool group)
{
	enum names_kind kind = group ? NAMES_GROUP : NAMES_USER;
	uint32_t id;

	return peer_find(kind, name, &id) && peer_is_unknown(kind, id);
}

struct peer_rules *
peer_rules_new(char *const *users, char *const *groups)
{
	char *const *lists[2] = { [NAMES_USER] = users, [NAMES_GROUP] = groups };
	struct peer_rules *rules;

	if (mem_list_length(users) + mem_list_length(groups) == 0)
		return NULL;
	rules = mem_new(1, sizeof *rules);
	for (int kind = 0; kind < 2; kind++) {
		size_t names = mem_list_length(lists[kind]), *count = &rules->count[kind];

		rules->ids[kind] = mem_new(names + 1, sizeof **rules->ids);
		for (size_t i = 0; i < names; i++)
			*count += peer_find((enum names_kind)kind, lists[kind][i], &rules->ids[kind][*count]);
	}
	return rules;
}

void
peer_rules_free(struct peer_rules *rules)
{
	if (rules == NULL)
		return;
	mem_free(rules->ids[NAMES_USER]);
	mem_free(rules->ids[NAMES_GROUP]);
	mem_free(rules);
}

static bool
peer_is_listed(const struct peer_rules *rules, enum names_kind kind, uint32_t id)
{
	for (size_t i = 0; i < rules->count[kind] && !peer_is_unknown(kind, id); i++)
		if (rules->ids[kind][i] == id)
			return true;
	return false;
}

static bool
peer_is_in_group(const struct peer_rules *rules, int fd, const struct peer *peer)
{
	gid_t supplementary[PEER_GROUPS_MAX];
	socklen_t length = sizeof supplementary;

	if (peer_is_listed(rules, NAMES_GROUP, peer->gid))
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, supplementary, &length) == -1)
		return false;
	for (size_t i = 0; i < length / sizeof supplementary[0]; i++)
		if (peer_is_listed(rules, NAMES_GROUP, supplementary[i]))
			return true;
	return false;
}

bool
peer_rules_allow(const struct peer_rules *rules, int fd, const struct peer *peer)
{
	return rules == NULL || peer_is_listed(rules, NAMES_USER, peer->uid) ||
	    (rules->count[NAMES_GROUP] > 0 && peer_is_in_group(rules, fd, peer));
}

bool
peer_allowed(int fd, const struct peer *peer, char *const *users, char *const *groups)
{
	struct peer_rules *rules = peer_rules_new(users, groups);
	bool allowed = peer_rules_allow(rules, fd, peer);

	peer_rules_free(rules);
	return allowed;
}

/* Where a line of /proc/PID/cgroup tells the path in a hierarchy of systemd's; NULL if it is another's, or if systemd
 * does not use this one: both can be there. */
static const char *
peer_control_path(const char *line)
{
	static const char *const heads[] = { "0::", ":name=systemd:" };

	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		const char *head = strstr(line, heads[i]), *path = head == NULL ? NULL : head + strlen(heads[i]);

		if (path != NULL && (i > 0 || head == line) && path[0] == '/' && path[1] != '\0')
			return path;
	}
	return NULL;
}

/* The process's path in systemd's control group hierarchy; false if it cannot be read. */
static bool
peer_control_group(pid_t pid, char *ret_path, size_t size)
{
	char name[64], line[4096];
	const char *path = NULL;
	FILE *file;

	snprintf(name, sizeof name, "/proc/%d/cgroup", (int)pid);
	file = fopen(name, "re");
	if (file == NULL)
		return false;
	while (path == NULL && fgets(line, sizeof line, file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		path = peer_control_path(line);
	}
	if (path != NULL)
		snprintf(ret_path, size, "%s", path);
	fclose(file);
	return path != NULL;
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
	if (peer_is_unknown_user(uid))
		snprintf(ret_name, size, "unknown");
	else if (!names_of(NAMES_USER, uid, ret_name, size))
		snprintf(ret_name, size, "%u", (unsigned)uid);
}

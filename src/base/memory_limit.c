#include "base/memory_limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/sysinfo.h>

#include "base/file.h"

#define LIMIT_PATH 4096
#define LIMIT_FILE 8192

/* The number in a group's file; "max", or no such file, limits nothing. */
static uint64_t
limit_number(const char *folder, const char *name)
{
	char path[LIMIT_PATH + 64], text[64];
	uint64_t number;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	file_read(path, text, sizeof text);
	return sscanf(text, "%" SCNu64, &number) == 1 && number > 0 ? number : UINT64_MAX;
}

/* Of this group and all above it.  Within a container the path may be that of the host: then the part of it that is
 * there counts, the hierarchy's own root at least. */
static uint64_t
limit_walk(const char *hierarchy, const char *group)
{
	static const char *const names[] = { "memory.max", "memory.high", "memory.limit_in_bytes" };
	uint64_t limit = UINT64_MAX, number;
	char folder[LIMIT_PATH];
	size_t root = strlen(hierarchy);
	char *slash;

	snprintf(folder, sizeof folder, "%s%s", hierarchy, strcmp(group, "/") == 0 ? "" : group);
	for (;;) {
		for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
			number = limit_number(folder, names[i]);
			limit = MIN(limit, number);
		}
		slash = strrchr(folder, '/');
		if (slash == NULL || (size_t)(slash - folder) < root)
			return limit;
		*slash = '\0';
	}
}

/* "4:memory:/path" of version 1, "0::/path" of version 2. */
static uint64_t
limit_of_line(char *line, const char *root)
{
	char *controllers = strchr(line, ':'), *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
	char hierarchy[LIMIT_PATH], list[256];

	if (path == NULL)
		return UINT64_MAX;
	*path++ = '\0';
	if (*++controllers == '\0')
		return limit_walk(root, path);
	snprintf(list, sizeof list, ",%s,", controllers);
	if (strstr(list, ",memory,") == NULL)
		return UINT64_MAX;
	snprintf(hierarchy, sizeof hierarchy, "%s/memory", root);
	return limit_walk(hierarchy, path);
}

uint64_t
memory_limit_of(const char *groups, const char *root)
{
	uint64_t limit = UINT64_MAX, found;
	char text[LIMIT_FILE];
	char *rest, *line;

	snprintf(text, sizeof text, "%s", groups);
	for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		found = limit_of_line(line, root);
		limit = MIN(limit, found);
	}
	return limit;
}

uint64_t
memory_limit(void)
{
	struct sysinfo info;
	char groups[LIMIT_FILE];
	uint64_t machine = sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : UINT64_MAX, limit;

	file_read("/proc/self/cgroup", groups, sizeof groups);
	limit = memory_limit_of(groups, "/sys/fs/cgroup");
	return MIN(machine, limit);
}

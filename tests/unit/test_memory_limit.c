/* base/memory_limit: the least of what the groups and the machine allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory_limit.h"

static char root[64];

static int
set_up(void **state)
{
	(void)state;
	strcpy(root, "/tmp/holdfast-limit.XXXXXX");
	return mkdtemp(root) == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command);
}

/* Writes a file below root, with the folders that it needs. */
static void
place(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", root, name);
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void
the_least_limit_on_the_way_to_the_root_counts(void **state)
{
	(void)state;
	place("system.slice/memory.max", "50000000\n");
	place("system.slice/holdfast.service/memory.max", "max\n");
	assert_int_equal(memory_limit_of("0::/system.slice/holdfast.service\n", root), 50000000);
	place("system.slice/holdfast.service/memory.max", "40000000\n");
	assert_int_equal(memory_limit_of("0::/system.slice/holdfast.service\n", root), 40000000);
}

static void
what_is_throttled_counts_as_a_limit(void **state)
{
	(void)state;
	place("a/memory.max", "50000000\n");
	place("a/memory.high", "30000000\n");
	assert_int_equal(memory_limit_of("0::/a\n", root), 30000000);
}

static void
a_container_that_does_not_see_its_path_has_the_root_s_limit(void **state)
{
	(void)state;
	place("memory.max", "60000000\n");
	assert_int_equal(memory_limit_of("0::/kubepods/pod1/not-here\n", root), 60000000);
	assert_int_equal(memory_limit_of("0::/\n", root), 60000000);
}

static void
version_1_has_a_hierarchy_of_its_own(void **state)
{
	(void)state;
	place("memory/box/memory.limit_in_bytes", "70000000\n");
	place("cpu/box/memory.limit_in_bytes", "1\n");
	assert_int_equal(memory_limit_of("5:cpu,cpuacct:/box\n4:memory:/box\n", root), 70000000);
}

static void
nothing_that_can_be_read_limits_nothing(void **state)
{
	(void)state;
	assert_true(memory_limit_of("", root) == UINT64_MAX);
	assert_true(memory_limit_of("nonsense\n:\n::\n4:memory\n", root) == UINT64_MAX);
	place("b/memory.max", "nonsense\n");
	assert_true(memory_limit_of("0::/b\n", root) == UINT64_MAX);
}

static void
this_machine_has_some(void **state)
{
	(void)state;
	assert_true(memory_limit() > 1 << 20);
	assert_true(memory_limit() < UINT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_least_limit_on_the_way_to_the_root_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_throttled_counts_as_a_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_container_that_does_not_see_its_path_has_the_root_s_limit, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(version_1_has_a_hierarchy_of_its_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_that_can_be_read_limits_nothing, set_up, tear_down),
		cmocka_unit_test(this_machine_has_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

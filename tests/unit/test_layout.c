/* The layout of what outlives a program: another build of the same number must read it as it stands (U4).
 *
 * Who has changed one of these sizes raises TABLE_LAYOUT, adds at the ends of records only, and writes the new
 * numbers here.  A number that was released is never used for another layout.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keep/table.h"
#include "upstream/record.h"

static void
u4_layout_8(void **state)
{
	(void)state;
#if !defined(__x86_64__) || defined(HOLDFAST_TINY_BUFFERS) || defined(HOLDFAST_NEXT_LAYOUT)
	skip();
#endif
	assert_int_equal(TABLE_LAYOUT, 8);
	assert_int_equal(sizeof(struct table_shape), 64);
	assert_int_equal(sizeof(struct table_header), 28680);
	assert_int_equal(sizeof(struct table_client), 64);
	assert_int_equal(sizeof(struct table_conn), 32);
	assert_int_equal(sizeof(struct table_buffer), 8);
	assert_int_equal(sizeof(struct table_service), 85184);
	assert_int_equal(offsetof(struct table_service, shared), 2008);
	assert_int_equal(offsetof(struct table_service, upstream), 19072);
	assert_int_equal(sizeof(struct upstream_record), 64744);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(u4_layout_8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

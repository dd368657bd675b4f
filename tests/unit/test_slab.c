/* Objects that are used again, in blocks that go when they are empty. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <string.h>

#include "base/slab.h"

#define MANY 1000

static void
an_object_is_used_again_and_is_zeroed(void **state)
{
	struct slab slab = { .size = 100, .number = 4 };
	unsigned char *one = slab_take(&slab), zero[100] = { 0 };

	(void)state;
	assert_int_equal((uintptr_t)one % _Alignof(max_align_t), 0);
	memset(one, 7, 100);
	slab_give(&slab, one);
	assert_ptr_equal(slab_take(&slab), one);
	assert_memory_equal(one, zero, 100);
	slab_give(&slab, one);
	slab_give(&slab, NULL);
	slab_clear(&slab);
}

static void
no_two_share_a_byte(void **state)
{
	struct slab slab = { .size = 33, .number = 7 };
	unsigned char *object[MANY];

	(void)state;
	for (int i = 0; i < MANY; i++)
		memset(object[i] = slab_take(&slab), i, 33);
	for (int i = 0; i < MANY; i += 2)
		slab_give(&slab, object[i]);
	for (int i = 0; i < MANY; i += 2)
		memset(object[i] = slab_take(&slab), i, 33);
	for (int i = 0; i < MANY; i++)
		for (int j = 0; j < 33; j++)
			assert_int_equal(object[i][j], (unsigned char)i);
	for (int i = 0; i < MANY; i++)
		slab_give(&slab, object[i]);
	slab_clear(&slab);
}

static void
the_memory_of_those_who_have_gone_is_free(void **state)
{
	struct slab slab = { .size = 1000, .number = 16 };
	void *object[MANY];
	size_t before = mallinfo2().uordblks;

	(void)state;
	if (before == 0)
		skip(); /* a sanitizer's memory is not counted */
	for (int i = 0; i < MANY; i++)
		object[i] = slab_take(&slab);
	assert_true(mallinfo2().uordblks - before > MANY * 1000);
	for (int i = 0; i < MANY; i++)
		slab_give(&slab, object[i]);
	assert_true(mallinfo2().uordblks - before < 2 * 16 * 1100); /* one block is kept */
	slab_clear(&slab);
	assert_true(mallinfo2().uordblks <= before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_is_used_again_and_is_zeroed),
		cmocka_unit_test(no_two_share_a_byte),
		cmocka_unit_test(the_memory_of_those_who_have_gone_is_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

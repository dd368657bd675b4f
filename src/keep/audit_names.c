#include "keep/audit_names.h"

#include "base/mem.h"

void
audit_names_new(struct audit_names *names, uint32_t count)
{
	names->count = count;
	names->once = mem_new(count / 8 + 1, 1);
	names->twice = mem_new(count / 8 + 1, 1);
}

void
audit_names_free(struct audit_names *names)
{
	mem_free(names->once);
	mem_free(names->twice);
}

void
audit_names_add(struct audit_names *names, uint32_t number)
{
	unsigned char bit = (unsigned char)(1u << (number % 8));

	if (names->once[number / 8] & bit)
		names->twice[number / 8] |= bit;
	names->once[number / 8] |= bit;
}

bool
audit_names_several(const struct audit_names *names, uint32_t number)
{
	return names->twice[number / 8] >> (number % 8) & 1;
}

bool
audit_names_has(const struct audit_names *names, uint32_t number)
{
	return names->once[number / 8] >> (number % 8) & 1;
}

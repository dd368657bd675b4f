/* What a catalog's file or a script's line says: whatever is taken can be written again, and then says the same. */
#include <assert.h>
#include <stdio.h>

#include "base/address.h"
#include "base/clock.h"
#include "pieces.h"
#include "upstream/entry.h"

static void
check_line(const char *text, bool with_ttl)
{
	char line[1024], again[ADDRESS_TEXT_SIZE + 80];
	struct endpoint_listed listed, second;
	int64_t ttl = CLOCK_NEVER, second_ttl;
	int length;

	snprintf(line, sizeof line, "%s", text);
	length = (int)strlen(line);
	while (!with_ttl && length > 0 && strchr(" \t", line[length - 1]) != NULL) /* as of a script's line */
		line[--length] = '\0';
	if (entry_parse(line, &listed, with_ttl ? &ttl : NULL) != NULL)
		return;
	assert(ttl > 0);
	address_format(&listed.address, again);
	length = (int)strlen(again);
	snprintf(again + length, sizeof again - (size_t)length, " priority=%u weight=%u", listed.priority,
	    listed.weight);
	assert(entry_parse(again, &second, with_ttl ? &second_ttl : NULL) == NULL);
	assert(address_equal(&listed.address, &second.address));
	assert(second.priority == listed.priority && second.weight == listed.weight);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[1000];

	if (size >= sizeof text || memchr(data, '\0', size) != NULL || memchr(data, '\n', size) != NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	check_line(text, true);
	check_line(text, false);
	return 0;
}

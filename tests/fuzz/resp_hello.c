/* Texts of hello.  They come from the configuration, but from a file perhaps; nothing in them may harm. */
#include "framing/resp_command.h"
#include "pieces.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resp_connection connection = { .protocol = 2 };

	resp_note_hello(data, size, &connection);
	assert(connection.protocol == 2 || connection.protocol == 3);
	assert(connection.database <= 999999999);
	return 0;
}

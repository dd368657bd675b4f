/* line: a message ends with "\n".  A "\r" before it is content, as any other byte is. */
#include <string.h>

#include "framing/framing.h"

static enum framing_result
line_parse(struct framing_progress *progress, const unsigned char *bytes, size_t length, size_t max,
    size_t *ret_length)
{
	size_t view = length > max ? max + 1 : length;
	const unsigned char *end;

	if (progress->at < view) {
		end = memchr(bytes + progress->at, '\n', view - progress->at);
		if (end != NULL) {
			*ret_length = (size_t)(end - bytes) + 1;
			return FRAMING_WHOLE;
		}
		progress->at = view;
	}
	return length > max ? FRAMING_TOO_LONG : FRAMING_MORE;
}

static size_t
line_wrap(const unsigned char *contents, size_t length, unsigned char *to)
{
	if (length > 0 && memchr(contents, '\n', length) != NULL)
		return 0;
	if (length > 0)
		memcpy(to, contents, length);
	to[length] = '\n';
	return length + 1;
}

static size_t
line_unwrap(const unsigned char *message, size_t length, size_t *ret_length)
{
	(void)message;
	*ret_length = length - 1;
	return 0;
}

const struct framing framing_line = {
	.name = "line",
	.request = line_parse,
	.reply = line_parse,
	.wrap = line_wrap,
	.unwrap = line_unwrap,
};

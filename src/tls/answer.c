#include "tls/answer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"

#define ANSWER_PEER_SIZE 400
#define ANSWER_ALPN_SIZE 260

static void
answer_put_end(char *line, const char *name, int64_t seconds)
{
	size_t length = strlen(line);

	if (seconds != ANSWER_NO_END)
		snprintf(line + length, ANSWER_SIZE - length, " %s=%" PRId64, name, seconds);
}

size_t
answer_ok(const struct answer *answer, char ret_line[ANSWER_SIZE])
{
	char peer[ANSWER_PEER_SIZE], alpn[ANSWER_ALPN_SIZE];
	size_t length;

	escape(answer->peer, strlen(answer->peer), ESCAPE_ASCII | ESCAPE_QUOTED, peer, sizeof peer);
	escape(answer->alpn, strlen(answer->alpn), ESCAPE_ASCII | ESCAPE_QUOTED, alpn, sizeof alpn);
	snprintf(ret_line, ANSWER_SIZE, "ok protocol=%.16s cipher=%.64s peer=\"%s\" resumed=%d alpn=\"%s\"",
	    answer->protocol, answer->cipher, peer, answer->resumed, alpn);
	answer_put_end(ret_line, "expires", answer->expires);
	answer_put_end(ret_line, "own_expires", answer->own_expires);
	length = strlen(ret_line);
	ret_line[length] = '\n';
	ret_line[length + 1] = '\0';
	return length + 1;
}

size_t
answer_checked(int64_t own_expires, char ret_line[ANSWER_SIZE])
{
	strcpy(ret_line, "ok");
	answer_put_end(ret_line, "own_expires", own_expires);
	return strlen(strcat(ret_line, "\n"));
}

size_t
answer_error(const struct failure *failure, char ret_line[ANSWER_SIZE])
{
	char text[ANSWER_SIZE - 32];

	escape(failure->text, strlen(failure->text), ESCAPE_ASCII, text, sizeof text);
	return (size_t)snprintf(ret_line, ANSWER_SIZE, "error %.16s %s\n", failure->kind, text);
}

bool
failure_set(struct failure *ret_failure, const char *kind, const char *format, ...)
{
	va_list args;

	ret_failure->kind = kind;
	va_start(args, format);
	vsnprintf(ret_failure->text, sizeof ret_failure->text, format, args);
	va_end(args);
	return false;
}

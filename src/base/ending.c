#include "base/ending.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Why execve did not come about, in words that say what to mend. */
static const char *
ending_of_exec(int error, const char *program)
{
	struct stat st;
	bool exists = stat(program, &st) == 0;

	if (error == EACCES && exists)
		return S_ISDIR(st.st_mode) ? "is a directory" : "not executable: Permission denied";
	if (error == ENOENT && exists)
		return "its interpreter (the #! line): No such file or directory";
	return strerror(error);
}

void
ending_describe(int status, int exec_error, const char *program, char ret_text[ENDING_TEXT_SIZE])
{
	const char *name;

	ret_text[0] = '\0';
	if (status == -1 && exec_error == 0) {
		snprintf(ret_text, ENDING_TEXT_SIZE, "its end was lost");
	} else if (status == -1) {
		snprintf(ret_text, ENDING_TEXT_SIZE, "%s", ending_of_exec(exec_error, program));
	} else if (WIFSIGNALED(status)) {
		name = sigabbrev_np(WTERMSIG(status));
		snprintf(ret_text, ENDING_TEXT_SIZE, "killed by SIG%s", name != NULL ? name : "?");
	} else if (WEXITSTATUS(status) != 0) {
		snprintf(ret_text, ENDING_TEXT_SIZE, "exit %d", WEXITSTATUS(status));
	}
}

void
ending_last_line(const char *text, size_t length, char ret_line[ENDING_LINE_SIZE])
{
	size_t begin, n = 0;

	while (length > 0 && memchr(" \t\r\n", text[length - 1], 4) != NULL)
		length--;
	for (begin = length; begin > 0 && text[begin - 1] != '\n'; begin--)
		continue;
	for (; begin < length && n + 4 < ENDING_LINE_SIZE; begin++) {
		unsigned char byte = (unsigned char)text[begin];

		if (byte >= ' ' && byte < 0x7f)
			ret_line[n++] = (char)byte;
		else
			n += (size_t)snprintf(ret_line + n, 5, "\\x%02x", byte);
	}
	ret_line[n] = '\0';
}

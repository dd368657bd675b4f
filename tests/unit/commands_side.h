/* commands_side.h - one who asks the daemon's commands over the control socket. */
#ifndef HOLDFAST_TESTS_COMMANDS_SIDE_H
#define HOLDFAST_TESTS_COMMANDS_SIDE_H

#include "control_side.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The answer to one command over a connection of its own. */
static inline json_t *
ask(const char *line)
{
	int fd = side_client();
	json_t *answer;

	side_put(fd, line);
	side_put(fd, "\n");
	answer = side_get(fd);
	close(fd);
	assert_non_null(answer);
	return answer;
}

/* The object has this JSON as its member. */
static inline void
answer_is(const json_t *object, const char *key, const char *value)
{
	char *text = json_dumps(json_object_get(object, key), JSON_COMPACT | JSON_ENCODE_ANY);

	if (text == NULL || strcmp(text, value) != 0)
		fail_msg("%s is %s, not %s", key, text == NULL ? "not there" : text, value);
	free(text);
}

/* The answer has it. */
static inline void
expect(const char *line, const char *key, const char *value)
{
	json_t *answer = ask(line);

	answer_is(answer, key, value);
	json_decref(answer);
}

#endif

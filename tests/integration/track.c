/* track - says what framing/resp_command.h and framing/resp_track.h know, for a real Redis to compare with.
 *
 * track judge: reads a request's words, a line each, up to an empty line, and prints what is done with it.
 * track follow: reads "> LENGTH\n" or "< LENGTH\n" and so many bytes, which a connection has carried to the server or
 * from it, and prints "free", or what stands against it: the states' bits and whether something is owed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "framing/resp_track.h"

#define REQUEST_SIZE 65536

static void
print_judgement(const char *request, size_t length)
{
	static const char *const verdicts[] = { [FRAMING_FORWARD] = "forward", [FRAMING_ANSWER] = "answer",
		[FRAMING_QUIT] = "quit", [FRAMING_REFUSE] = "refuse", [FRAMING_SKIP] = "skip",
		[FRAMING_OWN] = "own" };
	static const struct resp_connection shared = { .protocol = 2 };
	struct resp_judgement refused = { .protocol = 2 }, judgement = { .protocol = 2 };
	enum framing_verdict on_refuse, on_own;

	on_refuse = resp_judge((const unsigned char *)request, length, &shared, RESP_ON_STATE_REFUSE, &refused);
	on_own = resp_judge((const unsigned char *)request, length, &shared, RESP_ON_STATE_OWN, &judgement);
	printf("%s %s %d %s\n", verdicts[on_own], verdicts[on_refuse], judgement.effect,
	    judgement.no_order ? "no_order" : "ordered");
	fflush(stdout);
}

static int
judge(void)
{
	char line[1024], words[REQUEST_SIZE], request[REQUEST_SIZE + 32];
	size_t count = 0, length = 0;

	while (fgets(line, sizeof line, stdin) != NULL) {
		size_t word = strcspn(line, "\n");

		if (word > 0) {
			length += (size_t)snprintf(words + length, sizeof words - length, "$%zu\r\n%.*s\r\n", word,
			    (int)word, line);
			count++;
			continue;
		}
		length = (size_t)snprintf(request, sizeof request, "*%zu\r\n%.*s", count, (int)length, words);
		print_judgement(request, length);
		count = length = 0;
	}
	return 0;
}

static int
follow(unsigned database, unsigned protocol)
{
	const struct resp_connection shared = { .database = database, .protocol = protocol };
	struct resp_track track;
	unsigned char *bytes;
	size_t length;
	char side;

	resp_track_begin(&track, &shared, protocol);
	while (scanf(" %c %zu", &side, &length) == 2 && getchar() == '\n') {
		bytes = malloc(length > 0 ? length : 1);
		if (bytes == NULL || fread(bytes, 1, length, stdin) != length)
			return 1;
		if (side == '>')
			resp_track_request(&track, bytes, length);
		else
			resp_track_reply(&track, bytes, length);
		free(bytes);
		if (resp_track_is_free(&track))
			puts("free");
		else
			printf("%#x %s\n", resp_track_states(&track), resp_track_is_busy(&track) ? "busy" : "idle");
		fflush(stdout);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "judge") == 0)
		return judge();
	if (argc == 4 && strcmp(argv[1], "follow") == 0)
		return follow((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]));
	fprintf(stderr, "usage: track judge | track follow DATABASE PROTOCOL\n");
	return 2;
}

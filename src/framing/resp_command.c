#include "framing/resp_command.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "framing/framing.h"
#include "framing/resp_table.h"
#include "framing/resp_words.h"

/* A request that is being judged, behind its command's name. */
struct resp_trial {
	struct resp_words words;
	const struct resp_connection *connection; /* borrowed */
	const struct resp_command *container;     /* of a subcommand; borrowed; else NULL */
	unsigned protocol;                        /* the client's */
	char *answer;                             /* borrowed */
	size_t length;                            /* of answer */
};

/* Answers ---------------------------------------------------------------------------------------- */

static void
trial_say(struct resp_trial *trial, const char *text)
{
	size_t length = strlen(text);

	assert(length <= RESP_ANSWER_SIZE - trial->length);
	memcpy(trial->answer + trial->length, text, length);
	trial->length += length;
}

static void
trial_say_number(struct resp_trial *trial, unsigned number)
{
	char digits[11], *first = digits + sizeof digits - 1;

	*first = '\0';
	do
		*--first = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	trial_say(trial, first);
}

static void
trial_say_small(struct resp_trial *trial, const char *name)
{
	for (; *name != '\0'; name++) {
		char letter[2] = { *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name, '\0' };

		trial_say(trial, letter);
	}
}

static enum resp_verdict
trial_answer(struct resp_trial *trial, const char *text)
{
	trial_say(trial, text);
	return RESP_ANSWER;
}

static void
trial_say_name(struct resp_trial *trial, const struct resp_command *command)
{
	if (trial->container != NULL) {
		trial_say(trial, trial->container->name);
		trial_say(trial, " ");
	}
	trial_say(trial, command->name);
}

/* what: of the command, or "". */
static enum resp_verdict
trial_refuse(struct resp_trial *trial, const struct resp_command *command, const char *what)
{
	trial_say(trial, "-ERR ");
	trial_say_name(trial, command);
	trial_say(trial, what);
	trial_say(trial, command->rule == RESP_RULE_HARMFUL ? " could end or block the connection of all clients" :
	    " needs a connection of its own");
	trial_say(trial, "; this service is shared: use a service with mode = \"session\"\r\n");
	return RESP_REFUSE;
}

/* In Redis's words. */
static enum resp_verdict
trial_answer_arity(struct resp_trial *trial, const struct resp_command *command)
{
	trial_say(trial, "-ERR wrong number of arguments for '");
	if (trial->container != NULL) {
		trial_say_small(trial, trial->container->name);
		trial_say(trial, "|");
	}
	trial_say_small(trial, command->name);
	return trial_answer(trial, "' command\r\n");
}

/* Commands --------------------------------------------------------------------------------------- */

static enum resp_verdict
judge_select(struct resp_trial *trial)
{
	struct resp_word word;
	unsigned database;

	if (!resp_words_next(&trial->words, &word) || !resp_word_number(&word, &database))
		return trial_answer(trial, "-ERR value is not an integer or out of range\r\n");
	if (database == trial->connection->database)
		return trial_answer(trial, "+OK\r\n");
	trial_say(trial, "-ERR SELECT of a database other than ");
	trial_say_number(trial, trial->connection->database);
	trial_say(trial, " needs a connection of its own; this service is shared: use a service with "
	    "mode = \"session\", or one whose hello selects it\r\n");
	return RESP_REFUSE;
}

/* Of the version we only say what any server of these protocols has; clients look at it for what they may use. */
#define HELLO_PAIRS(PROTOCOL)                                                                                       \
	"$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:" PROTOCOL                   \
	"\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"                   \
	"$7\r\nmodules\r\n*0\r\n"

static enum resp_verdict
judge_hello(struct resp_trial *trial, const struct resp_command *command)
{
	unsigned protocol = trial->protocol;
	struct resp_word word;

	if (resp_words_next(&trial->words, &word)) {
		if (!resp_word_number(&word, &protocol))
			return trial_answer(trial, "-ERR Protocol version is not an integer or out of range\r\n");
		if (protocol != trial->connection->protocol)
			return trial_answer(trial, "-NOPROTO unsupported protocol version\r\n");
	}
	while (resp_words_next(&trial->words, &word)) {
		if (resp_word_is(&word, "AUTH"))
			return trial_refuse(trial, command, " with AUTH");
		if (!resp_word_is(&word, "SETNAME") || !resp_words_next(&trial->words, &word))
			return trial_answer(trial, "-ERR Syntax error in HELLO option\r\n");
	}
	trial->protocol = protocol;
	return trial_answer(trial, protocol == 3 ? "%7\r\n" HELLO_PAIRS("3") :
	    "*14\r\n" HELLO_PAIRS("2"));
}

/* The names of group and consumer could be "STREAMS"; whatever else stands before it is an option or its number. */
static enum resp_verdict
judge_xread(struct resp_trial *trial, const struct resp_command *command)
{
	struct resp_word word;

	while (resp_words_next(&trial->words, &word) && !resp_word_is(&word, "STREAMS")) {
		if (resp_word_is(&word, "BLOCK"))
			return trial_refuse(trial, command, " with BLOCK");
		if (resp_word_is(&word, "GROUP")) {
			(void)resp_words_next(&trial->words, &word);
			(void)resp_words_next(&trial->words, &word);
		}
	}
	return RESP_FORWARD;
}

/* A server that does not know it answers likewise. */
static enum resp_verdict
judge_unknown(struct resp_trial *trial, const struct resp_command *command)
{
	trial_say(trial, "-ERR unknown subcommand '");
	trial_say_name(trial, command);
	return trial_answer(trial, "'\r\n");
}

/* Judging ---------------------------------------------------------------------------------------- */

static bool
resp_arity_fits(const struct resp_trial *trial, int arity)
{
	struct resp_words words = trial->words;
	struct resp_word word;
	int count = trial->container != NULL ? 2 : 1;
	int most = arity < 0 ? -arity : arity + 1;

	while (count < most && resp_words_next(&words, &word))
		count++;
	return arity < 0 ? count >= most : count == arity;
}

static enum resp_verdict resp_judge_subcommand(struct resp_trial *trial, const struct resp_command *command);

static enum resp_verdict
resp_judge_command(struct resp_trial *trial, const struct resp_command *command)
{
	if (!resp_arity_fits(trial, command->arity))
		return trial_answer_arity(trial, command);
	switch (command->rule) {
	case RESP_RULE_SELECT: return judge_select(trial);
	case RESP_RULE_HELLO: return judge_hello(trial, command);
	case RESP_RULE_XREAD: return judge_xread(trial, command);
	case RESP_RULE_LABEL: return trial_answer(trial, "+OK\r\n");
	case RESP_RULE_QUIT: (void)trial_answer(trial, "+OK\r\n"); return RESP_QUIT;
	case RESP_RULE_HTTP: (void)trial_answer(trial, "-ERR holdfast: this is no HTTP server\r\n"); return RESP_QUIT;
	case RESP_RULE_SUBCOMMAND: return resp_judge_subcommand(trial, command);
	case RESP_RULE_UNKNOWN: return judge_unknown(trial, command);
	case RESP_RULE_OWN:
	case RESP_RULE_HARMFUL: break;
	}
	return trial_refuse(trial, command, "");
}

static enum resp_verdict
resp_judge_subcommand(struct resp_trial *trial, const struct resp_command *command)
{
	const struct resp_command *subcommand = NULL;
	struct resp_word word;

	if (resp_words_next(&trial->words, &word))
		subcommand = resp_table_find_subcommand(command, &word);
	if (subcommand == NULL)
		return RESP_FORWARD;
	trial->container = command;
	return resp_judge_command(trial, subcommand);
}

/* Replies of the server are in the connection's protocol, whoever asks. */
static enum resp_verdict
resp_judge_protocol(struct resp_trial *trial)
{
	if (trial->protocol == trial->connection->protocol)
		return RESP_FORWARD;
	(void)trial_answer(trial, trial->connection->protocol == 3 ?
	    "-ERR this service is shared and speaks RESP3: say HELLO 3 first, or take HELLO 3 out of its hello\r\n" :
	    "-ERR this service is shared and speaks RESP2 now: connect again\r\n");
	return RESP_REFUSE;
}

enum resp_verdict
resp_judge(const unsigned char *request, size_t length, const struct resp_connection *connection, unsigned *protocol,
    char *answer, size_t *ret_length)
{
	struct resp_trial trial = { .connection = connection, .protocol = *protocol, .answer = answer };
	const struct resp_command *command;
	enum resp_verdict verdict;
	struct resp_word word;

	resp_words_begin(&trial.words, request, length);
	if (!resp_words_next(&trial.words, &word))
		return RESP_SKIP;
	command = resp_table_find(&word);
	verdict = command == NULL ? RESP_FORWARD : resp_judge_command(&trial, command);
	if (verdict == RESP_FORWARD)
		verdict = resp_judge_protocol(&trial);
	*protocol = trial.protocol;
	*ret_length = trial.length;
	return verdict;
}

/* One request of hello's. */
static void
resp_note_request(const unsigned char *request, size_t length, struct resp_connection *connection)
{
	struct resp_words words;
	struct resp_word name, word;
	unsigned number;

	resp_words_begin(&words, request, length);
	if (!resp_words_next(&words, &name) || !resp_words_next(&words, &word) || !resp_word_number(&word, &number))
		return;
	if (resp_word_is(&name, "SELECT"))
		connection->database = number;
	else if (resp_word_is(&name, "HELLO") && (number == 2 || number == 3))
		connection->protocol = number;
}

void
resp_note_hello(const unsigned char *text, size_t length, struct resp_connection *connection)
{
	const struct framing *framing = framing_of(FRAMING_RESP);
	size_t whole;

	while (length > 0) {
		struct framing_progress progress = { 0 };

		if (framing->request(&progress, text, length, length, &whole) != FRAMING_WHOLE)
			return;
		resp_note_request(text, whole, connection);
		text += whole;
		length -= whole;
	}
}

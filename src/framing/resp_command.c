#include "framing/resp_command.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "framing/framing.h"
#include "framing/resp_words.h"

#define RESP_NAME_SIZE 48 /* a command's and its subcommand's */

enum resp_rule {
	RESP_RULE_OWN,        /* refused: needs a connection of its own */
	RESP_RULE_HARMFUL,    /* refused: could end or block the connection of all */
	RESP_RULE_UNKNOWN,    /* an offer that clients do without where the server does not know it */
	RESP_RULE_SELECT, RESP_RULE_HELLO, RESP_RULE_XREAD,
	RESP_RULE_LABEL,      /* names the connection: what all share keeps its own name */
	RESP_RULE_QUIT,
	RESP_RULE_HTTP,       /* Redis takes it for a browser that was led astray, and closes */
	RESP_RULE_SUBCOMMAND, /* the next word decides */
};

/* A command that is not simply forwarded. */
struct resp_command {
	const char *name;      /* in capitals */
	int arity;             /* words of the whole request; negative: at least so many */
	enum resp_rule rule;
	const struct resp_command *subcommands; /* of RESP_RULE_SUBCOMMAND, up to one without a name */
};

#define OWN(NAME, ARITY)          { NAME, ARITY, RESP_RULE_OWN, NULL }
#define HARMFUL(NAME, ARITY)      { NAME, ARITY, RESP_RULE_HARMFUL, NULL }
#define JUDGED(NAME, ARITY, RULE) { NAME, ARITY, RESP_RULE_##RULE, NULL }
#define ROWS(...)                 (const struct resp_command []){ __VA_ARGS__, { NULL, 0, RESP_RULE_OWN, NULL } }
#define CONTAINER(NAME, ...)      { NAME, -1, RESP_RULE_SUBCOMMAND, ROWS(__VA_ARGS__) }

/* Decided with the list of all commands of Redis 7.0 (COMMAND), and what later versions add.  Refused is what gives
 * the connection a state (a transaction, a subscription, a user, a protocol), what makes it wait, and what could take
 * the connection or the server from all.  What is only slow, or changes data or settings for all, is the server's own
 * affair.
 *
 * By the length of their names: most commands that are forwarded meet a handful of others' first letters. */
static const struct resp_command *const commands[] = {
	[3] = ROWS(
		/* What closes connections, perhaps this one. */
		CONTAINER("ACL", HARMFUL("DELUSER", -3), HARMFUL("LOAD", 2))),
	[4] = ROWS(
		OWN("AUTH", -2),
		OWN("EXEC", 1),
		JUDGED("POST", -1, HTTP),
		JUDGED("QUIT", -1, QUIT),
		OWN("SYNC", 1),
		OWN("WAIT", 3)),
	[5] = ROWS(
		OWN("BLPOP", -3),
		OWN("BRPOP", -3),
		HARMFUL("DEBUG", -2),
		JUDGED("HELLO", -1, HELLO),
		JUDGED("HOST:", -1, HTTP),
		OWN("MULTI", 1),
		OWN("PSYNC", -3),
		OWN("RESET", 1),
		OWN("WATCH", -2),
		JUDGED("XREAD", -4, XREAD)),
	[6] = ROWS(
		OWN("ASKING", 1),
		OWN("BLMOVE", 6),
		OWN("BLMPOP", -5),
		OWN("BZMPOP", -5),
		CONTAINER("CLIENT",
		    JUDGED("SETNAME", 3, LABEL),
		    JUDGED("SETINFO", 4, LABEL),
		    OWN("CACHING", 3),
		    OWN("CAPA", -3),
		    OWN("IMPORT-SOURCE", 3),
		    HARMFUL("KILL", -3),
		    JUDGED("MAINT_NOTIFICATIONS", -3, UNKNOWN),
		    OWN("NO-EVICT", 3),
		    OWN("NO-TOUCH", 3),
		    HARMFUL("PAUSE", -3),
		    OWN("REPLY", 3),
		    OWN("TRACKING", -3),
		    HARMFUL("UNBLOCK", -3),
		    HARMFUL("UNPAUSE", 2)),
		/* After it the next script is debugged: its connection speaks another protocol. */
		CONTAINER("SCRIPT", OWN("DEBUG", 3)),
		JUDGED("SELECT", 2, SELECT)),
	[7] = ROWS(
		CONTAINER("CLUSTER",
		    HARMFUL("FAILOVER", -2),
		    HARMFUL("REPLICATE", 3),
		    HARMFUL("RESET", -2)),
		OWN("DISCARD", 1),
		OWN("MONITOR", 1),
		HARMFUL("SLAVEOF", 3),
		OWN("UNWATCH", 1),
		OWN("WAITAOF", 4)),
	[8] = ROWS(
		OWN("BZPOPMAX", -3),
		OWN("BZPOPMIN", -3),
		HARMFUL("FAILOVER", -1),
		OWN("READONLY", 1),
		OWN("REPLCONF", -1),
		HARMFUL("SHUTDOWN", -1)),
	[9] = ROWS(
		OWN("READWRITE", 1),
		HARMFUL("REPLICAOF", 3),
		OWN("SUBSCRIBE", -2)),
	[10] = ROWS(
		OWN("BRPOPLPUSH", 4),
		OWN("PSUBSCRIBE", -2),
		OWN("SSUBSCRIBE", -2),
		JUDGED("XREADGROUP", -7, XREAD)),
	[11] = ROWS(
		OWN("UNSUBSCRIBE", -1)),
	[12] = ROWS(
		OWN("PUNSUBSCRIBE", -1),
		OWN("SUNSUBSCRIBE", -1)),
};

/* The row of this name, in capitals or not; NULL: it is forwarded. */
static const struct resp_command *
resp_find(const struct resp_command *rows, const struct resp_word *word)
{
	for (; rows->name != NULL; rows++)
		/* A letter without this bit is capital; the rest is compared byte by byte. */
		if (((word->bytes[0] ^ (unsigned char)rows->name[0]) & ~0x20) == 0 && resp_word_is(word, rows->name))
			return rows;
	return NULL;
}

/* A request that is being judged, behind its command's name. */
struct resp_judged {
	struct resp_words words;
	const struct resp_connection *connection; /* borrowed */
	const struct resp_command *container;     /* of a subcommand; borrowed; else NULL */
	unsigned protocol;                        /* the client's */
	char *answer;                             /* borrowed */
	size_t length;                            /* of answer */
};

static enum resp_verdict __attribute__((format(printf, 3, 4)))
judged_end(struct resp_judged *judged, enum resp_verdict verdict, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	judged->length = (size_t)vsnprintf(judged->answer, RESP_ANSWER_SIZE, format, arguments);
	va_end(arguments);
	assert(judged->length < RESP_ANSWER_SIZE);
	return verdict;
}

/* The whole name, this between a command and its subcommand. */
static const char *
judged_name(const struct resp_judged *judged, const struct resp_command *command, char between,
    char ret_name[RESP_NAME_SIZE])
{
	if (judged->container != NULL)
		snprintf(ret_name, RESP_NAME_SIZE, "%s%c%s", judged->container->name, between, command->name);
	else
		snprintf(ret_name, RESP_NAME_SIZE, "%s", command->name);
	return ret_name;
}

/* what: of the command, or "". */
static enum resp_verdict
judged_refuse(struct resp_judged *judged, const struct resp_command *command, const char *what)
{
	char name[RESP_NAME_SIZE];

	return judged_end(judged, RESP_REFUSE, "-ERR %s%s%s; this service is shared: use a service with "
	    "mode = \"session\"\r\n", judged_name(judged, command, ' ', name), what,
	    command->rule == RESP_RULE_HARMFUL ? " could end or block the connection of all clients" :
	    " needs a connection of its own");
}

/* In Redis's words. */
static enum resp_verdict
judged_answer_arity(struct resp_judged *judged, const struct resp_command *command)
{
	char name[RESP_NAME_SIZE];

	judged_name(judged, command, '|', name);
	for (char *letter = name; *letter != '\0'; letter++)
		if (*letter >= 'A' && *letter <= 'Z')
			*letter = (char)(*letter - 'A' + 'a');
	return judged_end(judged, RESP_ANSWER, "-ERR wrong number of arguments for '%s' command\r\n", name);
}

static enum resp_verdict
judge_select(struct resp_judged *judged)
{
	struct resp_word word;
	unsigned database;

	if (!resp_words_next(&judged->words, &word) || !resp_word_number(&word, &database))
		return judged_end(judged, RESP_ANSWER, "-ERR value is not an integer or out of range\r\n");
	if (database == judged->connection->database)
		return judged_end(judged, RESP_ANSWER, "+OK\r\n");
	return judged_end(judged, RESP_REFUSE, "-ERR SELECT of a database other than %u needs a connection of its "
	    "own; this service is shared: use a service with mode = \"session\", or one whose hello selects it\r\n",
	    judged->connection->database);
}

/* Of the version we only say what any server of these protocols has; clients look at it for what they may use. */
#define HELLO_PAIRS(PROTOCOL)                                                                                       \
	"$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:" PROTOCOL                   \
	"\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"                   \
	"$7\r\nmodules\r\n*0\r\n"

static enum resp_verdict
judge_hello(struct resp_judged *judged, const struct resp_command *command)
{
	unsigned protocol = judged->protocol;
	struct resp_word word;

	if (resp_words_next(&judged->words, &word)) {
		if (!resp_word_number(&word, &protocol))
			return judged_end(judged, RESP_ANSWER,
			    "-ERR Protocol version is not an integer or out of range\r\n");
		if (protocol != judged->connection->protocol)
			return judged_end(judged, RESP_ANSWER, "-NOPROTO unsupported protocol version\r\n");
	}
	while (resp_words_next(&judged->words, &word)) {
		if (resp_word_is(&word, "AUTH"))
			return judged_refuse(judged, command, " with AUTH");
		if (!resp_word_is(&word, "SETNAME") || !resp_words_next(&judged->words, &word))
			return judged_end(judged, RESP_ANSWER, "-ERR Syntax error in HELLO option\r\n");
	}
	judged->protocol = protocol;
	return judged_end(judged, RESP_ANSWER, "%s", protocol == 3 ? "%7\r\n" HELLO_PAIRS("3") :
	    "*14\r\n" HELLO_PAIRS("2"));
}

/* The names of group and consumer could be "STREAMS"; whatever else stands before it is an option or its number. */
static enum resp_verdict
judge_xread(struct resp_judged *judged, const struct resp_command *command)
{
	struct resp_word word;

	while (resp_words_next(&judged->words, &word) && !resp_word_is(&word, "STREAMS")) {
		if (resp_word_is(&word, "BLOCK"))
			return judged_refuse(judged, command, " with BLOCK");
		if (resp_word_is(&word, "GROUP")) {
			(void)resp_words_next(&judged->words, &word);
			(void)resp_words_next(&judged->words, &word);
		}
	}
	return RESP_FORWARD;
}

/* A server that does not know it answers likewise. */
static enum resp_verdict
judge_unknown(struct resp_judged *judged, const struct resp_command *command)
{
	char name[RESP_NAME_SIZE];

	return judged_end(judged, RESP_ANSWER, "-ERR unknown subcommand '%s'\r\n",
	    judged_name(judged, command, ' ', name));
}

static bool
resp_arity_fits(const struct resp_judged *judged, int arity)
{
	struct resp_words words = judged->words;
	struct resp_word word;
	int count = judged->container != NULL ? 2 : 1;
	int most = arity < 0 ? -arity : arity + 1;

	while (count < most && resp_words_next(&words, &word))
		count++;
	return arity < 0 ? count >= most : count == arity;
}

static enum resp_verdict resp_judge_subcommand(struct resp_judged *judged, const struct resp_command *command);

static enum resp_verdict
resp_judge_command(struct resp_judged *judged, const struct resp_command *command)
{
	if (!resp_arity_fits(judged, command->arity))
		return judged_answer_arity(judged, command);
	switch (command->rule) {
	case RESP_RULE_SELECT: return judge_select(judged);
	case RESP_RULE_HELLO: return judge_hello(judged, command);
	case RESP_RULE_XREAD: return judge_xread(judged, command);
	case RESP_RULE_LABEL: return judged_end(judged, RESP_ANSWER, "+OK\r\n");
	case RESP_RULE_QUIT: return judged_end(judged, RESP_QUIT, "+OK\r\n");
	case RESP_RULE_HTTP: return judged_end(judged, RESP_QUIT, "-ERR holdfast: this is no HTTP "
	    "server\r\n");
	case RESP_RULE_SUBCOMMAND: return resp_judge_subcommand(judged, command);
	case RESP_RULE_UNKNOWN: return judge_unknown(judged, command);
	case RESP_RULE_OWN:
	case RESP_RULE_HARMFUL: break;
	}
	return judged_refuse(judged, command, "");
}

static enum resp_verdict
resp_judge_subcommand(struct resp_judged *judged, const struct resp_command *command)
{
	const struct resp_command *subcommand = NULL;
	struct resp_word word;

	if (resp_words_next(&judged->words, &word))
		subcommand = word.length == 0 ? NULL : resp_find(command->subcommands, &word);
	if (subcommand == NULL)
		return RESP_FORWARD;
	judged->container = command;
	return resp_judge_command(judged, subcommand);
}

/* Replies of the server are in the connection's protocol, whoever asks. */
static enum resp_verdict
resp_judge_protocol(struct resp_judged *judged)
{
	if (judged->protocol == judged->connection->protocol)
		return RESP_FORWARD;
	return judged_end(judged, RESP_REFUSE, "%s", judged->connection->protocol == 3 ?
	    "-ERR this service is shared and speaks RESP3: say HELLO 3 first, or take HELLO 3 out of its hello\r\n" :
	    "-ERR this service is shared and speaks RESP2 now: connect again\r\n");
}

enum resp_verdict
resp_judge(const unsigned char *request, size_t length, const struct resp_connection *connection, unsigned *protocol,
    char *answer, size_t *ret_length)
{
	struct resp_judged judged = { .connection = connection, .protocol = *protocol, .answer = answer };
	const struct resp_command *command = NULL;
	enum resp_verdict verdict;
	struct resp_word word;

	resp_words_begin(&judged.words, request, length);
	if (!resp_words_next(&judged.words, &word))
		return RESP_SKIP;
	if (word.length < sizeof commands / sizeof commands[0] && commands[word.length] != NULL)
		command = resp_find(commands[word.length], &word);
	verdict = command == NULL ? RESP_FORWARD : resp_judge_command(&judged, command);
	if (verdict == RESP_FORWARD)
		verdict = resp_judge_protocol(&judged);
	*protocol = judged.protocol;
	*ret_length = judged.length;
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

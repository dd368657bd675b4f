#include "framing/resp_command.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "framing/framing.h"

#define RESP_NAME_SIZE 48 /* a command's and its subcommand's */

enum resp_rule {
	RESP_RULE_OWN,        /* needs a connection of its own */
	RESP_RULE_HARMFUL,    /* the same, as it could end or block the connection of all */
	RESP_RULE_PREFER_OWN, /* goes by its own connection if it can have one */
	RESP_RULE_WAIT,       /* concerns what the connection wrote before: its own has to have written last */
	RESP_RULE_FORWARD,
	RESP_RULE_UNKNOWN,    /* an offer that clients do without where the server does not know it */
	RESP_RULE_SELECT, RESP_RULE_HELLO, RESP_RULE_XREAD,
	RESP_RULE_GETNAME,
	RESP_RULE_SETNAME, RESP_RULE_SETINFO, /* name the connection: what all share keeps its own name */
	RESP_RULE_QUIT,
	RESP_RULE_HTTP,       /* Redis takes it for a browser that was led astray, and closes */
	RESP_RULE_SUBCOMMAND, /* the next word decides */
};

/* A command that is not simply forwarded. */
struct resp_command {
	const char *name;      /* in capitals */
	int arity;             /* words of the whole request; negative: at least so many */
	enum resp_rule rule;
	enum resp_effect effect;
	bool no_order;
	/* Up to one without a name: of RESP_RULE_SUBCOMMAND; of others, those that have another effect. */
	const struct resp_command *subcommands;
};

/* OWN() leaves nothing behind: it waits for something, or has been begun elsewhere. */
#define ROW(NAME, ARITY, RULE, EFFECT, NO_ORDER) \
	{ NAME, ARITY, RESP_RULE_##RULE, RESP_EFFECT_##EFFECT, NO_ORDER, NULL }
#define OWN(NAME, ARITY)              ROW(NAME, ARITY, OWN, NONE, false)
#define STATE(NAME, ARITY, EFFECT)    ROW(NAME, ARITY, OWN, EFFECT, false)
#define HARMFUL(NAME, ARITY)          ROW(NAME, ARITY, HARMFUL, NONE, false)
#define JUDGED(NAME, ARITY, RULE)     ROW(NAME, ARITY, RULE, NONE, false)
#define NO_ORDER(NAME, RULE)          ROW(NAME, -1, RULE, NONE, true)
#define ROWS(...) \
	(const struct resp_command []){ __VA_ARGS__, { NULL, 0, RESP_RULE_OWN, RESP_EFFECT_NONE, false, NULL } }
#define CONTAINER(NAME, NO_ORDER, ...) \
	{ NAME, -1, RESP_RULE_SUBCOMMAND, RESP_EFFECT_NONE, NO_ORDER, ROWS(__VA_ARGS__) }

/* Decided with the list of all commands of Redis 7.0 (COMMAND), and what later versions and Valkey add.  Not simply
 * forwarded is what gives the connection a state (a transaction, a subscription, a user, a protocol), what makes it
 * wait, and what could take the connection or the server from all: over a connection of its own, the last does what
 * any client of Redis can do.  What is only slow, or changes data or settings for all, is the server's own affair.
 *
 * By the length of their names: most commands that are forwarded meet a handful of others' first letters. */
static const struct resp_command *const commands[] = {
	[3] = ROWS(
		/* What closes connections, perhaps this one. */
		CONTAINER("ACL", false, HARMFUL("DELUSER", -3), HARMFUL("LOAD", 2))),
	[4] = ROWS(
		STATE("AUTH", -2, AUTH),
		NO_ORDER("ECHO", FORWARD),
		STATE("EXEC", 1, EXEC),
		NO_ORDER("PING", FORWARD),
		ROW("POST", -1, HTTP, LOST, false),
		ROW("QUIT", -1, QUIT, LOST, false),
		STATE("SYNC", 1, LOST),
		JUDGED("WAIT", 3, WAIT)),
	[5] = ROWS(
		OWN("BLPOP", -3),
		OWN("BRPOP", -3),
		{ "DEBUG", -2, RESP_RULE_HARMFUL, RESP_EFFECT_NONE, false,
		    ROWS(STATE("MARK-INTERNAL-CLIENT", -2, LASTING)) },
		ROW("HELLO", -1, HELLO, HELLO, false),
		ROW("HOST:", -1, HTTP, LOST, false),
		STATE("MULTI", 1, MULTI),
		STATE("PSYNC", -3, LOST),
		STATE("RESET", 1, RESET),
		STATE("WATCH", -2, WATCH),
		JUDGED("XREAD", -4, XREAD)),
	[6] = ROWS(
		STATE("ASKING", 1, LASTING),
		OWN("BLMOVE", 6),
		OWN("BLMPOP", -5),
		OWN("BZMOVE", 5),
		OWN("BZMPOP", -5),
		CONTAINER("CLIENT", true,
		    ROW("GETNAME", 2, GETNAME, NONE, true),
		    ROW("SETNAME", 3, SETNAME, LASTING, true),
		    ROW("SETINFO", 4, SETINFO, LASTING, true),
		    STATE("CACHING", 3, LASTING),
		    STATE("CAPA", -3, LASTING),
		    /* A number by which others may unblock or kill this client: not that of the connection of all. */
		    ROW("ID", 2, PREFER_OWN, LASTING, false),
		    STATE("IMPORT-SOURCE", 3, LASTING),
		    ROW("KILL", -3, HARMFUL, NONE, true),
		    ROW("MAINT_NOTIFICATIONS", -3, UNKNOWN, LASTING, true),
		    STATE("NO-EVICT", 3, LASTING),
		    STATE("NO-TOUCH", 3, LASTING),
		    ROW("PAUSE", -3, HARMFUL, NONE, true),
		    STATE("REPLY", 3, LOST),
		    STATE("TRACKING", -3, LASTING),
		    ROW("UNBLOCK", -3, HARMFUL, NONE, true),
		    ROW("UNPAUSE", 2, HARMFUL, NONE, true)),
		/* After DEBUG the next script is debugged: its connection speaks another protocol.  KILL ends what
		 * keeps others waiting. */
		CONTAINER("SCRIPT", false, STATE("DEBUG", 3, LOST), NO_ORDER("KILL", PREFER_OWN)),
		ROW("SELECT", 2, SELECT, SELECT, false)),
	[7] = ROWS(
		OWN("BLMOVEM", -6),
		CONTAINER("CLUSTER", false,
		    HARMFUL("FAILOVER", -2),
		    HARMFUL("REPLICATE", 3),
		    HARMFUL("RESET", -2),
		    STATE("SYNCSLOTS", -2, LOST)),
		STATE("DISCARD", 1, DISCARD),
		STATE("MONITOR", 1, LOST),
		HARMFUL("SLAVEOF", 3),
		STATE("UNWATCH", 1, UNWATCH),
		JUDGED("WAITAOF", 4, WAIT)),
	[8] = ROWS(
		OWN("BZPOPMAX", -3),
		OWN("BZPOPMIN", -3),
		HARMFUL("FAILOVER", -1),
		CONTAINER("FUNCTION", false, NO_ORDER("KILL", PREFER_OWN), NO_ORDER("STATS", FORWARD)),
		STATE("READONLY", 1, LASTING),
		STATE("REPLCONF", -1, LOST),
		HARMFUL("SHUTDOWN", -1)),
	[9] = ROWS(
		STATE("READWRITE", 1, LASTING),
		HARMFUL("REPLICAOF", 3),
		STATE("SUBSCRIBE", -2, SUBSCRIBE)),
	[10] = ROWS(
		OWN("BRPOPLPUSH", 4),
		STATE("PSUBSCRIBE", -2, PSUBSCRIBE),
		/* A cluster ends it by itself, with the same words as if it had been asked to. */
		STATE("SSUBSCRIBE", -2, LOST),
		JUDGED("XREADGROUP", -7, XREAD)),
	[11] = ROWS(
		STATE("UNSUBSCRIBE", -1, UNSUBSCRIBE)),
	[12] = ROWS(
		STATE("PUNSUBSCRIBE", -1, PUNSUBSCRIBE),
		STATE("SUNSUBSCRIBE", -1, LOST)),
};

/* The row of this name, in capitals or not; NULL: it is forwarded. */
static const struct resp_command *
resp_find_row(const struct resp_command *rows, const struct resp_word *word)
{
	for (; word->length > 0 && rows->name != NULL; rows++)
		/* A letter without this bit is capital; the rest is compared byte by byte. */
		if (((word->bytes[0] ^ (unsigned char)rows->name[0]) & ~0x20) == 0 && resp_word_is(word, rows->name))
			return rows;
	return NULL;
}

static const struct resp_command *
resp_find(const struct resp_word *name)
{
	if (name->length >= sizeof commands / sizeof commands[0] || commands[name->length] == NULL)
		return NULL;
	return resp_find_row(commands[name->length], name);
}

/* A request that is being judged, behind its command's name. */
struct resp_judged {
	struct resp_words words;
	const struct resp_connection *connection; /* borrowed */
	const struct resp_command *container;     /* of a subcommand; borrowed; else NULL */
	enum resp_on_state on_state;
	struct resp_judgement *judgement;         /* borrowed */
};

static enum framing_verdict __attribute__((format(printf, 3, 4)))
judged_end(struct resp_judged *judged, enum framing_verdict verdict, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	judged->judgement->length = (size_t)vsnprintf(judged->judgement->answer, RESP_ANSWER_SIZE, format, arguments);
	va_end(arguments);
	assert(judged->judgement->length < RESP_ANSWER_SIZE);
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

static enum framing_verdict
judged_own(struct resp_judged *judged, enum resp_effect effect)
{
	judged->judgement->effect = effect;
	return FRAMING_OWN;
}

/* The command cannot go over the shared connection.  what: of the command, or "". */
static enum framing_verdict
judged_keep_off(struct resp_judged *judged, const struct resp_command *command, const char *what)
{
	char name[RESP_NAME_SIZE];

	if (judged->on_state == RESP_ON_STATE_OWN)
		return judged_own(judged, command->effect);
	return judged_end(judged, FRAMING_REFUSE, "-ERR %s%s%s; this service is shared: use a service with "
	    "mode = \"session\"\r\n", judged_name(judged, command, ' ', name), what,
	    command->rule == RESP_RULE_HARMFUL ? " could end or block the connection of all clients" :
	    " needs a connection of its own");
}

/* In Redis's words. */
static enum framing_verdict
judged_answer_arity(struct resp_judged *judged, const struct resp_command *command)
{
	char name[RESP_NAME_SIZE];

	judged_name(judged, command, '|', name);
	for (char *letter = name; *letter != '\0'; letter++)
		if (*letter >= 'A' && *letter <= 'Z')
			*letter = (char)(*letter - 'A' + 'a');
	return judged_end(judged, FRAMING_ANSWER, "-ERR wrong number of arguments for '%s' command\r\n", name);
}

static enum framing_verdict
judge_select(struct resp_judged *judged)
{
	struct resp_word word;
	unsigned database;

	if (!resp_words_next(&judged->words, &word) || !resp_word_number(&word, &database))
		return judged_end(judged, FRAMING_ANSWER, "-ERR value is not an integer or out of range\r\n");
	if (database == judged->connection->database)
		return judged_end(judged, FRAMING_ANSWER, "+OK\r\n");
	if (judged->on_state == RESP_ON_STATE_OWN)
		return judged_own(judged, RESP_EFFECT_SELECT);
	return judged_end(judged, FRAMING_REFUSE, "-ERR SELECT of a database other than %u needs a connection of its "
	    "own; this service is shared: use a service with mode = \"session\", or one whose hello selects it\r\n",
	    judged->connection->database);
}

/* Of the version we only say what any server of these protocols has; clients look at it for what they may use. */
#define HELLO_PAIRS(PROTOCOL)                                                                                       \
	"$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:" PROTOCOL                   \
	"\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"                   \
	"$7\r\nmodules\r\n*0\r\n"

/* The answer to HELLO is made here where no client has a connection of its own, and the server's own where they can:
 * they look at it for what the server is. */
static enum framing_verdict
judge_hello_answer(struct resp_judged *judged, unsigned protocol)
{
	judged->judgement->protocol = protocol;
	if (judged->on_state == RESP_ON_STATE_OWN) {
		judged->judgement->instead = "*1\r\n$5\r\nHELLO\r\n";
		return FRAMING_FORWARD;
	}
	return judged_end(judged, FRAMING_ANSWER, "%s", protocol == 3 ? "%7\r\n" HELLO_PAIRS("3") :
	    "*14\r\n" HELLO_PAIRS("2"));
}

/* Redis takes no name that would make its list of clients hard to read.  false: such a one, which is answered. */
static bool
judged_label(struct resp_judged *judged, enum resp_label_kind kind, const struct resp_word *word)
{
	static const char *const what[] = { "", "Client names", "lib-name", "lib-ver" };
	struct resp_label *label = &judged->judgement->label;
	bool cut = word->bytes == word->kept.bytes && word->length > RESP_WORD_SIZE;

	for (size_t i = 0; i < word->length && !cut; i++)
		if (word->bytes[i] < '!' || word->bytes[i] > '~') {
			(void)judged_end(judged, FRAMING_ANSWER, "-ERR %s cannot contain spaces, newlines or special "
			    "characters.\r\n", what[kind]);
			return false;
		}
	if (cut) /* of a line; so long, it is known to nobody */
		return true;
	*label = (struct resp_label){ .kind = kind, .bytes = word->bytes, .length = word->length };
	if (word->bytes == word->kept.bytes) {
		memcpy(label->room, word->bytes, word->length);
		label->bytes = label->room;
	}
	return true;
}

/* What stands behind HELLO's protocol. */
static enum framing_verdict
judge_hello_options(struct resp_judged *judged, const struct resp_command *command, unsigned protocol)
{
	struct resp_word word, name;
	bool named = false;

	while (resp_words_next(&judged->words, &word)) {
		if (resp_word_is(&word, "AUTH"))
			return judged_keep_off(judged, command, " with AUTH");
		if (!resp_word_is(&word, "SETNAME") || !resp_words_next(&judged->words, &name))
			return judged_end(judged, FRAMING_ANSWER, "-ERR Syntax error in HELLO option\r\n");
		named = true;
	}
	if (named && judged->on_state == RESP_ON_STATE_OWN && !judged_label(judged, RESP_LABEL_NAME, &name))
		return FRAMING_ANSWER;
	return judge_hello_answer(judged, protocol);
}

static enum framing_verdict
judge_hello(struct resp_judged *judged, const struct resp_command *command)
{
	unsigned protocol = judged->judgement->protocol, shared = judged->connection->protocol;
	bool own = judged->on_state == RESP_ON_STATE_OWN;
	struct resp_word word;

	if (!resp_words_next(&judged->words, &word)) {
		/* The answer is in the protocol that the client speaks. */
		return own && protocol != shared ? judged_own(judged, RESP_EFFECT_HELLO) :
		    judge_hello_answer(judged, protocol);
	}
	if (!resp_word_number(&word, &protocol))
		return judged_end(judged, FRAMING_ANSWER,
		    "-ERR Protocol version is not an integer or out of range\r\n");
	if (protocol != shared)
		return own && (protocol == 2 || protocol == 3) ? judged_own(judged, RESP_EFFECT_HELLO) :
		    judged_end(judged, FRAMING_ANSWER, "-NOPROTO unsupported protocol version\r\n");
	return judge_hello_options(judged, command, protocol);
}

static enum framing_verdict
judge_setname(struct resp_judged *judged)
{
	struct resp_word word;

	(void)resp_words_next(&judged->words, &word);
	if (judged->on_state == RESP_ON_STATE_OWN && !judged_label(judged, RESP_LABEL_NAME, &word))
		return FRAMING_ANSWER;
	return judged_end(judged, FRAMING_ANSWER, "+OK\r\n");
}

static enum framing_verdict
judge_setinfo(struct resp_judged *judged)
{
	enum resp_label_kind kind = RESP_LABEL_NONE;
	struct resp_word what, word;

	(void)resp_words_next(&judged->words, &what);
	(void)resp_words_next(&judged->words, &word);
	if (resp_word_is(&what, "LIB-NAME"))
		kind = RESP_LABEL_LIBRARY;
	else if (resp_word_is(&what, "LIB-VER"))
		kind = RESP_LABEL_VERSION;
	if (judged->on_state == RESP_ON_STATE_OWN && kind != RESP_LABEL_NONE && !judged_label(judged, kind, &word))
		return FRAMING_ANSWER;
	return judged_end(judged, FRAMING_ANSWER, "+OK\r\n");
}

/* Redis waits for what this connection wrote last.  What the client wrote over the shared one is behind that if its
 * own connection writes something now: all servers send a message on, even if nobody hears it. */
static enum framing_verdict
judge_wait(struct resp_judged *judged, const struct resp_command *command)
{
	enum framing_verdict verdict = judged_keep_off(judged, command, "");

	if (verdict == FRAMING_OWN)
		judged->judgement->first = "*3\r\n$7\r\nPUBLISH\r\n$13\r\nholdfast-wait\r\n$0\r\n\r\n";
	return verdict;
}

/* The names of group and consumer could be "STREAMS"; whatever else stands before it is an option or its number. */
static enum framing_verdict
judge_xread(struct resp_judged *judged, const struct resp_command *command)
{
	struct resp_word word;

	while (resp_words_next(&judged->words, &word) && !resp_word_is(&word, "STREAMS")) {
		if (resp_word_is(&word, "BLOCK"))
			return judged_keep_off(judged, command, " with BLOCK");
		if (resp_word_is(&word, "GROUP")) {
			(void)resp_words_next(&judged->words, &word);
			(void)resp_words_next(&judged->words, &word);
		}
	}
	return FRAMING_FORWARD;
}

/* A server that does not know it answers likewise. */
static enum framing_verdict
judge_unknown(struct resp_judged *judged, const struct resp_command *command)
{
	char name[RESP_NAME_SIZE];

	return judged_end(judged, FRAMING_ANSWER, "-ERR unknown subcommand '%s'\r\n",
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

static enum framing_verdict resp_judge_subcommand(struct resp_judged *judged, const struct resp_command *command);

static enum framing_verdict
resp_judge_command(struct resp_judged *judged, const struct resp_command *command)
{
	if (!resp_arity_fits(judged, command->arity))
		return judged_answer_arity(judged, command);
	judged->judgement->no_order = command->no_order;
	switch (command->rule) {
	case RESP_RULE_SELECT: return judge_select(judged);
	case RESP_RULE_HELLO: return judge_hello(judged, command);
	case RESP_RULE_XREAD: return judge_xread(judged, command);
	case RESP_RULE_WAIT: return judge_wait(judged, command);
	case RESP_RULE_GETNAME:
		judged->judgement->asks_name = true;
		return FRAMING_FORWARD;
	case RESP_RULE_SETNAME: return judge_setname(judged);
	case RESP_RULE_SETINFO: return judge_setinfo(judged);
	case RESP_RULE_FORWARD: return FRAMING_FORWARD;
	case RESP_RULE_PREFER_OWN:
		return judged->on_state == RESP_ON_STATE_OWN ? judged_own(judged, command->effect) : FRAMING_FORWARD;
	case RESP_RULE_QUIT: return judged_end(judged, FRAMING_QUIT, "+OK\r\n");
	case RESP_RULE_HTTP: return judged_end(judged, FRAMING_QUIT, "-ERR holdfast: this is no HTTP "
	    "server\r\n");
	case RESP_RULE_SUBCOMMAND: return resp_judge_subcommand(judged, command);
	case RESP_RULE_UNKNOWN: return judge_unknown(judged, command);
	case RESP_RULE_OWN:
	case RESP_RULE_HARMFUL: break;
	}
	return judged_keep_off(judged, command, "");
}

static enum framing_verdict
resp_judge_subcommand(struct resp_judged *judged, const struct resp_command *command)
{
	const struct resp_command *subcommand = NULL;
	struct resp_word word;

	if (resp_words_next(&judged->words, &word))
		subcommand = resp_find_row(command->subcommands, &word);
	if (subcommand == NULL)
		return FRAMING_FORWARD;
	judged->container = command;
	return resp_judge_command(judged, subcommand);
}

/* Replies of the server are in the connection's protocol, whoever asks. */
static enum framing_verdict
resp_judge_protocol(struct resp_judged *judged)
{
	if (judged->judgement->protocol == judged->connection->protocol)
		return FRAMING_FORWARD;
	if (judged->on_state == RESP_ON_STATE_OWN)
		return judged_own(judged, RESP_EFFECT_NONE);
	return judged_end(judged, FRAMING_REFUSE, "%s", judged->connection->protocol == 3 ?
	    "-ERR this service is shared and speaks RESP3: say HELLO 3 first, or take HELLO 3 out of its hello\r\n" :
	    "-ERR this service is shared and speaks RESP2 now: connect again\r\n");
}

enum framing_verdict
resp_judge(const unsigned char *request, size_t length, const struct resp_connection *connection,
    enum resp_on_state on_state, struct resp_judgement *judgement)
{
	struct resp_judged judged = { .connection = connection, .on_state = on_state, .judgement = judgement };
	const struct resp_command *command;
	enum framing_verdict verdict;
	struct resp_word word;

	judgement->length = 0;
	judgement->instead = judgement->first = NULL;
	judgement->effect = RESP_EFFECT_NONE;
	judgement->label.kind = RESP_LABEL_NONE;
	judgement->no_order = judgement->asks_name = false;
	resp_words_begin(&judged.words, request, length);
	if (!resp_words_next(&judged.words, &word))
		return FRAMING_SKIP;
	command = resp_find(&word);
	verdict = command == NULL ? FRAMING_FORWARD : resp_judge_command(&judged, command);
	return verdict == FRAMING_FORWARD ? resp_judge_protocol(&judged) : verdict;
}

enum resp_effect
resp_effect_of(const struct resp_kept *words, uint64_t count)
{
	const struct resp_command *command, *subcommand = NULL;
	struct resp_word word;

	if (count == 0)
		return RESP_EFFECT_NONE;
	word = resp_kept_word(&words[0]);
	command = resp_find(&word);
	if (command != NULL && command->subcommands != NULL && count > 1) {
		word = resp_kept_word(&words[1]);
		subcommand = resp_find_row(command->subcommands, &word);
	}
	if (subcommand != NULL)
		command = subcommand;
	return command == NULL ? RESP_EFFECT_NONE : command->effect;
}

/* One request of hello's. */
static void
resp_note_request(const unsigned char *request, size_t length, struct resp_connection *connection)
{
	struct resp_words words;
	struct resp_word name, word;
	unsigned number;

	resp_words_begin(&words, request, length);
	if (!resp_words_next(&words, &name) || !resp_words_next(&words, &word))
		return;
	if (resp_word_is(&name, "AUTH"))
		connection->authenticated = true;
	if (!resp_word_number(&word, &number))
		return;
	if (resp_word_is(&name, "SELECT"))
		connection->database = number;
	else if (resp_word_is(&name, "HELLO") && (number == 2 || number == 3))
		connection->protocol = number;
	while (resp_word_is(&name, "HELLO") && resp_words_next(&words, &word))
		connection->authenticated = connection->authenticated || resp_word_is(&word, "AUTH");
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

/* Which commands pass over a connection that others share, and what is said about those that do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "framing/framing.h"
#include "framing/resp_command.h"

#define COUNT(ROWS) (sizeof ROWS / sizeof ROWS[0])

static const struct resp_connection plain = { .protocol = 2 };

struct command_row {
	const char *line; /* words that are parted by one space, without quotes */
	enum framing_verdict verdict;
	const char *answer; /* how it begins; NULL: there is none */
};

/* What the client speaks, before and after a request. */
static unsigned speaks = 2;

static enum resp_on_state on_state;

/* The last one. */
static struct resp_judgement judgement;
static char label[100]; /* its text */

static int
before_refuse(void **state)
{
	(void)state;
	on_state = RESP_ON_STATE_REFUSE;
	return 0;
}

static int
before_own(void **state)
{
	(void)state;
	on_state = RESP_ON_STATE_OWN;
	return 0;
}

/* The verdict on a whole request.  The answer becomes a text, and must be a whole reply. */
static enum framing_verdict
judge(const char *request, size_t length, const struct resp_connection *connection, char text[RESP_ANSWER_SIZE + 1])
{
	const struct framing *framing = framing_of(FRAMING_RESP);
	struct framing_progress of_request = { 0 }, of_reply = { 0 };
	unsigned char *bytes = malloc(length);
	enum framing_verdict verdict;
	size_t whole;

	memcpy(bytes, request, length);
	assert_int_equal(framing->request(&of_request, bytes, length, length, &whole), FRAMING_WHOLE);
	assert_int_equal(whole, length);
	judgement.protocol = speaks;
	verdict = resp_judge(bytes, length, connection, on_state, &judgement);
	speaks = judgement.protocol;
	if (judgement.label.kind != RESP_LABEL_NONE) {
		assert_true(judgement.label.length < sizeof label);
		memcpy(label, judgement.label.bytes, judgement.label.length);
		label[judgement.label.length] = '\0';
	}
	free(bytes);
	memcpy(text, judgement.answer, judgement.length);
	text[judgement.length] = '\0';
	if (verdict == FRAMING_FORWARD || verdict == FRAMING_SKIP || verdict == FRAMING_OWN)
		return verdict;
	assert_int_equal(framing->reply(&of_reply, (unsigned char *)text, judgement.length, RESP_ANSWER_SIZE, &whole),
	    FRAMING_WHOLE);
	assert_int_equal(whole, judgement.length);
	return verdict;
}

/* Makes an array of a line's words, in small or in capital letters. */
static size_t
make_array(const char *line, bool small, char *to)
{
	char words[300], *word, *rest = words;
	size_t count = 1, length;

	strcpy(words, line);
	for (const char *at = line; *at != '\0'; at++)
		count += *at == ' ';
	length = (size_t)sprintf(to, "*%zu\r\n", count);
	while ((word = strsep(&rest, " ")) != NULL) {
		length += (size_t)sprintf(to + length, "$%zu\r\n%s\r\n", strlen(word), word);
		for (size_t i = length - strlen(word) - 2; small && i < length; i++)
			if (to[i] >= 'A' && to[i] <= 'Z')
				to[i] = (char)(to[i] + 'a' - 'A');
	}
	return length;
}

/* A line's first letter in quotes, which must not hide it. */
static size_t
make_quoted(const char *line, char *to)
{
	size_t end = strcspn(line, " ");

	if (end == 0)
		return (size_t)sprintf(to, "%s\n", line);
	return (size_t)sprintf(to, "\t\"\\x%02x%.*s\"%s\r\n", (unsigned char)line[0], (int)end - 1, line + 1,
	    line + end);
}

static void
check_one(const struct command_row *row, const char *request, size_t length,
    const struct resp_connection *connection)
{
	char text[RESP_ANSWER_SIZE + 1];
	enum framing_verdict verdict = judge(request, length, connection, text);

	if (verdict != row->verdict)
		fail_msg("%s (%.100s): %d instead of %d", row->line, request, verdict, row->verdict);
	if (row->answer != NULL && strncmp(text, row->answer, strlen(row->answer)) != 0)
		fail_msg("%s (%.100s): \"%s\" instead of \"%s\"", row->line, request, text, row->answer);
}

static void
check_rows(const struct command_row *rows, size_t count, const struct resp_connection *connection)
{
	char request[1000];

	for (size_t i = 0; i < count; i++) {
		speaks = connection->protocol;
		check_one(&rows[i], request, make_array(rows[i].line, false, request), connection);
		check_one(&rows[i], request, make_array(rows[i].line, true, request), connection);
		check_one(&rows[i], request, (size_t)sprintf(request, "%s\r\n", rows[i].line), connection);
		check_one(&rows[i], request, (size_t)sprintf(request, "%s\n", rows[i].line), connection);
		check_one(&rows[i], request, make_quoted(rows[i].line, request), connection);
	}
}

#define FORWARD(LINE)         { LINE, FRAMING_FORWARD, NULL }
#define HOW "; this service is shared: use a service with mode = \"session\""
#define REFUSED(LINE, NAME)   { LINE, FRAMING_REFUSE, "-ERR " NAME " needs a connection of its own" HOW "\r\n" }
#define HARMFUL(LINE, NAME) \
	{ LINE, FRAMING_REFUSE, "-ERR " NAME " could end or block the connection of all clients" HOW "\r\n" }
#define OTHER(LINE, NUMBER) \
	{ LINE, FRAMING_REFUSE, "-ERR SELECT of a database other than " NUMBER " needs a connection of its own" HOW }
#define ARITY(LINE, NAME)     { LINE, FRAMING_ANSWER, "-ERR wrong number of arguments for '" NAME "' command\r\n" }
#define ANSWER(LINE, TEXT)    { LINE, FRAMING_ANSWER, TEXT }

static const struct command_row forwarded[] = {
	FORWARD("GET a"), FORWARD("SET MULTI EXEC"), FORWARD("PING"), FORWARD("ECHO QUIT"), FORWARD("COMMAND DOCS"),
	FORWARD("EVAL redis.call(KEYS[1]) 1 MULTI"), FORWARD("EVALSHA x 0"), FORWARD("FCALL f 0"),
	FORWARD("FUNCTION LIST"),
	FORWARD("PUBLISH a b"), FORWARD("SPUBLISH a b"), FORWARD("PUBSUB CHANNELS"), FORWARD("SCRIPT LOAD x"),
	FORWARD("CONFIG GET maxmemory"), FORWARD("CLIENT"), FORWARD("CLIENT LIST"),
	FORWARD("CLIENT GETNAME"), FORWARD("CLIENT INFO"), FORWARD("CLIENT NONE"), FORWARD("CLIENT SET"),
	FORWARD("MIGRATE h 1 k 0 9"), FORWARD("SAVE"), FORWARD("SWAPDB 0 1"), FORWARD("ACL WHOAMI"), FORWARD("ACL"),
	FORWARD("CLUSTER INFO"), FORWARD("MULTIPLE"), FORWARD("MULT"), FORWARD("XMULTI"), FORWARD("EXE"),
	FORWARD("NONE"),
	FORWARD("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOP"), FORWARD("LMPOP 1 a LEFT"), FORWARD("INFO"),
	FORWARD("CLIENT|SETNAME x"), FORWARD("MULTI|EXEC"), FORWARD("LMOVE a b LEFT LEFT"),
	FORWARD("ECHO a"), FORWARD("FUNCTION STATS"), FORWARD("SCRIPT EXISTS x"), FORWARD("FUNCTION"),
};

static void
what_harms_nobody_is_forwarded(void **state)
{
	(void)state;
	check_rows(forwarded, COUNT(forwarded), &plain);
}

static const struct command_row refused[] = {
	REFUSED("AUTH x", "AUTH"), REFUSED("AUTH user x", "AUTH"), REFUSED("MULTI", "MULTI"), REFUSED("EXEC", "EXEC"),
	REFUSED("DISCARD", "DISCARD"), REFUSED("WATCH a", "WATCH"), REFUSED("UNWATCH", "UNWATCH"),
	REFUSED("SUBSCRIBE a", "SUBSCRIBE"), REFUSED("PSUBSCRIBE a", "PSUBSCRIBE"),
	REFUSED("SSUBSCRIBE a", "SSUBSCRIBE"),
	REFUSED("UNSUBSCRIBE", "UNSUBSCRIBE"), REFUSED("PUNSUBSCRIBE", "PUNSUBSCRIBE"),
	REFUSED("SUNSUBSCRIBE", "SUNSUBSCRIBE"), REFUSED("MONITOR", "MONITOR"), REFUSED("BLPOP a 0", "BLPOP"),
	REFUSED("BRPOP a 0", "BRPOP"), REFUSED("BRPOPLPUSH a b 0", "BRPOPLPUSH"),
	REFUSED("BLMOVE a b LEFT LEFT 0", "BLMOVE"), REFUSED("BLMPOP 0 1 a LEFT", "BLMPOP"),
	REFUSED("BZPOPMIN a 0", "BZPOPMIN"), REFUSED("BZPOPMAX a 0", "BZPOPMAX"),
	REFUSED("BZMPOP 0 1 a MIN", "BZMPOP"),
	REFUSED("WAIT 1 0", "WAIT"), REFUSED("WAITAOF 1 0 0", "WAITAOF"), HARMFUL("SHUTDOWN", "SHUTDOWN"),
	HARMFUL("DEBUG SLEEP 5", "DEBUG"), HARMFUL("REPLICAOF no one", "REPLICAOF"),
	HARMFUL("SLAVEOF a 1", "SLAVEOF"),
	REFUSED("SYNC", "SYNC"), REFUSED("PSYNC ? -1", "PSYNC"), REFUSED("REPLCONF ACK 0", "REPLCONF"),
	HARMFUL("FAILOVER", "FAILOVER"), REFUSED("RESET", "RESET"), REFUSED("ASKING", "ASKING"),
	REFUSED("READONLY", "READONLY"), REFUSED("READWRITE", "READWRITE"),
	REFUSED("CLIENT REPLY OFF", "CLIENT REPLY"),
	REFUSED("CLIENT TRACKING ON", "CLIENT TRACKING"), HARMFUL("CLIENT KILL ID 1", "CLIENT KILL"),
	HARMFUL("CLIENT PAUSE 1", "CLIENT PAUSE"), HARMFUL("CLIENT UNPAUSE", "CLIENT UNPAUSE"),
	REFUSED("CLIENT NO-EVICT ON", "CLIENT NO-EVICT"), REFUSED("CLIENT NO-TOUCH ON", "CLIENT NO-TOUCH"),
	REFUSED("CLIENT CACHING YES", "CLIENT CACHING"), HARMFUL("CLIENT UNBLOCK 1", "CLIENT UNBLOCK"),
	REFUSED("CLIENT CAPA redirect", "CLIENT CAPA"), REFUSED("SCRIPT DEBUG YES", "SCRIPT DEBUG"),
	HARMFUL("ACL DELUSER me", "ACL DELUSER"), HARMFUL("ACL LOAD", "ACL LOAD"),
	HARMFUL("CLUSTER FAILOVER", "CLUSTER FAILOVER"), HARMFUL("CLUSTER RESET", "CLUSTER RESET"),
	REFUSED("CLIENT IMPORT-SOURCE ON", "CLIENT IMPORT-SOURCE"),
	HARMFUL("CLUSTER REPLICATE x", "CLUSTER REPLICATE"),
};

static void
what_changes_or_blocks_the_connection_is_refused(void **state)
{
	(void)state;
	check_rows(refused, COUNT(refused), &plain);
}

static const struct command_row wrong[] = {
	ARITY("AUTH", "auth"), ARITY("MULTI a", "multi"), ARITY("EXEC 1", "exec"), ARITY("WATCH", "watch"),
	ARITY("BLPOP", "blpop"), ARITY("BLPOP a", "blpop"), ARITY("BLMOVE a b LEFT LEFT", "blmove"),
	ARITY("WAIT 1", "wait"), ARITY("CLIENT GETNAME x", "client|getname"),
	ARITY("SELECT", "select"), ARITY("SELECT 0 0", "select"), ARITY("XREAD STREAMS a", "xread"),
	ARITY("CLIENT SETNAME", "client|setname"), ARITY("CLIENT SETNAME a b", "client|setname"),
	ARITY("CLIENT SETINFO a", "client|setinfo"), ARITY("CLIENT SETINFO a b c", "client|setinfo"),
	ARITY("CLIENT REPLY", "client|reply"), ARITY("CLIENT NO-EVICT", "client|no-evict"),
	ARITY("SUBSCRIBE", "subscribe"), ARITY("SCRIPT DEBUG", "script|debug"),
};

static void
a_wrong_number_of_words_is_told_in_redis_words(void **state)
{
	(void)state;
	check_rows(wrong, COUNT(wrong), &plain);
}

static const struct command_row answered[] = {
	ANSWER("SELECT 0", "+OK\r\n"), ANSWER("CLIENT SETNAME x", "+OK\r\n"),
	ANSWER("CLIENT SETINFO LIB-NAME x", "+OK\r\n"),
	ANSWER("CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type none", "-ERR unknown subcommand"),
	OTHER("SELECT 1", "0"), OTHER("SELECT 999999999", "0"),
	ANSWER("SELECT x", "-ERR value is not an integer"), ANSWER("SELECT -1", "-ERR value is not an integer"),
	ANSWER("SELECT 00", "-ERR value is not an integer"),
	ANSWER("SELECT 4294967296", "-ERR value is not an integer"),
	ANSWER("SELECT 00000000000000000000000000000000000000", "-ERR value is not an integer"),
	ANSWER("HELLO", "*14\r\n$6\r\nserver\r\n"), ANSWER("HELLO 2", "*14\r\n"),
	ANSWER("HELLO 2 SETNAME x", "*14\r\n"),
	ANSWER("HELLO 3", "-NOPROTO unsupported protocol version\r\n"), ANSWER("HELLO 4", "-NOPROTO"),
	ANSWER("HELLO 3 AUTH a b", "-NOPROTO"), ANSWER("HELLO x", "-ERR Protocol version is not an integer"),
	ANSWER("HELLO AUTH a b", "-ERR Protocol version is not an integer"),
	REFUSED("HELLO 2 AUTH a b", "HELLO with AUTH"), REFUSED("HELLO 2 SETNAME x AUTH a b", "HELLO with AUTH"),
	REFUSED("HELLO 2 AUTH", "HELLO with AUTH"), ANSWER("HELLO 2 SETNAME", "-ERR Syntax error in HELLO option"),
	ANSWER("HELLO 2 OTHER x", "-ERR Syntax error in HELLO option"),
	{ "QUIT", FRAMING_QUIT, "+OK\r\n" }, { "QUIT now", FRAMING_QUIT, "+OK\r\n" },
	{ "POST / HTTP/1.1", FRAMING_QUIT, "-ERR holdfast: this is no HTTP server\r\n" },
	{ "HOST: localhost", FRAMING_QUIT, "-ERR holdfast: this is no HTTP server\r\n" },
};

static void
what_would_change_nothing_is_answered(void **state)
{
	(void)state;
	check_rows(answered, COUNT(answered), &plain);
}

static void
hello_made_the_connection_what_it_is(void **state)
{
	static const struct resp_connection three = { .database = 7, .protocol = 3 };
	static const struct command_row rows[] = {
		ANSWER("SELECT 7", "+OK\r\n"), ANSWER("HELLO", "%7\r\n$6\r\nserver\r\n"), ANSWER("HELLO 3", "%7\r\n"),
		ANSWER("HELLO 2", "-NOPROTO"), ANSWER("HELLO 3 SETNAME x", "%7\r\n"),
		OTHER("SELECT 0", "7"), REFUSED("HELLO 3 AUTH a b", "HELLO with AUTH"),
	};
	char text[RESP_ANSWER_SIZE + 1];

	(void)state;
	check_rows(rows, COUNT(rows), &three);
	assert_int_equal(judge("SELECT 0\n", 9, &three, text), FRAMING_REFUSE);
	assert_string_equal(text, "-ERR SELECT of a database other than 7 needs a connection of its own; this "
	    "service is shared: use a service with mode = \"session\", or one whose hello selects it\r\n");
}

/* What is said line by line, and the protocol that the client speaks afterwards. */
static void
check_protocol(unsigned begin, const struct resp_connection *connection, const struct command_row *rows, size_t count,
    unsigned end)
{
	char request[100];

	speaks = begin;
	for (size_t i = 0; i < count; i++)
		check_one(&rows[i], request, (size_t)sprintf(request, "%s\r\n", rows[i].line), connection);
	assert_int_equal(speaks, end);
}

static void
who_has_not_said_hello_3_gets_no_reply_of_resp3(void **state)
{
	static const struct resp_connection three = { .protocol = 3 };
	static const struct command_row before[] = {
		ANSWER("HELLO", "*14\r\n"), ANSWER("HELLO 2", "-NOPROTO"), ANSWER("CLIENT SETNAME x", "+OK\r\n"),
		ANSWER("HELLO 3 OTHER", "-ERR Syntax error"), ANSWER("SELECT 0", "+OK\r\n"),
		{ "GET a", FRAMING_REFUSE, "-ERR this service is shared and speaks RESP3: say HELLO 3 first" },
		{ "XREAD STREAMS a 0", FRAMING_REFUSE, "-ERR this service is shared and speaks RESP3" },
		REFUSED("MULTI", "MULTI"),
	};
	static const struct command_row after[] = {
		ANSWER("HELLO 3 SETNAME x", "%7\r\n"), FORWARD("GET a"), ANSWER("HELLO", "%7\r\n"),
		FORWARD("XREAD STREAMS a 0"), ANSWER("HELLO 2", "-NOPROTO"), FORWARD("GET a"),
	};

	(void)state;
	check_protocol(2, &three, before, COUNT(before), 2);
	check_protocol(2, &three, after, COUNT(after), 3);
}

static void
who_speaks_resp3_over_what_has_become_resp2_is_refused(void **state)
{
	static const struct command_row rows[] = {
		{ "GET a", FRAMING_REFUSE, "-ERR this service is shared and speaks RESP2 now" },
		ANSWER("HELLO 3", "-NOPROTO"), ANSWER("HELLO 2", "*14\r\n"), FORWARD("GET a"),
	};

	(void)state;
	check_protocol(3, &plain, rows, COUNT(rows), 2);
}

static const struct command_row streams[] = {
	FORWARD("XREAD STREAMS a 0"), FORWARD("XREAD COUNT 5 STREAMS a 0"), FORWARD("XREAD STREAMS BLOCK 0"),
	FORWARD("XREAD COUNT 2 STREAMS a BLOCK 0 0"), REFUSED("XREAD BLOCK 0 STREAMS a 0", "XREAD with BLOCK"),
	REFUSED("XREAD COUNT 5 BLOCK 0 STREAMS a 0", "XREAD with BLOCK"),
	FORWARD("XREADGROUP GROUP g c STREAMS a >"), FORWARD("XREADGROUP GROUP BLOCK BLOCK STREAMS a >"),
	REFUSED("XREADGROUP GROUP g c BLOCK 0 STREAMS a >", "XREADGROUP with BLOCK"),
	REFUSED("XREADGROUP BLOCK 0 GROUP g c STREAMS a >", "XREADGROUP with BLOCK"),
	REFUSED("XREADGROUP GROUP g c NOACK BLOCK 0 STREAMS a >", "XREADGROUP with BLOCK"),
	REFUSED("XREADGROUP GROUP STREAMS STREAMS BLOCK 0 STREAMS a >", "XREADGROUP with BLOCK"),
};

static void
reading_of_streams_passes_unless_it_blocks(void **state)
{
	(void)state;
	check_rows(streams, COUNT(streams), &plain);
}

static void
what_redis_does_not_answer_is_skipped(void **state)
{
	static const char *const requests[] = { "*0\r\n", "*-1\r\n", "\r\n", "\n", " \t \r\n", "\v\n" };
	char text[RESP_ANSWER_SIZE + 1];

	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++)
		assert_int_equal(judge(requests[i], strlen(requests[i]), &plain, text), FRAMING_SKIP);
	assert_int_equal(judge("*1\r\n$0\r\n\r\n", 10, &plain, text), FRAMING_FORWARD);
	assert_int_equal(judge("\"\"\r\n", 4, &plain, text), FRAMING_FORWARD);
	assert_int_equal(judge("*2\r\n$6\r\nCLIENT\r\n$0\r\n\r\n", 22, &plain, text), FRAMING_FORWARD);
}

static void
quotes_hide_no_command(void **state)
{
	static const char *const requests[] = { "\"MULTI\"\r\n", "'multi'\n", "MUL\"TI\"\n", "\vMULTI\n", "M'ULTI'\n",
		"\"\\x4d\\x55\\x4C\\x54I\"\n", "\"\\MULTI\"\n", "MULTI\r\r\n" };
	static const char *const others[] = { "\"MULTI \"\n", "'\\x4dULTI'\n", "\"MULTI\\n\"\n", "MULTI\v\n",
		"\"MU\" LTI\n", "\\MULTI\n" };
	char text[RESP_ANSWER_SIZE + 1];

	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++)
		if (judge(requests[i], strlen(requests[i]), &plain, text) != FRAMING_REFUSE)
			fail_msg("%s was not refused", requests[i]);
	for (size_t i = 0; i < COUNT(others); i++)
		assert_int_equal(judge(others[i], strlen(others[i]), &plain, text), FRAMING_FORWARD);
	/* Redis compares as C does, and would hear POST and BLOCK. */
	assert_int_equal(judge("*1\r\n$6\r\nPOST\0x\r\n", 16, &plain, text), FRAMING_QUIT);
	assert_int_equal(judge("*6\r\n$5\r\nXREAD\r\n$6\r\nBLOCK\0\r\n$1\r\n0\r\n$7\r\nSTREAMS\r\n"
	    "$1\r\ns\r\n$1\r\n$\r\n", 61, &plain, text), FRAMING_REFUSE);
}

static void
hello_lines_are_noted(void **state)
{
	static const struct {
		const char *text;
		struct resp_connection connection;
	} rows[] = {
		{ "", { 0, 2, false } }, { "PING\r\n", { 0, 2, false } },
		{ "SELECT 3\r\n", { 3, 2, false } }, { "select 3\n", { 3, 2, false } },
		{ "HELLO 3\r\n", { 0, 3, false } }, { "HELLO 3 AUTH default secret\r\nSELECT 5\r\n", { 5, 3, true } },
		{ "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n", { 12, 2, false } },
		{ "HELLO 3\r\nHELLO 2\r\n", { 0, 2, false } },
		{ "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n\"SELECT\" '4'\r\n", { 4, 3, false } },
		{ "HELLO\r\n", { 0, 2, false } },
		{ "HELLO 4\r\n", { 0, 2, false } }, { "SELECT x\r\n", { 0, 2, false } },
		{ "SELECT 3", { 0, 2, false } },
		{ "AUTH SELECT 3\r\n", { 0, 2, true } }, { "AUTH secret\r\nSELECT 1\r\nPING\r\n", { 1, 2, true } },
		{ "x \"\r\nSELECT 3\r\n", { 0, 2, false } }, { "\r\n\r\n*0\r\nSELECT 3\r\n", { 3, 2, false } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct resp_connection connection = plain;

		resp_note_hello((const unsigned char *)rows[i].text, strlen(rows[i].text), &connection);
		assert_int_equal(connection.database, rows[i].connection.database);
		assert_int_equal(connection.protocol, rows[i].connection.protocol);
		assert_int_equal(connection.authenticated, rows[i].connection.authenticated);
	}
}

struct own_row {
	const char *line;
	enum resp_effect effect;
};

static const struct own_row own[] = {
	{ "AUTH x", RESP_EFFECT_AUTH }, { "AUTH user x", RESP_EFFECT_AUTH }, { "MULTI", RESP_EFFECT_MULTI },
	{ "EXEC", RESP_EFFECT_EXEC }, { "DISCARD", RESP_EFFECT_DISCARD }, { "WATCH a b", RESP_EFFECT_WATCH },
	{ "UNWATCH", RESP_EFFECT_UNWATCH }, { "SUBSCRIBE a b", RESP_EFFECT_SUBSCRIBE },
	{ "PSUBSCRIBE a", RESP_EFFECT_PSUBSCRIBE }, { "UNSUBSCRIBE", RESP_EFFECT_UNSUBSCRIBE },
	{ "PUNSUBSCRIBE a", RESP_EFFECT_PUNSUBSCRIBE }, { "SSUBSCRIBE a", RESP_EFFECT_LOST },
	{ "SUNSUBSCRIBE", RESP_EFFECT_LOST }, { "MONITOR", RESP_EFFECT_LOST }, { "BLPOP a 0", RESP_EFFECT_NONE },
	{ "BRPOP a 0", RESP_EFFECT_NONE }, { "BRPOPLPUSH a b 0", RESP_EFFECT_NONE },
	{ "BLMOVE a b LEFT LEFT 0", RESP_EFFECT_NONE }, { "BLMPOP 0 1 a LEFT", RESP_EFFECT_NONE },
	{ "BLMOVEM a b LEFT LEFT 0", RESP_EFFECT_NONE }, { "BZMOVE a b MIN 0", RESP_EFFECT_NONE },
	{ "BZPOPMIN a 0", RESP_EFFECT_NONE }, { "BZPOPMAX a 0", RESP_EFFECT_NONE },
	{ "BZMPOP 0 1 a MIN", RESP_EFFECT_NONE }, { "XREAD BLOCK 0 STREAMS a 0", RESP_EFFECT_NONE },
	{ "XREADGROUP GROUP g c BLOCK 0 STREAMS a >", RESP_EFFECT_NONE }, { "WAIT 1 0", RESP_EFFECT_NONE },
	{ "WAITAOF 1 0 0", RESP_EFFECT_NONE }, { "SELECT 1", RESP_EFFECT_SELECT }, { "HELLO 3", RESP_EFFECT_HELLO },
	{ "HELLO 3 AUTH a b SETNAME x", RESP_EFFECT_HELLO }, { "HELLO 2 AUTH a b", RESP_EFFECT_HELLO },
	{ "RESET", RESP_EFFECT_RESET }, { "ASKING", RESP_EFFECT_LASTING }, { "READONLY", RESP_EFFECT_LASTING },
	{ "READWRITE", RESP_EFFECT_LASTING }, { "SYNC", RESP_EFFECT_LOST }, { "PSYNC ? -1", RESP_EFFECT_LOST },
	{ "REPLCONF ACK 0", RESP_EFFECT_LOST }, { "CLIENT REPLY SKIP", RESP_EFFECT_LOST },
	{ "CLIENT TRACKING ON", RESP_EFFECT_LASTING }, { "CLIENT CACHING YES", RESP_EFFECT_LASTING },
	{ "CLIENT NO-EVICT ON", RESP_EFFECT_LASTING }, { "CLIENT NO-TOUCH ON", RESP_EFFECT_LASTING },
	{ "CLIENT CAPA redirect", RESP_EFFECT_LASTING }, { "CLIENT IMPORT-SOURCE ON", RESP_EFFECT_LASTING },
	{ "SCRIPT DEBUG YES", RESP_EFFECT_LOST }, { "CLUSTER SYNCSLOTS x", RESP_EFFECT_LOST },
	{ "SHUTDOWN NOSAVE", RESP_EFFECT_NONE }, { "DEBUG SLEEP 5", RESP_EFFECT_NONE },
	{ "REPLICAOF no one", RESP_EFFECT_NONE }, { "SLAVEOF a 1", RESP_EFFECT_NONE },
	{ "FAILOVER", RESP_EFFECT_NONE }, { "CLUSTER FAILOVER", RESP_EFFECT_NONE },
	{ "CLUSTER RESET", RESP_EFFECT_NONE }, { "CLUSTER REPLICATE x", RESP_EFFECT_NONE },
	{ "CLIENT KILL ID 1", RESP_EFFECT_NONE }, { "CLIENT PAUSE 1", RESP_EFFECT_NONE },
	{ "CLIENT UNPAUSE", RESP_EFFECT_NONE }, { "CLIENT UNBLOCK 1", RESP_EFFECT_NONE },
	{ "ACL DELUSER me", RESP_EFFECT_NONE }, { "ACL LOAD", RESP_EFFECT_NONE },
	{ "SCRIPT KILL", RESP_EFFECT_NONE }, { "FUNCTION KILL", RESP_EFFECT_NONE },
	{ "CLIENT ID", RESP_EFFECT_LASTING },
};

/* The first words of a line, as they are kept of a request that has passed. */
static enum resp_effect
effect_of(const char *line)
{
	struct resp_kept words[2] = { { 0 }, { 0 } };
	uint64_t count = 0;

	for (const char *at = line; *at != '\0'; at += *at == ' ', count++) {
		size_t length = strcspn(at, " ");

		if (count < COUNT(words))
			resp_kept_add(&words[count], (const unsigned char *)at, length);
		at += length;
	}
	return resp_effect_of(words, count);
}

static void
who_needs_a_state_gets_a_connection_of_its_own(void **state)
{
	static const char publish[] = "*3\r\n$7\r\nPUBLISH\r\n";

	(void)state;
	for (size_t i = 0; i < COUNT(own); i++) {
		struct command_row row = { own[i].line, FRAMING_OWN, NULL };

		check_rows(&row, 1, &plain);
		assert_int_equal(judgement.effect, own[i].effect);
		assert_int_equal(effect_of(own[i].line), own[i].effect);
		if (strncmp(own[i].line, "WAIT", 4) == 0)
			assert_memory_equal(judgement.first, publish, sizeof publish - 1);
		else
			assert_null(judgement.first);
	}
}

static void
what_passes_leaves_nothing_behind(void **state)
{
	(void)state;
	check_rows(forwarded, COUNT(forwarded), &plain);
	check_rows(wrong, COUNT(wrong), &plain);
	for (size_t i = 0; i < COUNT(forwarded); i++)
		assert_int_equal(effect_of(forwarded[i].line), RESP_EFFECT_NONE);
	assert_int_equal(effect_of(""), RESP_EFFECT_NONE);
	assert_int_equal(effect_of("CLIENT"), RESP_EFFECT_NONE);
	assert_int_equal(effect_of("client setname x"), RESP_EFFECT_LASTING);
	assert_int_equal(effect_of("DEBUG MARK-INTERNAL-CLIENT"), RESP_EFFECT_LASTING);
	assert_int_equal(effect_of("DEBUG RELOAD"), RESP_EFFECT_NONE);
	assert_int_equal(effect_of("QUIT"), RESP_EFFECT_LOST);
	assert_int_equal(effect_of("POST / HTTP/1.1"), RESP_EFFECT_LOST);
}

static const struct command_row own_answered[] = {
	ANSWER("SELECT 0", "+OK\r\n"), ANSWER("SELECT x", "-ERR value is not an integer"),
	ANSWER("CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type none", "-ERR unknown subcommand"),
	ANSWER("HELLO 4", "-NOPROTO"), ANSWER("HELLO x", "-ERR Protocol version is not an integer"),
	ANSWER("HELLO 2 SETNAME", "-ERR Syntax error in HELLO option"),
	ANSWER("HELLO 2 OTHER x", "-ERR Syntax error in HELLO option"),
	ANSWER("CLIENT SETNAME x\x01",
	    "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"),
	ANSWER("CLIENT SETINFO LIB-VER \xc3\xa9", "-ERR lib-ver cannot contain spaces, newlines or special"),
	ANSWER("HELLO 2 SETNAME \xc3\xa9", "-ERR Client names cannot contain"),
	{ "QUIT", FRAMING_QUIT, "+OK\r\n" },
	{ "POST / HTTP/1.1", FRAMING_QUIT, "-ERR holdfast: this is no HTTP server\r\n" },
};

static void
what_changes_nothing_needs_no_connection_of_its_own(void **state)
{
	(void)state;
	check_rows(own_answered, COUNT(own_answered), &plain);
}

static void
a_client_says_who_it_is_before_it_has_a_connection(void **state)
{
	static const struct {
		const char *line;
		enum framing_verdict verdict;
		enum resp_label_kind kind;
		const char *label;
	} rows[] = {
		{ "CLIENT SETNAME worker", FRAMING_ANSWER, RESP_LABEL_NAME, "worker" },
		{ "CLIENT SETINFO LIB-NAME redis-py", FRAMING_ANSWER, RESP_LABEL_LIBRARY, "redis-py" },
		{ "CLIENT SETINFO LIB-VER 5.0.1", FRAMING_ANSWER, RESP_LABEL_VERSION, "5.0.1" },
		{ "HELLO 2 SETNAME worker", FRAMING_FORWARD, RESP_LABEL_NAME, "worker" },
		{ "CLIENT SETNAME 1234567890123456789012345", FRAMING_ANSWER, RESP_LABEL_NAME,
		    "1234567890123456789012345" },
		{ "CLIENT SETINFO OTHER x", FRAMING_ANSWER, RESP_LABEL_NONE, NULL },
		{ "HELLO 2", FRAMING_FORWARD, RESP_LABEL_NONE, NULL },
		{ "PING", FRAMING_FORWARD, RESP_LABEL_NONE, NULL },
	};
	char text[RESP_ANSWER_SIZE + 1], request[200];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		speaks = 2;
		assert_int_equal(judge(request, make_array(rows[i].line, i % 2 == 0, request), &plain, text),
		    rows[i].verdict);
		assert_int_equal(judgement.label.kind, rows[i].kind);
		if (rows[i].label != NULL)
			assert_int_equal(strcasecmp(label, rows[i].label), 0);
	}
	/* An empty one takes it away; in a line, so long a one is not remembered. */
	assert_int_equal(judge("CLIENT SETNAME \"\"\n", 18, &plain, text), FRAMING_ANSWER);
	assert_int_equal(judgement.label.kind, RESP_LABEL_NAME);
	assert_int_equal(judgement.label.length, 0);
	assert_int_equal(judge("CLIENT SETNAME worker\n", 22, &plain, text), FRAMING_ANSWER);
	assert_string_equal(label, "worker");
	assert_int_equal(judge("CLIENT SETNAME 1234567890123456789012345\n", 41, &plain, text), FRAMING_ANSWER);
	assert_int_equal(judgement.label.kind, RESP_LABEL_NONE);
}

static void
hello_is_answered_by_the_server(void **state)
{
	static const struct resp_connection three = { .protocol = 3 };
	static const struct command_row rows[] = {
		FORWARD("HELLO"), FORWARD("HELLO 2"), FORWARD("HELLO 2 SETNAME x"),
	};
	static const struct command_row resp3[] = { FORWARD("HELLO 3"), FORWARD("HELLO"), FORWARD("GET a") };
	/* Who does not speak the shared connection's protocol is never given a reply in it. */
	static const struct command_row before[] = {
		{ "HELLO", FRAMING_OWN, NULL }, { "GET a", FRAMING_OWN, NULL }, { "HELLO 2", FRAMING_OWN, NULL },
		{ "MULTI", FRAMING_OWN, NULL }, ANSWER("CLIENT SETNAME x", "+OK\r\n"), ANSWER("SELECT 0", "+OK\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_rows(&rows[i], 1, &plain);
		assert_string_equal(judgement.instead, "*1\r\n$5\r\nHELLO\r\n");
	}
	check_protocol(2, &three, before, COUNT(before), 2);
	check_protocol(2, &three, resp3, COUNT(resp3), 3);
	assert_null(judgement.instead);
	check_protocol(3, &plain, rows + 1, 1, 2);
}

static void
what_needs_no_order_or_asks_for_the_name_is_known(void **state)
{
	static const char *const free_of_order[] = { "PING", "PING x", "ECHO x", "CLIENT LIST", "CLIENT KILL ID 1",
		"CLIENT", "CLIENT UNBLOCK 1", "CLIENT UNPAUSE", "SCRIPT KILL", "FUNCTION KILL", "FUNCTION STATS" };
	static const char *const ordered[] = { "GET a", "SCRIPT LOAD x", "SCRIPT", "FUNCTION LIST", "MULTI",
		"CLIENT TRACKING ON", "CLIENT REPLY OFF", "SHUTDOWN", "SUBSCRIBE a", "NONE" };
	char text[RESP_ANSWER_SIZE + 1], request[100];

	(void)state;
	speaks = 2;
	for (size_t i = 0; i < COUNT(free_of_order); i++) {
		judge(request, make_array(free_of_order[i], false, request), &plain, text);
		assert_true(judgement.no_order);
		assert_false(judgement.asks_name);
	}
	assert_int_equal(judge("CLIENT GETNAME\n", 15, &plain, text), FRAMING_FORWARD);
	assert_true(judgement.asks_name);
	for (size_t i = 0; i < COUNT(ordered); i++) {
		judge(request, make_array(ordered[i], false, request), &plain, text);
		assert_false(judgement.no_order);
		assert_false(judgement.asks_name);
	}
	on_state = RESP_ON_STATE_REFUSE;
	assert_int_equal(judge("SCRIPT KILL\n", 12, &plain, text), FRAMING_FORWARD);
	assert_int_equal(judge("CLIENT ID\n", 10, &plain, text), FRAMING_FORWARD);
	assert_int_equal(judge("FUNCTION KILL\n", 14, &plain, text), FRAMING_FORWARD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_harms_nobody_is_forwarded, before_refuse),
		cmocka_unit_test_setup(what_changes_or_blocks_the_connection_is_refused, before_refuse),
		cmocka_unit_test_setup(a_wrong_number_of_words_is_told_in_redis_words, before_refuse),
		cmocka_unit_test_setup(what_would_change_nothing_is_answered, before_refuse),
		cmocka_unit_test_setup(hello_made_the_connection_what_it_is, before_refuse),
		cmocka_unit_test_setup(who_has_not_said_hello_3_gets_no_reply_of_resp3, before_refuse),
		cmocka_unit_test_setup(who_speaks_resp3_over_what_has_become_resp2_is_refused, before_refuse),
		cmocka_unit_test_setup(reading_of_streams_passes_unless_it_blocks, before_refuse),
		cmocka_unit_test_setup(what_redis_does_not_answer_is_skipped, before_refuse),
		cmocka_unit_test_setup(quotes_hide_no_command, before_refuse),
		cmocka_unit_test_setup(hello_lines_are_noted, before_refuse),
		cmocka_unit_test_setup(who_needs_a_state_gets_a_connection_of_its_own, before_own),
		cmocka_unit_test_setup(what_passes_leaves_nothing_behind, before_own),
		cmocka_unit_test_setup(what_changes_nothing_needs_no_connection_of_its_own, before_own),
		cmocka_unit_test_setup(a_client_says_who_it_is_before_it_has_a_connection, before_own),
		cmocka_unit_test_setup(hello_is_answered_by_the_server, before_own),
		cmocka_unit_test_setup(what_needs_no_order_or_asks_for_the_name_is_known, before_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

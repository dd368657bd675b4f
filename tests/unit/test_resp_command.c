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

#include "framing/framing.h"
#include "framing/resp_command.h"

#define COUNT(ROWS) (sizeof ROWS / sizeof ROWS[0])

static const struct resp_connection plain = { 0, 2 };

struct command_row {
	const char *line; /* words that are parted by one space, without quotes */
	enum resp_verdict verdict;
	const char *answer; /* how it begins; NULL: there is none */
};

/* What the client speaks, before and after a request. */
static unsigned speaks = 2;

/* The verdict on a whole request.  The answer becomes a text, and must be a whole reply. */
static enum resp_verdict
judge(const char *request, size_t length, const struct resp_connection *connection, char text[RESP_ANSWER_SIZE + 1])
{
	const struct framing *framing = framing_of(FRAMING_RESP);
	struct framing_progress of_request = { 0 }, of_reply = { 0 };
	unsigned char *bytes = malloc(length);
	enum resp_verdict verdict;
	size_t whole, answer = 0;

	memcpy(bytes, request, length);
	assert_int_equal(framing->request(&of_request, bytes, length, length, &whole), FRAMING_WHOLE);
	assert_int_equal(whole, length);
	verdict = resp_judge(bytes, length, connection, &speaks, text, &answer);
	free(bytes);
	text[answer] = '\0';
	if (verdict == RESP_FORWARD || verdict == RESP_SKIP)
		return verdict;
	assert_int_equal(framing->reply(&of_reply, (unsigned char *)text, answer, RESP_ANSWER_SIZE, &whole),
	    FRAMING_WHOLE);
	assert_int_equal(whole, answer);
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
	enum resp_verdict verdict = judge(request, length, connection, text);

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

#define FORWARD(LINE)         { LINE, RESP_FORWARD, NULL }
#define HOW "; this service is shared: use a service with mode = \"session\""
#define REFUSED(LINE, NAME)   { LINE, RESP_REFUSE, "-ERR " NAME " needs a connection of its own" HOW "\r\n" }
#define HARMFUL(LINE, NAME) \
	{ LINE, RESP_REFUSE, "-ERR " NAME " could end or block the connection of all clients" HOW "\r\n" }
#define OTHER(LINE, NUMBER) \
	{ LINE, RESP_REFUSE, "-ERR SELECT of a database other than " NUMBER " needs a connection of its own" HOW }
#define ARITY(LINE, NAME)     { LINE, RESP_ANSWER, "-ERR wrong number of arguments for '" NAME "' command\r\n" }
#define ANSWER(LINE, TEXT)    { LINE, RESP_ANSWER, TEXT }

static const struct command_row forwarded[] = {
	FORWARD("GET a"), FORWARD("SET MULTI EXEC"), FORWARD("PING"), FORWARD("ECHO QUIT"), FORWARD("COMMAND DOCS"),
	FORWARD("EVAL redis.call(KEYS[1]) 1 MULTI"), FORWARD("EVALSHA x 0"), FORWARD("FCALL f 0"),
	FORWARD("FUNCTION LIST"),
	FORWARD("PUBLISH a b"), FORWARD("SPUBLISH a b"), FORWARD("PUBSUB CHANNELS"), FORWARD("SCRIPT LOAD x"),
	FORWARD("CONFIG GET maxmemory"), FORWARD("CLIENT"), FORWARD("CLIENT LIST"), FORWARD("CLIENT ID"),
	FORWARD("CLIENT GETNAME"), FORWARD("CLIENT INFO"), FORWARD("CLIENT NONE"), FORWARD("CLIENT SET"),
	FORWARD("MIGRATE h 1 k 0 9"), FORWARD("SAVE"), FORWARD("SWAPDB 0 1"), FORWARD("ACL WHOAMI"), FORWARD("ACL"),
	FORWARD("CLUSTER INFO"), FORWARD("MULTIPLE"), FORWARD("MULT"), FORWARD("XMULTI"), FORWARD("EXE"),
	FORWARD("NONE"),
	FORWARD("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOP"), FORWARD("LMPOP 1 a LEFT"), FORWARD("INFO"),
	FORWARD("CLIENT|SETNAME x"), FORWARD("MULTI|EXEC"), FORWARD("LMOVE a b LEFT LEFT"),
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
	ARITY("WAIT 1", "wait"),
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
	{ "QUIT", RESP_QUIT, "+OK\r\n" }, { "QUIT now", RESP_QUIT, "+OK\r\n" },
	{ "POST / HTTP/1.1", RESP_QUIT, "-ERR holdfast: this is no HTTP server\r\n" },
	{ "HOST: localhost", RESP_QUIT, "-ERR holdfast: this is no HTTP server\r\n" },
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
	static const struct resp_connection three = { 7, 3 };
	static const struct command_row rows[] = {
		ANSWER("SELECT 7", "+OK\r\n"), ANSWER("HELLO", "%7\r\n$6\r\nserver\r\n"), ANSWER("HELLO 3", "%7\r\n"),
		ANSWER("HELLO 2", "-NOPROTO"), ANSWER("HELLO 3 SETNAME x", "%7\r\n"),
		OTHER("SELECT 0", "7"), REFUSED("HELLO 3 AUTH a b", "HELLO with AUTH"),
	};
	char text[RESP_ANSWER_SIZE + 1];

	(void)state;
	check_rows(rows, COUNT(rows), &three);
	assert_int_equal(judge("SELECT 0\n", 9, &three, text), RESP_REFUSE);
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
	static const struct resp_connection three = { 0, 3 };
	static const struct command_row before[] = {
		ANSWER("HELLO", "*14\r\n"), ANSWER("HELLO 2", "-NOPROTO"), ANSWER("CLIENT SETNAME x", "+OK\r\n"),
		ANSWER("HELLO 3 OTHER", "-ERR Syntax error"), ANSWER("SELECT 0", "+OK\r\n"),
		{ "GET a", RESP_REFUSE, "-ERR this service is shared and speaks RESP3: say HELLO 3 first" },
		{ "XREAD STREAMS a 0", RESP_REFUSE, "-ERR this service is shared and speaks RESP3" },
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
		{ "GET a", RESP_REFUSE, "-ERR this service is shared and speaks RESP2 now" },
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
		assert_int_equal(judge(requests[i], strlen(requests[i]), &plain, text), RESP_SKIP);
	assert_int_equal(judge("*1\r\n$0\r\n\r\n", 10, &plain, text), RESP_FORWARD);
	assert_int_equal(judge("\"\"\r\n", 4, &plain, text), RESP_FORWARD);
	assert_int_equal(judge("*2\r\n$6\r\nCLIENT\r\n$0\r\n\r\n", 22, &plain, text), RESP_FORWARD);
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
		if (judge(requests[i], strlen(requests[i]), &plain, text) != RESP_REFUSE)
			fail_msg("%s was not refused", requests[i]);
	for (size_t i = 0; i < COUNT(others); i++)
		assert_int_equal(judge(others[i], strlen(others[i]), &plain, text), RESP_FORWARD);
	/* Redis compares as C does, and would hear POST and BLOCK. */
	assert_int_equal(judge("*1\r\n$6\r\nPOST\0x\r\n", 16, &plain, text), RESP_QUIT);
	assert_int_equal(judge("*6\r\n$5\r\nXREAD\r\n$6\r\nBLOCK\0\r\n$1\r\n0\r\n$7\r\nSTREAMS\r\n"
	    "$1\r\ns\r\n$1\r\n$\r\n", 61, &plain, text), RESP_REFUSE);
}

static void
hello_lines_are_noted(void **state)
{
	static const struct {
		const char *text;
		struct resp_connection connection;
	} rows[] = {
		{ "", { 0, 2 } }, { "PING\r\n", { 0, 2 } }, { "SELECT 3\r\n", { 3, 2 } }, { "select 3\n", { 3, 2 } },
		{ "HELLO 3\r\n", { 0, 3 } }, { "HELLO 3 AUTH default secret\r\nSELECT 5\r\n", { 5, 3 } },
		{ "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n", { 12, 2 } }, { "HELLO 3\r\nHELLO 2\r\n", { 0, 2 } },
		{ "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n\"SELECT\" '4'\r\n", { 4, 3 } }, { "HELLO\r\n", { 0, 2 } },
		{ "HELLO 4\r\n", { 0, 2 } }, { "SELECT x\r\n", { 0, 2 } }, { "SELECT 3", { 0, 2 } },
		{ "AUTH SELECT 3\r\n", { 0, 2 } }, { "AUTH secret\r\nSELECT 1\r\nPING\r\n", { 1, 2 } },
		{ "x \"\r\nSELECT 3\r\n", { 0, 2 } }, { "\r\n\r\n*0\r\nSELECT 3\r\n", { 3, 2 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct resp_connection connection = plain;

		resp_note_hello((const unsigned char *)rows[i].text, strlen(rows[i].text), &connection);
		assert_int_equal(connection.database, rows[i].connection.database);
		assert_int_equal(connection.protocol, rows[i].connection.protocol);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_harms_nobody_is_forwarded),
		cmocka_unit_test(what_changes_or_blocks_the_connection_is_refused),
		cmocka_unit_test(a_wrong_number_of_words_is_told_in_redis_words),
		cmocka_unit_test(what_would_change_nothing_is_answered),
		cmocka_unit_test(hello_made_the_connection_what_it_is),
		cmocka_unit_test(who_has_not_said_hello_3_gets_no_reply_of_resp3),
		cmocka_unit_test(who_speaks_resp3_over_what_has_become_resp2_is_refused),
		cmocka_unit_test(reading_of_streams_passes_unless_it_blocks),
		cmocka_unit_test(what_redis_does_not_answer_is_skipped),
		cmocka_unit_test(quotes_hide_no_command),
		cmocka_unit_test(hello_lines_are_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

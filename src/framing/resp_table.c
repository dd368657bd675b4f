/* Decided with the list of all commands of Redis 7.0 (COMMAND): refused is what changes what the connection is or
 * gets (a transaction, a subscription, a protocol), what makes it wait or end, and what takes the server from all.
 * What is only slow, or changes data or settings for all, is the server's own affair. */
#include "framing/resp_table.h"

#include "framing/resp_words.h"

#define NOTE_TRANSACTION "commands of other clients would get into the transaction"
#define NOTE_SUBSCRIBE   "its messages would go to other clients"
#define NOTE_BLOCK       "other clients would have to wait"
#define NOTE_REPLY       "other clients' replies would change"
#define NOTE_SERVER      "the server would be taken from other clients"
#define NOTE_HELLO       "the setting hello speaks for all clients"
#define NOTE_REPLICA     "it is for replicas"

#define REFUSED(NAME, ARITY, NOTE) { NAME, ARITY, RESP_RULE_REFUSE, NOTE, NULL }
#define JUDGED(NAME, ARITY, RULE)  { NAME, ARITY, RESP_RULE_##RULE, NULL, NULL }
#define CONTAINER(NAME, ROWS)      { NAME, -1, RESP_RULE_SUBCOMMAND, NULL, ROWS }
#define LAST                       { NULL, 0, RESP_RULE_REFUSE, NULL, NULL }

/* ACL: what closes connections, perhaps this one. */
static const struct resp_command acl_subcommands[] = {
	REFUSED("DELUSER", -3, NOTE_SERVER),
	REFUSED("LOAD", 2, NOTE_SERVER),
	LAST,
};

static const struct resp_command client_subcommands[] = {
	JUDGED("SETNAME", 3, LABEL),
	JUDGED("SETINFO", 4, LABEL),
	REFUSED("CACHING", 3, NOTE_REPLY),
	REFUSED("CAPA", -3, NOTE_REPLY),
	REFUSED("IMPORT-SOURCE", 3, NULL),
	REFUSED("KILL", -3, NOTE_SERVER),
	REFUSED("NO-EVICT", 3, NULL),
	REFUSED("NO-TOUCH", 3, NULL),
	REFUSED("PAUSE", -3, NOTE_BLOCK),
	REFUSED("REPLY", 3, NOTE_REPLY),
	REFUSED("TRACKING", -3, NOTE_REPLY),
	REFUSED("UNBLOCK", -3, NULL),
	REFUSED("UNPAUSE", 2, NULL),
	LAST,
};

static const struct resp_command cluster_subcommands[] = {
	REFUSED("FAILOVER", -2, NOTE_SERVER),
	REFUSED("REPLICATE", 3, NOTE_SERVER),
	REFUSED("RESET", -2, NOTE_SERVER),
	LAST,
};

/* After it the next script is debugged: its connection speaks another protocol. */
static const struct resp_command script_subcommands[] = {
	REFUSED("DEBUG", 3, NOTE_REPLY),
	LAST,
};

static const struct resp_command commands3[] = {
	CONTAINER("ACL", acl_subcommands),
	LAST,
};

static const struct resp_command commands4[] = {
	REFUSED("AUTH", -2, NOTE_HELLO),
	REFUSED("EXEC", 1, NOTE_TRANSACTION),
	JUDGED("POST", -1, HTTP),
	JUDGED("QUIT", -1, QUIT),
	REFUSED("SYNC", 1, NOTE_REPLICA),
	REFUSED("WAIT", 3, NOTE_BLOCK),
	LAST,
};

static const struct resp_command commands5[] = {
	REFUSED("BLPOP", -3, NOTE_BLOCK),
	REFUSED("BRPOP", -3, NOTE_BLOCK),
	REFUSED("DEBUG", -2, NOTE_SERVER),
	JUDGED("HELLO", -1, HELLO),
	JUDGED("HOST:", -1, HTTP),
	REFUSED("MULTI", 1, NOTE_TRANSACTION),
	REFUSED("PSYNC", -3, NOTE_REPLICA),
	REFUSED("RESET", 1, NOTE_REPLY),
	REFUSED("WATCH", -2, NOTE_TRANSACTION),
	JUDGED("XREAD", -4, XREAD),
	LAST,
};

static const struct resp_command commands6[] = {
	REFUSED("ASKING", 1, NULL),
	REFUSED("BLMOVE", 6, NOTE_BLOCK),
	REFUSED("BLMPOP", -5, NOTE_BLOCK),
	REFUSED("BZMPOP", -5, NOTE_BLOCK),
	CONTAINER("CLIENT", client_subcommands),
	CONTAINER("SCRIPT", script_subcommands),
	JUDGED("SELECT", 2, SELECT),
	LAST,
};

static const struct resp_command commands7[] = {
	CONTAINER("CLUSTER", cluster_subcommands),
	REFUSED("DISCARD", 1, NOTE_TRANSACTION),
	REFUSED("MONITOR", 1, NOTE_REPLY),
	REFUSED("SLAVEOF", 3, NOTE_SERVER),
	REFUSED("UNWATCH", 1, NOTE_TRANSACTION),
	REFUSED("WAITAOF", 4, NOTE_BLOCK),
	LAST,
};

static const struct resp_command commands8[] = {
	REFUSED("BZPOPMAX", -3, NOTE_BLOCK),
	REFUSED("BZPOPMIN", -3, NOTE_BLOCK),
	REFUSED("FAILOVER", -1, NOTE_SERVER),
	REFUSED("READONLY", 1, NULL),
	REFUSED("REPLCONF", -1, NOTE_REPLICA),
	REFUSED("SHUTDOWN", -1, NOTE_SERVER),
	LAST,
};

static const struct resp_command commands9[] = {
	REFUSED("READWRITE", 1, NULL),
	REFUSED("REPLICAOF", 3, NOTE_SERVER),
	REFUSED("SUBSCRIBE", -2, NOTE_SUBSCRIBE),
	LAST,
};

static const struct resp_command commands10[] = {
	REFUSED("BRPOPLPUSH", 4, NOTE_BLOCK),
	REFUSED("PSUBSCRIBE", -2, NOTE_SUBSCRIBE),
	REFUSED("SSUBSCRIBE", -2, NOTE_SUBSCRIBE),
	JUDGED("XREADGROUP", -7, XREAD),
	LAST,
};

static const struct resp_command commands11[] = {
	REFUSED("UNSUBSCRIBE", -1, NOTE_SUBSCRIBE),
	LAST,
};

static const struct resp_command commands12[] = {
	REFUSED("PUNSUBSCRIBE", -1, NOTE_SUBSCRIBE),
	REFUSED("SUNSUBSCRIBE", -1, NOTE_SUBSCRIBE),
	LAST,
};

/* By the length of their names: most commands that are forwarded meet a handful of others' first letters. */
static const struct resp_command *const commands[] = {
	[3] = commands3, [4] = commands4, [5] = commands5, [6] = commands6, [7] = commands7, [8] = commands8,
	[9] = commands9, [10] = commands10, [11] = commands11, [12] = commands12,
};

static const struct resp_command *
table_find(const struct resp_command *rows, const struct resp_word *word)
{
	for (; rows->name != NULL; rows++)
		/* A letter without this bit is capital; the rest is compared byte by byte. */
		if (((word->bytes[0] ^ (unsigned char)rows->name[0]) & ~0x20) == 0 && resp_word_is(word, rows->name))
			return rows;
	return NULL;
}

const struct resp_command *
resp_table_find(const struct resp_word *name)
{
	if (name->length >= sizeof commands / sizeof commands[0] || commands[name->length] == NULL)
		return NULL;
	return table_find(commands[name->length], name);
}

const struct resp_command *
resp_table_find_subcommand(const struct resp_command *command, const struct resp_word *name)
{
	return name->length == 0 ? NULL : table_find(command->subcommands, name);
}

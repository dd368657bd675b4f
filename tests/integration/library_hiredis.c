/* library_hiredis - hiredis as programs use it; see libraries.py for what is printed.
 *
 * library_hiredis SOCKET deaths|restarts VISITORS */
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VISITORS_MOST 64
#define PIPELINE 10

struct counter {
	long long known;
	long long open_ends;
};

struct visitor {
	pthread_t thread;
	int number;
	redisContext *zero, *one; /* owned; NULL: to be connected */
	struct counter count, both;
	long long rounds, failures;
	char wrong[200];
};

static const char *path;
static bool restarts;
static atomic_bool over;

static void
visitor_wrong(struct visitor *visitor, const char *what, const redisReply *reply)
{
	if (visitor->wrong[0] == '\0')
		snprintf(visitor->wrong, sizeof visitor->wrong, "%s: type %d, integer %lld", what, reply->type,
		    reply->integer);
}

/* Gives a connection, made again if the last one has failed. */
static redisContext *
visitor_connection(redisContext **connection, const char *database)
{
	redisReply *reply;

	if (*connection != NULL && (*connection)->err != 0) {
		redisFree(*connection);
		*connection = NULL;
	}
	if (*connection != NULL)
		return *connection;
	*connection = redisConnectUnix(path);
	if (*connection == NULL || (*connection)->err != 0)
		return NULL;
	reply = redisCommand(*connection, "SELECT %s", database);
	if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
		(*connection)->err = REDIS_ERR_OTHER;
	freeReplyObject(reply);
	return (*connection)->err == 0 ? *connection : NULL;
}

/* The reply, or NULL for a failure, which is counted. */
static redisReply *
visitor_took(struct visitor *visitor, redisReply *reply)
{
	if (reply != NULL && reply->type != REDIS_REPLY_ERROR)
		return reply;
	fprintf(stderr, "%s\n", reply != NULL ? reply->str : "connection lost");
	visitor->failures++;
	freeReplyObject(reply);
	return NULL;
}

static redisReply *
visitor_ask(struct visitor *visitor, redisContext *connection, const char *format, ...)
{
	redisReply *reply = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (connection != NULL)
		reply = redisvCommand(connection, format, arguments);
	va_end(arguments);
	return visitor_took(visitor, reply);
}

static void
visitor_counted(struct visitor *visitor, struct counter *counter, const redisReply *reply)
{
	if (reply == NULL) {
		counter->open_ends++;
		return;
	}
	if (reply->type != REDIS_REPLY_INTEGER || reply->integer <= counter->known ||
	    reply->integer > counter->known + counter->open_ends + 1)
		visitor_wrong(visitor, "count", reply);
	counter->known = reply->integer;
	counter->open_ends = 0;
}

static void
visitor_count(struct visitor *visitor)
{
	redisReply *reply = visitor_ask(visitor, visitor_connection(&visitor->zero, "0"), "INCR zero:count:%d",
	    visitor->number);

	visitor_counted(visitor, &visitor->count, reply);
	freeReplyObject(reply);
}

/* All of it is written at once. */
static void
visitor_transaction(struct visitor *visitor)
{
	redisContext *connection = visitor_connection(&visitor->zero, "0");
	redisReply *reply = NULL;

	if (connection == NULL) {
		visitor->failures++;
		return;
	}
	redisAppendCommand(connection, "MULTI");
	redisAppendCommand(connection, "INCR zero:a:%d", visitor->number);
	redisAppendCommand(connection, "INCR zero:b:%d", visitor->number);
	redisAppendCommand(connection, "EXEC");
	for (int i = 0; i < 4; i++) {
		freeReplyObject(reply);
		reply = NULL;
		if (redisGetReply(connection, (void **)&reply) != REDIS_OK)
			break;
	}
	reply = visitor_took(visitor, reply);
	if (reply != NULL && (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[0]->integer != reply->element[1]->integer))
		visitor_wrong(visitor, "transaction", reply);
	else
		visitor_counted(visitor, &visitor->both, reply != NULL ? reply->element[0] : NULL);
	freeReplyObject(reply);
}

static void
visitor_pipeline(struct visitor *visitor)
{
	redisContext *connection = visitor_connection(&visitor->zero, "0");
	long long failures = visitor->failures;
	char value[64];

	for (int i = 0; connection != NULL && i < PIPELINE; i++) {
		redisAppendCommand(connection, "SET zero:pipe:%d:%d %lld-%d", visitor->number, i, visitor->rounds, i);
		redisAppendCommand(connection, "GET zero:pipe:%d:%d", visitor->number, i);
	}
	for (int i = 0; connection != NULL && i < 2 * PIPELINE; i++) {
		redisReply *reply = NULL;

		if (redisGetReply(connection, (void **)&reply) != REDIS_OK)
			connection = NULL;
		reply = visitor_took(visitor, reply);
		snprintf(value, sizeof value, "%lld-%d", visitor->rounds, i / 2);
		if (reply != NULL && visitor->failures == failures &&
		    strcmp(reply->str, i % 2 == 0 ? "OK" : value) != 0)
			visitor_wrong(visitor, "pipeline", reply);
		freeReplyObject(reply);
	}
}

static void
visitor_queue(struct visitor *visitor)
{
	redisContext *connection = visitor_connection(&visitor->zero, "0");
	redisReply *reply = visitor_ask(visitor, connection, "DEL zero:queue:%d", visitor->number);

	freeReplyObject(reply);
	if (reply == NULL)
		return;
	reply = visitor_ask(visitor, connection, "LPUSH zero:queue:%d %lld", visitor->number, visitor->rounds);
	freeReplyObject(reply);
	if (reply == NULL)
		return;
	reply = visitor_ask(visitor, connection, "BRPOP zero:queue:%d 5", visitor->number);
	if (reply != NULL && (reply->elements != 2 || atoll(reply->element[1]->str) != visitor->rounds))
		visitor_wrong(visitor, "brpop", reply);
	freeReplyObject(reply);
}

static void
visitor_database(struct visitor *visitor)
{
	redisReply *reply = visitor_ask(visitor, visitor_connection(&visitor->one, "1"), "SET one:%d %lld",
	    visitor->number, visitor->rounds);

	freeReplyObject(reply);
	if (reply == NULL)
		return;
	reply = visitor_ask(visitor, visitor_connection(&visitor->one, "1"), "GET one:%d", visitor->number);
	if (reply != NULL && (reply->type != REDIS_REPLY_STRING || atoll(reply->str) != visitor->rounds))
		visitor_wrong(visitor, "get in database 1", reply);
	freeReplyObject(reply);
}

/* Subscribes with one connection, publishes with the other. */
static void
visitor_channel(struct visitor *visitor)
{
	redisContext *subscriber = visitor_connection(&visitor->zero, "0");
	redisReply *reply = visitor_ask(visitor, subscriber, "SUBSCRIBE channel:%d", visitor->number);
	bool heard;

	freeReplyObject(reply);
	if (reply == NULL)
		return;
	reply = visitor_ask(visitor, visitor_connection(&visitor->one, "1"), "PUBLISH channel:%d %lld",
	    visitor->number, visitor->rounds);
	heard = reply != NULL && reply->integer == 1;
	if (reply != NULL && !heard && !restarts)
		visitor_wrong(visitor, "publish", reply);
	freeReplyObject(reply);
	reply = NULL;
	if (heard && redisGetReply(subscriber, (void **)&reply) == REDIS_OK &&
	    (reply->elements != 3 || atoll(reply->element[2]->str) != visitor->rounds))
		visitor_wrong(visitor, "message", reply);
	freeReplyObject(reply);
	freeReplyObject(visitor_ask(visitor, subscriber, "UNSUBSCRIBE"));
}

static void *
visitor_run(void *argument)
{
	static void (*const steps[])(struct visitor *) = { visitor_count, visitor_transaction, visitor_pipeline,
		visitor_queue, visitor_database, visitor_channel };
	struct visitor *visitor = argument;

	while (!over) {
		for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
			steps[i](visitor);
		visitor->rounds++;
	}
	redisFree(visitor->zero);
	redisFree(visitor->one);
	return NULL;
}

static void
print_visitors(const struct visitor *visitors, int count)
{
	long long rounds = 0, failures = 0;
	const char *between = "";

	printf("{\"version\": \"hiredis %d.%d.%d\", \"sums\": {}, \"counters\": {", HIREDIS_MAJOR, HIREDIS_MINOR,
	    HIREDIS_PATCH);
	for (int i = 0; i < count; i++) {
		printf("%s\"zero:count:%d\": [%lld, %lld], \"zero:a:%d\": [%lld, %lld]", i > 0 ? ", " : "", i,
		    visitors[i].count.known, visitors[i].count.open_ends, i, visitors[i].both.known,
		    visitors[i].both.open_ends);
		rounds += visitors[i].rounds;
		failures += visitors[i].failures;
	}
	printf("}, \"rounds\": %lld, \"failures\": %lld, \"equal\": [", rounds, failures);
	for (int i = 0; i < count; i++)
		printf("%s[\"zero:a:%d\", \"zero:b:%d\"]", i > 0 ? ", " : "", i, i);
	printf("], \"wrong\": [");
	for (int i = 0; i < count; i++) {
		if (visitors[i].wrong[0] == '\0')
			continue;
		printf("%s\"%s\"", between, visitors[i].wrong);
		between = ", ";
	}
	printf("]}\n");
}

int
main(int argc, char **argv)
{
	static struct visitor visitors[VISITORS_MOST];
	int count = argc == 4 ? atoi(argv[3]) : 0;
	char byte;

	if (count < 1 || count > VISITORS_MOST)
		return 64;
	path = argv[1];
	restarts = strcmp(argv[2], "restarts") == 0;
	for (int i = 0; i < count; i++) {
		visitors[i].number = i;
		if (pthread_create(&visitors[i].thread, NULL, visitor_run, &visitors[i]) != 0)
			return 71;
	}
	printf("running\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	over = true;
	for (int i = 0; i < count; i++)
		pthread_join(visitors[i].thread, NULL);
	print_visitors(visitors, count);
	return 0;
}

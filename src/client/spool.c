#include "client/spool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/spool_queue.h"
#include "client/spool_rest.h"
#include "client/spool_segment.h"
#include "client/spool_thread.h"

/* Bytes that one job writes, and reads, but for a longer message. */
#define SPOOL_CHUNK  (1u << 20)
/* What the disk could not do is tried again then, and told of again. */
#define SPOOL_RETRY  (1 * CLOCK_SECOND)
#define SPOOL_REPEAT (60 * CLOCK_SECOND)
/* What is acknowledged is noted on the disk at least so often. */
#define SPOOL_NOTE   (1 * CLOCK_SECOND)

/* Records that were read, or have just been written, on their way to the queue. */
struct spool_chunk {
	unsigned char *bytes; /* owned; NULL: none ever was */
	size_t size;          /* that there is room for */
	size_t at, length;
	uint64_t number, end; /* of the first; behind the last */
};

struct spool {
	struct mux_rules *rules;   /* borrowed */
	struct mux_queue *queue;   /* borrowed: the rules' */
	struct event_base *loop;   /* borrowed */
	struct loop_timer *turn;   /* borrowed */
	struct spool_thread *thread; /* owned; NULL: there is none yet */
	struct spool_job *job;     /* borrowed: the thread's */
	size_t room;               /* of job->bytes */
	bool works, done;          /* a job is under way; is over, and was not looked at */
	bool opened;               /* the directory was read */
	bool asked;                /* the job reads */
	struct spool_chunk chunk;
	int64_t retry_at;          /* nothing is written before; 0: at once */
	int64_t told_at;           /* of the error, which was: */
	int error;
	char text[400];            /* what is wrong; "": nothing */
	uint64_t noted;            /* what the disk knows to be acknowledged, */
	int64_t noted_at;          /* since the job that began then */
	uint64_t bytes_there;
	int64_t oldest;            /* wall clock, seconds; 0: there are no files */
	struct loop_timer timer;
};

static struct table_shared *
spool_record(const struct spool *spool)
{
	return spool->queue->record;
}

static bool
spool_is_synced(const struct spool *spool)
{
	return spool->rules->settings->spool_fsync == SHARED_FSYNC_ALWAYS;
}

static void
spool_turn_soon(struct spool *spool)
{
	if (!loop_timer_is_set(spool->turn))
		loop_timer_soon(spool->turn);
}

static void
spool_on_timer(void *arg)
{
	spool_turn_soon(arg);
}

static void
spool_on_done(void *arg)
{
	struct spool *spool = arg;

	spool->done = true;
	spool_turn_soon(spool);
}

struct spool *
spool_new(struct event_base *loop, struct mux_rules *rules, struct loop_timer *turn)
{
	struct spool *spool;

	if (rules->settings->spool_path == NULL || rules->settings->replies != SHARED_NONE)
		return NULL;
	spool = mem_new(1, sizeof *spool);
	spool->loop = loop;
	spool->rules = rules;
	spool->queue = &rules->queue;
	spool->turn = turn;
	loop_timer_init(&spool->timer, loop, spool_on_timer, spool);
	rules->spools = rules->has_spool = true;
	return spool;
}

/* What the disk's errors mean: told when they begin, and once a minute; and when they are over. */
static void
spool_tell_error(struct spool *spool, int error, const char *what, int64_t now)
{
	static const char *const then[] = { [SHARED_BLOCK] = "clients wait once the queue is full",
		[SHARED_DROP_NEWEST] = "the newest messages are dropped once the queue is full",
		[SHARED_DROP_OLDEST] = "the oldest messages are dropped once the queue is full" };
	const struct shared_settings *settings = spool->rules->settings;

	if (error == 0 && spool->text[0] != '\0')
		log_notice(spool->rules->name, "spool %s: the disk takes messages again", settings->spool_path);
	if (error != 0)
		snprintf(spool->text, sizeof spool->text, "cannot %s: %s", what, spool_error_text(error));
	else
		spool->text[0] = '\0';
	if (error != 0 && (error != spool->error || now - spool->told_at >= SPOOL_REPEAT)) {
		log_error(spool->rules->name, "spool %s: %s; %s; it is tried again every second",
		    settings->spool_path, spool->text, then[settings->on_full]);
		spool->told_at = now;
	}
	spool->error = error;
}

static void
spool_start_thread(struct spool *spool, int64_t now)
{
	spool->thread = spool_thread_new(spool->loop, spool->rules->settings->spool_path, spool_on_done, spool);
	spool->job = spool->thread == NULL ? NULL : spool_thread_job(spool->thread);
	if (spool->thread == NULL)
		spool_tell_error(spool, errno, "be worked on", now);
}

/* Messages that were on the disk, and not read, are there no more: files were removed, or the machine went down. */
static void
spool_miss(struct spool *spool, uint64_t from)
{
	struct table_shared *record = spool_record(spool);

	if (from < record->spool_read)
		from = record->spool_read;
	if (from >= record->spool_written)
		return;
	log_error(spool->rules->name, "spool %s: %llu messages that were there are gone; the others are sent",
	    spool->rules->settings->spool_path, (unsigned long long)(record->spool_written - from));
	record->spool_damaged += record->spool_written - from;
}

/* The directory was read: what the table knows is brought together with what is there. */
static void
spool_open(struct spool *spool)
{
	struct spool_job *job = spool->job;
	struct table_shared *record = spool_record(spool);
	bool known = record->spool_identity == job->spool;
	uint64_t there, waited = record->spool_next - record->spool_written;

	if (record->spool_identity != 0)
		spool_miss(spool, known ? job->end : 0);
	spool_queue_open(spool->queue, job->spool, job->position > job->begin ? job->position : job->begin, job->end);
	spool->rules->spooled += waited - (record->spool_next - record->spool_written);
	spool->chunk.at = spool->chunk.length; /* it is read again */
	there = record->spool_written - record->spool_read;
	if (!known && there > 0)
		log_notice(spool->rules->name, "spool %s: up to %llu messages from before are sent first",
		    spool->rules->settings->spool_path, (unsigned long long)there);
	spool->opened = true;
}

/* Those in the job are on the disk.  If all before them was read, they need not be. */
static void
spool_note_written(struct spool *spool, bool connected)
{
	struct spool_job *job = spool->job;
	struct spool_chunk *chunk = &spool->chunk, was = *chunk;

	if (connected && chunk->at == chunk->length && spool_record(spool)->spool_read == job->first) {
		*chunk = (struct spool_chunk){ .bytes = job->bytes, .size = spool->room, .length = job->length,
			.number = job->first, .end = job->first + job->count };
		job->bytes = was.bytes;
		spool->room = was.size;
	}
	spool_queue_written(spool->queue, job->count, job->length);
	spool->rules->spooled += job->count;
}

static void
spool_note_read(struct spool *spool)
{
	struct spool_job *job = spool->job;
	struct spool_chunk *chunk = &spool->chunk, was = *chunk;

	if (job->wants > 0) {
		job->into = mem_resize(job->into, job->wants, 1);
		job->size = job->wants;
	} else if (job->got == 0 && job->next >= job->end) { /* the disk has no more */
		spool_queue_skip(spool->queue, job->next > spool_record(spool)->spool_written ? job->next
		    : spool_record(spool)->spool_written, 0);
	} else if (job->got > 0) {
		*chunk = (struct spool_chunk){ .bytes = job->into, .size = job->size, .length = job->got,
			.number = job->next - job->got_count, .end = job->next };
		job->into = was.bytes;
		job->size = was.size;
		spool_queue_skip(spool->queue, chunk->number, 0);
	}
}

/* Messages were dropped from the disk to make room for newer ones.  By a dead worker, too, when it is opened: nobody
 * knows then which of their numbers were written, and all count. */
static void
spool_note_begin(struct spool *spool)
{
	struct table_shared *record = spool_record(spool);
	const struct spool_job *job = spool->job;
	uint64_t begin = job->begin;

	if (begin > record->spool_written || spool->chunk.at < spool->chunk.length)
		begin = 0;
	spool_queue_skip(spool->queue, begin, !job->opened ? job->dropped :
	    begin > record->spool_read ? begin - record->spool_read : 0);
}

static void
spool_finish_job(struct spool *spool, bool connected, int64_t now)
{
	struct spool_job *job = spool->job;

	spool->works = spool->done = false;
	if (job->told[0] != '\0')
		log_error(spool->rules->name, "spool %s: %s", spool->rules->settings->spool_path, job->told);
	spool_record(spool)->spool_damaged += job->damaged;
	if (job->opened)
		spool_open(spool);
	else if (job->spool != spool_record(spool)->spool_identity)
		spool->opened = false; /* it was lost on the way */
	spool->bytes_there = job->bytes_there;
	spool->oldest = job->oldest;
	spool->noted = job->position;
	spool_tell_error(spool, job->error, job->what, now);
	spool->retry_at = job->error != 0 ? now + SPOOL_RETRY : 0;
	spool->rules->spool_fails = job->error != 0;
	if (spool->opened)
		spool_note_begin(spool);
	if (!spool->opened || job->opened)
		return;
	if (job->written)
		spool_note_written(spool, connected);
	if (spool->asked)
		spool_note_read(spool);
}

/* Nothing of it waits, so that what is said may go past the disk: in order, all before it are in the queue. */
static bool
spool_is_through(const struct spool *spool)
{
	return spool->opened && spool_queue_is_read(spool->queue);
}

void
spool_take(struct spool *spool, bool connected, int64_t now)
{
	struct mux_rules *rules = spool->rules;

	if (spool->done)
		spool_finish_job(spool, connected, now);
	if (!connected && !spool_is_synced(spool) && spool_is_through(spool))
		spool_queue_reclaim(spool->queue);
	rules->spools = spool_is_synced(spool) || !connected || !spool_is_through(spool) || rules->was_full;
	rules->was_full = false;
}

/* From the disk to the queue; those that were said while there was nothing on the disk any more go past it. */
static void
spool_load(struct spool *spool)
{
	struct spool_chunk *chunk = &spool->chunk;
	struct table_shared *record = spool_record(spool);
	size_t bytes;

	while (chunk->at < chunk->length) {
		uint32_t count = spool_queue_load(spool->queue, chunk->bytes + chunk->at, chunk->length - chunk->at,
		    chunk->number, false, &bytes);

		if (count == 0)
			return;
		chunk->at += bytes;
		chunk->number += count;
	}
	while (!spool_is_synced(spool) && !spool->works && record->spool_read == record->spool_written &&
	    spool_queue_waiting(spool->queue) > 0)
		if (spool_queue_load(spool->queue, ring_bytes(spool->queue->table, record->spool),
		    spool_queue_waiting(spool->queue), record->spool_written, true, &bytes) == 0)
			return;
}

/* What one job takes: it finds room whatever max_size is. */
static size_t
spool_chunk(const struct spool *spool)
{
	int64_t part = spool->rules->settings->spool_max_size / 4;

	return part < SPOOL_CHUNK ? (size_t)part : SPOOL_CHUNK;
}

/* What waits for the disk, as much as one job takes. */
static void
spool_fill_job(struct spool *spool)
{
	const unsigned char *records = ring_bytes(spool->queue->table, spool_record(spool)->spool);
	size_t waiting = spool_queue_waiting(spool->queue), most = spool_chunk(spool), length = 0, next;
	struct spool_job *job = spool->job;

	job->count = 0;
	job->first = spool_record(spool)->spool_written;
	while (length < waiting) {
		next = SPOOL_RECORD + spool_record_length(records + length);
		if (length > 0 && length + next > most)
			break;
		length += next;
		job->count++;
	}
	if (length > spool->room) {
		spool->room = length > SPOOL_CHUNK ? length : SPOOL_CHUNK;
		job->bytes = mem_resize(job->bytes, spool->room, 1);
	}
	if (length > 0)
		memcpy(job->bytes, records, length);
	job->length = length;
}

static void
spool_ask_to_read(struct spool *spool)
{
	struct spool_job *job = spool->job;

	if (job->size == 0) {
		job->into = mem_resize(job->into, SPOOL_CHUNK, 1);
		job->size = SPOOL_CHUNK;
	}
}

/* Nothing is to be done yet. */
static void
spool_begin_job(struct spool *spool)
{
	const struct table_shared *record = spool_record(spool);
	const struct spool_chunk *chunk = &spool->chunk;
	struct spool_job *job = spool->job;

	*job = (struct spool_job){ .bytes = job->bytes, .into = job->into, .size = job->size, .end = job->end,
		.max_size = (uint64_t)spool->rules->settings->spool_max_size, .syncs = spool_is_synced(spool),
		.makes_room = spool->rules->settings->on_full == SHARED_DROP_OLDEST,
		.acknowledged = record->spool_acknowledged,
		.next = chunk->at < chunk->length ? chunk->end : record->spool_read };
}

/* Fills the job, if there is anything to do. */
static bool
spool_prepare(struct spool *spool, bool connected, int64_t now)
{
	const struct table_shared *record = spool_record(spool);
	bool writes = spool->opened && now >= spool->retry_at && spool_queue_waiting(spool->queue) > 0;
	bool opens = !spool->opened && now >= spool->retry_at;
	bool notes = spool->opened && record->spool_acknowledged > spool->noted &&
	    now - spool->noted_at >= SPOOL_NOTE;

	spool->asked = spool->opened && connected && spool->chunk.at == spool->chunk.length &&
	    record->spool_read < record->spool_written;
	if (!writes && !opens && !spool->asked && !notes)
		return false;
	spool_begin_job(spool);
	if (writes)
		spool_fill_job(spool);
	spool->job->reads = spool->asked;
	if (spool->asked)
		spool_ask_to_read(spool);
	return true;
}

void
spool_move(struct spool *spool, bool connected, int64_t now)
{
	if (connected && spool->opened)
		spool_load(spool);
	if (spool->works)
		return;
	if (spool->thread == NULL)
		spool_start_thread(spool, now);
	if (spool->thread != NULL && spool_prepare(spool, connected, now)) {
		spool->works = true;
		spool->noted_at = now;
		spool->rules->spool_fails = spool->rules->spool_fails && spool->job->length == 0;
		spool_thread_do(spool->thread);
	}
	if (!loop_timer_is_set(&spool->timer) && (spool->thread == NULL || spool->retry_at > now ||
	    spool_record(spool)->spool_acknowledged > spool->noted))
		loop_timer_at(&spool->timer, now + SPOOL_NOTE);
}

void
spool_free(struct spool *spool)
{
	if (spool == NULL)
		return;
	loop_timer_stop(&spool->timer);
	if (spool->thread != NULL && !spool->works && spool->opened) {
		spool->retry_at = 0;
		if (spool_prepare(spool, false, clock_now()))
			spool_thread_do(spool->thread);
	}
	spool_thread_end(spool->thread, true);
	mem_free(spool->chunk.bytes);
	mem_free(spool);
}

void
spool_leave(struct spool *spool)
{
	const struct table_shared *record;
	struct spool_rest rest;
	uint32_t written = 0; /* by the job under way */

	if (spool == NULL)
		return;
	if (spool->done)
		spool_finish_job(spool, false, clock_now());
	if (spool->thread == NULL)
		spool_start_thread(spool, clock_now());
	if (spool->works)
		written = spool->job->length > 0 ? spool->job->count : 0;
	else if (spool->thread != NULL)
		spool_begin_job(spool);
	record = spool_record(spool);
	if (spool->opened && !spool->works && spool->thread != NULL)
		spool->job->spool = record->spool_identity;
	rest = (struct spool_rest){ .thread = spool->thread, .error = spool->error, .works = spool->works,
		.name = spool->rules->name, .path = spool->rules->settings->spool_path,
		.identity = record->spool_identity, .number = record->spool_written,
		.acknowledged = record->spool_acknowledged };
	rest.bytes = spool_queue_copy(spool->queue, written > 0 ? spool->job->length : 0, &rest.length, &rest.count);
	rest.messages = record->spool_written + written + rest.count - record->spool_acknowledged;
	spool_rest_start(&rest);
	loop_timer_stop(&spool->timer);
	mem_free(spool->chunk.bytes);
	mem_free(spool);
}

bool
spool_has_some(const struct spool *spool)
{
	return spool_record(spool)->spool_acknowledged < spool_record(spool)->spool_next;
}

void
spool_get_status(const struct spool *spool, struct spool_status *ret_status)
{
	const struct table_shared *record;

	*ret_status = (struct spool_status){ .there = spool != NULL };
	if (spool == NULL)
		return;
	record = spool_record(spool);
	ret_status->messages = record->spool_next - record->spool_acknowledged;
	ret_status->bytes = spool->bytes_there;
	ret_status->damaged = record->spool_damaged;
	ret_status->error = spool->text[0] != '\0' ? spool->text : NULL;
	ret_status->oldest = ret_status->messages > 0 ? spool->oldest * CLOCK_SECOND : 0;
}

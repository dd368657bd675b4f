#include "client/spool_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "client/shared_settings.h"
#include "client/spool_directory.h"
#include "client/spool_segment.h"
#include "keep/crash.h"

#define DISK_SEGMENT_MOST (16u << 20) /* bytes after which the next segment is begun */
#define DISK_SEGMENT_PART 8           /* and at this part of max_size */
#define DISK_CHUNK        (1u << 20)
#define DISK_POSITION     "position"
/* Longer than any message may be. */
#define DISK_MESSAGE_MOST (SHARED_MESSAGE_MAX + FRAMING_OVERHEAD)

/* A segment that is there, the oldest first. */
struct disk_segment {
	uint64_t first, end; /* numbers; end 0: it was there before, and is not the last */
	uint64_t size;
	int64_t born;    /* wall clock, seconds */
	bool damaged;
};

struct spool_disk {
	const char *path;   /* borrowed */
	int directory, position_file; /* -1: not open */
	struct spool_position position;
	struct disk_segment *segments; /* owned */
	size_t count;
	uint64_t aside;     /* bytes of files that were put aside */
	uint64_t end;       /* number of the next message to be written */
	int writing;        /* the last segment; -1: the next message begins a new one */
	int reading;        /* -1 none */
	uint64_t reading_first; /* its segment */
	uint64_t at, at_number; /* where in it the next record begins, and of which number it is */
	unsigned char *buffer;  /* owned: to look through a segment */
	size_t buffer_size;
};

struct spool_disk *
spool_disk_new(const char *path)
{
	struct spool_disk *disk = mem_new(1, sizeof *disk);

	*disk = (struct spool_disk){ .path = path, .directory = -1, .position_file = -1, .writing = -1,
		.reading = -1 };
	return disk;
}

static void
disk_close_file(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

static void
disk_close(struct spool_disk *disk)
{
	disk_close_file(&disk->writing);
	disk_close_file(&disk->reading);
	disk_close_file(&disk->position_file);
	disk_close_file(&disk->directory); /* last: it has the lock */
	mem_free(disk->segments);
	disk->segments = NULL;
	disk->count = 0;
	disk->position = (struct spool_position){ 0 };
}

void
spool_disk_free(struct spool_disk *disk)
{
	if (disk == NULL)
		return;
	disk_close(disk);
	mem_free(disk->buffer);
	mem_free(disk);
}

/* The job ends with this error.  false. */
static bool
disk_fail(struct spool_job *job, int error, const char *what)
{
	job->error = error;
	job->what = what;
	return false;
}

static int
disk_open_segment(const struct spool_disk *disk, uint64_t first, int flags)
{
	char name[SPOOL_NAME];

	spool_segment_name(first, name);
	return openat(disk->directory, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void
disk_add_segment(struct spool_disk *disk, uint64_t first, uint64_t size, int64_t born)
{
	disk->segments = mem_resize(disk->segments, disk->count + 1, sizeof *disk->segments);
	disk->segments[disk->count++] = (struct disk_segment){ .first = first, .size = size, .born = born };
}

static void
disk_find_file(void *arg, const struct spool_file *file)
{
	struct spool_disk *disk = arg;

	if (file->aside)
		disk->aside += file->size;
	else
		disk_add_segment(disk, file->first, file->size, file->born);
}

static int
disk_compare(const void *a, const void *b)
{
	const struct disk_segment *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* The directory is there, ours, and locked; and so are its segments. */
static bool
disk_open_directory(struct spool_disk *disk, struct spool_job *job)
{
	const char *what;
	int directory = spool_directory_open(disk->path, &what), error;

	if (directory < 0)
		return disk_fail(job, -directory, what);
	disk->directory = directory;
	disk->aside = 0;
	if ((error = spool_directory_each(directory, disk_find_file, disk)) != 0)
		return disk_fail(job, -error, "read the directory");
	if (disk->count > 0)
		qsort(disk->segments, disk->count, sizeof *disk->segments, disk_compare);
	return true;
}

/* Its header, of this spool or, where that has no identity yet (0), of any.  NULL, or what is wrong. */
static const char *
disk_check_segment(const struct spool_disk *disk, int fd, uint64_t first, uint64_t *ret_spool)
{
	unsigned char header[SPOOL_HEADER];
	struct spool_segment segment;
	ssize_t n = pread(fd, header, sizeof header, 0);
	const char *wrong = spool_segment_read(header, n < 0 ? 0 : (size_t)n, &segment);

	if (wrong != NULL)
		return wrong;
	*ret_spool = segment.spool;
	if (segment.first != first)
		return "it has another segment's name";
	return disk->position.spool == 0 || segment.spool == disk->position.spool ? NULL : "it is another spool's";
}

static void
disk_tell(struct spool_job *job, uint64_t first, const char *wrong, uint64_t lost)
{
	job->damaged += lost;
	snprintf(job->told, sizeof job->told, "segment %019llu.spool is damaged: %s; %llu messages of it are lost, "
	    "the next segment follows", (unsigned long long)first, wrong, (unsigned long long)lost);
}

/* The bytes of a segment from this offset on hold so many whole records in a row, from this number on.  The bytes of
 * those are given back; ret_result is of what follows. */
static size_t
disk_load(int fd, uint64_t spool, uint64_t at, uint64_t number, unsigned char *into, size_t size, uint32_t *ret_count,
    enum spool_result *ret_result, size_t *ret_wanted)
{
	ssize_t n = pread(fd, into, size, (off_t)at);
	size_t length = n < 0 ? 0 : (size_t)n, whole = 0, message;

	for (*ret_count = 0;; ++*ret_count) {
		*ret_result = spool_record_read(spool, number + *ret_count, into + whole, length - whole,
		    DISK_MESSAGE_MOST, &message);
		if (*ret_result != SPOOL_WHOLE)
			break;
		whole += SPOOL_RECORD + message;
	}
	*ret_wanted = whole == 0 && *ret_result == SPOOL_MORE && length == size ? message : 0;
	return whole;
}

static void
disk_grow_buffer(struct spool_disk *disk, size_t size)
{
	if (size < DISK_CHUNK)
		size = DISK_CHUNK;
	if (size <= disk->buffer_size)
		return;
	disk->buffer = mem_resize(disk->buffer, size, 1);
	disk->buffer_size = size;
}

/* Goes from one record to the next, up to this number.  The number that it came to, and where that begins. */
static uint64_t
disk_skip(struct spool_disk *disk, int fd, uint64_t first, uint64_t until, uint64_t *ret_at)
{
	enum spool_result result;
	uint64_t number = first;
	size_t whole, wanted, length;
	uint32_t count;

	*ret_at = SPOOL_HEADER;
	disk_grow_buffer(disk, 0);
	while (number < until) {
		whole = disk_load(fd, disk->position.spool, *ret_at, number, disk->buffer, disk->buffer_size, &count,
		    &result, &wanted);
		if (number + count > until) { /* the last of them too far */
			for (whole = 0; number < until; number++, whole += SPOOL_RECORD + length)
				spool_record_read(disk->position.spool, number, disk->buffer + whole,
				    disk->buffer_size - whole, DISK_MESSAGE_MOST, &length);
			count = 0;
		}
		number += count;
		*ret_at += whole;
		if (wanted > 0)
			disk_grow_buffer(disk, wanted);
		else if (whole == 0)
			break;
	}
	return number;
}

/* The segment's file goes; one that is damaged is kept aside. */
static bool
disk_remove(struct spool_disk *disk, const struct disk_segment *segment)
{
	if (!segment->damaged)
		return spool_directory_remove(disk->directory, segment->first);
	disk->aside += segment->size;
	return spool_directory_put_aside(disk->directory, segment->first);
}

static void
disk_remove_first(struct spool_disk *disk)
{
	if (disk->count == 1)
		disk_close_file(&disk->writing);
	if (disk->reading_first == disk->segments[0].first)
		disk_close_file(&disk->reading);
	disk_remove(disk, &disk->segments[0]);
	CRASH_POINT(SPOOL_REMOVED);
	disk->count--;
	memmove(disk->segments, disk->segments + 1, disk->count * sizeof *disk->segments);
}

/* To make room: those of its messages that were not read are dropped.  What is between its end and the next segment
 * has a number, but was never written. */
static void
disk_drop_first(struct spool_disk *disk, struct spool_job *job)
{
	const struct disk_segment *first = &disk->segments[0];
	uint64_t end = first->end != 0 ? first->end : disk->count > 1 ? disk->segments[1].first : disk->end;
	uint64_t unread = job->next > first->first ? job->next : first->first;

	if (end > unread)
		job->dropped += end - unread;
	disk_remove_first(disk);
}

/* The last segment holds no whole message.  It has just been begun when all ended, or is damaged. */
static void
disk_clear_last(struct spool_disk *disk, struct spool_job *job, int fd, const char *wrong)
{
	struct disk_segment *last = &disk->segments[disk->count - 1];
	enum spool_result result = SPOOL_MORE;
	uint32_t count;
	size_t wanted;

	if (wrong == NULL)
		disk_load(fd, disk->position.spool, SPOOL_HEADER, last->first, disk->buffer, disk->buffer_size,
		    &count, &result, &wanted);
	last->damaged = last->size > SPOOL_HEADER && (wrong != NULL || result != SPOOL_MORE);
	if (disk_remove(disk, last) && last->damaged)
		disk_tell(job, last->first, wrong != NULL ? wrong : "its first record is damaged", 1);
	disk->count--;
}

/* Whether what stands there is damaged: half a record, and zeros, are what a lost machine leaves. */
static bool
disk_is_damaged(const struct spool_disk *disk, int fd, uint64_t at, uint64_t number)
{
	static const unsigned char nothing[SPOOL_RECORD];
	enum spool_result result;
	uint32_t count;
	size_t wanted;

	disk_load(fd, disk->position.spool, at, number, disk->buffer, disk->buffer_size, &count, &result, &wanted);
	return result == SPOOL_DAMAGED && memcmp(disk->buffer, nothing, SPOOL_RECORD) != 0;
}

/* What the last segment holds ends the spool; one that holds nothing is in the way of the next. */
static bool
disk_find_end(struct spool_disk *disk, struct spool_job *job)
{
	uint64_t spool, at = SPOOL_HEADER, first, end;
	const char *wrong;
	int fd;

	disk->end = disk->position.acknowledged;
	while (disk->count > 0) {
		struct disk_segment *last = &disk->segments[disk->count - 1];

		if ((fd = disk_open_segment(disk, last->first, O_RDWR)) == -1)
			return disk_fail(job, errno, "open a segment");
		first = last->first;
		wrong = disk_check_segment(disk, fd, first, &spool);
		end = wrong != NULL ? first : disk_skip(disk, fd, first, UINT64_MAX, &at);
		if (end > first && (last->damaged = disk_is_damaged(disk, fd, at, end)))
			disk_tell(job, first, "a record of it is damaged", 1);
		if (end == first)
			disk_clear_last(disk, job, fd, wrong);
		else if (job->syncs && fdatasync(fd) == -1)
			disk_fail(job, errno, "synchronize a segment");
		close(fd);
		if (end > first)
			last->end = end;
		if (end > disk->end)
			disk->end = end;
		if (job->error != 0 || end > first)
			break;
	}
	return job->error == 0;
}

/* What the file says, or the segments do where it is missing or damaged. */
static bool
disk_open_position(struct spool_disk *disk, struct spool_job *job)
{
	unsigned char bytes[2 * SPOOL_POSITION];
	ssize_t n;

	disk->position = (struct spool_position){ 0 };
	disk->position_file = openat(disk->directory, DISK_POSITION, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (disk->position_file == -1 || (n = pread(disk->position_file, bytes, sizeof bytes, 0)) == -1)
		return disk_fail(job, errno, "open the file \"" DISK_POSITION "\"");
	if (spool_position_read(bytes, (size_t)n, &disk->position))
		return true;
	for (size_t i = 0; i < disk->count && disk->position.spool == 0; i++) {
		int fd = disk_open_segment(disk, disk->segments[i].first, O_RDONLY);
		uint64_t spool = 0;

		if (fd == -1 && errno != ENOENT)
			return disk_fail(job, errno, "open a segment");
		if (fd != -1 && disk_check_segment(disk, fd, disk->segments[i].first, &spool) == NULL)
			disk->position = (struct spool_position){ .spool = spool,
				.acknowledged = disk->segments[i].first };
		if (fd != -1)
			close(fd);
	}
	while (disk->position.spool == 0)
		if (getrandom(&disk->position.spool, sizeof disk->position.spool, 0) == -1)
			return disk_fail(job, errno, "find an identity");
	return true;
}

/* In turn to each of the two places, so that one is always whole. */
static bool
disk_write_position(struct spool_disk *disk, struct spool_job *job, uint64_t acknowledged)
{
	unsigned char bytes[SPOOL_POSITION];

	disk->position.acknowledged = acknowledged;
	disk->position.turn++;
	spool_position_write(&disk->position, bytes);
	if (pwrite(disk->position_file, bytes, sizeof bytes, (off_t)(disk->position.turn % 2 * SPOOL_POSITION)) !=
	    (ssize_t)sizeof bytes)
		return disk_fail(job, errno == 0 ? ENOSPC : errno, "write the file \"" DISK_POSITION "\"");
	CRASH_POINT(SPOOL_POSITIONED);
	return true;
}

static bool
disk_open(struct spool_disk *disk, struct spool_job *job)
{
	if (!disk_open_directory(disk, job) || !disk_open_position(disk, job) || !disk_find_end(disk, job))
		return false;
	for (int i = 0; i < 2; i++) /* both places are there, and on the disk */
		if (!disk_write_position(disk, job, disk->position.acknowledged))
			return false;
	if (job->syncs && (fdatasync(disk->position_file) == -1 || fsync(disk->directory) == -1))
		return disk_fail(job, errno, "synchronize the directory");
	job->opened = true;
	return true;
}

static uint64_t
disk_bytes(const struct spool_disk *disk)
{
	uint64_t bytes = disk->aside;

	for (size_t i = 0; i < disk->count; i++)
		bytes += disk->segments[i].size;
	return bytes;
}

/* Sees to room for so much more.  What was put aside goes first; the oldest segment is worth nothing once all is
 * acknowledged. */
static bool
disk_make_room(struct spool_disk *disk, struct spool_job *job, uint64_t more)
{
	if (disk->aside > 0 && disk_bytes(disk) + more > job->max_size) {
		spool_directory_clear_aside(disk->directory);
		disk->aside = 0;
	}
	while (disk->count > 0 && disk_bytes(disk) + more > job->max_size &&
	    (job->makes_room || job->acknowledged >= disk->end))
		disk_drop_first(disk, job);
	return disk_bytes(disk) + more <= job->max_size || disk_fail(job, EDQUOT, "write beyond max_size");
}

/* One of that name that is there could not be begun as it should, nor removed: it is none of those that are known. */
static int
disk_create_segment(const struct spool_disk *disk, uint64_t first)
{
	int fd = disk_open_segment(disk, first, O_RDWR | O_CREAT | O_EXCL);

	if (fd == -1 && errno == EEXIST && spool_directory_remove(disk->directory, first))
		fd = disk_open_segment(disk, first, O_RDWR | O_CREAT | O_EXCL);
	return fd;
}

static bool
disk_begin_segment(struct spool_disk *disk, struct spool_job *job)
{
	const struct spool_segment segment = { .spool = disk->position.spool, .first = job->first };
	unsigned char header[SPOOL_HEADER];

	if ((disk->writing = disk_create_segment(disk, job->first)) == -1)
		return disk_fail(job, errno, "create a segment");
	CRASH_POINT(SPOOL_CREATED);
	spool_segment_write(&segment, header);
	if (pwrite(disk->writing, header, sizeof header, 0) != (ssize_t)sizeof header ||
	    (job->syncs && fsync(disk->directory) == -1)) {
		disk_fail(job, errno == 0 ? ENOSPC : errno, "write a segment");
		disk_close_file(&disk->writing);
		spool_directory_remove(disk->directory, job->first);
		return false;
	}
	disk_add_segment(disk, job->first, SPOOL_HEADER,
	    spool_directory_born(disk->directory, job->first));
	return true;
}

static void
disk_encode(const struct spool_disk *disk, const struct spool_job *job)
{
	unsigned char *at = job->bytes;
	uint32_t length;

	for (uint32_t i = 0; i < job->count; i++, at += SPOOL_RECORD + length) {
		length = spool_record_length(at);
		spool_record_write(disk->position.spool, job->first + i, at + SPOOL_RECORD, length, at);
	}
}

/* 0 or an errno. */
static int
disk_put(int fd, const unsigned char *bytes, size_t length, uint64_t at)
{
	ssize_t n;

	for (size_t done = 0; done < length; done += (size_t)n) {
		n = pwrite(fd, bytes + done, length - done, (off_t)(at + done));
		if (n <= 0)
			return n == 0 ? ENOSPC : errno;
	}
	return 0;
}

/* Of what could not be written whole nothing stays, and the next begins a new segment: what a failed synchronization
 * has left of it nobody knows. */
static bool
disk_give_up(struct spool_disk *disk, struct spool_job *job, int error, const char *what)
{
	struct disk_segment *last = &disk->segments[disk->count - 1];
	bool empty = last->size <= SPOOL_HEADER;

	if (empty)
		spool_directory_remove(disk->directory, last->first);
	else if (ftruncate(disk->writing, (off_t)last->size) == -1)
		last->damaged = true;
	disk_close_file(&disk->writing);
	disk->count -= empty;
	return disk_fail(job, error, what);
}

static bool
disk_append(struct spool_disk *disk, struct spool_job *job)
{
	uint64_t most = job->max_size / DISK_SEGMENT_PART;
	struct disk_segment *last;
	struct stat status;
	int error;

	if (most > DISK_SEGMENT_MOST)
		most = DISK_SEGMENT_MOST;
	if (!disk_make_room(disk, job, job->length + SPOOL_HEADER))
		return false;
	if (disk->writing != -1 && (job->first != disk->end || disk->segments[disk->count - 1].size >= most))
		disk_close_file(&disk->writing);
	if (disk->writing == -1 && !disk_begin_segment(disk, job))
		return false;
	last = &disk->segments[disk->count - 1];
	disk_encode(disk, job);
	if ((error = disk_put(disk->writing, job->bytes, job->length, last->size)) != 0)
		return disk_give_up(disk, job, error, "write a segment");
	CRASH_POINT(SPOOL_WRITTEN);
	if (job->syncs && fdatasync(disk->writing) == -1)
		return disk_give_up(disk, job, errno, "synchronize a segment");
	if (fstat(disk->writing, &status) == 0 && status.st_nlink == 0) {
		disk_close(disk);
		return disk_fail(job, ENOENT, "write: the segment was removed by others");
	}
	CRASH_POINT(SPOOL_SYNCED);
	last->size += job->length;
	disk->end = last->end = job->first + job->count;
	job->written = true;
	return true;
}

/* Segments whose messages are acknowledged; the last one is not while it is written to. */
static void
disk_remove_done(struct spool_disk *disk, uint64_t acknowledged)
{
	while (disk->count > 0 && (disk->count > 1 || disk->writing == -1) &&
	    (disk->count > 1 ? disk->segments[1].first : disk->end) <= acknowledged)
		disk_remove_first(disk);
}

/* The segment that has this number, or the first behind it; count: there is none. */
static size_t
disk_find(const struct spool_disk *disk, uint64_t number)
{
	size_t i = 0;

	while (i + 1 < disk->count && disk->segments[i + 1].first <= number)
		i++;
	return i;
}

/* The reader stands at job->next in this segment, which begins before that; or *ret_wrong is wrong with it.  false:
 * it cannot be opened now, which is no damage. */
static bool
disk_seek(struct spool_disk *disk, struct spool_job *job, uint64_t first, const char **ret_wrong)
{
	uint64_t spool;

	*ret_wrong = NULL;
	if (disk->reading != -1 && disk->reading_first == first && disk->at_number == job->next)
		return true;
	disk_close_file(&disk->reading);
	disk->reading_first = first;
	disk->reading = disk_open_segment(disk, first, O_RDONLY);
	if (disk->reading == -1 && errno != ENOENT)
		return disk_fail(job, errno, "open a segment");
	*ret_wrong = disk->reading == -1 ? strerrordesc_np(errno)
	    : disk_check_segment(disk, disk->reading, first, &spool);
	if (*ret_wrong == NULL)
		disk->at_number = disk_skip(disk, disk->reading, first, job->next, &disk->at);
	return true;
}

/* Reads what it has from job->next on.  true: there was some, or there must be more room first, or it cannot be read
 * now; false: it has no more. */
static bool
disk_read_segment(struct spool_disk *disk, struct spool_job *job, size_t i)
{
	uint64_t first = disk->segments[i].first;
	uint64_t following = i + 1 < disk->count ? disk->segments[i + 1].first : disk->end;
	enum spool_result result = SPOOL_DAMAGED;
	const char *wrong;
	bool torn;

	if (!disk_seek(disk, job, first, &wrong))
		return true;
	if (wrong == NULL && disk->at_number == job->next) {
		job->got = disk_load(disk->reading, disk->position.spool, disk->at, job->next, job->into, job->size,
		    &job->got_count, &result, &job->wants);
		disk->at += job->got;
		disk->at_number = job->next += job->got_count;
		if (job->got > 0 || job->wants > 0)
			return true;
	} else if (wrong == NULL) {
		wrong = "a record of it is damaged";
	}
	torn = result == SPOOL_MORE && disk->at >= disk->segments[i].size; /* it just ends */
	if (!torn && following > job->next && !disk->segments[i].damaged) {
		disk->segments[i].damaged = true;
		disk_tell(job, first, wrong != NULL ? wrong : result == SPOOL_MORE ? "its end is missing"
		    : "a record of it is damaged", following - job->next);
	}
	disk_close_file(&disk->reading);
	job->next = following;
	return false;
}

static void
disk_read(struct spool_disk *disk, struct spool_job *job)
{
	size_t i;

	while (job->next < disk->end && disk->count > 0) {
		i = disk_find(disk, job->next);
		if (job->next < disk->segments[i].first)
			job->next = disk->segments[i].first;
		if (disk_read_segment(disk, job, i))
			return;
	}
	if (job->next < disk->end)
		job->next = disk->end;
}

static void
disk_note(const struct spool_disk *disk, struct spool_job *job)
{
	job->spool = disk->position.spool;
	job->position = disk->position.acknowledged;
	job->begin = disk->count > 0 ? disk->segments[0].first : disk->end;
	job->end = disk->end;
	job->bytes_there = disk_bytes(disk);
	job->oldest = disk->count > 0 ? disk->segments[0].born : 0;
}

static void
disk_work(struct spool_disk *disk, struct spool_job *job)
{
	if (disk->directory == -1 && !disk_open(disk, job)) {
		disk_close(disk);
		return;
	}
	if (job->opened) /* what is to be done depends on what the disk has */
		return;
	if (job->acknowledged > disk->position.acknowledged && !disk_write_position(disk, job, job->acknowledged))
		return;
	disk_remove_done(disk, job->acknowledged);
	if (job->length > 0)
		disk_append(disk, job);
	if ((job->error == ENOSPC || job->error == EDQUOT) && job->makes_room && disk->count > 0)
		disk_drop_first(disk, job); /* it is tried again */
	if (job->reads && disk->directory != -1) /* be there no room: what is read makes some */
		disk_read(disk, job);
}

const char *
spool_error_text(int error)
{
	return error == EDQUOT ? "it is full" : error == EBUSY ? "another daemon or service has it" :
	    strerrordesc_np(error);
}

void
spool_disk_run(struct spool_disk *disk, struct spool_job *job)
{
	job->error = 0;
	job->what = NULL;
	job->written = job->opened = false;
	job->got = job->wants = 0;
	job->got_count = 0;
	job->dropped = job->damaged = 0;
	job->told[0] = '\0';
	disk_work(disk, job);
	disk_note(disk, job);
}

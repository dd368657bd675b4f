#include "client/spool_rest.h"

#include "base/log.h"
#include "base/mem.h"

struct rest {
	struct spool_rest of;
	char *name, *path; /* owned */
};

static void
rest_end(struct rest *rest, int error, const char *what, uint64_t lost)
{
	if (lost > 0)
		log_error(rest->name, "spool %s: cannot %s: %s; %llu messages that are not there are lost with the "
		    "removed service", rest->path, what, spool_error_text(error), (unsigned long long)lost);
	if (rest->of.messages > lost)
		log_notice(rest->name, "spool %s: %llu messages stay there; they are sent when a service has it "
		    "again", rest->path, (unsigned long long)(rest->of.messages - lost));
	spool_thread_end(rest->of.thread, false);
	mem_free(rest->of.bytes);
	mem_free(rest->name);
	mem_free(rest->path);
	mem_free(rest);
}

/* How many messages of the job are not written.  One that has opened the directory has written nothing yet. */
static uint32_t
rest_left(const struct spool_job *job)
{
	return job->length > 0 && !job->written ? job->count : 0;
}

/* Messages that went past the disk have had numbers, too: what is written under these would count as acknowledged. */
static void
rest_number(const struct rest *rest, struct spool_job *job)
{
	bool known = job->spool != 0 && job->spool == rest->of.identity;

	job->acknowledged = known ? rest->of.acknowledged : 0;
	job->first = known && rest->of.number > job->end ? rest->of.number : job->end;
}

/* What the job has left comes first. */
static void
rest_write(struct rest *rest)
{
	struct spool_job *job = spool_thread_job(rest->of.thread);

	if (rest_left(job) == 0 && rest->of.count > 0) {
		mem_free(job->bytes);
		job->bytes = rest->of.bytes;
		job->length = rest->of.length;
		job->count = rest->of.count;
		rest->of.bytes = NULL;
		rest->of.count = 0;
	}
	job->reads = false;
	rest_number(rest, job);
	spool_thread_do(rest->of.thread);
}

static void
rest_on_done(void *arg)
{
	struct rest *rest = arg;
	const struct spool_job *job = spool_thread_job(rest->of.thread);
	uint32_t left = rest_left(job);

	if (job->told[0] != '\0')
		log_error(rest->name, "spool %s: %s", rest->path, job->told);
	if (job->error == 0 && (left > 0 || rest->of.count > 0))
		rest_write(rest);
	else
		rest_end(rest, job->error, job->what, (uint64_t)left + rest->of.count);
}

void
spool_rest_start(const struct spool_rest *of)
{
	struct rest *rest = mem_new(1, sizeof *rest);

	*rest = (struct rest){ .of = *of, .name = mem_copy_text(of->name), .path = mem_copy_text(of->path) };
	if (of->thread == NULL || (!of->works && of->count == 0)) {
		rest_end(rest, of->error, "be worked on", of->count);
		return;
	}
	spool_thread_tell(of->thread, rest_on_done, rest);
	if (!of->works)
		rest_write(rest);
}

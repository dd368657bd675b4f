#include "base/names.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define NAMES_TIMEOUT 200                /* milliseconds */
#define NAMES_PAUSE    (60 * CLOCK_SECOND)
#define NAMES_CACHED 256

/* One question: by name or, if that is empty, by number; and its answer. */
struct names_question {
	enum names_kind kind;
	bool known;
	uint32_t id;
	char name[NAMES_SIZE];
};

/* Answers to questions by number, so that many clients of one user are one question. */
struct names_cached {
	int64_t until;
	struct names_question answer;
};

static int64_t names_slow_until; /* a question was not answered in time */
static int64_t names_spent_since, names_spent; /* waited for answers, in this second */
static struct names_cached names_cache[NAMES_CACHED];

static bool
names_parse(const char *name, uint32_t *ret_id)
{
	unsigned long long number;

	if (name[0] == '\0' || name[strspn(name, "0123456789")] != '\0')
		return false;
	errno = 0;
	number = strtoull(name, NULL, 10);
	*ret_id = (uint32_t)number;
	return errno == 0 && number < UINT32_MAX;
}

static void
names_take(struct names_question *question, const char *name, uint32_t id)
{
	question->id = id;
	snprintf(question->name, sizeof question->name, "%s", name);
	question->known = true;
}

/* Both files begin each line with "NAME:PASSWORD:NUMBER:". */
static void
names_read_file(struct names_question *question)
{
	FILE *file = fopen(question->kind == NAMES_GROUP ? "/etc/group" : "/etc/passwd", "re");
	char *line = NULL, *rest, *name, *number;
	size_t size = 0;
	uint32_t id;

	while (file != NULL && !question->known && getline(&line, &size, file) != -1) {
		rest = line;
		name = strsep(&rest, ":");
		strsep(&rest, ":");
		number = strsep(&rest, ":");
		if (number != NULL && names_parse(number, &id) &&
		    (question->name[0] != '\0' ? strcmp(question->name, name) == 0 : question->id == id))
			names_take(question, name, id);
	}
	free(line);
	if (file != NULL)
		fclose(file);
}

/* Asks the name services, however long that takes. */
static void
names_ask_services(struct names_question *question)
{
	const struct passwd *user;
	const struct group *group;

	if (question->kind == NAMES_GROUP) {
		group = question->name[0] != '\0' ? getgrnam(question->name) : getgrgid(question->id);
		if (group != NULL)
			names_take(question, group->gr_name, group->gr_gid);
	} else {
		user = question->name[0] != '\0' ? getpwnam(question->name) : getpwuid(question->id);
		if (user != NULL)
			names_take(question, user->pw_name, user->pw_uid);
	}
}

/* Keeps nothing open of what the parent has: a connection that it closes must end. */
static void __attribute__((noreturn))
names_run_child(struct names_question *question, int out)
{
	sigset_t none;

	if (out > STDERR_FILENO + 1)
		syscall(SYS_close_range, (unsigned)STDERR_FILENO + 1, (unsigned)out - 1, 0U);
	syscall(SYS_close_range, (unsigned)out + 1, ~0U, 0U);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	alarm(1);
	names_ask_services(question);
	(void)!write(out, question, sizeof *question);
	_exit(0);
}

/* Whoever waits for a name service can be killed, so that the last wait is short. */
static void
names_hear(pid_t child, int in, struct names_question *question)
{
	struct names_question answer;
	struct pollfd look = { .fd = in, .events = POLLIN };

	if (poll(&look, 1, NAMES_TIMEOUT) == 1 && read(in, &answer, sizeof answer) == (ssize_t)sizeof answer)
		*question = answer;
	else
		names_slow_until = clock_now() + NAMES_PAUSE;
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) == -1 && errno == EINTR)
		;
}

/* Many short waits are a long one: in a second they are as long as one may be. */
static bool
names_may_ask(int64_t now)
{
	if (now - names_spent_since >= CLOCK_SECOND) {
		names_spent_since = now;
		names_spent = 0;
	}
	return now >= names_slow_until && names_spent < NAMES_TIMEOUT * CLOCK_MILLISECOND;
}

static void
names_ask_shortly(struct names_question *question)
{
	int64_t began = clock_now();
	int ends[2];
	pid_t child;

	if (!names_may_ask(began) || pipe2(ends, O_CLOEXEC) == -1)
		return;
	child = fork();
	if (child == 0)
		names_run_child(question, ends[1]);
	close(ends[1]);
	if (child > 0)
		names_hear(child, ends[0], question);
	close(ends[0]);
	names_spent += clock_now() - began;
}

static void
names_answer(struct names_question *question)
{
	names_read_file(question);
	if (!question->known)
		names_ask_shortly(question);
}

static bool
names_find_by(enum names_kind kind, const char *name, void (*answer)(struct names_question *), uint32_t *ret_id)
{
	struct names_question question = { .kind = kind };

	if (names_parse(name, ret_id))
		return true;
	if (name[0] == '\0' || strlen(name) >= sizeof question.name)
		return false;
	strcpy(question.name, name);
	answer(&question);
	if (question.known)
		*ret_id = question.id;
	return question.known;
}

bool
names_find(enum names_kind kind, const char *name, uint32_t *ret_id)
{
	return names_find_by(kind, name, names_answer, ret_id);
}

bool
names_ask(enum names_kind kind, const char *name, uint32_t *ret_id)
{
	return names_find_by(kind, name, names_ask_services, ret_id);
}

bool
names_of(enum names_kind kind, uint32_t id, char *ret_name, size_t size)
{
	struct names_cached *cached = &names_cache[(id * 2 + kind) % NAMES_CACHED];
	struct names_question *answer = &cached->answer;
	int64_t now = clock_now();

	if (now >= cached->until || answer->kind != kind || answer->id != id) {
		cached->until = now + NAMES_PAUSE;
		*answer = (struct names_question){ .kind = kind, .id = id };
		names_answer(answer);
	}
	if (answer->known)
		snprintf(ret_name, size, "%s", answer->name);
	return answer->known;
}

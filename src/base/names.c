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

#define NAMES_PATIENCE 200                /* milliseconds */
#define NAMES_PAUSE    (60 * CLOCK_SECOND)
#define NAMES_ROOM     16384
#define NAMES_MEMORIES 256

/* One question: of a user or a group, by name or, if that is empty, by number; and its answer. */
struct names_question {
	bool group, known;
	uint32_t id;
	char name[NAMES_SIZE];
};

/* Answers to questions by number, so that many clients of one user are one question. */
struct names_memory {
	int64_t until;
	bool group, known;
	uint32_t id;
	char name[NAMES_SIZE];
};

static int64_t names_slow_until; /* a question was not answered in time */
static int64_t names_spent_since, names_spent; /* waited for answers, in this second */
static struct names_memory names_memories[NAMES_MEMORIES];

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

/* Whether this is whom the question is of; then it is answered. */
static bool
names_match(struct names_question *question, const char *name, uint32_t id)
{
	if (question->name[0] != '\0' ? strcmp(question->name, name) != 0 : question->id != id)
		return false;
	names_take(question, name, id);
	return true;
}

static void
names_look_for_user(struct names_question *question, FILE *file)
{
	struct passwd entry, *found;
	char *buffer = mem_new(NAMES_ROOM, 1);

	while (fgetpwent_r(file, &entry, buffer, NAMES_ROOM, &found) == 0 &&
	    !names_match(question, entry.pw_name, entry.pw_uid))
		;
	mem_free(buffer);
}

static void
names_look_for_group(struct names_question *question, FILE *file)
{
	struct group entry, *found;
	char *buffer = mem_new(NAMES_ROOM * 16, 1);

	while (fgetgrent_r(file, &entry, buffer, NAMES_ROOM * 16, &found) == 0 &&
	    !names_match(question, entry.gr_name, entry.gr_gid))
		;
	mem_free(buffer);
}

static void
names_look(struct names_question *question)
{
	FILE *file = fopen(question->group ? "/etc/group" : "/etc/passwd", "re");

	if (file == NULL)
		return;
	if (question->group)
		names_look_for_group(question, file);
	else
		names_look_for_user(question, file);
	fclose(file);
}

/* Asks the name services, however long that takes. */
static void
names_ask(struct names_question *question)
{
	const struct passwd *user;
	const struct group *group;

	if (question->group) {
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
names_be_child(struct names_question *question, int out)
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
	names_ask(question);
	(void)!write(out, question, sizeof *question);
	_exit(0);
}

/* Whoever waits for a name service can be killed, so that the last wait is short. */
static void
names_hear(pid_t child, int in, struct names_question *question)
{
	struct names_question answer;
	struct pollfd look = { .fd = in, .events = POLLIN };

	if (poll(&look, 1, NAMES_PATIENCE) == 1 && read(in, &answer, sizeof answer) == (ssize_t)sizeof answer)
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
	return now >= names_slow_until && names_spent < NAMES_PATIENCE * CLOCK_MILLISECOND;
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
		names_be_child(question, ends[1]);
	close(ends[1]);
	if (child > 0)
		names_hear(child, ends[0], question);
	close(ends[0]);
	names_spent += clock_now() - began;
}

static bool
names_answer(struct names_question *question)
{
	names_look(question);
	if (!question->known)
		names_ask_shortly(question);
	return question->known;
}

static bool
names_find(const char *name, bool group, bool wait, uint32_t *ret_id)
{
	struct names_question question = { .group = group };

	if (names_parse(name, ret_id))
		return true;
	if (name[0] == '\0' || strlen(name) >= sizeof question.name)
		return false;
	strcpy(question.name, name);
	if (wait)
		names_ask(&question);
	else
		names_answer(&question);
	if (question.known)
		*ret_id = question.id;
	return question.known;
}

static bool
names_of(uint32_t id, bool group, char *ret_name, size_t size)
{
	struct names_question question = { .group = group, .id = id };
	struct names_memory *memory = &names_memories[(id * 2 + group) % NAMES_MEMORIES];
	int64_t now = clock_now();

	if (now >= memory->until || memory->group != group || memory->id != id) {
		*memory = (struct names_memory){ .until = now + NAMES_PAUSE, .group = group, .id = id };
		memory->known = names_answer(&question);
		strcpy(memory->name, question.name);
	}
	if (memory->known)
		snprintf(ret_name, size, "%s", memory->name);
	return memory->known;
}

bool
names_find_user(const char *name, uid_t *ret_uid)
{
	return names_find(name, false, false, ret_uid);
}

bool
names_find_group(const char *name, gid_t *ret_gid)
{
	return names_find(name, true, false, ret_gid);
}

bool
names_of_user(uid_t uid, char *ret_name, size_t size)
{
	return names_of(uid, false, ret_name, size);
}

bool
names_of_group(gid_t gid, char *ret_name, size_t size)
{
	return names_of(gid, true, ret_name, size);
}

bool
names_ask_user(const char *name, uint32_t *ret_uid)
{
	return names_find(name, false, true, ret_uid);
}

bool
names_ask_group(const char *name, uint32_t *ret_gid)
{
	return names_find(name, true, true, ret_gid);
}

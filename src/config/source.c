#include "config/source.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/source_grammar.h"
#include "config/source_text.h"

#define TRIAL_SECONDS      1  /* of the processor that the parser may take */
#define TRIAL_WALL_SECONDS 300 /* with little of the processor, as a quota may leave */

/* What the child says about a text. */
struct trial {
	int line; /* 0: no error */
	char text[120];
};

static char *
source_read_all(int fd, size_t *ret_length)
{
	char *text = mem_new(SOURCE_MAX + 2, 1);
	size_t length = 0;
	ssize_t n;

	while (length <= SOURCE_MAX && (n = read(fd, text + length, SOURCE_MAX + 1 - length)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			mem_free(text);
			return NULL;
		}
		length += (size_t)n;
	}
	*ret_length = length;
	if (length > 0 && length <= SOURCE_MAX && text[length - 1] != '\n')
		text[length] = '\n'; /* libconfig wants one behind a comment; not counted */
	return text;
}

/* The file's text, NUL-terminated; or NULL and what is wrong. */
static char *
source_read_text(const char *path, size_t *ret_length, const char **ret_wrong)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat status;
	char *text = NULL;

	*ret_wrong = NULL;
	if (fd == -1 || fstat(fd, &status) == -1)
		*ret_wrong = strerror(errno);
	else if (!S_ISREG(status.st_mode))
		*ret_wrong = S_ISDIR(status.st_mode) ? "is a directory" : "is not a regular file";
	else if ((text = source_read_all(fd, ret_length)) == NULL)
		*ret_wrong = strerror(errno);
	else if (*ret_length > SOURCE_MAX)
		*ret_wrong = "is larger than 1 MiB";
	if (fd != -1)
		close(fd);
	if (*ret_wrong != NULL) {
		mem_free(text);
		text = NULL;
	}
	return text;
}

static void
source_parse_tree(config_t *tree, const char *text, struct trial *ret_trial)
{
	*ret_trial = (struct trial) { 0 };
	config_init(tree);
	if (config_read_string(tree, text) == CONFIG_TRUE)
		return;
	ret_trial->line = config_error_line(tree) > 0 ? config_error_line(tree) : 1;
	snprintf(ret_trial->text, sizeof ret_trial->text, "%s",
	    config_error_text(tree) != NULL ? config_error_text(tree) : "syntax error");
}

static void
source_leave_at_once(void)
{
	raise(SIGKILL);
}

/* The child: whatever libconfig does now, it does not do it to us.  Ends in a way that runs no handler and
 * reports no leak of what is the parent's. */
static void
source_try_in_child(int fd, const char *text)
{
	struct itimerval limit = { .it_value.tv_sec = TRIAL_SECONDS };
	struct rlimit none = { 0, 0 };
	struct trial trial;
	sigset_t signals;
	config_t tree;

	atexit(source_leave_at_once);
	signal(SIGPROF, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	sigfillset(&signals); /* what is sent to all processes of the daemon is for the keeper alone */
	sigdelset(&signals, SIGPROF);
	sigdelset(&signals, SIGALRM);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	setrlimit(RLIMIT_CORE, &none);
	setitimer(ITIMER_PROF, &limit, NULL);
	alarm(TRIAL_WALL_SECONDS);
	source_parse_tree(&tree, text, &trial);
	config_destroy(&tree);
	(void)!write(fd, &trial, sizeof trial);
	raise(SIGKILL);
}

static void
source_trial_lost(struct trial *trial, int status)
{
	trial->line = 1;
	if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGPROF || WTERMSIG(status) == SIGALRM))
		strcpy(trial->text, "takes too long to parse");
	else
		strcpy(trial->text, "the parser cannot read it");
}

/* Waits for the child's word. */
static void
source_hear_child(pid_t child, int fd, struct trial *ret_trial)
{
	ssize_t n;
	int status = 0;

	do
		n = read(fd, ret_trial, sizeof *ret_trial);
	while (n == -1 && errno == EINTR);
	while (waitpid(child, &status, 0) == -1 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof *ret_trial)
		source_trial_lost(ret_trial, status);
}

/* Lets a child parse the text.  0 or -errno. */
static int
source_try_text(const char *text, struct trial *ret_trial)
{
	int ends[2];
	pid_t child;

	*ret_trial = (struct trial) { 0 };
	if (pipe2(ends, O_CLOEXEC) == -1)
		return -errno;
	child = fork();
	if (child == 0)
		source_try_in_child(ends[1], text);
	close(ends[1]);
	if (child != -1)
		source_hear_child(child, ends[0], ret_trial);
	close(ends[0]);
	return child == -1 ? -EAGAIN : 0;
}

static void
source_report(struct config_errors *errors, const char *name, const char *text, const struct trial *trial)
{
	char *setting = source_text_name(text, (unsigned)trial->line), *explained;
	unsigned line;

	if ((explained = source_grammar_explain(text, &line)) != NULL)
		config_error(errors, "%s:%u: %s", name, line, explained);
	else if (setting != NULL)
		config_error(errors, "%s:%d: %s: %s", name, trial->line, setting, trial->text);
	else
		config_error(errors, "%s:%d: %s", name, trial->line, trial->text);
	mem_free(explained);
	mem_free(setting);
}

/* Parses a text that is known to be safe, or ours. */
static void
source_find_lines(struct source *source)
{
	unsigned count = 1;
	const char *at = source->text;

	for (const char *end = at; (end = strchr(end, '\n')) != NULL; end++)
		count++;
	source->lines = mem_new(count, sizeof *source->lines);
	for (; at != NULL; at = (at = strchr(at, '\n')) == NULL ? NULL : at + 1)
		source->lines[source->line_count++] = at;
}

static struct source *
source_new(const char *name, const char *text, struct config_errors *errors)
{
	struct source *source = mem_new(1, sizeof *source);
	struct trial trial;

	source->name = mem_copy_text(name);
	source_parse_tree(&source->tree, text, &trial);
	source->text = mem_copy_text(text);
	if (trial.line == 0) {
		source_find_lines(source);
		config_setting_set_hook(config_root_setting(&source->tree), source);
		return source;
	}
	source_report(errors, name, text, &trial);
	source_free(source);
	return NULL;
}

/* Whether a text of unknown origin can be parsed; else adds what is wrong with it. */
static bool
source_try(const char *name, const char *text, size_t length, struct config_errors *errors)
{
	struct trial trial;
	unsigned line;
	const char *wrong = source_text_check(text, length, &line);
	int error;

	if (wrong != NULL)
		config_error(errors, "%s:%u: %s", name, line, wrong);
	else if ((error = source_try_text(text, &trial)) < 0)
		config_error(errors, "%s: cannot be tried: %s", name, strerror(-error));
	else if (trial.line != 0)
		source_report(errors, name, text, &trial);
	else
		return true;
	return false;
}

struct source *
source_read(const char *path, struct config_errors *errors)
{
	struct source *source = NULL;
	const char *wrong;
	size_t length = 0;
	char *text = source_read_text(path, &length, &wrong);

	if (text == NULL) {
		config_error(errors, "%s: %s", path, wrong);
		return NULL;
	}
	if (source_try(path, text, length, errors))
		source = source_new(path, text, errors);
	mem_free(text);
	return source;
}

struct source *
source_parse(const char *text, size_t length, const char *name, struct config_errors *errors)
{
	char *copy = mem_copy_bytes(text, length);
	struct source *source = source_new(name, copy, errors);

	mem_free(copy);
	return source;
}

char *
source_written(const config_setting_t *value)
{
	const struct source *source = config_setting_get_hook(config_root_setting(value->config));
	unsigned line = config_setting_source_line(value);

	if (source == NULL || config_setting_name(value) == NULL || line == 0 || line > source->line_count)
		return NULL;
	return source_text_value(source->text, source->lines[line - 1], config_setting_name(value));
}

void
source_free(struct source *source)
{
	if (source == NULL)
		return;
	config_destroy(&source->tree);
	mem_free(source->name);
	mem_free(source->text);
	mem_free(source->lines);
	mem_free(source);
}

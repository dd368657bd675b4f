#include "ctl/add.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "ctl/ask.h"
#include "ctl/help.h"
#include "ctl/print.h"
#include "ctl/show.h"

#define ADD_DIRECTORY HOLDFAST_SYSCONFDIR "/services.d"
#define ADD_MARK      "# Written by \"holdfastctl add\"; \"holdfastctl remove\" removes it.\n"
#define ADD_NAME_MAX  64
#define ADD_TEXT_MAX  1024 /* bytes of the address */
#define ADD_TIME      (60 * CLOCK_SECOND)

/* A service's file.  What has a dot before its name the daemon passes over. */
struct add {
	const char *name, *address;  /* borrowed */
	const char *directory;       /* borrowed */
	char *control;               /* owned; the control socket */
	char *path, *aside;          /* owned */
};

/* What of the words is wrong, or NULL. */
static const char *
add_bad_words(const struct add *add, bool adds)
{
	size_t length = strlen(add->name);

	if (length == 0 || length > ADD_NAME_MAX ||
	    strspn(add->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != length ||
	    strchr("0123456789-_", add->name[0]) != NULL)
		return "a service's name is a letter and up to 63 letters, digits, - and _";
	if (!adds)
		return NULL;
	if (strlen(add->address) > ADD_TEXT_MAX)
		return "an address has at most 1024 bytes";
	for (const char *at = add->address; *at != '\0'; at++)
		if ((unsigned char)*at <= ' ' || *at == '"' || *at == '\\' || *at == 0x7f)
			return "an address is HOST:PORT or unix:PATH, without blanks, quotes and backslashes";
	return NULL;
}

static bool
add_parse(struct add *add, bool adds, int argc, char **argv)
{
	static const struct option options[] = {
		{ "directory", required_argument, NULL, 'd' }, { NULL, 0, NULL, 0 },
	};
	const struct help_command *help = help_find(argv[0]);
	const char *bad = NULL;
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) == 'd')
		add->directory = optarg;
	if (option != -1 || argc - optind != (adds ? 2 : 1)) {
		help_usage(stderr, "holdfastctl: usage: holdfastctl", help);
		return false;
	}
	add->name = argv[optind];
	add->address = argv[optind + 1];
	bad = add_bad_words(add, adds);
	if (bad != NULL)
		fprintf(stderr, "holdfastctl: %s: %s\n", argv[0], bad);
	return bad == NULL;
}

static int
add_fail(const char *what, const char *path)
{
	show_printf(stderr, "holdfastctl: %s %s: %s\n", what, path, strerror(errno));
	return ASK_NO;
}

/* Renames within the directory, over nothing, for good; or not at all. */
static bool
add_rename(const struct add *add, const char *from, const char *to)
{
	int folder, error = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == -1 ? errno : 0;

	folder = error != 0 ? -1 : open(add->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder != -1 && fsync(folder) == -1 && errno != EINVAL && errno != EROFS) {
		error = errno;
		(void)rename(to, from);
	}
	if (folder != -1)
		close(folder);
	errno = error;
	return error == 0;
}

static bool
add_write(const struct add *add)
{
	char *text = mem_print(ADD_MARK "services: { %s: { address = \"%s\"; }; };\n", add->name, add->address);
	int fd = open(add->aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644), error = 0;

	if (fd != -1)
		errno = 0; /* a short write sets none */
	if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
	    fchmod(fd, 0644) == -1 || fsync(fd) == -1) /* the daemon must read it, whatever the umask */
		error = errno != 0 ? errno : ENOSPC;
	if (fd != -1)
		close(fd);
	if (fd != -1 && error != 0)
		unlink(add->aside);
	mem_free(text);
	errno = error;
	return error == 0;
}

/* The reload's answer, or NULL, told; *ret_code: the exit code. */
static json_t *
add_reload(const struct add *add, const char *option, int *ret_code)
{
	char *words[] = { (char *)(uintptr_t)"reload" };
	json_t *answer;
	int error;

	answer = ask_once(add->control, "reload", option, clock_now() + ADD_TIME, &error);
	*ret_code = show_is_true(answer, "ok") ? ASK_YES : ASK_NO;
	if (answer == NULL && error < 0) {
		ask_explain(add->control, -error);
		*ret_code = ASK_UNREACHED;
	} else if (answer == NULL) {
		show_printf(stderr, "holdfastctl: %s: no answer to \"reload\"\n", add->control);
		*ret_code = ASK_TIME;
	} else if (*ret_code == ASK_NO) {
		print_error(1, words, answer);
	}
	return answer;
}

/* The service's row of a list in the answer, or NULL. */
static const json_t *
add_find(const json_t *list, const char *name)
{
	json_t *row;
	size_t i;

	json_array_foreach(list, i, row)
		if (strcmp(json_is_string(row) ? json_string_value(row) : show_text(row, "service"), name) == 0)
			return row;
	return NULL;
}

/* Where clients connect to the service of this name, for mem_free(); NULL: the daemon has none, or is silent. */
static char *
add_socket(const struct add *add)
{
	int error;
	json_t *answer = ask_once(add->control, "status", NULL, clock_now() + ADD_TIME, &error);
	const json_t *service = add_find(json_object_get(answer, "services"), add->name);
	char *socket = service == NULL ? NULL : mem_copy_text(show_text(service, "socket"));

	json_decref(answer);
	return socket;
}

/* Whether the reload has read the file.  Where there was no service of this name it may have been another reload. */
static bool
add_is_read(const struct add *add, const json_t *answer, const char *before)
{
	return before == NULL || add_find(json_object_get(answer, "added"), add->name) != NULL ||
	    add_find(json_object_get(answer, "changed"), add->name) != NULL;
}

/* The file is there. */
static int
add_serve(const struct add *add, const char *before)
{
	char *socket = NULL;
	json_t *answer;
	int code;

	answer = add_reload(add, NULL, &code);
	if (code == ASK_YES && add_is_read(add, answer, before))
		socket = add_socket(add);
	if (socket != NULL) {
		show_printf(stdout, "added %s: clients connect to %s\n", add->name, socket);
	} else if (code == ASK_UNREACHED || code == ASK_TIME) {
		show_printf(stderr, "holdfastctl: %s is written: the daemon reads it when it starts or reloads\n",
		    add->path);
	} else {
		if (code == ASK_YES)
			show_printf(stderr, "holdfastctl: the daemon of %s does not read %s: see --directory\n",
			    add->control, add->directory);
		unlink(add->path);
		code = ASK_NO;
	}
	mem_free(socket);
	json_decref(answer);
	return code;
}

static int
add_service(const struct add *add)
{
	char *before;
	int code;

	if (!add_write(add))
		return add_fail("cannot write", add->aside);
	before = add_socket(add);
	if (!add_rename(add, add->aside, add->path)) {
		code = add_fail("not added:", add->path);
		unlink(add->aside);
	} else {
		code = add_serve(add, before);
	}
	mem_free(before);
	return code;
}

/* Whether the file was written by us. */
static bool
add_is_ours(const struct add *add)
{
	char text[sizeof ADD_MARK];

	file_read(add->path, text, sizeof text);
	return strcmp(text, ADD_MARK) == 0;
}

/* That it is the last one is meant. */
static bool
add_is_last(const struct add *add)
{
	int error;
	json_t *answer = ask_once(add->control, "status", NULL, clock_now() + ADD_TIME, &error);
	const json_t *services = json_object_get(answer, "services");
	bool last = json_array_size(services) == 1 && add_find(services, add->name) != NULL;

	json_decref(answer);
	return last;
}

static int
add_remove_service(const struct add *add)
{
	json_t *answer;
	int code;

	if (access(add->path, F_OK) == -1)
		return add_fail("not removed:", add->path);
	if (!add_is_ours(add)) {
		show_printf(stderr, "holdfastctl: %s was not written by \"holdfastctl add\": remove it yourself, "
		    "then \"holdfastctl reload\"\n", add->path);
		return ASK_NO;
	}
	unlink(add->aside);
	if (!add_rename(add, add->path, add->aside))
		return add_fail("not removed:", add->path);
	answer = add_reload(add, add_is_last(add) ? "--force" : NULL, &code);
	if (code == ASK_NO) {
		add_rename(add, add->aside, add->path);
	} else {
		unlink(add->aside);
		if (code == ASK_YES)
			show_printf(stdout, "removed %s\n", add->name);
		else
			show_printf(stderr, "holdfastctl: %s is removed: the daemon notices when it starts or "
			    "reloads\n", add->path);
	}
	json_decref(answer);
	return code;
}

int
add_run(const char *socket, int argc, char **argv)
{
	bool adds = strcmp(argv[0], "add") == 0;
	struct add add = { .directory = ADD_DIRECTORY };
	int code;

	if (!add_parse(&add, adds, argc, argv))
		return ASK_USAGE;
	add.control = ask_socket(socket);
	add.path = mem_print("%s/%s.conf", add.directory, add.name);
	add.aside = mem_print("%s/.%s.conf.new", add.directory, add.name);
	code = adds ? add_service(&add) : add_remove_service(&add);
	mem_free(add.path);
	mem_free(add.aside);
	mem_free(add.control);
	return code;
}

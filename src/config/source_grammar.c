#include "config/source_grammar.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define GRAMMAR_DEPTH 64
#define GRAMMAR_NAMES 4096 /* of the groups that are open, in which one that stands twice is looked for */
#define NAME_LETTERS  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz*"
#define NAME_OTHERS   NAME_LETTERS "0123456789-_"
#define WORD_OTHERS   NAME_OTHERS ".:/%+@"

/* A name that stands in a group, for those that stand there twice. */
struct named {
	const char *name;        /* borrowed */
	size_t length;
	unsigned line, depth;
};

/* A group that is open. */
struct open {
	const char *name;        /* borrowed; NULL: an item of a list */
	size_t length;
	unsigned line;
	size_t indent;           /* of the line in which it begins */
};

struct grammar {
	const char *text, *at;   /* borrowed; NUL-terminated */
	unsigned line;
	unsigned depth;          /* of open groups */
	struct open open[GRAMMAR_DEPTH];
	const char *name;        /* borrowed; the setting that is being read; NULL none */
	size_t length;
	unsigned name_line;
	struct named *named;     /* owned */
	size_t count;
	unsigned odd_line;       /* the first group whose end is not below its begin; 0 none */
	const char *odd;         /* borrowed; its name */
	size_t odd_length;
	unsigned comma;          /* line of a comma with nothing behind it, which some versions of libconfig take */
	char *error;             /* owned; NULL none so far */
	unsigned error_line;
};

/* "services.a.hold_timeout: ", or "" outside of groups. */
static char *
grammar_path(const struct grammar *g)
{
	char *path = mem_copy_text(""), *longer;

	for (unsigned i = 0; i < g->depth; i++) {
		if (g->open[i].name == NULL)
			continue;
		longer = mem_print("%s%s%.*s", path, *path == '\0' ? "" : ".", (int)g->open[i].length,
		    g->open[i].name);
		mem_free(path);
		path = longer;
	}
	longer = g->name == NULL ? mem_print("%s%s", path, *path == '\0' ? "" : ": ")
	    : mem_print("%s%s%.*s: ", path, *path == '\0' ? "" : ".", (int)g->length, g->name);
	mem_free(path);
	return longer;
}

/* Takes the text over. */
static void
grammar_fail(struct grammar *g, unsigned line, char *wrong)
{
	char *path = grammar_path(g);

	if (g->error == NULL) {
		g->error = mem_print("%s%s", path, wrong);
		g->error_line = line;
	}
	mem_free(path);
	mem_free(wrong);
}

static void
grammar_skip(struct grammar *g)
{
	for (;;) {
		if (*g->at == '#' || strncmp(g->at, "//", 2) == 0) {
			g->at += strcspn(g->at, "\n");
		} else if (strncmp(g->at, "/*", 2) == 0) {
			for (g->at += 2; *g->at != '\0' && strncmp(g->at, "*/", 2) != 0; g->at++)
				g->line += *g->at == '\n';
			g->at += *g->at == '\0' ? 0 : 2;
		} else if (isspace((unsigned char)*g->at)) {
			g->line += *g->at++ == '\n';
		} else {
			return;
		}
	}
}

/* Of the line in which at stands. */
static size_t
grammar_indent(const struct grammar *g, const char *at)
{
	const char *begin = at;
	size_t indent = 0;

	while (begin > g->text && begin[-1] != '\n')
		begin--;
	for (; *begin == ' ' || *begin == '\t'; begin++)
		indent += *begin == '\t' ? 8 - indent % 8 : 1;
	return indent;
}

static bool
grammar_begins_line(const struct grammar *g, const char *at)
{
	while (at > g->text && (at[-1] == ' ' || at[-1] == '\t'))
		at--;
	return at == g->text || at[-1] == '\n';
}

static void
grammar_push(struct grammar *g)
{
	if (g->depth == GRAMMAR_DEPTH) {
		grammar_fail(g, g->line, mem_copy_text("nested too deep"));
		return;
	}
	g->open[g->depth++] = (struct open){ g->name, g->length, g->name == NULL ? g->line : g->name_line,
		grammar_indent(g, g->at) };
	g->name = NULL;
}

/* Who has forgotten the end of a group has most often put the next one's in its column. */
static void
grammar_pop(struct grammar *g)
{
	const struct open *open = &g->open[--g->depth];

	while (g->count > 0 && g->named[g->count - 1].depth > g->depth)
		g->count--;
	if (g->odd_line == 0 && open->name != NULL && grammar_begins_line(g, g->at) &&
	    grammar_indent(g, g->at) != open->indent) {
		g->odd_line = open->line;
		g->odd = open->name;
		g->odd_length = open->length;
	}
}

static void
grammar_unclosed(struct grammar *g)
{
	const struct open *open = &g->open[g->depth - 1];
	unsigned line = g->odd_line != 0 ? g->odd_line : open->line;
	const char *name = g->odd_line != 0 ? g->odd : open->name;
	size_t length = g->odd_line != 0 ? g->odd_length : open->length;

	g->depth = 0;
	g->name = NULL;
	if (name == NULL)
		grammar_fail(g, line, mem_copy_text("a group is not closed: \"}\" is missing"));
	else
		grammar_fail(g, line, mem_print("%.*s: the group that begins here%s is not closed: \"};\" is missing",
		    (int)length, name, g->odd_line != 0 ? "" : ", or one in it,"));
}

static void
grammar_text(struct grammar *g)
{
	for (g->at++; *g->at != '\0' && *g->at != '"'; g->at++) {
		if (*g->at == '\\' && g->at[1] != '\0')
			g->at++;
		g->line += *g->at == '\n';
	}
	g->at += *g->at == '"';
}

/* Whether libconfig takes the word without quotation marks. */
static bool
grammar_is_plain(const char *word, size_t length)
{
	char number[64], *end;

	if ((length == 4 && strncasecmp(word, "true", 4) == 0) || (length == 5 && strncasecmp(word, "false", 5) == 0))
		return true;
	if (length >= sizeof number || strspn(word, "0123456789abcdefABCDEFxXL.+-") < length)
		return false;
	memcpy(number, word, length);
	number[length] = '\0';
	number[strcspn(number, "L")] = '\0';
	strtod(number, &end);
	return end > number && *end == '\0';
}

static void
grammar_word(struct grammar *g)
{
	size_t length = strspn(g->at, WORD_OTHERS);

	if (length == 0)
		grammar_fail(g, g->line, mem_print("a value is missing before \"%.1s\"", g->at));
	else if (strcspn(g->at, " \t;,}\n") == length && ((length == 3 && strncasecmp(g->at, "yes", 3) == 0) ||
	    (length == 2 && strncasecmp(g->at, "no", 2) == 0) || (length == 2 && strncasecmp(g->at, "on", 2) == 0) ||
	    (length == 3 && strncasecmp(g->at, "off", 3) == 0)))
		grammar_fail(g, g->line, mem_print("%.*s: write true or false", (int)length, g->at));
	else if (!grammar_is_plain(g->at, length))
		grammar_fail(g, g->line, mem_print("%.*s needs quotation marks: write \"%.*s\"", (int)length, g->at,
		    (int)length, g->at));
	g->at += length;
}

static void grammar_settings(struct grammar *g);
static void grammar_value(struct grammar *g);

static void
grammar_group(struct grammar *g)
{
	grammar_push(g);
	g->at++;
	grammar_settings(g);
	if (g->error != NULL)
		return;
	if (*g->at == '\0') {
		grammar_unclosed(g);
		return;
	}
	grammar_pop(g);
	g->at++;
}

/* An array or a list, up to its end. */
static void
grammar_list(struct grammar *g)
{
	char end = *g->at == '[' ? ']' : ')';
	unsigned begin = g->line;

	g->at++;
	grammar_skip(g);
	while (g->error == NULL && *g->at != end) {
		if (*g->at == '\0' || *g->at == ';' || *g->at == '}') {
			grammar_fail(g, begin, mem_print("the list that begins here is not closed: \"%c\" is missing",
			    end));
			return;
		}
		grammar_value(g);
		grammar_skip(g);
		if (g->error == NULL && *g->at == ',') {
			unsigned comma = g->line;

			g->at++;
			grammar_skip(g);
			g->comma = *g->at == end && g->comma == 0 ? comma : g->comma;
		} else if (g->error == NULL && *g->at != end && *g->at != '\0' && strchr(";}", *g->at) == NULL) {
			grammar_fail(g, g->line, mem_copy_text("a comma is missing between two items of a list"));
		}
	}
	g->at += g->error == NULL;
}

static void
grammar_value(struct grammar *g)
{
	const char *name = g->name;
	size_t length = g->length;

	grammar_skip(g);
	if (*g->at == '{') {
		grammar_group(g);
	} else if (*g->at == '[' || *g->at == '(') {
		grammar_list(g);
	} else if (*g->at == '"') {
		while (*g->at == '"') {
			grammar_text(g);
			grammar_skip(g);
		}
	} else {
		grammar_word(g);
	}
	if (g->error == NULL) {
		g->name = name;
		g->length = length;
	}
}

static void
grammar_check_twice(struct grammar *g)
{
	for (size_t i = g->count; i > 0 && g->named[i - 1].depth == g->depth; i--)
		if (g->named[i - 1].length == g->length && strncmp(g->named[i - 1].name, g->name, g->length) == 0) {
			grammar_fail(g, g->line, mem_print("stands here for the second time, the first is in line %u",
			    g->named[i - 1].line));
			return;
		}
	if (g->count == GRAMMAR_NAMES)
		return;
	g->named = mem_resize(g->named, g->count + 1, sizeof *g->named);
	g->named[g->count++] = (struct named){ g->name, g->length, g->line, g->depth };
}

/* What stands in the place of a name is none. */
static void
grammar_no_name(struct grammar *g)
{
	size_t word = strspn(g->at, NAME_OTHERS "."), name = strspn(g->at, NAME_OTHERS);

	g->name = NULL;
	if (*g->at == '"')
		grammar_fail(g, g->line, mem_copy_text("a name stands without quotation marks"));
	else if (word > name && name > 0 && strchr(NAME_LETTERS, *g->at) != NULL)
		grammar_fail(g, g->line, mem_print("%.*s: a name has no dot here; write %.*s: { name = \"%.*s\"; "
		    "... }", (int)word, g->at, (int)name, g->at, (int)word, g->at));
	else if (word > 0 && strchr(NAME_LETTERS, *g->at) == NULL)
		grammar_fail(g, g->line, mem_print("%.*s: a name begins with a letter", (int)word, g->at));
	else
		grammar_fail(g, g->line, mem_print("\"%.1s\" stands where a name is expected", g->at));
}

static void
grammar_setting(struct grammar *g)
{
	size_t length = strchr(NAME_LETTERS, *g->at) == NULL ? 0 : strspn(g->at, NAME_OTHERS);
	unsigned line = g->line;

	if (length == 0 || g->at[length] == '.') {
		grammar_no_name(g);
		return;
	}
	g->name = g->at;
	g->length = length;
	g->name_line = line;
	grammar_check_twice(g);
	g->at += length;
	grammar_skip(g);
	if (*g->at != '=' && *g->at != ':') {
		grammar_fail(g, line, mem_print("\"=\" or \":\" is missing behind the name%s",
		    *g->at == '{' ? ": write \": {\"" : ""));
		return;
	}
	g->at++;
	grammar_value(g);
	grammar_skip(g);
	if (g->error == NULL && (*g->at == ';' || *g->at == ','))
		g->at++;
	g->name = g->error == NULL ? NULL : g->name;
}

/* Up to the end of the group, or of the text. */
static void
grammar_settings(struct grammar *g)
{
	grammar_skip(g);
	while (g->error == NULL && *g->at != '\0' && *g->at != '}') {
		grammar_setting(g);
		grammar_skip(g);
	}
}

char *
source_grammar_explain(const char *text, unsigned *ret_line)
{
	struct grammar g = { .text = text, .at = text, .line = 1 };

	grammar_settings(&g);
	if (*g.at == '}')
		grammar_fail(&g, g.line, mem_copy_text("\"}\" closes nothing: there is one too many, or a \"{\" is "
		    "missing before"));
	if (g.error == NULL && g.comma != 0)
		grammar_fail(&g, g.comma, mem_copy_text("a comma with nothing behind it in a list"));
	mem_free(g.named);
	*ret_line = g.error_line;
	return g.error;
}

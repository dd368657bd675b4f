#include "config/syntax.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "config/settings.h"

#define INDENT_LOOK 4096 /* bytes of a line before a brace */
#define BLANKS       " \t\r\n\f"
#define DIGITS       "0123456789"
#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz*"
#define NAME_OTHERS  NAME_LETTERS DIGITS "-_"
#define WORD_OTHERS  NAME_OTHERS ".:/%+@"

/* A value, as libconfig tells the items of an array apart. */
enum kind { KIND_NONE, KIND_BOOL, KIND_INT, KIND_INT64, KIND_FLOAT, KIND_TEXT, KIND_GROUP, KIND_LIST };

/* A name, and where it stands.  at NULL: none; of a group: it is an item of a list. */
struct name {
	const char *at;          /* borrowed */
	int length;
	unsigned line, depth;    /* depth: how many groups are open around it */
	size_t indent;           /* of a group: of the line in which it begins */
};

struct syntax {
	const char *text, *at;   /* borrowed; NUL-terminated */
	unsigned line;
	unsigned depth, nested;  /* open groups; these and lists */
	struct name open[SYNTAX_DEPTH];
	struct name name;        /* of the setting that is being read */
	struct name misindented;        /* of the first group whose end is not below its start */
	struct name *named;      /* owned; what stands in the open groups, for what stands there twice */
	size_t count;
	char *error;             /* owned; NULL none so far */
	unsigned error_line;
};

/* Takes the text wrong over, and puts "services.a.hold_timeout: " before it, if a name is open. */
static void
syntax_fail_with(struct syntax *s, unsigned line, char *wrong)
{
	char *path = mem_copy_text(""), *longer;

	for (unsigned i = 0; i <= s->depth && s->error == NULL; i++) {
		const struct name *name = i < s->depth ? &s->open[i] : &s->name;

		if (name->at == NULL)
			continue;
		longer = mem_print("%s%s%.*s", path, *path == '\0' ? "" : ".", name->length, name->at);
		mem_free(path);
		path = longer;
	}
	if (s->error == NULL) {
		s->error = mem_print("%s%s%s", path, *path == '\0' ? "" : ": ", wrong);
		s->error_line = line;
	}
	mem_free(path);
	mem_free(wrong);
}

#define syntax_fail(s, line, ...) syntax_fail_with(s, line, mem_print(__VA_ARGS__))

static void
syntax_skip_comment(struct syntax *s)
{
	unsigned begin = s->line;

	for (s->at += 2; *s->at != '\0' && strncmp(s->at, "*/", 2) != 0; s->at++)
		s->line += *s->at == '\n';
	if (*s->at == '\0')
		syntax_fail(s, begin, "a comment is not closed");
	else
		s->at += 2;
}

static void
syntax_skip(struct syntax *s)
{
	for (;;) {
		if (*s->at == '#' || strncmp(s->at, "//", 2) == 0)
			s->at += strcspn(s->at, "\n");
		else if (strncmp(s->at, "/*", 2) == 0)
			syntax_skip_comment(s);
		else if (*s->at != '\0' && strchr(BLANKS, *s->at) != NULL)
			s->line += *s->at++ == '\n';
		else
			return;
	}
}

/* Of the line in which at stands; *ret_first: nothing else stands before it.  A line that is longer is one that no
 * person wrote: looking at all of it each time would take minutes for a file of one line. */
static size_t
syntax_indent(const struct syntax *s, const char *at, bool *ret_first)
{
	const char *begin = at;
	size_t indent = 0;

	while (begin > s->text && begin[-1] != '\n' && at - begin < INDENT_LOOK)
		begin--;
	for (; *begin == ' ' || *begin == '\t'; begin++)
		indent += *begin == '\t' ? 8 - indent % 8 : 1;
	*ret_first = begin == at;
	return indent;
}

/* Who has forgotten the end of a group has most often put the next one's in its column. */
static void
syntax_pop(struct syntax *s)
{
	const struct name *open = &s->open[--s->depth];
	bool first;

	while (s->count > 0 && s->named[s->count - 1].depth > s->depth)
		s->count--;
	if (s->misindented.at == NULL && open->at != NULL && syntax_indent(s, s->at, &first) != open->indent && first)
		s->misindented = *open;
}

static void
syntax_unclosed(struct syntax *s)
{
	struct name name = s->misindented.at != NULL ? s->misindented : s->open[s->depth - 1];

	s->depth = 0;
	s->name.at = NULL;
	if (name.at == NULL)
		syntax_fail(s, name.line, "a group is not closed: \"}\" is missing");
	else
		syntax_fail(s, name.line, "%.*s: the group that begins here%s is not closed: \"};\" is "
		    "missing", name.length, name.at, s->misindented.at != NULL ? "" : ", or one in it,");
}

/* Texts that follow each other are one. */
static void
syntax_texts(struct syntax *s)
{
	unsigned begin;

	for (; *s->at == '"' && s->error == NULL; syntax_skip(s)) {
		begin = s->line;
		for (s->at++; *s->at != '\0' && *s->at != '"'; s->at++) {
			if (strncasecmp(s->at, "\\x00", 4) == 0)
				syntax_fail(s, s->line, "a text must not hold a NUL byte");
			s->at += *s->at == '\\' && s->at[1] != '\0';
			s->line += *s->at == '\n';
		}
		if (*s->at == '\0')
			syntax_fail(s, begin, "a text is not closed");
		else
			s->at++;
	}
}

/* How many letters of the word are "L" or "LL" and its end; else 0. */
static size_t
syntax_long(const char *word, size_t length)
{
	return (length == 1 || length == 2) && strspn(word, "L") >= length ? length : 0;
}

/* What libconfig takes a word without quotation marks for; KIND_NONE if not for one value. */
static enum kind
syntax_kind(const char *word, size_t length)
{
	const char *end = word + length, *at = word + (*word == '+' || *word == '-');
	size_t digits = strspn(at, DIGITS), more;

	if ((length == 4 && strncasecmp(word, "true", 4) == 0) || (length == 5 && strncasecmp(word, "false", 5) == 0))
		return KIND_BOOL;
	if (strncasecmp(word, "0x", 2) == 0 && (more = strspn(word + 2, "0123456789abcdefABCDEF")) > 0)
		return word + 2 + more == end ? KIND_INT : syntax_long(word + 2 + more, length - 2 - more) > 0
		    ? KIND_INT64 : KIND_NONE;
	at += digits;
	if (digits > 0 && (at == end || syntax_long(at, (size_t)(end - at)) > 0))
		return at == end ? KIND_INT : KIND_INT64;
	more = *at == '.' ? strspn(at + 1, DIGITS) : 0;
	if (digits + more == 0)
		return KIND_NONE;
	at += *at == '.' ? 1 + more : 0;
	if (at < end && (*at == 'e' || *at == 'E')) {
		at += 1 + (at[1] == '+' || at[1] == '-');
		more = strspn(at, DIGITS);
		at = more > 0 ? at + more : word;
	}
	return at == end ? KIND_FLOAT : KIND_NONE;
}

/* Whether it is read as a mode, which numbers make no sense for. */
static bool
syntax_is_mode(const struct syntax *s)
{
	const struct name *group = s->depth > 0 ? &s->open[s->depth - 1] : &s->name;
	char *name = mem_print("%.*s.%.*s", group->length, group->at == NULL ? "" : group->at, s->name.length,
	    s->name.at);
	const struct setting *row = settings_find(&settings_service, name);

	if (row == NULL)
		row = settings_find(&settings_top, name);
	mem_free(name);
	return row != NULL && row->type == SETTING_MODE;
}

/* Whole numbers of more than 32 bits need an L behind them, or libconfig cuts them; 1.5 reads 010 as 10, 1.7 as 8. */
static void
syntax_number(struct syntax *s, enum kind kind, const char *word, int length)
{
	bool hexadecimal = strncasecmp(word, "0x", 2) == 0;
	const char *number = word + (*word == '+' || *word == '-');
	int digits = hexadecimal ? length - 2 : (int)strspn(number, DIGITS), zeros = (int)strspn(number, "0");

	if (hexadecimal ? digits > (kind == KIND_INT ? 8 : 17) : kind == KIND_INT
	    ? digits > 10 || strtoll(number, NULL, 10) > INT_MAX : digits > 18)
		syntax_fail(s, s->line, "a number is too large");
	else if (hexadecimal || kind == KIND_INT64 || zeros == 0 || zeros == digits || (zeros + 1 == digits &&
	    number[zeros] < '8'))
		return;
	else if (syntax_is_mode(s) && digits <= 4 && strspn(word, "01234567") >= (size_t)length)
		syntax_fail(s, s->name.line, "a mode is a text of octal digits: write \"%.*s\", in "
		    "quotation marks", length, word);
	else
		syntax_fail(s, s->line, "%.*s is read as octal by some versions of libconfig: write "
		    "%.*s%.*s", length, word, (int)(number - word), word, digits - zeros, number + zeros);
}

static enum kind
syntax_word(struct syntax *s)
{
	static const char *const booleans[] = { "yes", "no", "on", "off" };
	int length = (int)strspn(s->at, WORD_OTHERS);
	enum kind kind = syntax_kind(s->at, (size_t)length);

	for (int i = 1; kind == KIND_NONE && i < length; i++) /* a comment behind it */
		if (s->at[i] == '/' && (s->at[i + 1] == '/' || s->at[i + 1] == '*') &&
		    syntax_kind(s->at, (size_t)i) != KIND_NONE)
			kind = syntax_kind(s->at, (size_t)(length = i));
	for (size_t i = 0; i < sizeof booleans / sizeof booleans[0]; i++)
		if (strlen(booleans[i]) == (size_t)length && strncasecmp(s->at, booleans[i], (size_t)length) == 0)
			syntax_fail(s, s->line, "%.*s: write true or false", length, s->at);
	if (length == 0)
		syntax_fail(s, s->line, "a value is missing before \"%.1s\"", s->at);
	else if (kind == KIND_NONE)
		syntax_fail(s, s->line, "%.*s needs quotation marks: write \"%.*s\"", length, s->at, length,
		    s->at);
	else if (kind == KIND_INT || kind == KIND_INT64)
		syntax_number(s, kind, s->at, length);
	s->at += length;
	return kind;
}

static void syntax_settings(struct syntax *s);
static enum kind syntax_value(struct syntax *s);

static void
syntax_group(struct syntax *s)
{
	struct name *open = &s->open[s->depth];
	bool first;

	*open = s->name;
	open->line = open->at == NULL ? s->line : open->line;
	open->indent = syntax_indent(s, s->at, &first);
	s->depth++;
	s->name.at = NULL;
	s->at++;
	syntax_settings(s);
	if (s->error == NULL && *s->at == '\0') {
		syntax_unclosed(s);
	} else if (s->error == NULL) {
		syntax_pop(s);
		s->name = *open;
		s->at++;
	}
}

/* Behind an item: another comes, unless the list ends. */
static void
syntax_list_next(struct syntax *s, char end)
{
	unsigned comma = s->line;

	if (*s->at == ',') {
		s->at++;
		syntax_skip(s);
		if (*s->at == end) /* 1.7 takes it */
			syntax_fail(s, comma, "a comma with nothing behind it in a list");
	} else if (*s->at != end && *s->at != '\0' && strchr(";}", *s->at) == NULL) {
		syntax_fail(s, s->line, "a comma is missing between two items of a list");
	}
}

/* An array or a list, up to its end. */
static void
syntax_list(struct syntax *s)
{
	char end = *s->at == '[' ? ']' : ')';
	enum kind first = KIND_NONE, kind;
	unsigned begin = s->line, line;

	s->at++;
	syntax_skip(s);
	while (s->error == NULL && *s->at != end) {
		line = s->line;
		if (*s->at == '\0' || *s->at == ';' || *s->at == '}') {
			syntax_fail(s, begin, "the list that begins here is not closed: \"%c\" is missing",
			    end);
			return;
		}
		kind = syntax_value(s);
		first = first == KIND_NONE ? kind : first;
		if (end == ']' && (kind == KIND_GROUP || kind == KIND_LIST))
			syntax_fail(s, line, "groups and lists stand in a list between \"(\" and \")\"");
		else if (end == ']' && kind != first)
			syntax_fail(s, line, "between \"[\" and \"]\" all items must be of one type");
		syntax_skip(s);
		if (s->error == NULL)
			syntax_list_next(s, end);
	}
	s->at += s->error == NULL;
}

static enum kind
syntax_value(struct syntax *s)
{
	enum kind kind = *s->at == '{' ? KIND_GROUP : KIND_LIST;

	if (*s->at == '"') {
		syntax_texts(s);
		return KIND_TEXT;
	}
	if (*s->at == '\0' || strchr("{[(", *s->at) == NULL)
		return syntax_word(s);
	if (s->nested == SYNTAX_DEPTH) {
		syntax_fail(s, s->line, "groups and lists are nested too deep");
		return kind;
	}
	s->nested++;
	if (kind == KIND_GROUP)
		syntax_group(s);
	else
		syntax_list(s);
	s->nested--;
	return kind;
}

/* Adds the name of a setting to those of its group. */
static void
syntax_add_name(struct syntax *s)
{
	size_t others = 0;

	for (size_t i = s->count; i > 0 && s->named[i - 1].depth == s->depth; i--, others++) {
		const struct name *other = &s->named[i - 1];

		if (other->length != s->name.length || memcmp(other->at, s->name.at, (size_t)other->length) != 0)
			continue;
		syntax_fail(s, s->line, "stands here for the second time, the first is in line %u",
		    other->line);
		return;
	}
	if (others == SYNTAX_NAMES)
		syntax_fail(s, s->line, "a group has %d names at most", SYNTAX_NAMES);
	if ((s->count & (s->count - 1)) == 0)
		s->named = mem_resize(s->named, s->count == 0 ? 1 : 2 * s->count, sizeof *s->named);
	s->named[s->count++] = s->name;
}

/* What stands in the place of a name is none. */
static void
syntax_no_name(struct syntax *s)
{
	int word = (int)strspn(s->at, NAME_OTHERS "."), name = (int)strspn(s->at, NAME_OTHERS);

	if (*s->at == '@')
		syntax_fail(s, s->line, "@include is not supported: use include_directory (services.d)");
	else if (*s->at == '"')
		syntax_fail(s, s->line, "a name stands without quotation marks");
	else if (word > name && name > 0 && strchr(NAME_LETTERS, *s->at) != NULL)
		syntax_fail(s, s->line, "%.*s: a name has no dot here; write %.*s: { name = \"%.*s\"; "
		    "... }", word, s->at, name, s->at, word, s->at);
	else if (word > 0 && strchr(NAME_LETTERS, *s->at) == NULL)
		syntax_fail(s, s->line, "%.*s: a name begins with a letter", word, s->at);
	else if (word > 0)
		syntax_fail(s, s->line, "%.*s: is a value, and no name", word, s->at);
	else
		syntax_fail(s, s->line, "\"%.1s\" stands where a name is expected", s->at);
}

static void
syntax_setting(struct syntax *s)
{
	int length = strchr(NAME_LETTERS, *s->at) == NULL ? 0 : (int)strspn(s->at, NAME_OTHERS);

	if (length == 0 || s->at[length] == '.' || syntax_kind(s->at, (size_t)length) != KIND_NONE) {
		syntax_no_name(s);
		return;
	}
	s->name = (struct name){ s->at, length, s->line, s->depth, 0 };
	syntax_add_name(s);
	s->at += length;
	syntax_skip(s);
	if (*s->at != '=' && *s->at != ':') {
		syntax_fail(s, s->name.line, "\"=\" or \":\" is missing behind the name%s",
		    *s->at == '{' ? ": write \": {\"" : "");
		return;
	}
	s->at++;
	syntax_skip(s);
	syntax_value(s);
	syntax_skip(s);
	s->at += s->error == NULL && (*s->at == ';' || *s->at == ',');
	s->name.at = s->error == NULL ? NULL : s->name.at;
}

/* Up to the end of the group, or of the text. */
static void
syntax_settings(struct syntax *s)
{
	syntax_skip(s);
	while (s->error == NULL && *s->at != '\0' && *s->at != '}') {
		syntax_setting(s);
		syntax_skip(s);
	}
}

char *
syntax_check(const char *text, size_t length, unsigned *ret_line)
{
	struct syntax s = { .text = text, .at = text, .line = 1 };
	const char *zero = memchr(text, '\0', length);

	for (const char *at = text; zero != NULL && at < zero; at++)
		s.line += *at == '\n';
	if (zero != NULL)
		syntax_fail(&s, s.line, "the file holds a NUL byte");
	else if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		syntax_fail(&s, 1, "the file begins with a byte order mark");
	else
		syntax_settings(&s);
	if (*s.at == '}')
		syntax_fail(&s, s.line, "\"}\" closes nothing: there is one too many, or a \"{\" is missing "
		    "before");
	mem_free(s.named);
	if (s.error != NULL)
		*ret_line = s.error_line;
	return s.error;
}

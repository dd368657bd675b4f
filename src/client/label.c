#include "client/label.h"

#include <string.h>

#include "base/mem.h"

/* How each kind's text is said again; in the table, each stands in this order, with a NUL behind it. */
static const char *const label_formats[LABEL_REQUESTS] = {
	"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$%zu\r\n%s\r\n",
	"*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$8\r\nLIB-NAME\r\n$%zu\r\n%s\r\n",
	"*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$7\r\nLIB-VER\r\n$%zu\r\n%s\r\n",
};

/* The name is the first of the texts. */
const char *
label_name(const struct table *table, uint32_t client)
{
	static const char nothing[LABEL_REQUESTS];

	return table->clients[client].flags & TABLE_CLIENT_LABELLED ?
	    table->labels[client].text[table->labels[client].place & 1] : nothing;
}

void
label_redo(struct redo *redo, struct table *table, uint32_t client, const struct resp_label *label, uint16_t *flags)
{
	struct table_label *record = &table->labels[client];
	const char *old = label_name(table, client);
	uint64_t place = *flags & TABLE_CLIENT_LABELLED ? (record->place & 1) ^ 1 : 0;
	char *new = record->text[place];
	size_t at = 0;

	for (int kind = RESP_LABEL_NAME; kind <= RESP_LABEL_VERSION; kind++, old += strlen(old) + 1) {
		bool news = kind == (int)label->kind;
		size_t length = news ? label->length : strlen(old), left = (size_t)(RESP_LABEL_VERSION - kind);

		if (at + length + 1 + left > TABLE_LABEL_TEXT)
			length = 0;
		memcpy(new + at, news ? (const char *)label->bytes : old, length);
		new[at + length] = '\0';
		at += length + 1;
	}
	*flags |= TABLE_CLIENT_LABELLED;
	redo_add(redo, &record->place, place);
}

/* Each of its texts ends. */
bool
label_audit(struct table *table, uint32_t client)
{
	const char *text = table->labels[client].text[table->labels[client].place & 1];
	size_t ends = 0;

	if (!(table->clients[client].flags & TABLE_CLIENT_LABELLED))
		return false;
	for (size_t i = 0; i < TABLE_LABEL_TEXT; i++)
		ends += text[i] == '\0';
	if (ends >= LABEL_REQUESTS)
		return false;
	table->clients[client].flags &= (uint16_t)~TABLE_CLIENT_LABELLED;
	return true;
}

size_t
label_requests(const struct table *table, uint32_t client, char *ret_requests[LABEL_REQUESTS])
{
	const char *text = label_name(table, client);
	size_t count = 0;

	for (int i = 0; i < LABEL_REQUESTS; i++, text += strlen(text) + 1)
		if (*text != '\0')
			ret_requests[count++] = mem_print(label_formats[i], strlen(text), text);
	return count;
}

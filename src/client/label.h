/* label.h - what a client of shared mode has said of itself (a name, its library), to be said again on a connection
 * of its own.  It lies in the table.
 */
#ifndef HOLDFAST_CLIENT_LABEL_H
#define HOLDFAST_CLIENT_LABEL_H

#include "framing/resp_command.h"
#include "keep/redo.h"
#include "keep/table.h"

#define LABEL_REQUESTS 3

/* Adds to the redo that the client says this of itself.  What does not fit beside the rest is forgotten: servers show
 * it to people, and nothing depends on it. */
void label_redo(struct redo *redo, struct table *table, uint32_t client, const struct resp_label *label,
    uint16_t *flags);

/* What it has named itself, "" if it has not: borrowed, until the next change. */
const char *label_name(const struct table *table, uint32_t client);

/* The requests that say it all again; each is owned, to be freed with mem_free().  How many there are. */
size_t label_requests(const struct table *table, uint32_t client, char *ret_requests[LABEL_REQUESTS]);

/* Whether what the table has of the client is no label: then it has none. */
bool label_audit(struct table *table, uint32_t client);

#endif

/* catalog_files.h - what lies in a catalog, taken for what it may be: others write there, by mistake or on purpose.
 *
 * The catalog itself is a path of the configuration, and may be a link.  Beneath it links count as long as they stay
 * beneath it.  Directories and files count if they belong to root, us, or a user of lookup.owners and not everybody
 * may write to them: what a group may write its owner has given to it, and 0664 is what many users' files are born
 * with.
 */
#ifndef HOLDFAST_UPSTREAM_CATALOG_FILES_H
#define HOLDFAST_UPSTREAM_CATALOG_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#define CATALOG_FILES      1024 /* of one directory, the first by name; further ones are not looked at */
#define CATALOG_NAMES_TURN 4096 /* read at once; that many need several turns of the loop */
#define CATALOG_FILE_MAX   4096 /* bytes of an instance's file */
#define CATALOG_LIST_MAX   65536 /* bytes of a catalog that is one file */
#define CATALOG_CAUSE_SIZE 96

/* Whose files count, besides root's and our own. */
struct catalog_owners {
	uid_t *users; /* owned by who made it */
	size_t count;
};

/* One file as it was read. */
struct catalog_bytes {
	char *bytes;     /* owned by the caller, NUL-terminated, the last one a newline; NULL: it does not count */
	struct stat st;  /* if bytes is not NULL */
	bool unfinished; /* it does not count as it is, and may soon */
	char cause[CATALOG_CAUSE_SIZE]; /* why it does not count; "": it is gone */
};

struct catalog_files;

/* Opens the service's directory in the catalog.  NULL, and the cause. */
struct catalog_files *catalog_files_open(const char *catalog, const char *service,
    const struct catalog_owners *owners, char ret_cause[CATALOG_CAUSE_SIZE]);
void catalog_files_close(struct catalog_files *files);

/* The directory's device and inode. */
const struct stat *catalog_files_stat(const struct catalog_files *files);

/* Reads up to CATALOG_NAMES_TURN further names.  Whether that were all. */
bool catalog_files_list(struct catalog_files *files);

/* Names of instances' files, when all are read: sorted, none hidden or half-written; how many did not have room. */
size_t catalog_files_count(const struct catalog_files *files, size_t *ret_left_out);
const char *catalog_files_name(const struct catalog_files *files, size_t index);

/* Reads a file of these. */
void catalog_files_read(const struct catalog_files *files, size_t index, const struct catalog_owners *owners,
    struct catalog_bytes *ret_bytes);

/* Reads a catalog that is one file; a link is followed, wherever it leads. */
void catalog_files_read_single(const char *path, const struct catalog_owners *owners,
    struct catalog_bytes *ret_bytes);

#endif

/* reload_changes.h - which settings differ between two configurations, for people, and what that means. */
#ifndef HOLDFAST_DAEMON_RELOAD_CHANGES_H
#define HOLDFAST_DAEMON_RELOAD_CHANGES_H

#include "config/settings.h"

struct config;

/* Longer values are cut: an answer has its limit. */
#define RELOAD_VALUE_MAX 120

/* One setting, with its values as the file would have them, secrets hidden. */
struct reload_difference {
	const char *setting; /* borrowed: the row's name */
	char *from, *to;     /* owned; NULL where the setting has no say, as lookup.script beside an address */
};

/* What changes of one service, or of the top level. */
struct reload_change {
	char *service;                          /* owned; NULL: the top level */
	enum service_mode mode;
	enum setting_reload how;                /* SETTING_SAME: nothing changes */
	struct reload_difference *differences;  /* owned */
	size_t count;
};

/* Compares two services of the same name. */
void reload_compare_services(const struct service_settings *old, const struct service_settings *new,
    struct reload_change *ret_change);

/* Compares two top levels. */
void reload_compare_top(const struct config *old, const struct config *new, struct reload_change *ret_change);

/* What a renewal does to connections and clients, for people; NULL for a change in place. */
const char *reload_effect(const struct reload_change *change);

/* Frees what it owns and makes it zero. */
void reload_change_clear(struct reload_change *change);

#endif

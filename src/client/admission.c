#include "client/admission.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/peer.h"
#include "upstream/upstream.h"

#define ADMISSION_LOGGED 64 /* users whose last log line is remembered */
#define ADMISSION_SILENT (60 * CLOCK_SECOND)

struct admission_user {
	uid_t uid;
	unsigned count;
};

struct admission_logged {
	uid_t uid;
	int64_t at;
};

struct admission {
	const char *name;         /* borrowed */
	struct peer_rules *rules; /* owned; NULL: everybody */
	unsigned per_user;
	struct admission_user *counts; /* owned; one for each user who is here */
	size_t count;
	struct admission_logged logged[ADMISSION_LOGGED];
	unsigned logged_next;
};

struct admission *
admission_new(const char *name)
{
	struct admission *admission = mem_new(1, sizeof *admission);

	admission->name = name;
	return admission;
}

void
admission_free(struct admission *admission)
{
	if (admission == NULL)
		return;
	peer_rules_free(admission->rules);
	mem_free(admission->counts);
	mem_free(admission);
}

void
admission_set(struct admission *admission, char *const *users, char *const *groups, unsigned per_user)
{
	peer_rules_free(admission->rules);
	admission->rules = peer_rules_new(users, groups);
	admission->per_user = per_user;
}

/* Whether a line about this user may be logged now. */
static bool
admission_may_log(struct admission *admission, uid_t uid)
{
	int64_t now = clock_now();
	struct admission_logged *logged;

	for (unsigned i = 0; i < ADMISSION_LOGGED; i++) {
		logged = &admission->logged[i];
		if (logged->at != 0 && logged->uid == uid) {
			if (now - logged->at < ADMISSION_SILENT)
				return false;
			logged->at = now;
			return true;
		}
	}
	logged = &admission->logged[admission->logged_next++ % ADMISSION_LOGGED];
	logged->uid = uid;
	logged->at = now;
	return true;
}

static void
admission_log(struct admission *admission, const struct peer *peer, const char *why)
{
	char user[64], unit[PEER_UNIT_SIZE], pid[16];

	if (!admission_may_log(admission, peer->uid))
		return;
	peer_user(peer->uid, user, sizeof user);
	peer_unit(peer->pid, unit);
	snprintf(pid, sizeof pid, "%d", (int)peer->pid);
	log_warning(admission->name, "client of user %s closed: %s pid=%s unit=%s", user, why,
	    peer->pid != 0 ? pid : "-", unit[0] != '\0' ? unit : "-");
}

static struct admission_user *
admission_find(struct admission *admission, uid_t uid)
{
	for (size_t i = 0; i < admission->count; i++)
		if (admission->counts[i].uid == uid)
			return &admission->counts[i];
	return NULL;
}

static struct admission_user *
admission_find_or_add(struct admission *admission, uid_t uid)
{
	struct admission_user *user = admission_find(admission, uid);

	if (user == NULL) {
		admission->counts = mem_resize(admission->counts, admission->count + 1, sizeof *user);
		user = &admission->counts[admission->count++];
		*user = (struct admission_user){ .uid = uid };
	}
	return user;
}

/* false if the user has as many clients as it may. */
static bool
admission_count(struct admission *admission, uid_t uid)
{
	struct admission_user *user = admission_find_or_add(admission, uid);

	if (user->count >= admission->per_user)
		return false;
	user->count++;
	return true;
}

enum admission_result
admission_ask(struct admission *admission, int fd, uid_t *ret_uid)
{
	struct peer peer = { 0 };

	*ret_uid = (uid_t)-1;
	if (admission->rules == NULL && admission->per_user == 0)
		return ADMISSION_YES;
	if (peer_get(fd, &peer) < 0)
		return ADMISSION_NOT_ALLOWED;
	if (!peer_rules_allow(admission->rules, fd, &peer)) {
		admission_log(admission, &peer, "not in allow_users or allow_groups");
		return ADMISSION_NOT_ALLOWED;
	}
	if (admission->per_user == 0)
		return ADMISSION_YES;
	if (!admission_count(admission, peer.uid)) {
		admission_log(admission, &peer, "max_clients_per_user reached");
		return ADMISSION_TOO_MANY;
	}
	*ret_uid = peer.uid;
	return ADMISSION_YES;
}

void
admission_rejoin(struct admission *admission, int fd, uid_t *uid)
{
	struct peer peer;

	if (admission->per_user == 0 || *uid != (uid_t)-1 || peer_get(fd, &peer) < 0)
		return;
	admission_find_or_add(admission, peer.uid)->count++;
	*uid = peer.uid;
}

bool
admission_is_closed(const struct table *table, uint16_t service, const struct upstream *upstream, bool refuses)
{
	return upstream_refuses(upstream) ||
	    (refuses && !table_is_paused(table, service) && !upstream_is_up(upstream));
}

void
admission_leave(struct admission *admission, uid_t uid)
{
	struct admission_user *user = uid == (uid_t)-1 ? NULL : admission_find(admission, uid);

	if (user == NULL)
		return;
	if (--user->count == 0)
		*user = admission->counts[--admission->count];
}

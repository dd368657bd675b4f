#include "client/listener_settings.h"

#include "base/mem.h"

void
listener_settings_copy(struct listener_settings *to, const struct listener_settings *from)
{
	*to = *from;
	to->path = mem_copy_text(from->path);
	to->owner = mem_copy_text(from->owner);
	to->group = mem_copy_text(from->group);
	to->allow_users = mem_list_copy(from->allow_users);
	to->allow_groups = mem_list_copy(from->allow_groups);
}

void
listener_settings_clear(struct listener_settings *settings)
{
	mem_free(settings->path);
	mem_free(settings->owner);
	mem_free(settings->group);
	mem_list_free(settings->allow_users);
	mem_list_free(settings->allow_groups);
	*settings = (struct listener_settings){ 0 };
}

void
listeners_settings_copy(struct listeners_settings *to, const struct listeners_settings *from)
{
	to->count = from->count;
	for (unsigned k = 1; k < from->count; k++)
		listener_settings_copy(&to->at[k], &from->at[k]);
}

void
listeners_settings_clear(struct listeners_settings *listeners)
{
	for (unsigned k = 1; k < listeners->count; k++)
		listener_settings_clear(&listeners->at[k]);
	listeners->count = 0;
}

static bool
listener_settings_are_same(const struct listener_settings *a, const struct listener_settings *b)
{
	return mem_text_is_same(a->path, b->path) && mem_text_is_same(a->owner, b->owner) &&
	    mem_text_is_same(a->group, b->group) && a->type == b->type && a->public == b->public &&
	    a->mode == b->mode && a->backlog == b->backlog && mem_list_is_same(a->allow_users, b->allow_users) &&
	    mem_list_is_same(a->allow_groups, b->allow_groups);
}

bool
listeners_settings_are_same(const struct listeners_settings *a, const struct listeners_settings *b)
{
	bool same = a->count == b->count;

	for (unsigned k = 0; same && k < a->count; k++)
		same = listener_settings_are_same(&a->at[k], &b->at[k]);
	return same;
}

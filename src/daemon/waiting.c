#include "daemon/waiting.h"

#include "base/mem.h"

struct waiting {
	STAILQ_ENTRY(waiting) entry;
	waiting_done *done;
	void *arg;           /* borrowed */
};

void
waiting_add(struct waiting_list *list, waiting_done *done, void *arg)
{
	struct waiting *waiting = mem_new(1, sizeof *waiting);

	waiting->done = done;
	waiting->arg = arg;
	STAILQ_INSERT_TAIL(list, waiting, entry);
}

void
waiting_forget(struct waiting_list *list, const void *arg)
{
	struct waiting *waiting, *next;

	for (waiting = STAILQ_FIRST(list); waiting != NULL; waiting = next) {
		next = STAILQ_NEXT(waiting, entry);
		if (waiting->arg == arg) {
			STAILQ_REMOVE(list, waiting, waiting, entry);
			mem_free(waiting);
		}
	}
}

void
waiting_answer(struct waiting_list *list, const void *result)
{
	struct waiting *waiting;

	while ((waiting = STAILQ_FIRST(list)) != NULL) {
		waiting_done *done = waiting->done;
		void *arg = waiting->arg;

		STAILQ_REMOVE_HEAD(list, entry);
		mem_free(waiting);
		done(arg, result);
	}
}

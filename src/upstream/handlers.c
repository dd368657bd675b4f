#include "upstream/handlers.h"

#include "base/child.h"
#include "base/log.h"
#include "base/mem.h"

struct handlers {
	struct event_base *loop;              /* borrowed */
	const struct upstream_settings *settings; /* borrowed */
	struct table_service *service;        /* borrowed */
	struct upstream_record *record;           /* borrowed */
	struct child *handler;                /* owned; NULL none */
	struct child *notifier;               /* owned; NULL none */
	enum upstream_event_kind handling;
	void (*handled)(void *arg);
	void *arg;                            /* borrowed */
};

static struct child *
handlers_start(struct handlers *handlers, const char *program, const struct upstream_event *event,
    enum table_group group, child_callback *callback)
{
	const char *name = upstream_event_name(event->kind);
	char *service = handlers->service->name, *failures = mem_print("%u", event->failures);
	char *arguments[] = { (char *)(uintptr_t)name, service, NULL };
	char **environment = child_environment((const char *[]){ "HOLDFAST_EVENT", name, "HOLDFAST_SERVICE", service,
		"HOLDFAST_ADDRESS", event->address, "HOLDFAST_ERROR", event->error, "HOLDFAST_FAILURES", failures,
		NULL });
	struct child_job job = { .program = program, .arguments = arguments, .environment = environment,
		.timeout = handlers->settings->on_event_timeout };
	struct child *child = child_start(handlers->loop, &job, &handlers->service->groups[group], callback,
	    handlers);

	mem_list_free(environment);
	mem_free(failures);
	return child;
}

/* P11: it is said, counted, and that is all. */
static void
handlers_report(struct handlers *handlers, const char *setting, enum upstream_event_kind kind,
    const struct child_result *result)
{
	const char *line = result->last_line;

	if (result->error == NULL)
		return;
	handlers->record->counters.handler_failures++;
	log_warning(handlers->service->name, "%s %s: %s%s%s", setting, upstream_event_name(kind), result->error,
	    *line == '\0' ? "" : ": ", line);
}

static void
handlers_on_handled(void *arg, const struct child_result *result)
{
	struct handlers *handlers = arg;

	handlers->handler = NULL;
	handlers_report(handlers, "on_event", handlers->handling, result);
	handlers->handled(handlers->arg);
}

bool
handlers_run(struct handlers *handlers, const struct upstream_event *event)
{
	if (handlers->settings->on_event == NULL)
		return false;
	handlers->handling = event->kind;
	handlers->handler = handlers_start(handlers, handlers->settings->on_event, event, TABLE_GROUP_HANDLER,
	    handlers_on_handled);
	return true;
}

static void handlers_on_notified(void *arg, const struct child_result *result);

/* Runs notify for the oldest notice. */
static void
handlers_next_notice(struct handlers *handlers)
{
	struct upstream_record *record = handlers->record;
	const struct record_notice *notice = &record->notice[record->notice_first % RECORD_NOTICES];
	struct upstream_event event = { .kind = (enum upstream_event_kind)notice->kind, .address = notice->address,
		.error = notice->error, .failures = notice->failures };

	if (handlers->notifier != NULL || record->notice_first == record->notice_next)
		return;
	handlers->notifier = handlers_start(handlers, handlers->settings->notify, &event, TABLE_GROUP_NOTIFY,
	    handlers_on_notified);
}

static void
handlers_on_notified(void *arg, const struct child_result *result)
{
	struct handlers *handlers = arg;
	struct upstream_record *record = handlers->record;

	handlers->notifier = NULL;
	handlers_report(handlers, "notify",
	    (enum upstream_event_kind)record->notice[record->notice_first % RECORD_NOTICES].kind, result);
	record->notice_first++;
	handlers_next_notice(handlers);
}

/* The oldest that waits; the one that runs is not waiting any more. */
static void
handlers_drop_notice(struct handlers *handlers)
{
	struct upstream_record *record = handlers->record;
	uint32_t oldest = record->notice_first + (handlers->notifier != NULL);

	record->counters.notify_dropped++;
	for (uint32_t i = oldest; i + 1 != record->notice_next; i++)
		record->notice[i % RECORD_NOTICES] = record->notice[(i + 1) % RECORD_NOTICES];
	record->notice_next--;
}

void
handlers_notify(struct handlers *handlers, const struct upstream_event *event)
{
	struct upstream_record *record = handlers->record;
	struct record_notice *notice;

	if (handlers->settings->notify == NULL)
		return;
	if (record->notice_next - record->notice_first == RECORD_NOTICES)
		handlers_drop_notice(handlers);
	notice = &record->notice[record->notice_next % RECORD_NOTICES];
	notice->kind = event->kind;
	notice->failures = event->failures;
	record_text(notice->address, sizeof notice->address, event->address);
	record_text(notice->error, sizeof notice->error, event->error);
	table_barrier();
	record->notice_next++;
	handlers_next_notice(handlers);
}

struct handlers *
handlers_new(struct event_base *loop, const struct upstream_settings *settings, struct table_service *service,
    struct upstream_record *record, void (*handled)(void *arg), void *arg)
{
	struct handlers *handlers = mem_new(1, sizeof *handlers);

	handlers->loop = loop;
	handlers->settings = settings;
	handlers->service = service;
	handlers->record = record;
	handlers->handled = handled;
	handlers->arg = arg;
	if (settings->notify == NULL || record->notice_next - record->notice_first > RECORD_NOTICES)
		record->notice_first = record->notice_next;
	if (settings->notify != NULL)
		handlers_next_notice(handlers);
	return handlers;
}

void
handlers_set(struct handlers *handlers, const struct upstream_settings *settings)
{
	struct upstream_record *record = handlers->record;

	handlers->settings = settings;
	if (settings->notify == NULL)
		record->notice_next = record->notice_first + (handlers->notifier != NULL);
}

void
handlers_free(struct handlers *handlers)
{
	if (handlers == NULL)
		return;
	child_cancel(handlers->handler);
	child_cancel(handlers->notifier);
	mem_free(handlers);
}

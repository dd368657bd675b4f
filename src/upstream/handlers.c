#include "upstream/handlers.h"

#include "base/child.h"
#include "base/log.h"
#include "base/mem.h"

struct handlers {
	const struct upstream_context *context; /* borrowed */
	struct child *handler;                  /* owned; NULL none */
	struct child *notifier;                 /* owned; NULL none */
	enum upstream_event_kind handling;
};

static struct child *
handlers_start(struct handlers *handlers, const char *program, const struct upstream_event *event,
    enum table_group group, child_callback *callback)
{
	const struct upstream_context *context = handlers->context;
	struct table_service *record = &context->table->services[context->service];
	const char *name = upstream_event_name(event->kind);
	char *service = record->name, *failures = mem_print("%u", event->failures);
	char *arguments[] = { (char *)(uintptr_t)name, service, NULL };
	char **environment = child_environment((const char *[]){ "HOLDFAST_EVENT", name, "HOLDFAST_SERVICE", service,
		"HOLDFAST_ADDRESS", event->address, "HOLDFAST_ERROR", event->error, "HOLDFAST_FAILURES", failures,
		NULL });
	struct child_job job = { .program = program, .guarded = !context->settings->lookup.unsafe,
		.arguments = arguments, .environment = environment, .timeout = context->settings->on_event_timeout };
	struct child *child = child_start(context->loop, &job, &record->groups[group], callback, handlers);

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
	handlers->context->record->counters.handler_failures++;
	log_warning(handlers->context->name, "%s %s: %s%s%s; it is not run again for this event", setting,
	    upstream_event_name(kind), result->error, *line == '\0' ? "" : ": ", line);
}

static void
handlers_on_handled(void *arg, const struct child_result *result)
{
	struct handlers *handlers = arg;

	handlers->handler = NULL;
	handlers_report(handlers, "on_event", handlers->handling, result);
	machine_push_event(handlers->context->machine, PCONN_HANDLED);
}

bool
handlers_run(struct handlers *handlers, const struct upstream_event *event)
{
	const char *program = handlers->context->settings->on_event;

	if (program == NULL)
		return false;
	handlers->handling = event->kind;
	handlers->handler = handlers_start(handlers, program, event, TABLE_GROUP_HANDLER, handlers_on_handled);
	return true;
}

static void handlers_on_notified(void *arg, const struct child_result *result);

/* Runs notify for the oldest notice, if there is a program still. */
static void
handlers_next_notice(struct handlers *handlers)
{
	struct upstream_record *record = handlers->context->record;
	const struct record_notice *notice = &record->notice[record->notice_first % RECORD_NOTICES];
	struct upstream_event event = { .kind = (enum upstream_event_kind)notice->kind, .address = notice->address,
		.error = notice->error, .failures = notice->failures };

	const char *program = handlers->context->settings->notify;

	if (program == NULL)
		record->notice_first = record->notice_next;
	if (handlers->notifier == NULL && record->notice_first != record->notice_next)
		handlers->notifier = handlers_start(handlers, program, &event, TABLE_GROUP_NOTIFY,
		    handlers_on_notified);
}

static void
handlers_on_notified(void *arg, const struct child_result *result)
{
	struct handlers *handlers = arg;
	struct upstream_record *record = handlers->context->record;

	handlers->notifier = NULL;
	handlers_report(handlers, "notify",
	    (enum upstream_event_kind)record->notice[record->notice_first % RECORD_NOTICES].kind, result);
	record->notice_first++;
	handlers_next_notice(handlers);
}

void
handlers_notify(struct handlers *handlers, const struct upstream_event *event)
{
	struct upstream_record *record = handlers->context->record;
	uint32_t oldest = record->notice_first + (handlers->notifier != NULL); /* the one that runs waits no more */
	struct record_notice *notice;

	if (handlers->context->settings->notify == NULL)
		return;
	if (record->notice_next - record->notice_first == RECORD_NOTICES) {
		record->counters.notify_dropped++;
		for (uint32_t i = oldest; i + 1 != record->notice_next; i++)
			record->notice[i % RECORD_NOTICES] = record->notice[(i + 1) % RECORD_NOTICES];
		record->notice_next--;
	}
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
handlers_new(const struct upstream_context *context)
{
	struct upstream_record *record = context->record;
	struct handlers *handlers = mem_new(1, sizeof *handlers);

	handlers->context = context;
	if (record->notice_next - record->notice_first > RECORD_NOTICES)
		record->notice_first = record->notice_next;
	handlers_next_notice(handlers);
	return handlers;
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

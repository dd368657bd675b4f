/* What of a service in shared mode is wrong, though each setting is right by itself; and what says shared mode, but
 * is not. */
#include <string.h>

#include "base/mem.h"
#include "config/config_check.h"
#include "config/setting_types.h"

static void
check_error(struct draft *draft, const struct draft_service *service, const char *setting, const char *text)
{
	draft_error(draft, draft_service_place(service, setting), setting, "%s", text);
}

static void
check_session(struct draft *draft, const struct draft_service *service)
{
	const struct service_settings *settings = service->settings;

	if (settings->listener.type != LISTENER_STREAM)
		check_error(draft, service, "listen.type", "is for mode = \"shared\" only");
	if (settings->shared.framing != FRAMING_NONE && draft_is_own(draft, service, "framing"))
		check_error(draft, service, "framing", "is for mode = \"shared\" only; say mode = \"shared\" too, or "
		    "leave it out");
}

static void
check_replies(struct draft *draft, const struct draft_service *service)
{
	const struct service_settings *settings = service->settings;

	if (settings->shared.framing == FRAMING_RESP && settings->shared.replies != SHARED_ORDERED)
		check_error(draft, service, "replies", "framing \"resp\" has ordered replies");
	if (settings->listener.type != LISTENER_DGRAM)
		return;
	if (settings->shared.replies != SHARED_NONE)
		check_error(draft, service, "replies", "nobody can be answered over listen.type = \"dgram\": say "
		    "\"none\"");
	if (settings->clients.allow_users != NULL || settings->clients.allow_groups != NULL)
		check_error(draft, service, "listen.type", "who sends a datagram is not known: allow_users and "
		    "allow_groups cannot be kept; use listen.mode and listen.group");
}

/* What the service says by itself must be a message. */
static void
check_texts(struct draft *draft, const struct draft_service *service)
{
	const struct shared_settings *shared = &service->settings->shared;
	char *loss = shared_check_loss_reply(shared), *beat = shared_check_heartbeat(shared);

	if (shared->heartbeat_send != NULL && shared->replies == SHARED_NONE)
		draft_warning(draft, draft_service_place(service, "heartbeat.send"), "heartbeat.send",
		    "the upstream must answer it, though nothing else has replies: one that is silent is given up");
	if (shared->heartbeat_send == NULL && shared->heartbeat_expect != NULL)
		check_error(draft, service, "heartbeat.expect", "needs heartbeat.send");
	if (loss != NULL)
		check_error(draft, service, "loss_reply", loss);
	if (beat != NULL)
		check_error(draft, service, "heartbeat.send", beat);
	mem_free(loss);
	mem_free(beat);
}

/* An answer that hello does not wait for would be taken for the reply to a client's request. */
static void
check_hello(struct draft *draft, const struct draft_service *service)
{
	const struct hello_settings *hello = &service->settings->upstream.hello;

	for (size_t i = 0; i < hello->count && service->settings->shared.replies == SHARED_ORDERED; i++)
		if (hello->steps[i].expect == NULL && hello->steps[i].abort_on == NULL)
			draft_error(draft, draft_service_place(service, "hello"), "hello", "step %zu: with replies = "
			    "\"ordered\" each step needs expect or abort_on: an answer that nobody waits for would "
			    "be taken for the reply to a client", i + 1);
}

/* Settings that have no meaning in the service's mode are mistakes, or left over. */
static void
check_meaning(struct draft *draft, const struct draft_service *service)
{
	static const char *const of_shared[] = { "replies", "max_message", "max_in_flight", "reply_timeout",
		"on_loss", "loss_reply", "heartbeat.send", "heartbeat.expect", "heartbeat.interval",
		"heartbeat.timeout", "standby", NULL };
	static const char *const of_session[] = { "on_upstream_end", "warm", "warm_max_age", "max_held", NULL };
	bool shared = service->settings->mode == SERVICE_SHARED;
	struct service_settings usual = { 0 };

	settings_defaults(&settings_service, &usual);
	for (const char *const *name = shared ? of_session : of_shared; *name != NULL; name++)
		if (draft_is_own(draft, service, *name) &&
		    !setting_is_same(settings_find(&settings_service, *name), service->settings, &usual))
			draft_warning(draft, draft_service_place(service, *name), *name,
			    "has no meaning with mode = \"%s\"", shared ? "shared" : "session");
	settings_clear(&settings_service, &usual);
}

void
config_check_shared(struct draft *draft, const struct draft_service *service)
{
	const struct shared_settings *shared = &service->settings->shared;

	check_meaning(draft, service);
	if (service->settings->mode != SERVICE_SHARED) {
		check_session(draft, service);
		return;
	}
	if (shared->framing == FRAMING_NONE) {
		check_error(draft, service, "framing", "is required with mode = \"shared\": line, netstring, "
		    "length8, length16be, length16le, length32be, length32le or resp");
		return;
	}
	check_replies(draft, service);
	check_texts(draft, service);
	check_hello(draft, service);
}

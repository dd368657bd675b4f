/* upgrade: answered when the new program was tried, just before the keeper executes it. */
#include "base/mem.h"
#include "daemon/command.h"

struct upgrading {
	const struct command_context *context; /* borrowed */
	struct control_request *request;        /* borrowed */
};

static void
upgrading_done(void *arg, const void *result)
{
	struct upgrading *upgrading = arg;
	const struct table_header *header = upgrading->context->table->header;
	const char *error = result;

	if (error == NULL)
		control_answer(upgrading->request, json_pack("{s:o, s:s, s:i}", "program",
		    control_text(header->program), "version", upgrading->context->version,
		    "upgrades", (int)header->upgrades));
	else
		control_fail(upgrading->request, NULL, "upgrade refused, version %s goes on: %s",
		    upgrading->context->version, error);
	mem_free(upgrading);
}

static void
upgrading_cancel(void *arg)
{
	struct upgrading *upgrading = arg;

	upgrading->context->upgrade_forget(upgrading->context->daemon, upgrading);
	mem_free(upgrading);
}

void
commands_upgrade(void *arg, struct control_request *request, int argc, char **argv)
{
	struct upgrading *upgrading = mem_new(1, sizeof *upgrading);

	(void)argc;
	(void)argv;
	upgrading->context = arg;
	upgrading->request = request;
	control_on_cancel(request, upgrading_cancel, upgrading);
	upgrading->context->upgrade(upgrading->context->daemon, upgrading_done, upgrading);
}

#include "upstream/script.h"

#include "base/mem.h"
#include "base/secret.h"
#include "upstream/entry.h"
#include "upstream/record.h"

char *
script_mask(const struct script *script, char *text)
{
	const struct lookup_settings *settings = script->settings;

	secret_mask(text, settings->arguments, settings->secrets);
	secret_mask(text, settings->environment, settings->secrets);
	return text;
}

struct child *
script_start(const struct script *script, child_said *said, volatile pid_t *ret_group, child_callback *callback,
    void *arg)
{
	const struct lookup_settings *settings = script->settings;
	char *failures = mem_print("%u", record_current(script->record)->pconn.failures);
	char **arguments = mem_list_copy(settings->arguments);
	char **environment = child_environment((const char *[]){ "HOLDFAST_SERVICE", script->service,
		"HOLDFAST_FAILURES", failures, "HOLDFAST_LAST_ADDRESS", script->record->address, NULL });
	struct child_job job = { .program = settings->script, .guarded = !settings->unsafe,
		.timeout = said == NULL ? settings->timeout : 0, .output_max = ENTRY_OUTPUT_MAX, .said = said };
	struct child *child;

	if (said != NULL)
		mem_list_add(&arguments, "--watch");
	mem_list_add(&arguments, script->service);
	for (char *const *setting = settings->environment; setting != NULL && *setting != NULL; setting++)
		child_add_variable(&environment, *setting);
	job.arguments = arguments;
	job.environment = environment;
	child = child_start(script->loop, &job, ret_group, callback, arg);
	mem_list_free(arguments);
	mem_list_free(environment);
	mem_free(failures);
	return child;
}

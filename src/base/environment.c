#include "base/environment.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ENVIRONMENT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void
environment_add(char ***environment, const char *setting)
{
	size_t length = strcspn(setting, "=") + 1;

	for (size_t i = 0; *environment != NULL && (*environment)[i] != NULL; i++) {
		if (strncmp((*environment)[i], setting, length) == 0) {
			mem_free((*environment)[i]);
			(*environment)[i] = mem_copy_text(setting);
			return;
		}
	}
	mem_list_add(environment, setting);
}

void
environment_set(char ***environment, const char *name, const char *value)
{
	char *setting = mem_print("%s=%s", name, value);

	environment_add(environment, setting);
	mem_free(setting);
}

char **
environment_new(void)
{
	const char *path = getenv("PATH"), *credentials = getenv("CREDENTIALS_DIRECTORY");
	char **environment = NULL;

	environment_set(&environment, "PATH", path != NULL ? path : ENVIRONMENT_PATH);
	environment_set(&environment, "LANG", "C.UTF-8");
	if (credentials != NULL)
		environment_set(&environment, "CREDENTIALS_DIRECTORY", credentials);
	return environment;
}

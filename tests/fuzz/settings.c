/* A whole configuration's text: it is one, which is written again so that it means the same, or there are errors. */
#include "base/mem.h"
#include "config/load.h"
#include "config/syntax.h"
#include "config/write.h"
#include "pieces.h"

static void
check_again(const struct config *config)
{
	struct config_errors errors = { 0 };
	char *text = config_text(config, setting_print), *second;
	struct config *again = config_parse_text(text, "again", &errors);

	assert(again != NULL && errors.count == 0);
	second = config_text(again, setting_print);
	assert(strcmp(text, second) == 0);
	mem_free(text);
	mem_free(second);
	config_free(again);
	config_errors_clear(&errors);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors errors = { 0 };
	char *text = malloc(size + 2), *wrong;
	struct config *config;
	unsigned line;

	memcpy(text, data, size);
	text[size] = '\n';
	text[size + 1] = '\0';
	wrong = syntax_check(text, size + 1, &line);
	if (wrong == NULL) {
		config = config_parse_text(text, "fuzz", &errors);
		assert((config == NULL) == (errors.count > 0));
		if (config != NULL)
			check_again(config);
		config_free(config);
		config_errors_clear(&errors);
	}
	mem_free(wrong);
	free(text);
	return 0;
}

/* What a right configuration gives: overriding, defaults that depend on something, the dump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config/load.h"
#include "config/write.h"
#include "temporary.h"

static char folder[TEMPORARY_SIZE];

static void
write_file(const char *name, const char *text)
{
	char *path = mem_print("%s/%s", folder, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	mem_free(path);
}

/* The configuration of the main file m.conf; fails if there is none. */
static struct config *
load(bool test, struct config_errors *errors)
{
	char *path = mem_print("%s/m.conf", folder);
	struct config *config = config_load(path, test, errors);

	if (config == NULL)
		fail_msg("%s", errors->errors[0]);
	mem_free(path);
	return config;
}

static struct config *
load_text(const char *text)
{
	struct config_errors errors = { 0 };
	struct config *config;

	write_file("m.conf", text);
	config = load(false, &errors);
	config_errors_clear(&errors);
	return config;
}

static const struct service_settings *
service(const struct config *config, const char *name)
{
	const struct service_settings *settings = config_find_service(config, name);

	assert_non_null(settings);
	return settings;
}

static void
a_service_overrides_defaults_which_override_what_is_built_in(void **state)
{
	struct config *config = load_text("defaults: { warm = 2; max_held = 3; listen: { mode = \"0600\"; }; };"
	    "services: { a: { warm = 4; }; b: { listen: { backlog = 5; }; }; };");

	(void)state;
	assert_int_equal(service(config, "a")->upstream.pconn.warm, 4);
	assert_int_equal(service(config, "a")->clients.max_held, 3);
	assert_int_equal(service(config, "b")->upstream.pconn.warm, 2);
	assert_int_equal(service(config, "b")->listeners.at[0].mode, 0600);
	assert_int_equal(service(config, "b")->listeners.at[0].backlog, 5);
	assert_int_equal(service(config, "b")->clients.hold_timeout, 60 * CLOCK_SECOND);
	config_free(config);
}

static void
a_source_named_in_the_service_puts_all_others_aside(void **state)
{
	struct config *config = load_text("defaults: { lookup: { catalog = \"/\"; max_age = 7; }; };"
	    "services: { a: { lookup: { script = \"/bin/true\"; }; }; b: { address = \"h:1\"; }; c: { };"
	    "d: { addresses = [\"h:1\", \"h:2\"]; }; };");
	const struct lookup_settings *a = &service(config, "a")->upstream.lookup;
	const struct lookup_settings *d = &service(config, "d")->upstream.lookup;

	(void)state;
	assert_string_equal(a->script, "/bin/true");
	assert_null(a->catalog);
	assert_null(a->addresses);
	assert_int_equal(a->max_age, 7 * CLOCK_SECOND);
	assert_string_equal(service(config, "b")->upstream.lookup.addresses[0], "h:1");
	assert_null(service(config, "b")->upstream.lookup.catalog);
	assert_string_equal(service(config, "c")->upstream.lookup.catalog, "/");
	assert_int_equal(mem_list_length(d->addresses), 2);
	config_free(config);
}

static void
without_any_source_the_catalog_directory_is_it(void **state)
{
	struct config *config = load_text("services: { a: { }; };");

	(void)state;
	assert_string_equal(service(config, "a")->upstream.lookup.catalog, HOLDFAST_LOCALSTATEDIR "/catalog");
	assert_null(service(config, "a")->upstream.lookup.script);
	assert_null(service(config, "a")->upstream.lookup.addresses);
	config_free(config);
}

static void
some_defaults_follow_the_kind_of_source(void **state)
{
	struct config *config = load_text("services: { fixed: { address = \"h:1\"; };"
	    "script: { lookup: { script = \"/bin/true\"; }; }; directory: { lookup: { catalog = \"/\"; }; };"
	    "file: { lookup: { catalog = \"/etc/passwd\"; }; };"
	    "named: { lookup: { catalog = \"/\"; }; pick = \"rotate\"; };"
	    "quick: { lookup: { script = \"/bin/true\"; }; hold_retry = 0.1; }; };");

	(void)state;
	assert_int_equal(service(config, "fixed")->upstream.endpoints.pick, ENDPOINTS_ORDERED);
	assert_int_equal(service(config, "script")->upstream.endpoints.pick, ENDPOINTS_ORDERED);
	assert_int_equal(service(config, "directory")->upstream.endpoints.pick, ENDPOINTS_AUTO);
	assert_int_equal(service(config, "file")->upstream.endpoints.pick, ENDPOINTS_AUTO);
	assert_int_equal(service(config, "named")->upstream.endpoints.pick, ENDPOINTS_ROTATE);
	assert_int_equal(service(config, "fixed")->upstream.pconn.hold_retry, 250 * CLOCK_MILLISECOND);
	assert_int_equal(service(config, "script")->upstream.pconn.hold_retry, CLOCK_SECOND);
	assert_int_equal(service(config, "quick")->upstream.pconn.hold_retry, 100 * CLOCK_MILLISECOND);
	config_free(config);
}

static void
sockets_are_below_the_runtime_directory(void **state)
{
	struct config *config = load_text("runtime_directory = \"/r/\"; services: { a: { };"
	    "b: { listen: { path = \"x/y\"; }; }; c: { listen: { path = \"/z\"; }; };"
	    "d: { listen: { path = \"@w\"; }; }; };");

	(void)state;
	assert_string_equal(config->runtime_directory, "/r");
	assert_string_equal(config->control.listener.path, "/r/control.sock");
	assert_string_equal(service(config, "a")->listeners.at[0].path, "/r/a.sock");
	assert_string_equal(service(config, "b")->listeners.at[0].path, "/r/x/y");
	assert_string_equal(service(config, "c")->listeners.at[0].path, "/z");
	assert_string_equal(service(config, "d")->listeners.at[0].path, "@w");
	config_free(config);
}

static void
the_runtime_directory_comes_from_the_environment_unless_named(void **state)
{
	struct config *config;

	(void)state;
	setenv("RUNTIME_DIRECTORY", "/run/one:/run/two", 1);
	config = load_text("");
	assert_string_equal(config->runtime_directory, "/run/one");
	config_free(config);
	config = load_text("runtime_directory = \"/named\";");
	assert_string_equal(config->runtime_directory, "/named");
	config_free(config);
	unsetenv("RUNTIME_DIRECTORY");
}

static void
a_socket_path_has_107_bytes_at_most(void **state)
{
	char name[108], *text;
	struct config_errors errors = { 0 };

	(void)state;
	for (size_t length = 107; length <= 108; length++) {
		memset(name, 'x', sizeof name);
		text = mem_print("services: { a: { listen: { path = \"/%.*s\"; }; }; };", (int)length - 1, name);
		write_file("m.conf", text);
		mem_free(text);
		if (length == 107) {
			config_free(load(false, &errors));
			continue;
		}
		text = mem_print("%s/m.conf", folder);
		assert_null(config_load(text, false, &errors));
		assert_non_null(strstr(errors.errors[0], "is 108 bytes long, 107 is the most: /xxx"));
		mem_free(text);
	}
	config_errors_clear(&errors);
}

static void
the_dump_gives_the_same_dump_again(void **state)
{
	struct config *config = load_text("stop_timeout = \"1500ms\"; log: { clients = true; };"
	    "control: { admin_users = \"root\"; group = 0; }; services: { a: {"
	    "retry: { delay = 0.123456; jitter = 0.1; };"
	    "down_reply = \"HTTP/1.1 503 \\\"x\\\"\\r\\n\\\\\\x01\\xff\"; listen: { allow_users = [\"root\", \"7\"];"
	    "owner = \"root\"; mode = \"0666\"; }; }; b: { lookup: { script = \"/bin/true\"; args = [\"x y\", \"\"];"
	    "environment = \"A=b\"; keep_last = true; }; on_down = \"refuse\"; max_clients = 0; };"
	    "c: { addresses = (\"h:1\", \"[::1]:2\", \"unix:/x\"); keepalive: { user_timeout = 0.25; }; };"
	    "f: { listen = ( \"f\", { path = \"[0::1]:7\"; }, { mode = \"0600\"; allow_users = \"7\"; } ); };"
	    "d: { listen: { path = \"LOCALHOST:5\"; }; }; e: { listen: { path = \"[0::1]:5432\"; }; }; };");
	struct config_errors errors = { 0 };
	char *first = config_text(config, setting_print), *second;

	(void)state;
	config_free(config);
	config = config_parse_text(first, "kept", &errors);
	assert_non_null(config);
	assert_int_equal(errors.count + errors.warning_count, 0);
	second = config_text(config, setting_print);
	assert_string_equal(first, second);
	mem_free(second);
	config_free(config);
	config = load_text(first);
	second = config_text(config, setting_print);
	assert_string_equal(first, second);
	mem_free(second);
	mem_free(first);
	config_free(config);
}

static void
a_dump_names_each_setting_of_a_service(void **state)
{
	static const char *const names[] = { "mode", "path", "backlog", "allow_groups", "address", "args", "timeout",
		"keep_last", "pick", "spread", "connect_timeout", "user_timeout", "on_event_timeout", "notify",
		"on_down", "hold_retry", "drain_timeout", "max_clients_per_user", "on_upstream_end", "warm_max_age" };
	struct config *config = load_text("services: { a: { address = \"h:1\"; }; };");
	char *text = config_service_text(config_find_service(config, "a"), setting_print);

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char *line = mem_print("\t%s = ", names[i]);

		if (strstr(text, line) == NULL)
			fail_msg("no %s in:\n%s", names[i], text);
		mem_free(line);
	}
	mem_free(text);
	config_free(config);
}

static void
text_that_is_kept_is_taken_though_its_files_are_gone(void **state)
{
	const char *text = "services: { a: { lookup: { script = \"/nonexistent\"; };"
	    "listen: { allow_users = [\"no-such-user\"]; }; }; };";
	struct config_errors errors = { 0 };
	struct config *config = config_parse_text(text, "kept", &errors);

	(void)state;
	assert_non_null(config);
	assert_int_equal(errors.count + errors.warning_count, 0);
	config_free(config);
}

static void
further_files_are_read_in_the_order_of_their_names(void **state)
{
	struct config_errors errors = { 0 };
	struct config *config;

	(void)state;
	write_file("services.d/2.conf", "services: { two: { }; };");
	write_file("services.d/1.conf", "services: { one: { }; };");
	write_file("services.d/3.txt", "not read");
	config = load_text("services: { zero: { }; };");
	assert_int_equal(config->service_count, 3);
	assert_string_equal(config->services[0]->name, "zero");
	assert_string_equal(config->services[1]->name, "one");
	assert_string_equal(config->services[2]->name, "two");
	config_free(config);
	config = load_text("include_directory = \"\"; services: { zero: { }; };");
	assert_int_equal(config->service_count, 1);
	config_free(config);
	config_errors_clear(&errors);
}

static void
warnings_leave_a_configuration(void **state)
{
	struct config_errors errors = { 0 };
	struct config *config;
	char *text;

	(void)state;
	text = mem_print("include_directory = \"\"; runtime_directory = \"%s\";\nservices: {\n"
	    " a: { lookup: { catalog = \"/none\"; }; };\n"
	    " mail: { address = \"h:25\"; warm = 1; }; quiet: { address = \"h:25\"; };\n"
	    " b: { address = \"h:3306\"; }; c: { address = \"h:3306\"; probe = \"mysql\"; }; };", folder);
	write_file("m.conf", text);
	mem_free(text);
	config = load(true, &errors);
	assert_non_null(strstr(errors.warnings[0], "m.conf:3: services.a.lookup.catalog: /none: No such file"));
	assert_non_null(strstr(errors.warnings[1], "m.conf:4: services.mail.warm: port 25 is SMTP's"));
	assert_non_null(strstr(errors.warnings[2], "m.conf:5: services.b.address: port 3306 is MySQL's"));
	assert_true(errors.warning_count <= 4); /* and open files */
	config_free(config);
	config_errors_clear(&errors);
	write_file("m.conf", "include_directory = \"\";");
	config = load(false, &errors);
	assert_non_null(strstr(errors.warnings[0], "m.conf: no services"));
	config_free(config);
	config_errors_clear(&errors);
}

static void
what_is_taken_is_left_out(void **state)
{
	struct config *config = load_text("include_directory = \"\"; services: { a: { }; b: { }; };");
	struct service_settings *settings = config_take_service(config, 0);

	(void)state;
	assert_string_equal(settings->name, "a");
	assert_null(config_take_service(config, 0));
	assert_null(config_find_service(config, "a"));
	assert_non_null(config_find_service(config, "b"));
	config_free(config);
	settings_clear(&settings_service, settings);
	mem_free(settings);
}

/* A text with each line "#name" or "#<tab>..." uncommented, and the default place of catalogs put in. */
static char *
uncomment(FILE *file)
{
	static const char place[] = "/var/lib/holdfast";
	char *text = NULL, *at, line[256];
	size_t length;
	FILE *out = open_memstream(&text, &length);

	while (fgets(line, sizeof line, file) != NULL) {
		char *begin = line + (line[0] == '#' && line[1] != ' ' && line[1] != '\n');

		if ((at = strstr(begin, place)) != NULL && begin != line)
			fprintf(out, "%.*s%s%s", (int)(at - begin), begin, HOLDFAST_LOCALSTATEDIR,
			    at + sizeof place - 1);
		else
			fputs(begin, out);
	}
	fclose(out);
	return text;
}

static void
the_sample_shows_the_defaults(void **state)
{
	char *path = mem_print("%s/etc/holdfast.conf", getenv("srcdir") != NULL ? getenv("srcdir") : ".");
	FILE *file = fopen(path, "r");
	char *sample, *shown, *built_in;
	struct config *config;

	(void)state;
	if (file == NULL)
		fail_msg("%s is not there", path);
	sample = uncomment(file);
	fclose(file);
	assert_non_null(strstr(sample, "\nservices:\n{"));
	config = load_text(sample);
	shown = config_text(config, setting_print);
	config_free(config);
	config = load_text("runtime_directory = \"/run/holdfast\"; services: { NAME: { pick = \"ordered\"; }; };");
	built_in = config_text(config, setting_print);
	config_free(config);
	assert_string_equal(shown, built_in);
	mem_free(sample);
	mem_free(shown);
	mem_free(built_in);
	mem_free(path);
}

static int
make_folder(void **state)
{
	char *directory;
	int result;

	(void)state;
	unsetenv("RUNTIME_DIRECTORY");
	if (mkdtemp(temporary_name(folder)) == NULL)
		return -1;
	directory = mem_print("%s/services.d", folder);
	result = mkdir(directory, 0755);
	mem_free(directory);
	return result;
}

static int
remove_folder(void **state)
{
	static const char *const names[] = { "m.conf", "services.d/1.conf", "services.d/2.conf", "services.d/3.txt",
		"services.d" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char *path = mem_print("%s/%s", folder, names[i]);

		remove(path);
		mem_free(path);
	}
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_overrides_defaults_which_override_what_is_built_in),
		cmocka_unit_test(a_source_named_in_the_service_puts_all_others_aside),
		cmocka_unit_test(without_any_source_the_catalog_directory_is_it),
		cmocka_unit_test(some_defaults_follow_the_kind_of_source),
		cmocka_unit_test(sockets_are_below_the_runtime_directory),
		cmocka_unit_test(the_runtime_directory_comes_from_the_environment_unless_named),
		cmocka_unit_test(a_socket_path_has_107_bytes_at_most),
		cmocka_unit_test(the_dump_gives_the_same_dump_again),
		cmocka_unit_test(a_dump_names_each_setting_of_a_service),
		cmocka_unit_test(text_that_is_kept_is_taken_though_its_files_are_gone),
		cmocka_unit_test(the_sample_shows_the_defaults),
		cmocka_unit_test(further_files_are_read_in_the_order_of_their_names),
		cmocka_unit_test(warnings_leave_a_configuration),
		cmocka_unit_test(what_is_taken_is_left_out),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* test_reload.c - each row of the table of settings says what a change of it means, and it is true: services are
 * started, connected, and given a configuration that differs in that setting alone. */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "config/load.h"
#include "config/settings.h"
#include "config/write.h"
#include "daemon/reload.h"
#include "daemon/services.h"

#define SESSION "address = \"unix:FOLDER/1\"; "
#define SHARED  "mode = \"shared\"; framing = \"line\"; address = \"unix:FOLDER/1\"; "
#define ONE_WAY SHARED "replies = \"none\"; "
#define DATAGRAMS ONE_WAY "listen: { type = \"dgram\"; }; "
#define BEATING SHARED "heartbeat: { send = \"a\"; "
#define SCRIPT  "lookup: { script = \"FOLDER/script\"; "
#define CATALOG "lookup: { catalog = \"FOLDER/catalog\"; "

/* A service's settings before and after; FOLDER is the test's, UID its user. */
static const struct change {
	const char *setting, *before, *after;
} changes[] = {
	{ "mode", SESSION, SHARED },
	{ "listen", SESSION, SESSION "listen = ( \"s.sock\", { path = \"two.sock\"; mode = \"0600\"; } );" },
	{ "listen.path", SESSION, SESSION "listen: { path = \"other.sock\"; };" },
	{ "listen.public", SESSION, SESSION "listen: { public = true; };" },
	{ "listen.type", SHARED, SHARED "listen: { type = \"seqpacket\"; };" },
	{ "listen.mode", SESSION, SESSION "listen: { mode = \"0600\"; };" },
	{ "listen.owner", SESSION, SESSION "listen: { owner = \"UID\"; };" },
	{ "listen.group", SESSION, SESSION "listen: { group = \"GID\"; };" },
	{ "listen.backlog", SESSION, SESSION "listen: { backlog = 7; };" },
	{ "listen.allow_users", SESSION, SESSION "listen: { allow_users = [ \"0\" ]; };" },
	{ "listen.allow_groups", SESSION, SESSION "listen: { allow_groups = [ \"0\" ]; };" },
	{ "address", SESSION, "address = \"unix:FOLDER/2\";" },
	{ "addresses", "addresses = [ \"unix:FOLDER/1\", \"unix:FOLDER/2\" ];",
	    "addresses = [ \"unix:FOLDER/2\", \"unix:FOLDER/1\" ];" },
	{ "lookup.script", SCRIPT "};", "lookup: { script = \"FOLDER/script2\"; };" },
	{ "lookup.unsafe", SCRIPT "};", SCRIPT "unsafe = true; };" },
	{ "lookup.watch", SCRIPT "};", SCRIPT "watch = true; };" },
	{ "lookup.args", SCRIPT "};", SCRIPT "args = [ \"x\" ]; };" },
	{ "lookup.timeout", SCRIPT "};", SCRIPT "timeout = 4; };" },
	{ "lookup.refresh", SCRIPT "};", SCRIPT "refresh = 4; };" },
	{ "lookup.min_interval", SCRIPT "};", SCRIPT "min_interval = 4; };" },
	{ "lookup.environment", SCRIPT "};", SCRIPT "environment = [ \"A=b\" ]; };" },
	{ "lookup.secret_environment", SCRIPT "};", SCRIPT "secret_environment = [ \"A\" ]; };" },
	{ "lookup.catalog", CATALOG "};", "lookup: { catalog = \"FOLDER/catalog2\"; };" },
	{ "lookup.max_age", CATALOG "};", CATALOG "max_age = 3600; };" },
	{ "lookup.owners", CATALOG "};", CATALOG "owners = [ \"0\" ]; };" },
	{ "lookup.keep_last", SCRIPT "};", SCRIPT "keep_last = true; };" },
	{ "pick", SESSION, SESSION "pick = \"rotate\";" },
	{ "connect_stagger", SESSION, SESSION "connect_stagger = 1;" },
	{ "health.interval", SESSION, SESSION "health: { interval = 60; };" },
	{ "on_withdrawn", SESSION, SESSION "on_withdrawn = \"keep\";" },
	{ "withdrawn_timeout", SESSION, SESSION "withdrawn_timeout = 1;" },
	{ "retry.delay", SESSION, SESSION "retry: { delay = 3; };" },
	{ "retry.jitter", SESSION, SESSION "retry: { jitter = 0.1; };" },
	{ "retry.factor", SESSION, SESSION "retry: { factor = 2; };" },
	{ "retry.max", SESSION, SESSION "retry: { max = 30; };" },
	{ "retry.spread", SESSION, SESSION "retry: { spread = 2; };" },
	{ "connect_timeout", SESSION, SESSION "connect_timeout = 2;" },
	{ "hello", SESSION, SESSION "hello = ( { send = \"x\\n\"; expect = \"x\"; } );" },
	{ "probe", SESSION, SESSION "probe = \"redis\";" },
	{ "probe_path", SESSION, SESSION "probe_path = \"/health\";" },
	{ "proxy_protocol", SESSION, SESSION "proxy_protocol = \"v2\";" },
	{ "mptcp", SESSION, SESSION "mptcp = true;" },
	{ "tls.enabled", SESSION "tls: { enabled = false; verify = \"ca\"; };",
	    SESSION "tls: { verify = \"ca\"; };" },
	{ "tls.name", SESSION, SESSION "tls: { enabled = false; name = \"x\"; };" },
	{ "tls.ca", SESSION, SESSION "tls: { enabled = false; ca = \"/x\"; };" },
	{ "tls.crl", SESSION, SESSION "tls: { enabled = false; crl = \"/x\"; };" },
	{ "tls.cert", SESSION, SESSION "tls: { enabled = false; cert = \"/x\"; };" },
	{ "tls.key", SESSION, SESSION "tls: { enabled = false; key = \"/x\"; };" },
	{ "tls.verify", SESSION, SESSION "tls: { enabled = false; verify = \"ca\"; };" },
	{ "tls.starttls", SESSION, SESSION "tls: { enabled = false; starttls = \"ldap\"; };" },
	{ "tls.min_version", SESSION, SESSION "tls: { enabled = false; min_version = \"1.3\"; };" },
	{ "tls.ciphers", SESSION, SESSION "tls: { enabled = false; ciphers = \"x\"; };" },
	{ "tls.alpn", SESSION, SESSION "tls: { enabled = false; alpn = \"h2\"; };" },
	{ "tls.socket", SESSION, SESSION "tls: { enabled = false; socket = \"x\"; };" },
	{ "tls.start", SESSION, SESSION "tls: { enabled = false; start = true; };" },
	{ "keepalive.idle", SESSION, SESSION "keepalive: { idle = 7; };" },
	{ "keepalive.interval", SESSION, SESSION "keepalive: { interval = 7; };" },
	{ "keepalive.count", SESSION, SESSION "keepalive: { count = 7; };" },
	{ "keepalive.user_timeout", SESSION, SESSION "keepalive: { user_timeout = 7; };" },
	{ "on_event", SESSION, SESSION "on_event = \"/bin/true\";" },
	{ "on_event_timeout", SESSION, SESSION "on_event_timeout = 7;" },
	{ "notify", SESSION, SESSION "notify = \"/bin/true\";" },
	{ "on_down", SESSION, SESSION "on_down = \"refuse\";" },
	{ "hold_timeout", SESSION, SESSION "hold_timeout = 7;" },
	{ "max_held", SESSION, SESSION "max_held = 7;" },
	{ "hold_retry", SESSION, SESSION "hold_retry = 7;" },
	{ "abort_on_close", SESSION, SESSION "abort_on_close = false;" },
	{ "down_reply", SESSION, SESSION "down_reply = \"later\";" },
	{ "drain_timeout", SESSION, SESSION "drain_timeout = 7;" },
	{ "max_clients", SESSION, SESSION "max_clients = 7;" },
	{ "max_clients_per_user", SESSION, SESSION "max_clients_per_user = 7;" },
	{ "idle_timeout", SESSION, SESSION "idle_timeout = 7;" },
	{ "on_upstream_end", SESSION, SESSION "on_upstream_end = \"reconnect\";" },
	{ "warm", SESSION, SESSION "warm = 2;" },
	{ "warm_max_age", SESSION, SESSION "warm_max_age = 7;" },
	{ "framing", SHARED, SESSION "mode = \"shared\"; framing = \"netstring\";" },
	{ "replies", SHARED, SHARED "replies = \"none\"; abort_on_close = true;" },
	{ "max_message", SHARED, SHARED "max_message = 7000;" },
	{ "max_in_flight", SHARED, SHARED "max_in_flight = 7;" },
	{ "on_full", ONE_WAY, ONE_WAY "on_full = \"drop_oldest\";" },
	{ "queue_size", ONE_WAY, ONE_WAY "queue_size = 70000;" },
	{ "split_datagrams", DATAGRAMS, DATAGRAMS "split_datagrams = true;" },
	{ "reply_timeout", SHARED, SHARED "reply_timeout = 7;" },
	{ "on_loss", SHARED, SHARED "on_loss = \"retry\";" },
	{ "on_state", SHARED, SHARED "on_state = \"refuse\";" },
	{ "max_own", SHARED, SHARED "max_own = 7;" },
	{ "own_linger", SHARED, SHARED "own_linger = 7;" },
	{ "loss_reply", SHARED, SHARED "loss_reply = \"sorry\";" },
	{ "heartbeat.send", BEATING "};", SHARED "heartbeat: { send = \"b\"; };" },
	{ "heartbeat.expect", BEATING "};", BEATING "expect = \"b\"; };" },
	{ "heartbeat.interval", BEATING "};", BEATING "interval = 7; };" },
	{ "heartbeat.timeout", BEATING "};", BEATING "timeout = 7; };" },
	{ "spool.path", ONE_WAY, ONE_WAY "spool: { path = \"/s\"; };" },
	{ "spool.max_size", ONE_WAY, ONE_WAY "spool: { max_size = \"8MiB\"; };" },
	{ "spool.fsync", ONE_WAY, ONE_WAY "spool: { fsync = \"always\"; };" },
	{ "standby", SHARED, SHARED "standby = 1;" },
};

/* The same for the top level. */
static const struct change top_changes[] = {
	{ "runtime_directory", "runtime_directory = \"FOLDER\";", "runtime_directory = \"/tmp\";" },
	{ "include_directory", "", "include_directory = \"\";" },
	{ "stop_timeout", "", "stop_timeout = 7;" },
	{ "max_memory", "", "max_memory = \"64MiB\";" },
	{ "log.level", "", "log: { level = \"debug\"; };" },
	{ "log.target", "", "log: { target = \"stderr\"; };" },
	{ "log.clients", "", "log: { clients = true; };" },
	{ "control.path", "", "control: { path = \"other.sock\"; };" },
	{ "control.mode", "", "control: { mode = \"0600\"; };" },
	{ "control.owner", "", "control: { owner = \"UID\"; };" },
	{ "control.group", "", "control: { group = \"GID\"; };" },
	{ "control.admin_users", "", "control: { admin_users = [ \"0\" ]; };" },
	{ "control.admin_groups", "", "control: { admin_groups = [ \"0\" ]; };" },
	{ "metrics.listen", "", "metrics: { listen = \"unix:FOLDER/metrics.sock\"; };" },
};

static struct {
	struct table table;
	struct services *services;
	int upstreams[2];
	unsigned events;
} play;

/* The text with FOLDER, UID and GID filled in. */
static char *
fill_in(const char *text)
{
	static const char *const words[] = { "FOLDER", "UID", "GID" };
	char *out = NULL, value[3][128];
	int i;
	size_t length;
	FILE *stream = open_memstream(&out, &length);

	snprintf(value[0], sizeof value[0], "%s", stage_folder);
	snprintf(value[1], sizeof value[1], "%u", (unsigned)geteuid());
	snprintf(value[2], sizeof value[2], "%u", (unsigned)getegid());
	while (*text != '\0') {
		for (i = 0; i < 3 && strncmp(text, words[i], strlen(words[i])) != 0; i++)
			;
		if (i == 3) {
			putc(*text++, stream);
			continue;
		}
		fputs(value[i], stream);
		text += strlen(words[i]);
	}
	fclose(stream);
	return out;
}

static struct config *
parse(const char *top, const char *service)
{
	struct config_errors errors = { 0 };
	char *pattern = mem_print("%s%s\nservices: { s: { %s }; };", top,
	    strstr(top, "runtime_directory") != NULL ? "" : "runtime_directory = \"FOLDER\";", service);
	char *text = fill_in(pattern);
	struct config *config = config_parse_text(text, "test", &errors);

	if (config == NULL)
		fail_msg("%s\n%s", errors.errors[0], text);
	config_errors_clear(&errors);
	mem_free(pattern);
	free(text);
	return config;
}

static void
on_event(void *arg, const struct table_service *service, const struct upstream_event *event)
{
	(void)arg;
	(void)service;
	(void)event;
	play.events++;
}

static const struct upstream_watcher watcher = { .event = on_event };

static void
on_drained(void *arg)
{
	(void)arg;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static void
turn(void)
{
	struct timeval tv = { .tv_usec = 2000 };

	event_base_once(stage_loop, -1, EV_TIMEOUT, on_tick, NULL, &tv);
	event_base_loop(stage_loop, EVLOOP_ONCE);
}

static struct upstream_status
status(void)
{
	struct service_status status;

	service_get_status(services_at(play.services, 0), &status);
	return status.upstream;
}

static int
listen_upstream(int number)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(name.sun_path, sizeof name.sun_path, "%s/%d", stage_folder, number);
	unlink(name.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
	assert_int_equal(listen(fd, 128), 0);
	return fd;
}

static int
make_places(void **state)
{
	int failed = stage_open(state);
	char *script = fill_in("echo unix:FOLDER/1"), *entry = fill_in("unix:FOLDER/1\n");

	for (int i = 0; i < 2; i++)
		play.upstreams[i] = listen_upstream(i + 1);
	stage_script("script", script);
	stage_script("script2", script);
	assert_int_equal(mkdir(stage_path("catalog"), 0755), 0);
	assert_int_equal(mkdir(stage_path("catalog/s"), 0755), 0);
	assert_int_equal(mkdir(stage_path("catalog2"), 0755), 0);
	stage_write("catalog/s/one", entry, 0644);
	free(script);
	free(entry);
	return failed;
}

static int
drop_places(void **state)
{
	for (int i = 0; i < 2; i++)
		close(play.upstreams[i]);
	return stage_close(state);
}

/* Starts the service and waits until it is connected. */
static struct config *
begin(const char *before)
{
	struct config *config = parse("", before);

	assert_int_equal(table_new(1000, &play.table), 0);
	table_derive(&play.table);
	play.table.header->next_id = 1;
	log_open(LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
	play.services = services_new(stage_loop, &play.table, &watcher, on_drained, NULL);
	services_resume(play.services, config);
	while (services_start_bit(play.services, config))
		continue;
	for (int64_t until = clock_now() + 5 * CLOCK_SECOND; status().state != UPSTREAM_IS_CONNECTED; turn())
		assert_true(clock_now() < until);
	play.events = 0;
	return config;
}

static void
end(struct config *config)
{
	services_stop(play.services, true);
	services_free(play.services);
	turn();
	config_free(config);
	table_free(&play.table);
}

/* Gives the service the new settings, lets what follows from that happen, and sees that they are in force. */
static void
relay_buffer_out(struct config *new, struct reload_plan *plan)
{
	char *wanted = config_service_text(new->services[0], setting_print), *got;

	while (services_apply_bit(play.services, plan))
		continue;
	for (int i = 0; i < 4; i++)
		turn();
	got = config_service_text(service_get_settings(services_at(play.services, 0)), setting_print);
	assert_string_equal(got, wanted);
	free(wanted);
	free(got);
}

static bool
tells(const struct reload_change *change, const char *setting)
{
	for (size_t i = 0; i < change->count; i++)
		if (strcmp(change->differences[i].setting, setting) == 0)
			return true;
	return false;
}

/* What the plan says is what the row says, and what then happens. */
static void
check_row(const struct setting *row, const struct change *change)
{
	struct config *old = begin(change->before), *new = parse("", change->after);
	struct config_errors errors = { 0 };
	struct upstream_status before = status(), after;
	struct reload_plan plan;

	reload_plan_begin(old, new, false, &errors, &plan);
	while (services_plan_bit(play.services, &plan))
		continue;
	if (plan.changed_count != 1 || !tells(&plan.changed[0], row->name))
		fail_msg("%s: the plan does not tell it", row->name);
	/* A service of the other mode differs in framing too, which is the same class. */
	if (plan.changed[0].how != row->reload || (plan.changed[0].count != 1 && strcmp(row->name, "mode") != 0))
		fail_msg("%s: the plan is %d with %zu settings", row->name, plan.changed[0].how,
		    plan.changed[0].count);
	assert_int_equal(errors.count > 0, row->reload == SETTING_RESTART);
	assert_int_equal(reload_effect(&plan.changed[0]) != NULL, row->reload == SETTING_RENEW);
	if (errors.count == 0)
		relay_buffer_out(new, &plan);
	after = status();
	if (after.counters.disconnects - before.counters.disconnects != (row->reload == SETTING_RENEW))
		fail_msg("%s: %llu disconnects", row->name,
		    (unsigned long long)(after.counters.disconnects - before.counters.disconnects));
	if (row->reload != SETTING_RENEW && (play.events > 0 || after.counters.connects != before.counters.connects))
		fail_msg("%s: %u events", row->name, play.events);
	reload_plan_clear(&plan);
	config_errors_clear(&errors);
	config_free(new);
	end(old);
}

static const struct change *
find_change(const struct change *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].setting, name) == 0)
			return &list[i];
	fail_msg("%s: what a change of it means is not tried here", name);
	return NULL;
}

static void
each_service_setting_changes_as_its_row_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < settings_service.count; i++) {
		const struct setting *row = &settings_service.rows[i];

		assert_in_range(row->reload, SETTING_IN_PLACE, SETTING_RESTART);
		if (strcmp(row->name, "name") == 0) /* one of another name is another service */
			continue;
		check_row(row, find_change(changes, sizeof changes / sizeof *changes, row->name));
	}
}

static void
check_top_row(const struct setting *row, const struct change *change)
{
	struct config *old = parse(change->before, SESSION), *new = parse(change->after, SESSION);
	bool told = strcmp(row->name, "include_directory") != 0; /* its files are in the text */
	struct config_errors errors = { 0 };
	struct reload_plan plan;

	reload_plan_begin(old, new, true, &errors, &plan);
	if (plan.daemon.how != (told ? row->reload : SETTING_SAME))
		fail_msg("%s: the plan is %d", row->name, plan.daemon.how);
	assert_int_equal(tells(&plan.daemon, row->name), told);
	assert_int_equal(errors.count > 0, row->reload == SETTING_RESTART);
	reload_plan_clear(&plan);
	config_errors_clear(&errors);
	config_free(old);
	config_free(new);
}

static void
each_setting_of_the_top_level_changes_as_its_row_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < settings_top.count; i++) {
		const struct setting *row = &settings_top.rows[i];

		check_top_row(row, find_change(top_changes, sizeof top_changes / sizeof *top_changes, row->name));
	}
}

static void
no_change_is_no_change(void **state)
{
	struct config *old = begin(SESSION), *new = parse("", SESSION);
	struct config_errors errors = { 0 };
	struct reload_plan plan;

	(void)state;
	reload_plan_begin(old, new, false, &errors, &plan);
	while (services_plan_bit(play.services, &plan))
		continue;
	assert_int_equal(plan.added_count + plan.changed_count + plan.removed_count + errors.count, 0);
	assert_int_equal(plan.daemon.how, SETTING_SAME);
	reload_plan_clear(&plan);
	config_free(new);
	end(old);
}

static void
a_long_value_is_cut(void **state)
{
	char long_text[1000];
	struct config *old = parse("", SESSION), *new;
	struct reload_change change;

	(void)state;
	snprintf(long_text, sizeof long_text, SESSION "down_reply = \"%0500d\";", 7);
	new = parse("", long_text);
	reload_compare_services(old->services[0], new->services[0], &change);
	assert_int_equal(change.count, 1);
	assert_string_equal(change.differences[0].from, "\"\"");
	assert_int_equal(strlen(change.differences[0].to), RELOAD_VALUE_MAX + 3);
	reload_change_clear(&change);
	config_free(old);
	config_free(new);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_service_setting_changes_as_its_row_says),
		cmocka_unit_test(each_setting_of_the_top_level_changes_as_its_row_says),
		cmocka_unit_test(no_change_is_no_change),
		cmocka_unit_test(a_long_value_is_cut),
	};

	return cmocka_run_group_tests(tests, make_places, drop_places);
}

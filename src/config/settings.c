/* The table of all settings.  tests/settings-papers reads its rows: each begins with a tab, a brace and the name,
 * and has its default beside the name. */
#include "config/settings.h"

#include <assert.h>
#include <libconfig.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/secret.h"
#include "upstream/hello_talk.h"

#define YEAR (365.0 * 86400)

#define SERVICE(field) offsetof(struct service_settings, field)
#define LISTENER(field) SERVICE(listeners.at[0].field)
#define CLIENTS(field)   offsetof(struct service_settings, clients.field)
#define SHARED(field)  offsetof(struct service_settings, shared.field)
#define UPSTREAM(field)    offsetof(struct service_settings, upstream.field)
#define TLS(field)     UPSTREAM(dial.tls.field)
#define TOP(field)     offsetof(struct config, field)

static const struct setting_choice modes[] = {
	{ "session", SERVICE_SESSION }, { "shared", SERVICE_SHARED }, { NULL, 0 }
};
static const struct setting_choice listener_types[] = {
	{ "stream", LISTENER_STREAM }, { "seqpacket", LISTENER_SEQPACKET }, { "dgram", LISTENER_DGRAM }, { NULL, 0 }
};
static const struct setting_choice framings[] = {
	{ "", FRAMING_NONE }, { "line", FRAMING_LINE }, { "netstring", FRAMING_NETSTRING },
	{ "length8", FRAMING_LENGTH8 }, { "length16be", FRAMING_LENGTH16BE }, { "length16le", FRAMING_LENGTH16LE },
	{ "length32be", FRAMING_LENGTH32BE }, { "length32le", FRAMING_LENGTH32LE }, { "resp", FRAMING_RESP },
	{ "octet-counted", FRAMING_OCTETS }, { "memcache", FRAMING_MEMCACHE }, { NULL, 0 }
};
static const struct setting_choice replies[] = {
	{ "ordered", SHARED_ORDERED }, { "none", SHARED_NONE }, { "broadcast", SHARED_BROADCAST }, { NULL, 0 }
};
static const struct setting_choice probes[] = {
	{ "", PROBE_NONE }, { "postgresql", PROBE_POSTGRESQL }, { "redis", PROBE_REDIS }, { "mysql", PROBE_MYSQL },
	{ "http", PROBE_HTTP }, { NULL, 0 }
};
static const struct setting_choice proxy_versions[] = { { "", PROXY_NONE }, { "v1", PROXY_V1 },
	{ "v2", PROXY_V2 }, { NULL, 0 } };
static const struct setting_choice tls_versions[] = { { "1.2", TLS_1_2 }, { "1.3", TLS_1_3 }, { NULL, 0 } };
static const struct setting_choice tls_verifies[] = { { "full", TLS_VERIFY_FULL }, { "ca", TLS_VERIFY_CA },
	{ "none", TLS_VERIFY_NONE }, { NULL, 0 } };
static const struct setting_choice starttlses[] = { { "", TLS_STARTTLS_NONE },
	{ "postgresql", TLS_STARTTLS_POSTGRESQL }, { "mysql", TLS_STARTTLS_MYSQL }, { "smtp", TLS_STARTTLS_SMTP },
	{ "imap", TLS_STARTTLS_IMAP }, { "ldap", TLS_STARTTLS_LDAP }, { NULL, 0 } };
static const struct setting_choice on_states[] = { { "own", RESP_ON_STATE_OWN },
	{ "refuse", RESP_ON_STATE_REFUSE }, { NULL, 0 } };
static const struct setting_choice fsyncs[] = { { "no", SHARED_FSYNC_NO }, { "always", SHARED_FSYNC_ALWAYS },
	{ NULL, 0 } };
static const struct setting_choice on_losses[] = { { "fail", SHARED_FAIL }, { "retry", SHARED_RETRY }, { NULL, 0 } };
static const struct setting_choice on_fulls[] = { { "block", SHARED_BLOCK },
	{ "drop_newest", SHARED_DROP_NEWEST }, { "drop_oldest", SHARED_DROP_OLDEST }, { NULL, 0 } };
static const struct setting_choice on_withdrawns[] = {
	{ "keep", ENDPOINTS_ON_KEEP }, { "drain", ENDPOINTS_ON_DRAIN }, { "drop", ENDPOINTS_ON_DROP }, { NULL, 0 }
};

static const struct setting_choice picks[] = {
	{ "auto", ENDPOINTS_AUTO }, { "ordered", ENDPOINTS_ORDERED }, { "random", ENDPOINTS_RANDOM },
	{ "rotate", ENDPOINTS_ROTATE }, { "least", ENDPOINTS_LEAST }, { NULL, 0 }
};
static const struct setting_choice on_downs[] = {
	{ "hold", CLIENTS_HOLD }, { "refuse", CLIENTS_REFUSE }, { NULL, 0 }
};
static const struct setting_choice on_upstream_ends[] = {
	{ "close", CLIENTS_CLOSE }, { "reconnect", CLIENTS_RECONNECT }, { NULL, 0 }
};
static const struct setting_choice log_levels[] = {
	{ "error", LOG_LEVEL_ERROR }, { "warning", LOG_LEVEL_WARNING }, { "notice", LOG_LEVEL_NOTICE },
	{ "info", LOG_LEVEL_INFO }, { "debug", LOG_LEVEL_DEBUG }, { NULL, 0 }
};
static const struct setting_choice log_targets[] = {
	{ "auto", LOG_TARGET_AUTO }, { "journal", LOG_TARGET_JOURNAL }, { "stderr", LOG_TARGET_STDERR }, { NULL, 0 }
};

/* name, default, type, least, most, reload, field, choices */
static const struct setting service_rows[] = {
	{ "name", "\"\"", SETTING_TEXT, 0, TABLE_NAME_SIZE - 1, SETTING_RESTART, SERVICE(name), NULL },
	{ "mode", "\"session\"", SETTING_CHOICE, 0, 0, SETTING_RESTART, SERVICE(mode), modes },
	{ "listen", "()", SETTING_LISTENERS, 0, TABLE_LISTENERS, SETTING_IN_PLACE, SERVICE(listeners), NULL },
	{ "listen.path", "\"NAME.sock\"", SETTING_TEXT, 1, 4095, SETTING_IN_PLACE, LISTENER(path), NULL },
	{ "listen.public", "false", SETTING_BOOL, 0, 0, SETTING_IN_PLACE, LISTENER(public), NULL },
	{ "listen.type", "\"stream\"", SETTING_CHOICE, 0, 0, SETTING_RESTART, LISTENER(type),
	    listener_types },
	{ "listen.mode", "\"0660\"", SETTING_MODE, 0, 0777, SETTING_IN_PLACE, LISTENER(mode), NULL },
	{ "listen.owner", "\"\"", SETTING_ID, 0, 0, SETTING_IN_PLACE, LISTENER(owner), NULL },
	{ "listen.group", "\"\"", SETTING_ID, 0, 0, SETTING_IN_PLACE, LISTENER(group), NULL },
	{ "listen.backlog", "4096", SETTING_INTEGER, 1, 65535, SETTING_IN_PLACE, LISTENER(backlog), NULL },
	{ "listen.allow_users", "[]", SETTING_NAMES, 0, 256, SETTING_IN_PLACE, LISTENER(allow_users), NULL },
	{ "listen.allow_groups", "[]", SETTING_NAMES, 0, 256, SETTING_IN_PLACE, LISTENER(allow_groups), NULL },
	{ "address", "\"\"", SETTING_ADDRESS, 0, 0, SETTING_RENEW, UPSTREAM(lookup.addresses), NULL },
	{ "addresses", "[]", SETTING_ADDRESSES, 0, ENDPOINTS_MAX, SETTING_RENEW, UPSTREAM(lookup.addresses),
	    NULL },
	{ "lookup.script", "\"\"", SETTING_PROGRAM, 0, 4095, SETTING_RENEW, UPSTREAM(lookup.script), NULL },
	{ "lookup.unsafe", "false", SETTING_BOOL, 0, 0, SETTING_RENEW, UPSTREAM(lookup.unsafe), NULL },
	{ "lookup.watch", "false", SETTING_BOOL, 0, 0, SETTING_RENEW, UPSTREAM(lookup.watch), NULL },
	{ "lookup.args", "[]", SETTING_ARGUMENTS, 0, 256, SETTING_RENEW, UPSTREAM(lookup.arguments), NULL },
	{ "lookup.timeout", "5", SETTING_TIME, 0.01, 3600, SETTING_RENEW, UPSTREAM(lookup.timeout), NULL },
	{ "lookup.min_interval", "0.1", SETTING_TIME, 0, 3600, SETTING_IN_PLACE, UPSTREAM(lookup.min_interval),
	    NULL },
	{ "lookup.refresh", "30", SETTING_TIME, 0, 86400, SETTING_IN_PLACE, UPSTREAM(lookup.refresh), NULL },
	{ "lookup.environment", "[]", SETTING_ENVIRONMENT, 0, 256, SETTING_RENEW, UPSTREAM(lookup.environment),
	    NULL },
	{ "lookup.secret_environment", "[]", SETTING_NAMES, 0, 256, SETTING_RENEW, UPSTREAM(lookup.secrets), NULL },
	{ "lookup.catalog", "\"" HOLDFAST_LOCALSTATEDIR "/catalog\"", SETTING_PATH, 0, 4095, SETTING_RENEW,
	    UPSTREAM(lookup.catalog), NULL },
	{ "lookup.max_age", "0", SETTING_LIMIT, 0, YEAR, SETTING_RENEW, UPSTREAM(lookup.max_age), NULL },
	{ "lookup.owners", "[]", SETTING_NAMES, 0, 256, SETTING_RENEW, UPSTREAM(lookup.owners), NULL },
	{ "lookup.keep_last", "false", SETTING_BOOL, 0, 0, SETTING_RENEW, UPSTREAM(lookup.keep_last), NULL },
	{ "pick", "\"ordered\"", SETTING_CHOICE, 0, 0, SETTING_IN_PLACE, UPSTREAM(endpoints.pick), picks },
	{ "connect_stagger", "0.25", SETTING_TIME, 0, 3600, SETTING_IN_PLACE, UPSTREAM(endpoints.stagger), NULL },
	{ "health.interval", "0", SETTING_TIME, 0, 86400, SETTING_IN_PLACE, UPSTREAM(endpoints.health_interval),
	    NULL },
	{ "on_withdrawn", "\"drain\"", SETTING_CHOICE, 0, 0, SETTING_IN_PLACE, UPSTREAM(endpoints.on_withdrawn),
	    on_withdrawns },
	{ "withdrawn_timeout", "0", SETTING_TIME, 0, 31536000, SETTING_IN_PLACE,
	    UPSTREAM(endpoints.withdrawn_timeout), NULL },
	{ "retry.delay", "10", SETTING_TIME, 0.01, 86400, SETTING_IN_PLACE, UPSTREAM(pconn.retry.delay), NULL },
	{ "retry.jitter", "0.3", SETTING_NUMBER, 0, 1, SETTING_IN_PLACE, UPSTREAM(pconn.retry.jitter), NULL },
	{ "retry.factor", "1", SETTING_NUMBER, 1, 100, SETTING_IN_PLACE, UPSTREAM(pconn.retry.factor), NULL },
	{ "retry.max", "60", SETTING_TIME, 0.01, 86400, SETTING_IN_PLACE, UPSTREAM(pconn.retry.max), NULL },
	{ "retry.spread", "1", SETTING_TIME, 0, 3600, SETTING_IN_PLACE, UPSTREAM(pconn.spread), NULL },
	{ "connect_timeout", "5", SETTING_TIME, 0.01, 3600, SETTING_IN_PLACE, UPSTREAM(dial.connect_timeout), NULL },
	{ "hello", "()", SETTING_HELLO, 0, HELLO_STEPS, SETTING_RENEW, UPSTREAM(hello), NULL },
	{ "probe", "\"\"", SETTING_CHOICE, 0, 0, SETTING_RENEW, UPSTREAM(dial.probe.kind), probes },
	{ "probe_path", "\"/\"", SETTING_TEXT, 1, PROBE_PATH_MAX, SETTING_RENEW, UPSTREAM(dial.probe.path), NULL },
	{ "proxy_protocol", "\"\"", SETTING_CHOICE, 0, 0, SETTING_IN_PLACE, UPSTREAM(dial.proxy), proxy_versions },
	{ "mptcp", "false", SETTING_BOOL, 0, 0, SETTING_IN_PLACE, UPSTREAM(dial.mptcp), NULL },
	{ "tls.enabled", "false", SETTING_BOOL, 0, 0, SETTING_RENEW, TLS(enabled), NULL },
	{ "tls.name", "\"\"", SETTING_TEXT, 0, TLS_NAME_MAX, SETTING_RENEW, TLS(name), NULL },
	{ "tls.ca", "\"\"", SETTING_PATH, 0, 4095, SETTING_RENEW, TLS(ca), NULL },
	{ "tls.crl", "\"\"", SETTING_PATH, 0, 4095, SETTING_RENEW, TLS(crl), NULL },
	{ "tls.cert", "\"\"", SETTING_PATH, 0, 4095, SETTING_RENEW, TLS(cert), NULL },
	{ "tls.key", "\"\"", SETTING_PATH, 0, 4095, SETTING_RENEW, TLS(key), NULL },
	{ "tls.verify", "\"full\"", SETTING_CHOICE, 0, 0, SETTING_RENEW, TLS(verify), tls_verifies },
	{ "tls.starttls", "\"\"", SETTING_CHOICE, 0, 0, SETTING_RENEW, TLS(starttls), starttlses },
	{ "tls.min_version", "\"1.2\"", SETTING_CHOICE, 0, 0, SETTING_RENEW, TLS(min_version), tls_versions },
	{ "tls.ciphers", "\"\"", SETTING_TEXT, 0, TLS_CIPHERS_MAX, SETTING_RENEW, TLS(ciphers), NULL },
	{ "tls.alpn", "\"\"", SETTING_TEXT, 0, TLS_ALPN_MAX, SETTING_RENEW, TLS(alpn), NULL },
	{ "tls.socket", "\"tls.sock\"", SETTING_TEXT, 1, TLS_SOCKET_MAX, SETTING_IN_PLACE, TLS(socket), NULL },
	{ "tls.start", "false", SETTING_BOOL, 0, 0, SETTING_IN_PLACE, TLS(start), NULL },
	{ "keepalive.idle", "15", SETTING_SECONDS, 0, 32767, SETTING_IN_PLACE, UPSTREAM(dial.keepalive_idle), NULL },
	{ "keepalive.interval", "5", SETTING_SECONDS, 1, 32767, SETTING_IN_PLACE, UPSTREAM(dial.keepalive_interval),
	    NULL },
	{ "keepalive.count", "3", SETTING_INTEGER, 1, 127, SETTING_IN_PLACE, UPSTREAM(dial.keepalive_count), NULL },
	{ "keepalive.user_timeout", "30", SETTING_MILLISECONDS, 0, 86400, SETTING_IN_PLACE,
	    UPSTREAM(dial.user_timeout), NULL },
	{ "on_event", "\"\"", SETTING_PROGRAM, 0, 4095, SETTING_IN_PLACE, UPSTREAM(on_event), NULL },
	{ "on_event_timeout", "3", SETTING_TIME, 0.01, 3600, SETTING_IN_PLACE, UPSTREAM(on_event_timeout), NULL },
	{ "notify", "\"\"", SETTING_PROGRAM, 0, 4095, SETTING_IN_PLACE, UPSTREAM(notify), NULL },
	{ "on_down", "\"hold\"", SETTING_CHOICE, 0, 0, SETTING_IN_PLACE, CLIENTS(on_down), on_downs },
	{ "hold_timeout", "60", SETTING_TIME, 0, YEAR, SETTING_IN_PLACE, CLIENTS(hold_timeout), NULL },
	{ "max_held", "1024", SETTING_COUNT, 0, 1000000, SETTING_IN_PLACE, CLIENTS(max_held), NULL },
	{ "abort_on_close", "true", SETTING_BOOL, 0, 0, SETTING_IN_PLACE, CLIENTS(abort_on_close), NULL },
	{ "hold_retry", "0.25", SETTING_TIME, 0, 3600, SETTING_IN_PLACE, UPSTREAM(pconn.hold_retry), NULL },
	{ "down_reply", "\"\"", SETTING_TEXT, 0, 65536, SETTING_IN_PLACE, CLIENTS(down_reply), NULL },
	{ "drain_timeout", "0", SETTING_TIME, 0, YEAR, SETTING_IN_PLACE, SERVICE(drain_timeout), NULL },
	{ "max_clients", "4096", SETTING_COUNT, 0, 1000000, SETTING_IN_PLACE, CLIENTS(max_clients), NULL },
	{ "max_clients_per_user", "0", SETTING_COUNT, 0, 1000000, SETTING_IN_PLACE, CLIENTS(max_clients_per_user),
	    NULL },
	{ "idle_timeout", "0", SETTING_TIME, 0, YEAR, SETTING_IN_PLACE, CLIENTS(idle_timeout), NULL },
	{ "on_upstream_end", "\"close\"", SETTING_CHOICE, 0, 0, SETTING_IN_PLACE, CLIENTS(on_upstream_end),
	    on_upstream_ends },
	{ "warm", "\"auto\"", SETTING_COUNT_OR_AUTO, 0, 64, SETTING_IN_PLACE, UPSTREAM(pconn.warm), NULL },
	{ "warm_max_age", "0", SETTING_TIME, 0, YEAR, SETTING_IN_PLACE, UPSTREAM(warm_max_age), NULL },
	{ "framing", "\"\"", SETTING_CHOICE, 0, 0, SETTING_RESTART, SHARED(framing), framings },
	{ "replies", "\"ordered\"", SETTING_CHOICE, 0, 0, SETTING_RESTART, SHARED(replies), replies },
	{ "max_message", "1048576", SETTING_SIZE, 1, SHARED_MESSAGE_MAX, SETTING_IN_PLACE, SHARED(max_message),
	    NULL },
	{ "max_in_flight", "1024", SETTING_COUNT, 1, 65536, SETTING_IN_PLACE, SHARED(max_in_flight), NULL },
	{ "on_full", "\"block\"", SETTING_CHOICE, 0, 0, SETTING_IN_PLACE, SHARED(on_full), on_fulls },
	{ "queue_size", "8388608", SETTING_SIZE, 4096, SHARED_QUEUE_MAX, SETTING_IN_PLACE, SHARED(queue_size), NULL },
	{ "split_datagrams", "false", SETTING_BOOL, 0, 0, SETTING_IN_PLACE, SHARED(split_datagrams), NULL },
	{ "reply_timeout", "\"auto\"", SETTING_TIME_OR_AUTO, 0, YEAR, SETTING_IN_PLACE, SHARED(reply_timeout), NULL },
	{ "on_loss", "\"fail\"", SETTING_CHOICE, 0, 0, SETTING_IN_PLACE, SHARED(on_loss), on_losses },
	{ "on_state", "\"own\"", SETTING_CHOICE, 0, 0, SETTING_IN_PLACE, SHARED(on_state), on_states },
	{ "max_own", "256", SETTING_COUNT, 1, 65536, SETTING_IN_PLACE, SHARED(max_own), NULL },
	{ "own_linger", "0.05", SETTING_TIME, 0, 3600, SETTING_IN_PLACE, SHARED(own_linger), NULL },
	{ "loss_reply", "\"\"", SETTING_TEXT, 0, 65536, SETTING_IN_PLACE, SHARED(loss_reply), NULL },
	{ "heartbeat.send", "\"\"", SETTING_TEXT, 0, 65536, SETTING_IN_PLACE, SHARED(heartbeat_send), NULL },
	{ "heartbeat.expect", "\"\"", SETTING_TEXT, 0, 65536, SETTING_IN_PLACE, SHARED(heartbeat_expect), NULL },
	{ "heartbeat.interval", "10", SETTING_TIME, 0.01, 86400, SETTING_IN_PLACE, SHARED(heartbeat_interval), NULL },
	{ "heartbeat.timeout", "5", SETTING_TIME, 0.01, 86400, SETTING_IN_PLACE, SHARED(heartbeat_timeout), NULL },
	{ "spool.path", "\"\"", SETTING_PATH, 0, 4000, SETTING_RESTART, SHARED(spool_path), NULL },
	{ "spool.max_size", "1073741824", SETTING_MEMORY, 1 << 20, 1e15, SETTING_IN_PLACE, SHARED(spool_max_size),
	    NULL },
	{ "spool.fsync", "\"no\"", SETTING_CHOICE, 0, 0, SETTING_RESTART, SHARED(spool_fsync), fsyncs },
	{ "standby", "0", SETTING_COUNT, 0, 16, SETTING_RENEW, UPSTREAM(standby), NULL },
};

static const struct setting top_rows[] = {
	{ "runtime_directory", "\"/run/holdfast\"", SETTING_PATH, 1, 4095, SETTING_RESTART, TOP(runtime_directory),
	    NULL },
	{ "include_directory", "\"services.d\"", SETTING_TEXT, 0, 4095, SETTING_IN_PLACE, TOP(include_directory),
	    NULL },
	{ "stop_timeout", "10", SETTING_TIME, 0, YEAR, SETTING_IN_PLACE, TOP(stop_timeout), NULL },
	{ "max_memory", "0", SETTING_MEMORY, 4 << 20, 1e15, SETTING_IN_PLACE, TOP(max_memory), NULL },
	{ "log.level", "\"info\"", SETTING_CHOICE, 0, 0, SETTING_IN_PLACE, TOP(log.level), log_levels },
	{ "log.target", "\"auto\"", SETTING_CHOICE, 0, 0, SETTING_IN_PLACE, TOP(log.target), log_targets },
	{ "log.clients", "false", SETTING_BOOL, 0, 0, SETTING_IN_PLACE, TOP(log.clients), NULL },
	{ "control.path", "\"control.sock\"", SETTING_TEXT, 1, 4095, SETTING_RESTART, TOP(control.listener.path),
	    NULL },
	{ "control.mode", "\"0660\"", SETTING_MODE, 0, 0777, SETTING_IN_PLACE, TOP(control.listener.mode), NULL },
	{ "control.owner", "\"\"", SETTING_ID, 0, 0, SETTING_IN_PLACE, TOP(control.listener.owner), NULL },
	{ "control.group", "\"\"", SETTING_ID, 0, 0, SETTING_IN_PLACE, TOP(control.listener.group), NULL },
	{ "control.admin_users", "[]", SETTING_NAMES, 0, 256, SETTING_IN_PLACE, TOP(control.admin_users), NULL },
	{ "control.admin_groups", "[]", SETTING_NAMES, 0, 256, SETTING_IN_PLACE, TOP(control.admin_groups), NULL },
	{ "metrics.listen", "\"\"", SETTING_TEXT, 0, 128, SETTING_IN_PLACE, TOP(metrics_listen), NULL },
};

#define STEP(field) offsetof(struct hello_step, field)

static const struct setting step_rows[] = {
	{ "send", "\"\"", SETTING_TEXT, 0, HELLO_TEXT_MAX, SETTING_RENEW, STEP(send), NULL },
	{ "send_file", "\"\"", SETTING_TEXT, 0, 4095, SETTING_RENEW, STEP(send_file), NULL },
	{ "expect", "\"\"", SETTING_TEXT, 0, HELLO_LINE_MAX, SETTING_RENEW, STEP(expect), NULL },
	{ "timeout", "5", SETTING_TIME, 0.01, 3600, SETTING_RENEW, STEP(timeout), NULL },
	{ "abort_on", "\"\"", SETTING_TEXT, 0, HELLO_LINE_MAX, SETTING_RENEW, STEP(abort_on), NULL },
};
#define ROWS(rows) (rows), sizeof(rows) / sizeof((rows)[0])

static const char *const no_sections[] = { NULL };
static const char *const top_sections[] = { "defaults", "services", NULL };

const struct settings settings_service = { ROWS(service_rows), no_sections };
static const struct settings settings_step = { ROWS(step_rows), no_sections };
const struct settings settings_top = { ROWS(top_rows), top_sections };

_Static_assert(sizeof service_rows / sizeof service_rows[0] <= SETTINGS_MAX, "SETTINGS_MAX");
_Static_assert(sizeof top_rows / sizeof top_rows[0] <= SETTINGS_MAX, "SETTINGS_MAX");

const struct setting *
settings_find(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->count; i++)
		if (strcmp(settings->rows[i].name, name) == 0)
			return &settings->rows[i];
	return NULL;
}

size_t
settings_index(const struct settings *settings, const char *name)
{
	const struct setting *setting = settings_find(settings, name);

	assert(setting != NULL);
	return (size_t)(setting - settings->rows);
}

bool
settings_is_group(const struct settings *settings, const char *group)
{
	size_t length = strlen(group);

	for (size_t i = 0; i < settings->count; i++)
		if (strncmp(settings->rows[i].name, group, length) == 0 && settings->rows[i].name[length] == '.')
			return true;
	return false;
}

/* The names that may stand in one group. */
struct names {
	size_t count;
	char name[SETTINGS_MAX + 2][SETTINGS_NAME_SIZE];
};

static const char *
settings_name_at(const void *arg, size_t index)
{
	const struct names *names = arg;

	return index < names->count ? names->name[index] : NULL;
}

/* A row of some group whose last part is this name. */
static bool
settings_elsewhere(const struct settings *settings, const char *name, char ret_name[SETTINGS_NAME_SIZE])
{
	for (size_t i = 0; i < settings->count; i++) {
		const char *row = settings->rows[i].name, *dot = strchr(row, '.');

		if (strcmp(dot == NULL ? row : dot + 1, name) == 0) {
			snprintf(ret_name, SETTINGS_NAME_SIZE, "%s", row);
			return true;
		}
	}
	return false;
}

bool
settings_nearest(const struct settings *settings, const char *group, const char *name,
    char ret_name[SETTINGS_NAME_SIZE])
{
	struct names names = { 0 };
	size_t length = strlen(group);
	const char *nearest;

	if (settings_elsewhere(settings, name, ret_name))
		return true;
	for (size_t i = 0; i < settings->count; i++) {
		const char *row = settings->rows[i].name;

		if (length == 0)
			snprintf(names.name[names.count++], SETTINGS_NAME_SIZE, "%.*s", (int)strcspn(row, "."), row);
		else if (strncmp(row, group, length) == 0 && row[length] == '.')
			snprintf(names.name[names.count++], SETTINGS_NAME_SIZE, "%s", row + length + 1);
	}
	for (size_t i = 0; *group == '\0' && settings->sections[i] != NULL; i++)
		snprintf(names.name[names.count++], SETTINGS_NAME_SIZE, "%s", settings->sections[i]);
	if ((nearest = nearest_name(name, settings_name_at, &names)) == NULL)
		return false;
	snprintf(ret_name, SETTINGS_NAME_SIZE, "%s", nearest);
	return true;
}

static char *
hello_check_send_file(const char *name)
{
	const char *credential = name + strlen(HELLO_CREDENTIAL);

	if (strncmp(name, HELLO_CREDENTIAL, strlen(HELLO_CREDENTIAL)) != 0)
		return *name == '/' ? NULL : mem_print("send_file: \"%s\" must be an absolute path, or "
		    "credential:NAME", name);
	if (*credential == '\0' || strchr(credential, '/') != NULL || strcmp(credential, ".") == 0 ||
	    strcmp(credential, "..") == 0)
		return mem_print("send_file: \"%s\" is not credential:NAME", name);
	return NULL;
}

/* What is wrong with a step as a whole. */
static char *
hello_check_step(const struct hello_step *step)
{
	const char *heard[] = { step->expect, step->abort_on };

	if ((step->send != NULL && strcmp(step->send, SECRET_HIDDEN) == 0) ||
	    (step->expect != NULL && strcmp(step->expect, SECRET_HIDDEN) == 0))
		return mem_copy_text("\"" SECRET_HIDDEN "\" is what is shown in a secret's place: write the secret "
		    "itself");
	if (step->send != NULL && step->send_file != NULL)
		return mem_copy_text("send and send_file exclude each other in a step");
	if (step->send == NULL && step->send_file == NULL && step->expect == NULL && step->abort_on == NULL)
		return mem_copy_text("a step needs send, send_file, expect or abort_on");
	for (size_t i = 0; i < sizeof heard / sizeof heard[0]; i++)
		if (heard[i] != NULL && strpbrk(heard[i], "\r\n") != NULL)
			return mem_copy_text("expect and abort_on are compared with a line without its end: "
			    "\\r and \\n never stand in it");
	return step->send_file == NULL ? NULL : hello_check_send_file(step->send_file);
}

static char *
hello_take_of_step(const config_setting_t *value, struct hello_step *step)
{
	const char *name = config_setting_name(value);
	const struct setting *row = settings_find(&settings_step, name);
	char nearest[SETTINGS_NAME_SIZE], *wrong, *error;
	const config_setting_t *part;

	if (row == NULL)
		return settings_nearest(&settings_step, "", name, nearest)
		    ? mem_print("unknown setting \"%s\" in a step; did you mean \"%s\"?", name, nearest)
		    : mem_print("unknown setting \"%s\" in a step", name);
	wrong = setting_take(row, value, step, &part);
	error = wrong == NULL ? NULL : mem_print("%s: %s", row->name, wrong);
	mem_free(wrong);
	return error;
}

static char *
hello_take_step(const config_setting_t *group, struct hello_step *step, const config_setting_t **ret_where)
{
	char *error = NULL;

	*ret_where = group;
	settings_defaults(&settings_step, step);
	if (!config_setting_is_group(group))
		return mem_copy_text("each step must be a group: { send = ...; expect = ...; }");
	for (int i = 0; i < config_setting_length(group) && error == NULL; i++) {
		const config_setting_t *value = config_setting_get_elem(group, (unsigned)i);

		error = hello_take_of_step(value, step);
		if (error != NULL)
			*ret_where = value;
	}
	return error == NULL ? hello_check_step(step) : error;
}

static char *
hello_take_steps(const config_setting_t *value, struct hello_settings *hello, const config_setting_t **ret_where)
{
	int length = config_setting_is_list(value) ? config_setting_length(value) : 0;
	char *error = NULL;

	if (length > HELLO_STEPS)
		return mem_print("has %d steps, %d is the most", length, HELLO_STEPS);
	hello->steps = length == 0 ? NULL : mem_new((size_t)length, sizeof *hello->steps);
	for (int i = 0; i < length && error == NULL; i++)
		error = hello_take_step(config_setting_get_elem(value, (unsigned)i), &hello->steps[hello->count++],
		    ret_where);
	return error;
}

static char *
hello_take(const struct setting *setting, const config_setting_t *value, struct hello_settings *field,
    const config_setting_t **ret_where)
{
	struct hello_settings hello = { 0 };
	char *error;

	/* A list without items is an array to libconfig if it was written [ ]. */
	if (!config_setting_is_list(value) && !(config_setting_is_array(value) && config_setting_length(value) == 0))
		return type_wrong(setting, value);
	error = hello_take_steps(value, &hello, ret_where);
	hello_settings_clear(error == NULL ? field : &hello);
	if (error == NULL)
		*field = hello;
	return error;
}

/* The timeout, and what is not empty. */
static void
hello_print_step(const struct hello_step *step, FILE *out)
{
	fputs("{ ", out);
	for (size_t i = 0; i < settings_step.count; i++) {
		const struct setting *row = &step_rows[i];
		const void *field = (const char *)step + row->offset;

		if (row->type == SETTING_TEXT && *(char *const *)field == NULL)
			continue;
		fprintf(out, "%s = ", row->name);
		setting_print(row, step, out);
		fputs("; ", out);
	}
	fputc('}', out);
}

static void
hello_print(const struct hello_settings *hello, bool hide, FILE *out)
{
	char hidden[] = SECRET_HIDDEN;

	fputc('(', out);
	for (size_t i = 0; i < hello->count; i++) {
		struct hello_step step = hello->steps[i];

		if (hide && step.send != NULL)
			step.send = hidden;
		fputs(i > 0 ? ", " : "", out);
		hello_print_step(&step, out);
	}
	fputc(')', out);
}

/* As an object whose rows of "listen." are those of listener number k. */
static void *
listeners_object(const struct service_settings *settings, unsigned k)
{
	return (char *)(uintptr_t)settings + k * sizeof settings->listeners.at[0];
}

static char *
listeners_take_member(const config_setting_t *value, void *object)
{
	const char *name = config_setting_name(value);
	char *full = mem_print("listen.%s", name), nearest[SETTINGS_NAME_SIZE], *wrong, *error = NULL;
	const struct setting *row = settings_find(&settings_service, full);
	const config_setting_t *part;

	if (row == NULL && settings_nearest(&settings_service, "listen", name, nearest))
		error = mem_print("unknown setting \"%s\" in a listener; did you mean \"%s\"?", name, nearest);
	else if (row == NULL)
		error = mem_print("unknown setting \"%s\" in a listener", name);
	else if ((wrong = setting_take(row, value, object, &part)) != NULL) {
		error = mem_print("%s: %s", name, wrong);
		mem_free(wrong);
	}
	mem_free(full);
	return error;
}

/* A group, or its path alone. */
static char *
listeners_take_one(const config_setting_t *value, void *object, const config_setting_t **ret_where)
{
	const struct setting *path = settings_find(&settings_service, "listen.path");
	char *error = NULL;

	*ret_where = value;
	if (!config_setting_is_group(value))
		return config_setting_get_string(value) != NULL ? setting_take(path, value, object, ret_where) :
		    mem_copy_text("each listener must be a group, { path = ...; }, or its path");
	for (int i = 0; i < config_setting_length(value) && error == NULL; i++) {
		*ret_where = config_setting_get_elem(value, (unsigned)i);
		error = listeners_take_member(*ret_where, object);
	}
	return error;
}

/* Each begins with what the first has, which are the defaults; but a path is its own, or none.  An empty list leaves
 * one as it is. */
static char *
listeners_take(const struct setting *setting, const config_setting_t *value, struct service_settings *settings,
    const config_setting_t **ret_where)
{
	bool many = config_setting_is_list(value) || config_setting_is_array(value);
	unsigned count = many ? (unsigned)config_setting_length(value) : 0;
	struct service_settings taken = { .listeners.count = count };
	char *error = NULL;

	if (!many)
		return type_wrong(setting, value);
	if (count > TABLE_LISTENERS)
		return mem_print("has %u listeners, %u is the most", count, TABLE_LISTENERS);
	for (unsigned k = 0; k < count; k++) {
		listener_settings_copy(&taken.listeners.at[k], &settings->listeners.at[0]);
		mem_free(taken.listeners.at[k].path);
		taken.listeners.at[k].path = NULL;
	}
	for (unsigned k = 0; k < count && error == NULL; k++)
		error = listeners_take_one(config_setting_get_elem(value, k), listeners_object(&taken, k), ret_where);
	if (error != NULL || count == 0) {
		settings->listeners.count += settings->listeners.count == 0;
	} else {
		struct listeners_settings before = settings->listeners;

		settings->listeners = taken.listeners;
		taken.listeners = before;
	}
	listeners_settings_clear(&taken.listeners);
	listener_settings_clear(&taken.listeners.at[0]);
	return error;
}

static void
listeners_print(const struct service_settings *settings, FILE *out)
{
	for (unsigned k = 0; k < settings->listeners.count; k++) {
		fputs(k == 0 ? "({ " : ", { ", out);
		for (size_t i = 0; i < settings_service.count; i++) {
			if (strncmp(service_rows[i].name, "listen.", strlen("listen.")) != 0)
				continue;
			fprintf(out, "%s = ", service_rows[i].name + strlen("listen."));
			setting_print(&service_rows[i], listeners_object(settings, k), out);
			fputs("; ", out);
		}
		fputc('}', out);
	}
	fputc(')', out);
}

char *
setting_take(const struct setting *setting, const config_setting_t *value, void *object,
    const config_setting_t **ret_where)
{
	void *field = setting_field(setting, object);

	*ret_where = value;
	if (setting->type == SETTING_LISTENERS)
		return listeners_take(setting, value, object, ret_where);
	return setting->type == SETTING_HELLO ? hello_take(setting, value, field, ret_where)
	    : type_take(setting, value, field);
}

void
setting_print(const struct setting *setting, const void *object, FILE *out)
{
	if (setting->type == SETTING_HELLO)
		hello_print(setting_field(setting, object), false, out);
	else if (setting->type == SETTING_LISTENERS)
		listeners_print(object, out);
	else
		type_print(setting, setting_field(setting, object), out);
}

void
setting_show(const struct setting *setting, const void *object, FILE *out)
{
	const struct service_settings *service = object;

	if (setting->type == SETTING_HELLO)
		hello_print(setting_field(setting, object), true, out);
	else if (setting->type == SETTING_ARGUMENTS || setting->type == SETTING_ENVIRONMENT)
		type_show_list(setting, setting_field(setting, object), service->upstream.lookup.secrets, out);
	else
		setting_print(setting, object, out);
}

/* Takes a setting's default from its own text. */
static void
settings_take_default(const struct setting *setting, void *object)
{
	char *text = mem_print("value = %s;", setting->fallback);
	const config_setting_t *where;
	config_t config;
	char *error;
	int parsed;

	config_init(&config);
	parsed = config_read_string(&config, text);
	assert(parsed == CONFIG_TRUE);
	error = setting_take(setting, config_lookup(&config, "value"), object, &where);
	assert(error == NULL);
	config_destroy(&config);
	mem_free(text);
}

void
settings_defaults(const struct settings *settings, void *object)
{
	for (size_t i = 0; i < settings->count; i++)
		settings_take_default(&settings->rows[i], object);
}

void
settings_copy(const struct settings *settings, void *to, const void *from)
{
	for (size_t i = 0; i < settings->count; i++) {
		setting_clear(&settings->rows[i], to);
		setting_copy(&settings->rows[i], to, from);
	}
}

enum setting_reload
settings_compare(const struct settings *settings, const void *a, const void *b)
{
	enum setting_reload strongest = SETTING_SAME;

	for (size_t i = 0; i < settings->count; i++)
		if (settings->rows[i].reload > strongest && !setting_is_same(&settings->rows[i], a, b))
			strongest = settings->rows[i].reload;
	return strongest;
}

void
settings_clear(const struct settings *settings, void *object)
{
	for (size_t i = 0; i < settings->count; i++)
		setting_clear(&settings->rows[i], object);
}

const struct service_settings *
config_find_service(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->service_count; i++)
		if (config->services[i] != NULL && strcmp(config->services[i]->name, name) == 0)
			return config->services[i];
	return NULL;
}

struct service_settings *
config_take_service(struct config *config, size_t i)
{
	struct service_settings *settings = config->services[i];

	config->services[i] = NULL;
	return settings;
}

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (size_t i = 0; i < config->service_count; i++) {
		if (config->services[i] != NULL)
			settings_clear(&settings_service, config->services[i]);
		mem_free(config->services[i]);
	}
	mem_free(config->services);
	settings_clear(&settings_top, config);
	mem_free(config);
}

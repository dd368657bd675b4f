/* Every kind of wrong configuration: an error with file, line and setting, and never more than that. */
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

#include "base/mem.h"
#include "config/load.h"
#include "config/read.h"
#include "config/syntax.h"
#include "temporary.h"

static char folder[TEMPORARY_SIZE];

static char *
path_of(const char *name)
{
	return mem_print("%s/%s", folder, name);
}

static void
write_bytes(const char *name, const void *bytes, size_t length)
{
	char *path = path_of(name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
	mem_free(path);
}

static void
write_file(const char *name, const char *text)
{
	write_bytes(name, text, strlen(text));
}

static struct config *
load(const char *name, struct config_errors *errors)
{
	char *path = path_of(name);
	struct config *config = config_load(path, false, errors);

	mem_free(path);
	return config;
}

/* Fails unless one of the errors is exactly "FOLDER/expected". */
static void
expect_error(const struct config_errors *errors, const char *expected)
{
	char *whole = path_of(expected);

	for (size_t i = 0; i < errors->count; i++)
		if (strcmp(errors->errors[i], whole) == 0) {
			mem_free(whole);
			return;
		}
	for (size_t i = 0; i < errors->count; i++)
		print_error("%s\n", errors->errors[i]);
	fail_msg("no error \"%s\" among these", whole);
}

/* The file has this error and no other. */
static void
expect_only(const char *name, const char *expected)
{
	struct config_errors errors = { 0 };

	assert_null(load(name, &errors));
	expect_error(&errors, expected);
	assert_int_equal(errors.count, 1);
	config_errors_clear(&errors);
}

#define S(text) "services:\n{\n  a:\n  {\n    " text "\n  };\n};\n"
#define SHARED(framing, text) S("mode = \"shared\"; framing = \"" framing "\"; " text)
#define D(text) "defaults:\n{\n  " text "\n};\n"

/* What may be otherwise in a moment: the text of the main file, and what is said behind "FOLDER/". */
static const struct {
	const char *text, *said;
} moments[] = {
	{ S("hello = ( { send_file = \"/nonexistent/x\"; } );"), "m.conf:5: services.a.hello: /nonexistent/x: "
	    "No such file or directory; attempts fail until it is there" },
	{ S("listen: { allow_users = [\"root\", \"no-such-user\"]; };"), "m.conf:5: services.a.listen.allow_users: "
	    "there is no user \"no-such-user\" now; it is asked for again at a reload" },
	{ "control: {\n admin_groups = \"no-such-group\"; };", "m.conf:2: control.admin_groups: "
	    "there is no group \"no-such-group\" now; it is asked for again at a reload" },
	{ S("lookup: { catalog = \"/\"; owners = \"no-such-user\"; };"), "m.conf:5: services.a.lookup.owners: "
	    "there is no user \"no-such-user\" now; it is asked for again at a restart" },
	{ S("listen: { path = \"/nonexistent/x.sock\"; };"), "m.conf:5: services.a.listen.path: /nonexistent/x.sock: "
	    "directory /nonexistent: No such file or directory" },
};

/* text of the main file, and its only error behind "FOLDER/" */
static const struct {
	const char *text, *error;
} kinds[] = {
	/* names */
	{ "metrics: { listen = \"x\"; };", "m.conf:1: metrics.listen: \"x\": no port" },
	{ "\nmetrics: {\n listen = \"0.0.0.0:9464\"; };",
	    "m.conf:3: metrics.listen: \"0.0.0.0:9464\": other hosts could reach it, and there is no password; write "
	    "127.0.0.1:PORT, [::1]:PORT or unix:/PATH" },
	{ "metrics: { listen = \"localhost:9464\"; };",
	    "m.conf:1: metrics.listen: \"localhost:9464\": a host name may mean any host; write 127.0.0.1:PORT, "
	    "[::1]:PORT or unix:/PATH" },
	{ "metrics: { listen = 9464; };", "m.conf:1: metrics.listen: must be a text, not a number" },
	{ "metrics: { listne = \"\"; };", "m.conf:1: metrics.listne: unknown setting; did you mean \"listen\"?" },
	{ "metrics: { path = \"/m\"; };", "m.conf:1: metrics.path: unknown setting; did you mean \"control.path\"?" },
	{ "runtime_directory = \"/r\"; metrics: { listen = \"unix:/r/control.sock\"; };",
	    "m.conf:1: metrics.listen: unix:/r/control.sock is the control socket" },
	{ "\nservice: { };", "m.conf:2: service: unknown setting; did you mean \"services\"?" },
	{ "log: {\n levle = \"info\"; };", "m.conf:2: log.levle: unknown setting; did you mean \"level\"?" },
	{ "retry: { };", "m.conf:1: retry: unknown setting here; did you mean \"defaults.retry\"?" },
	{ S("adress = \"h:1\";"), "m.conf:5: services.a.adress: unknown setting; did you mean \"address\"?" },
	{ S("retry: { dealy = 1; };"), "m.conf:5: services.a.retry.dealy: unknown setting; did you mean \"delay\"?" },
	{ S("delay = 1;"), "m.conf:5: services.a.delay: unknown setting; did you mean \"retry.delay\"?" },
	{ D("hold_timout = 1;"), "m.conf:3: defaults.hold_timout: unknown setting; did you mean \"hold_timeout\"?" },
	/* of parts that are not built */
	{ S("flavour = \"resp\";"), "m.conf:5: services.a.flavour: unknown setting" },
	{ S("proxy_protocol = \"v2\"; hello = ( { send = \"x\"; } );"), "m.conf:5: services.a.hello: is spoken "
	    "before there is a client, and with proxy_protocol a connection begins with who the client is: use one "
	    "of them" },
	{ S("proxy_protocol = \"v1\"; probe = \"redis\";"), "m.conf:5: services.a.probe: \"redis\" and \"mysql\" "
	    "speak before there is a client, and with proxy_protocol a connection begins with who the client is: "
	    "leave one of them out" },
	{ S("proxy_protocol = \"v3\";"),
	    "m.conf:5: services.a.proxy_protocol: \"v3\" is not one of \"v1\", \"v2\"" },
	{ SHARED("line", "proxy_protocol = \"v2\";"), "m.conf:5: services.a.proxy_protocol: is for "
	    "mode = \"session\" only: it says whose a connection is, and in shared mode it is everybody's" },
	{ S("proxy_protocol = \"v2\"; tls: { };"), "m.conf:5: services.a.proxy_protocol: does not go with tls: its "
	    "header comes before TLS, and connections are made before there is a client; use one of them" },
	{ S("tls: { cert = \"/c\"; };"), "m.conf:5: services.a.tls.cert: needs tls.key too" },
	{ S("tls: { key = \"/k\"; };"), "m.conf:5: services.a.tls.key: needs tls.cert too" },
	{ S("tls: { crl = \"/c\"; verify = \"none\"; };"),
	    "m.conf:5: services.a.tls.crl: is not looked at with verify = \"none\"" },
	{ S("tls: { name = \"a b\"; };"), "m.conf:5: services.a.tls.name: has a space" },
	{ S("tls: { ca = \"/a\\nkey /b\"; };"), "m.conf:5: services.a.tls.ca: has a control character" },
	{ S("tls: { alpn = \"h2,\"; };"), "m.conf:5: services.a.tls.alpn: has a protocol without a name" },
	{ S("tls: { ca = \"ca.pem\"; };"), "m.conf:5: services.a.tls.ca: \"ca.pem\" must be an absolute path" },
	{ S("tls: { socket = \"@tls\"; };"),
	    "m.conf:5: services.a.tls.socket: holdfast-tls has no abstract socket: give a path" },
	{ S("tls: { verify = \"off\"; };"),
	    "m.conf:5: services.a.tls.verify: \"off\" is not one of \"full\", \"ca\", \"none\"" },
	{ S("mode = \"common\";"), "m.conf:5: services.a.mode: \"common\" is not one of \"session\", \"shared\"" },
	{ S("mode = \"shared\";"), "m.conf:3: services.a.framing: is required with mode = \"shared\": line, "
	    "netstring, octet-counted, length8, length16be, length16le, length32be, length32le, resp or memcache" },
	{ S("framing = \"line\";"), "m.conf:5: services.a.framing: is for mode = \"shared\" only; "
	    "say mode = \"shared\" too, or leave it out" },
	{ S("listen: { type = \"dgram\"; };"), "m.conf:5: services.a.listen.type: is for mode = \"shared\" only" },
	{ SHARED("resp", "replies = \"none\";"),
	    "m.conf:5: services.a.replies: framing \"resp\" has ordered replies" },
	{ SHARED("line", "replies = \"ordered\"; listen: { type = \"dgram\"; };"),
	    "m.conf:5: services.a.replies: nobody can be answered over listen.type = \"dgram\": say \"none\"" },
	{ SHARED("line", "split_datagrams = true;"),
	    "m.conf:5: services.a.split_datagrams: is for listen.type = \"dgram\" with framing \"line\"" },
	{ SHARED("netstring", "replies = \"none\"; listen: { type = \"dgram\"; }; split_datagrams = true;"),
	    "m.conf:5: services.a.split_datagrams: is for listen.type = \"dgram\" with framing \"line\"" },
	{ SHARED("line", "on_full = \"drop_newest\";"),
	    "m.conf:5: services.a.on_full: who waits for a reply cannot do without: \"drop_newest\" and "
	    "\"drop_oldest\" are for replies = \"none\"" },
	{ SHARED("line", "replies = \"none\"; queue_size = 4095;"),
	    "m.conf:5: services.a.queue_size: 4095 is out of range, which is 4096 to 33554432 bytes" },
	{ SHARED("line", "loss_reply = \"two\\nlines\";"),
	    "m.conf:5: services.a.loss_reply: is not one message of framing line" },
	{ SHARED("resp", "heartbeat: { send = \"PING\"; };"),
	    "m.conf:5: services.a.heartbeat.send: is not one message of framing resp" },
	{ SHARED("memcache", "heartbeat: { send = \"set a 0 0 1 noreply\\r\\nb\\r\\n\"; };"),
	    "m.conf:5: services.a.heartbeat.send: has no reply: leave out noreply, or the flag q" },
	{ SHARED("memcache", "heartbeat: { send = \"mg a v q\\r\\n\"; };"),
	    "m.conf:5: services.a.heartbeat.send: has no reply: leave out noreply, or the flag q" },
	{ SHARED("line", "heartbeat: { expect = \"PONG\"; };"),
	    "m.conf:5: services.a.heartbeat.expect: needs heartbeat.send" },
	{ SHARED("line", "spool: { path = \"/s\"; };"), "m.conf:5: services.a.spool.path: is for replies = \"none\": "
	    "nobody waits for the reply to what is sent after an hour" },
	{ SHARED("line", "replies = \"none\"; spool: { path = \"s\"; };"),
	    "m.conf:5: services.a.spool.path: \"s\" must be an absolute path" },
	{ SHARED("line", "replies = \"none\"; spool: { path = \"/s\"; max_size = \"2MiB\"; };"),
	    "m.conf:5: services.a.spool.max_size: must be at least 4 times max_message" },
	{ SHARED("line", "replies = \"none\"; spool: { path = \"/s\"; fsync = \"yes\"; };"),
	    "m.conf:5: services.a.spool.fsync: \"yes\" is not one of \"no\", \"always\"" },
	{ SHARED("line", "replies = \"none\"; on_down = \"refuse\"; spool: { path = \"/s\"; };"),
	    "m.conf:5: services.a.on_down: \"refuse\" turns clients away whose messages the spool is there to take: "
	    "say \"hold\"" },
	{ SHARED("line", "max_message = \"17MiB\";"), "m.conf:5: services.a.max_message: 17825792 is out of range, "
	    "which is 1 to 16777216 bytes" },
	{ SHARED("line", "max_message = \"1MB\";"), "m.conf:5: services.a.max_message: \"1MB\": the unit "
	    "is not one of B, KiB, MiB, GiB" },
	{ SHARED("line", "max_in_flight = 0;"), "m.conf:5: services.a.max_in_flight: 0 is out of range, which is 1 "
	    "to 65536" },
	/* types */
	{ "log = 1;", "m.conf:1: log: must be a group: log: { ... };" },
	{ "defaults = [];", "m.conf:1: defaults: must be a group: defaults: { ... };" },
	{ "services = ( );", "m.conf:1: services: must be a group: services: { NAME: { ... }; };" },
	{ "services: {\n a = 1; };", "m.conf:2: services.a: must be a group: a: { ... };" },
	{ S("retry = 5;"), "m.conf:5: services.a.retry: must be a group: retry: { ... };" },
	{ S("hold_timeout: { };"), "m.conf:5: services.a.hold_timeout: must be a time, not a group" },
	{ S("max_held = \"5\";"), "m.conf:5: services.a.max_held: must be a whole number, not a text" },
	{ S("max_held = 1.5;"), "m.conf:5: services.a.max_held: 1.5 is not a whole number" },
	{ S("lookup: { keep_last = 1; };"),
	    "m.conf:5: services.a.lookup.keep_last: must be true or false, not a number" },
	{ S("retry: { jitter = true; };"), "m.conf:5: services.a.retry.jitter: must be a number, not true or false" },
	{ S("down_reply = 503;"), "m.conf:5: services.a.down_reply: must be a text, not a number" },
	{ S("lookup: { args = [1]; };"), "m.conf:5: services.a.lookup.args: must be a list of texts, not a number" },
	{ S("addresses = { };"), "m.conf:5: services.a.addresses: must be a list of addresses, not a group" },
	/* ranges and words */
	{ S("retry: { delay = 0; };"),
	    "m.conf:5: services.a.retry.delay: 0 is out of range, which is 0.01 to 86400 seconds" },
	{ S("retry: { delay = \"2days\"; };"),
	    "m.conf:5: services.a.retry.delay: \"2days\": the unit is not one of ms, s, min, h" },
	{ S("hold_timeout = \"5\";"),
	    "m.conf:5: services.a.hold_timeout: \"5\": a time as a text needs a unit (ms, s, min, h)" },
	{ S("hold_timeout = -1;"),
	    "m.conf:5: services.a.hold_timeout: -1 is out of range, which is 0 to 31536000 seconds" },
	{ S("probe = \"oracle\";"), "m.conf:5: services.a.probe: \"oracle\" is not one of \"postgresql\", "
	    "\"redis\", \"mysql\", \"http\"" },
	{ S("probe_path = \"/a b\";"), "m.conf:5: services.a.probe_path: \"/a b\": must begin with / and be "
	    "without spaces, in ASCII (others as %XX)" },
	{ S("warm = \"many\";"), "m.conf:5: services.a.warm: must be a whole number or \"auto\", not a text" },
	{ S("reply_timeout = \"often\";"), "m.conf:5: services.a.reply_timeout: \"often\": a time is a number and a "
	    "unit (ms, s, min, h), such as \"250ms\"" },
	{ S("reply_timeout = true;"),
	    "m.conf:5: services.a.reply_timeout: must be a time or \"auto\", not true or false" },
	{ S("warm = 1000;"), "m.conf:5: services.a.warm: 1000 is out of range, which is 0 to 64" },
	{ S("retry: { factor = 0.5; };"),
	    "m.conf:5: services.a.retry.factor: 0.5 is out of range, which is 1 to 100" },
	{ S("on_down = \"wait\";"), "m.conf:5: services.a.on_down: \"wait\" is not one of \"hold\", \"refuse\"" },
	{ "log: { level = \"loud\"; };",
	    "m.conf:1: log.level: \"loud\" is not one of \"error\", \"warning\", \"notice\", \"info\", \"debug\"" },
	{ "stop_timeout = 5000000000;", "m.conf:1: stop_timeout: a number is too large" },
	/* hello */
	{ S("hello = \"PING\";"), "m.conf:5: services.a.hello: must be a list of groups, not a text" },
	{ S("hello = ( { send = \"x\"; },\n 5 );"),
	    "m.conf:6: services.a.hello: each step must be a group: { send = ...; expect = ...; }" },
	{ S("hello = ( { send = \"x\";\n expct = \"y\"; } );"),
	    "m.conf:6: services.a.hello: unknown setting \"expct\" in a step; did you mean \"expect\"?" },
	{ S("hello = ( { send = \"x\"; timeout = 0; } );"),
	    "m.conf:5: services.a.hello: timeout: 0 is out of range, which is 0.01 to 3600 seconds" },
	{ S("hello = (\n { send = \"x\"; send_file = \"/etc/passwd\"; } );"),
	    "m.conf:6: services.a.hello: send and send_file exclude each other in a step" },
	{ S("hello = ( { timeout = 1; } );"),
	    "m.conf:5: services.a.hello: a step needs send, send_file, expect or abort_on" },
	{ S("hello = ( { expect = \"+PONG\\r\\n\"; } );"), "m.conf:5: services.a.hello: "
	    "expect and abort_on are compared with a line without its end: \\r and \\n never stand in it" },
	{ S("hello = ( { send_file = \"secret\"; } );"), "m.conf:5: services.a.hello: "
	    "send_file: \"secret\" must be an absolute path, or credential:NAME" },
	{ S("hello = ( { send_file = \"credential:../x\"; } );"), "m.conf:5: services.a.hello: "
	    "send_file: \"credential:../x\" is not credential:NAME" },
	/* modes, users, groups */
	{ S("listen: { mode = 0660; };"), "m.conf:5: services.a.listen.mode: a mode is a text of octal digits: "
	    "write \"0660\", in quotation marks" },
	{ S("warm = 010;"),
	    "m.conf:5: services.a.warm: 010 is read as octal by some versions of libconfig: write 10" },
	{ S("listen: { mode = 660; };"), "m.conf:5: services.a.listen.mode: a mode is a text of octal digits: "
	    "write \"0660\", in quotation marks" },
	{ S("listen: { mode\n =\n 0644; };"), "m.conf:5: services.a.listen.mode: a mode is a text of octal digits: "
	    "write \"0644\", in quotation marks" },
	{ S("listen: { mode = 0x1b0; };"), "m.conf:5: services.a.listen.mode: a mode is a text of octal digits, in "
	    "quotation marks, such as \"0660\"" },
	{ S("address = \"/run/x.sock\";"), "m.conf:5: services.a.address: \"/run/x.sock\": the path of a Unix "
	    "socket has unix: before it; write \"unix:/run/x.sock\"" },
	{ S("address = \"unix:/\\x7f\";"), "m.conf:5: services.a.address: \"unix:/\x7f\": the address has a control "
	    "character" },
	{ S("address = \"redis://u:secret@h/0\";"), "m.conf:5: services.a.address: \"redis://***@h/0\": an address "
	    "is HOST:PORT or unix:/PATH, no URL; write \"h:6379\"" },
	{ "control: { mode = \"0888\"; };",
	    "m.conf:1: control.mode: \"0888\": a mode is a text of octal digits, such as \"0660\"" },
	{ S("listen: { mode = \"4755\"; };"),
	    "m.conf:5: services.a.listen.mode: \"4755\": a socket's mode is \"0777\" at most" },
	{ S("listen: { owner = -1; };"),
	    "m.conf:5: services.a.listen.owner: -1 is not the number of a user or group" },
	{ S("listen: { owner = \"4294967295\"; };"),
	    "m.conf:5: services.a.listen.owner: 4294967295 is not the number of a user or group" },
	{ S("listen: { group = true; };"),
	    "m.conf:5: services.a.listen.group: must be a name or a number, not true or false" },
	/* addresses and sources */
	{ S("address = \"localhost\";"), NULL },
	{ S("addresses = [\"h:1\", \"h:0\"];"), NULL },
	{ S("address = \"h:1\"; addresses = [\"h:2\"];"), "m.conf:5: services.a.addresses: "
	    "only one of address, addresses, lookup.script and lookup.catalog may be named" },
	{ S("address = \"h:1\";\n lookup: { catalog = \"/\"; };"), "m.conf:6: services.a.lookup.catalog: "
	    "only one of address, addresses, lookup.script and lookup.catalog may be named" },
	{ S("lookup: { script = \"bin/x\"; };"), "m.conf:5: services.a.lookup.script: "
	    "\"bin/x\" must be an absolute path" },
	{ S("lookup: { environment = \"HOME\"; };"), "m.conf:5: services.a.lookup.environment: "
	    "\"HOME\" is not of the form NAME=VALUE" },
	/* files */
	{ S("lookup: { script = \"/nonexistent/x\"; };"),
	    "m.conf:5: services.a.lookup.script: /nonexistent/x: No such file or directory" },
	{ S("lookup: { script = \"/etc\"; };"),
	    "m.conf:5: services.a.lookup.script: /etc: is not a regular file" },
	{ S("on_event = \"/etc/passwd\";"), "m.conf:5: services.a.on_event: /etc/passwd: is not executable" },
	{ D("notify = \"/nonexistent/x\";") S("") "\n",
	    "m.conf:3: defaults.notify: /nonexistent/x: No such file or directory" },
	{ "include_directory = \"none.d\";", NULL },
	/* sockets */
	{ S("listen: { path = \"\"; };"), "m.conf:5: services.a.listen.path: must not be empty" },
	{ S("listen: { path = \"@\"; };"),
	    "m.conf:5: services.a.listen.path: an abstract socket needs a name behind the @" },
	{ S("listen: { path = \"../x.sock\"; };"), NULL },
	{ S("listen: { path = \"127.0.0.1:99999\"; };"), "m.conf:5: services.a.listen.path: \"127.0.0.1:99999\": the "
	    "port is above 65535 (of a file with a colon: \"./127.0.0.1:99999\")" },
	{ S("listen: { path = \"db:5432\"; };"), "m.conf:5: services.a.listen.path: \"db:5432\": a host name may "
	    "mean any host; write an address of this host, or localhost (of a file with a colon: \"./db:5432\")" },
	{ S("listen: { path = \"0.0.0.0:5432\"; };"), "m.conf:5: services.a.listen.path: 0.0.0.0:5432: other hosts "
	    "could reach it; write 127.0.0.1:PORT, [::1]:PORT or localhost:PORT, or say listen.public = true" },
	{ S("listen: { path = \"[::]:5432\"; public = false; };"), NULL },
	{ S("listen = ( \"a\", { path = \"b\"; mod = \"0600\"; } );"),
	    "m.conf:5: services.a.listen: unknown setting \"mod\" in a listener; did you mean \"mode\"?" },
	{ S("listen = ( \"a\", { backlog = 0; } );"), "m.conf:5: services.a.listen: backlog: "
	    "0 is out of range, which is 1 to 65535" },
	{ S("listen = ( 5 );"),
	    "m.conf:5: services.a.listen: each listener must be a group, { path = ...; }, or its path" },
	{ S("listen = \"a\";"), "m.conf:5: services.a.listen: "
	    "must be a group, or a list of groups and paths, not a text" },
	{ S("listen = ( \"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", \"i\" );"),
	    "m.conf:5: services.a.listen: has 9 listeners, 8 is the most" },
	{ S("listen = ( \"/r/a\", { path = \"/r/./a\"; } );"),
	    "m.conf:5: services.a.listen: /r/a is there twice: each listener needs a path of its own" },
	{ S("listen = ( { mode = \"0600\"; }, { mode = \"0666\"; } );"), NULL },
	{ S("listen = ( \"a\", { path = \"127.0.0.1:1\"; allow_users = [\"root\"]; } );"),
	    "m.conf:5: services.a.listen.allow_users: cannot be kept with listen.path = \"127.0.0.1:1\": the kernel "
	    "does not tell who a TCP client is; use a Unix socket, or leave it out" },
	{ S("listen = ( \"a\", \"0.0.0.0:5432\" );"), NULL },
	{ SHARED("line", "listen = ( \"a\", { path = \"/r/b\"; type = \"seqpacket\"; } );"),
	    "m.conf:5: services.a.listen.type: /r/b: all listeners of a service have the same type" },
	{ D("listen = ( \"a\" );") S("") "\n", NULL },
	{ "services: { a: { listen = ( \"x\", \"y\" ); };\n b: { listen: { path = \"y\"; }; }; };", NULL },
	{ S("listen: { path = \"127.0.0.1:1\"; allow_users = [\"root\"]; };"),
	    "m.conf:5: services.a.listen.allow_users: cannot be kept with listen.path = \"127.0.0.1:1\": the kernel "
	    "does not tell who a TCP client is; use a Unix socket, or leave it out" },
	{ S("listen: { path = \"localhost:1\"; allow_groups = [\"root\"]; };"), NULL },
	{ S("listen: { path = \"[::1]:1\"; }; max_clients_per_user = 3;"), NULL },
	{ SHARED("line", "listen: { path = \"[::1]:1\"; type = \"seqpacket\"; };"),
	    "m.conf:5: services.a.listen.type: TCP (listen.path = \"[::1]:1\") has no packets: say \"stream\"" },
	{ SHARED("line", "replies = \"none\"; listen: { path = \"[::1]:1\"; type = \"dgram\"; };"), NULL },
	{ "services: { a: { listen: { path = \"[::1]:1\"; }; };\n b: { listen: { path = \"localhost:1\"; }; }; };",
	    NULL },
	{ "metrics: { listen = \"127.0.0.1:1\"; }; services: { a: { listen: { path = \"localhost:1\"; }; }; };",
	    NULL },
	{ S("address = \"127.0.0.1:5\"; listen: { path = \"localhost:5\"; };"),
	    "m.conf:5: services.a.address: 127.0.0.1:5 is one of this daemon's own sockets: a loop" },
	{ "services: { a: { listen: { path = \"/x\"; }; };\n b: { listen: { path = \"/x\"; }; }; };", NULL },
	{ "services: { a: { listen: { path = \"/etc/y\"; }; };\n b: { listen: { path = \"/etc//./y\"; }; }; };",
	    NULL },
	{ "services: { control: { }; };", NULL },
	{ "runtime_directory = \"run\";", "m.conf:1: runtime_directory: \"run\" must be an absolute path" },
	/* services */
	{ "services: { a_: { };\n a*: { }; };",
	    "m.conf:2: services.a*: a service's name is made of letters, digits, \"_\" and \"-\"" },
	{ "services: {\n *a: { }; };", "m.conf:2: services.*a: a service's name begins with a letter" },
	{ "services: { a: { };\n a: { }; };",
	    "m.conf:2: services.a: stands here for the second time, the first is in line 1" },
	{ S("warm = 1;\n    warm = 2;"),
	    "m.conf:6: services.a.warm: stands here for the second time, the first is in line 5" },
	{ S("name = \"1db\";"), "m.conf:5: services.a.name: a service's name begins with a letter" },
	{ S("name = \"a/b\";"),
	    "m.conf:5: services.a.name: a service's name is made of letters, digits, \"_\", \"-\" and \".\"" },
	{ S("name = 5;"), "m.conf:5: services.a.name: must be a text, not a number" },
	{ D("name = \"a\";"), "m.conf:3: defaults.name: is for one service, not for all" },
	{ "services: { a: { };\n b: { name = \"a\"; }; };", NULL },
	{ "services: { a: { name = \"x.y\"; };\n b: { name = \"x.y\"; }; };", NULL },
	/* syntax */
	{ "log: { level = \"info\"; };\nservices {",
	    "m.conf:2: services: \"=\" or \":\" is missing behind the name: write \": {\"" },
	{ "services: {\n a: { warm = 1;\n b: { warm = 2; };\n};\n",
	    "m.conf:2: a: the group that begins here is not closed: \"};\" is missing" },
	{ "services: {\n  a:\n  {\n    warm = 1;\n  b:\n  {\n  };\n};\n",
	    "m.conf:2: a: the group that begins here is not closed: \"};\" is missing" },
	{ "services: {\n a: {\n",
	    "m.conf:2: a: the group that begins here, or one in it, is not closed: \"};\" is missing" },
	{ "services: {\n a: { warm = 1; }; }; };",
	    "m.conf:2: \"}\" closes nothing: there is one too many, or a \"{\" is missing before" },
	{ S("hold_timeout = 30s;"),
	    "m.conf:5: services.a.hold_timeout: 30s needs quotation marks: write \"30s\"" },
	{ S("address = 127.0.0.1:5;"),
	    "m.conf:5: services.a.address: 127.0.0.1:5 needs quotation marks: write \"127.0.0.1:5\"" },
	{ S("retry: { delay = 1.5e; };"),
	    "m.conf:5: services.a.retry.delay: 1.5e needs quotation marks: write \"1.5e\"" },
	{ S("log = yes;"), "m.conf:5: services.a.log: yes: write true or false" },
	{ S("address = ;"), "m.conf:5: services.a.address: a value is missing before \";\"" },
	{ S("addresses = [\"h:1\", \"h:2\";"),
	    "m.conf:5: services.a.addresses: the list that begins here is not closed: \"]\" is missing" },
	{ S("hello = ( { send = \"a\"; } { send = \"b\"; } );"),
	    "m.conf:5: services.a.hello: a comma is missing between two items of a list" },
	{ "services: {\n 1db: { };\n};", "m.conf:2: services: 1db: a name begins with a letter" },
	{ "services: {\n my-db.prod: { };\n};",
	    "m.conf:2: services: my-db.prod: a name has no dot here; write my-db: { name = \"my-db.prod\"; ... }" },
	{ "services: {\n true: { };\n};", "m.conf:2: services: true: is a value, and no name" },
	{ "services: {\n \"db\": { };\n};", "m.conf:2: services: a name stands without quotation marks" },
	{ S("addresses = [\"h:1\", 2];"), "m.conf:5: services.a.addresses: between \"[\" and \"]\" all items must be "
	    "of one type" },
	{ S("addresses = [\"h:1\", [\"h:2\"]];"), "m.conf:5: services.a.addresses: groups and lists stand in a list "
	    "between \"(\" and \")\"" },
	{ S("addresses = [\"h:1\",\n ];"), "m.conf:5: services.a.addresses: a comma with nothing behind it in a "
	    "list" },
	{ S("lookup: { owners = [ 010 ]; };"), "m.conf:5: services.a.lookup.owners: 010 is read as octal by some "
	    "versions of libconfig: write 10" },
	{ S("warm = 09;"), "m.conf:5: services.a.warm: 09 is read as octal by some versions of libconfig: write 9" },
	{ S("max_held = 5000000000;"), "m.conf:5: services.a.max_held: a number is too large" },
	{ S("down_reply =\n \"no end;"), "m.conf:6: services.a.down_reply: a text is not closed" },
	{ "a = \"no end", "m.conf:1: a: a text is not closed" },
	{ "\n/* no end", "m.conf:2: a comment is not closed" },
	{ "log: { };\n@include \"/etc\"\n",
	    "m.conf:2: @include is not supported: use include_directory (services.d)" },
	{ D("down_reply = \"a\\x00b\";"), "m.conf:3: defaults.down_reply: a text must not hold a NUL byte" },
	{ "\xef\xbb\xbflog: { };", "m.conf:1: the file begins with a byte order mark" },
};

static void
each_kind_of_error_names_file_line_and_setting(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct config_errors errors = { 0 };
		struct config *config;

		write_file("m.conf", kinds[i].text);
		config = load("m.conf", &errors);
		if (config != NULL)
			fail_msg("no error in:\n%s", kinds[i].text);
		if (kinds[i].error != NULL)
			expect_error(&errors, kinds[i].error);
		if (errors.count != 1)
			fail_msg("%zu errors in:\n%s", errors.count, kinds[i].text);
		assert_non_null(strstr(errors.errors[0], "m.conf:"));
		config_errors_clear(&errors);
	}
}

static bool
is_told(char *const *lines, size_t count, const char *expected)
{
	char *whole = path_of(expected);
	bool told = false;

	for (size_t i = 0; i < count; i++)
		told |= strcmp(lines[i], whole) == 0;
	mem_free(whole);
	return told;
}

/* At a start and a reload; for -t it is a failure, but none of the configuration. */
static void
what_may_be_otherwise_in_a_moment_is_a_warning(void **state)
{
	char *path = path_of("m.conf"), *text;
	struct config *config;

	(void)state;
	for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
		struct config_errors errors = { 0 };

		text = mem_print("include_directory = \"\"; runtime_directory = \"%s\"; %s", folder, moments[i].text);
		write_file("m.conf", text);
		mem_free(text);
		config = load("m.conf", &errors);
		assert_non_null(config);
		assert_true(is_told(errors.warnings, errors.warning_count, moments[i].said));
		config_free(config);
		config_errors_clear(&errors);
		assert_null(config_load(path, true, &errors));
		assert_true(is_told(errors.errors, errors.count, moments[i].said));
		assert_int_equal(errors.failures, errors.count);
		config_errors_clear(&errors);
	}
	mem_free(path);
}

static void
all_errors_of_all_files_are_reported(void **state)
{
	struct config_errors errors = { 0 };
	char *directory = path_of("d");

	(void)state;
	assert_int_equal(mkdir(directory, 0755), 0);
	write_file("m.conf", "include_directory = \"d\";\nlog: { level = 5; };\nservices: { a: {\n warm = -1;\n"
	    "  foo = 1; };\n  b: { address = \"h\"; }; };\n");
	write_file("d/1.conf", "services: { a: { }; };\n");
	write_file("d/2.conf", "syntax error\n");
	write_file("d/3.conf", "log: { };\nstop_timeout = 1;\nsevices: { };\n");
	write_file("d/.4.conf", "not read\n");
	write_file("d/5.conf~", "not read\n");
	assert_null(load("m.conf", &errors));
	expect_error(&errors, "m.conf:2: log.level: must be a text, not a number");
	expect_error(&errors, "m.conf:4: services.a.warm: -1 is out of range, which is 0 to 64");
	expect_error(&errors, "m.conf:5: services.a.foo: unknown setting");
	expect_error(&errors, "d/2.conf:1: syntax: \"=\" or \":\" is missing behind the name");
	expect_error(&errors, "d/3.conf:1: log: stands in the main file only");
	expect_error(&errors, "d/3.conf:2: stop_timeout: stands in the main file only");
	expect_error(&errors, "d/3.conf:3: sevices: unknown setting; did you mean \"services\"?");
	assert_int_equal(errors.count, 9); /* and b's address, and service a twice */
	config_errors_clear(&errors);
	for (const char *c = "123"; *c != '\0'; c++) {
		char *path = mem_print("%s/d/%c.conf", folder, *c);

		unlink(path);
		mem_free(path);
	}
	mem_free(directory);
}

static void
a_hostile_file_cannot_end_or_hang_the_program(void **state)
{
	size_t huge = READ_FILE_MAX + 1;
	char *bytes = mem_new(huge, 1), *fifo = path_of("fifo");

	(void)state;
	assert_int_equal(mkfifo(fifo, 0600), 0);
	expect_only("fifo", "fifo: is not a regular file");
	expect_only(".", ".: is a directory");
	expect_only("none", "none: No such file or directory");
	memset(bytes, '\n', huge);
	write_bytes("m.conf", bytes, huge);
	expect_only("m.conf", "m.conf: is larger than 1 MiB");
	write_bytes("m.conf", "log: { };\n\0", 11);
	expect_only("m.conf", "m.conf:2: the file holds a NUL byte");
	for (size_t i = 0; i + 3 <= huge; i += 3)
		memcpy(bytes + i, "a:{", 3);
	write_bytes("m.conf", bytes, huge - 1);
	expect_only("m.conf", "m.conf:1: a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a: groups and lists are nested too deep");
	memset(bytes, '(', huge);
	memcpy(bytes, "a=", 2);
	write_bytes("m.conf", bytes, huge - 1);
	expect_only("m.conf", "m.conf:1: a: groups and lists are nested too deep");
	mem_free(bytes);
	mem_free(fifo);
}

/* Every prefix, and random changes: the explaining ends well, with a line of the text. */
static void
any_text_can_be_explained(void **state)
{
	static const char text[] = "a: { b = \"c\\\"d\"; e: ( { f = (1, 2.5e3, 0x1fL, [2, -3]); }, true );\n"
	    "/* g */ h = -1; # i\n};\n";
	static const char letters[] = "a1.{}[]();:=,\"\\/*#\n -";
	char changed[sizeof text], *explained;
	unsigned line, seed = 1;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		memcpy(changed, text, sizeof text);
		if (i < sizeof text)
			changed[i] = '\0';
		for (unsigned k = 0; i >= sizeof text && k < 1 + i % 4; k++) {
			seed = seed * 1103515245u + 12345u;
			changed[(seed >> 8) % (sizeof text - 1)] = letters[(seed >> 20) % (sizeof letters - 1)];
		}
		explained = syntax_check(changed, strlen(changed), &line);
		if (explained != NULL)
			assert_in_range(line, 1, 90);
		mem_free(explained);
	}
	assert_null(syntax_check(text, strlen(text), &line));
}

static void
a_group_with_too_many_names_is_not_read(void **state)
{
	char *text = mem_new(READ_FILE_MAX, 1), *at = text;

	(void)state;
	for (unsigned i = 0; i < 70000; i++)
		at += sprintf(at, "n%u=1;", i);
	write_file("m.conf", text);
	expect_only("m.conf", "m.conf:1: n2048: a group has 2048 names at most");
	mem_free(text);
}

static void
more_errors_than_the_most_are_counted(void **state)
{
	struct config_errors errors = { 0 };

	(void)state;
	for (unsigned i = 0; i < CONFIG_ERRORS_MAX + 5; i++)
		config_error(&errors, "error %u", i);
	config_error(&errors, "error 0");
	assert_int_equal(errors.count, CONFIG_ERRORS_MAX);
	assert_int_equal(errors.further, 5);
	assert_string_equal(errors.errors[CONFIG_ERRORS_MAX - 1], "error 999");
	assert_null(errors.errors[CONFIG_ERRORS_MAX]);
	config_errors_clear(&errors);
}

static int
make_folder(void **state)
{
	(void)state;
	return mkdtemp(temporary_name(folder)) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
	static const char *const names[] = { "m.conf", "fifo", "d/.4.conf", "d/5.conf~", "d" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char *path = path_of(names[i]);

		remove(path);
		mem_free(path);
	}
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_error_names_file_line_and_setting),
		cmocka_unit_test(what_may_be_otherwise_in_a_moment_is_a_warning),
		cmocka_unit_test(all_errors_of_all_files_are_reported),
		cmocka_unit_test(a_hostile_file_cannot_end_or_hang_the_program),
		cmocka_unit_test(any_text_can_be_explained),
		cmocka_unit_test(a_group_with_too_many_names_is_not_read),
		cmocka_unit_test(more_errors_than_the_most_are_counted),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

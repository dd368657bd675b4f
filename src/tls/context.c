#include "tls/context.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "tls/explain.h"

#define CONTEXT_FILE_MAX (16 * 1024 * 1024)
#define CONTEXT_FILES 4         /* ca, crl, cert, key */

/* Which contents of a file were read. */
struct context_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct context_session {
	TAILQ_ENTRY(context_session) entry;
	char *tag;            /* owned: which server it is with, by which name */
	SSL_SESSION *session; /* owned; NULL: a handshake has succeeded, and no ticket has come yet */
};

struct context {
	TAILQ_ENTRY(context) entry;
	char *key;            /* owned: all that it was made of */
	struct context_stamp stamps[CONTEXT_FILES];
	SSL_CTX *ctx;         /* owned */
	TAILQ_HEAD(context_sessions, context_session) sessions; /* owned; the newest first */
	unsigned session_count;
};

struct contexts {
	TAILQ_HEAD(context_list, context) list; /* owned; the one that was used last first */
	unsigned count;
};

static int context_index = -1; /* of a SSL_CTX: its context, borrowed */
static int context_tag = -1;   /* of a SSL: the tag, owned */
static int context_asked = -1; /* likewise: not NULL if the server has asked for a certificate */

static void
context_free_tag(void *parent, void *tag, CRYPTO_EX_DATA *data, int index, long number, void *pointer)
{
	(void)parent, (void)data, (void)index, (void)number, (void)pointer;
	mem_free(tag);
}

struct contexts *
contexts_new(void)
{
	struct contexts *contexts = mem_new(1, sizeof *contexts);

	if (context_index == -1) {
		context_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
		context_tag = SSL_get_ex_new_index(0, NULL, NULL, NULL, context_free_tag);
		context_asked = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	}
	TAILQ_INIT(&contexts->list);
	return contexts;
}

static void
context_forget(struct context *context, struct context_session *session)
{
	TAILQ_REMOVE(&context->sessions, session, entry);
	context->session_count--;
	SSL_SESSION_free(session->session);
	mem_free(session->tag);
	mem_free(session);
}

static void
context_free(struct context *context)
{
	while (!TAILQ_EMPTY(&context->sessions))
		context_forget(context, TAILQ_FIRST(&context->sessions));
	if (context->ctx != NULL)
		SSL_CTX_set_ex_data(context->ctx, context_index, NULL); /* tickets may still come to its sessions */
	SSL_CTX_free(context->ctx);
	mem_free(context->key);
	mem_free(context);
}

static void
contexts_drop(struct contexts *contexts, struct context *context)
{
	TAILQ_REMOVE(&contexts->list, context, entry);
	contexts->count--;
	context_free(context);
}

void
contexts_free(struct contexts *contexts)
{
	if (contexts == NULL)
		return;
	while (!TAILQ_EMPTY(&contexts->list))
		contexts_drop(contexts, TAILQ_FIRST(&contexts->list));
	mem_free(contexts);
}

static struct context_session *
context_find_session(struct context *context, const char *tag)
{
	struct context_session *session;

	TAILQ_FOREACH(session, &context->sessions, entry)
		if (strcmp(session->tag, tag) == 0)
			return session;
	return NULL;
}

/* The session, which may be NULL, becomes ours. */
static void
context_keep(struct context *context, const char *tag, SSL_SESSION *session)
{
	struct context_session *old = context_find_session(context, tag), *kept;

	if (old != NULL)
		context_forget(context, old);
	else if (context->session_count == CONTEXT_SESSIONS_MAX)
		context_forget(context, TAILQ_LAST(&context->sessions, context_sessions));
	kept = mem_new(1, sizeof *kept);
	kept->tag = mem_copy_text(tag);
	kept->session = session;
	TAILQ_INSERT_HEAD(&context->sessions, kept, entry);
	context->session_count++;
}

/* NULL: the session's context is no longer used. */
static struct context *
context_of(const SSL *ssl)
{
	return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index);
}

/* A ticket has come.  1: the session is ours now. */
static int
context_keep_session(SSL *ssl, SSL_SESSION *session)
{
	const char *tag = SSL_get_ex_data(ssl, context_tag);

	if (context_of(ssl) == NULL || tag == NULL)
		return 0;
	context_keep(context_of(ssl), tag, session);
	return 1;
}

/* Looks at a file before it is opened: a named pipe would keep us. */
static bool
context_stamp_file(const char *path, const char *what, bool may_be_directory, struct context_stamp *ret_stamp,
    struct failure *ret_failure)
{
	struct stat st;

	if (path == NULL)
		return true;
	if (stat(path, &st) == -1)
		return failure_set(ret_failure, "file", "%s: %s: %s", what, path, strerror(errno));
	if (!S_ISREG(st.st_mode) && !(may_be_directory && S_ISDIR(st.st_mode)))
		return failure_set(ret_failure, "file", "%s: %s: not a regular file", what, path);
	if (S_ISREG(st.st_mode) && st.st_size > CONTEXT_FILE_MAX)
		return failure_set(ret_failure, "file", "%s: %s: larger than 16 MiB", what, path);
	ret_stamp->device = st.st_dev;
	ret_stamp->inode = st.st_ino;
	ret_stamp->size = st.st_size;
	ret_stamp->changed = st.st_mtim;
	return true;
}

static bool
context_stamp(const struct header *header, struct context_stamp ret_stamps[CONTEXT_FILES],
    struct failure *ret_failure)
{
	memset(ret_stamps, 0, CONTEXT_FILES * sizeof *ret_stamps);
	return context_stamp_file(header->ca, "ca", true, &ret_stamps[0], ret_failure) &&
	    context_stamp_file(header->crl, "crl", false, &ret_stamps[1], ret_failure) &&
	    context_stamp_file(header->cert, "cert", false, &ret_stamps[2], ret_failure) &&
	    context_stamp_file(header->key, "key", false, &ret_stamps[3], ret_failure);
}

/* A key with a passphrase fails: nobody is there to ask. */
static int
context_no_passphrase(char *text, int size, int writing, void *arg)
{
	(void)text, (void)size, (void)writing, (void)arg;
	return -1;
}

static bool
context_fail(struct failure *ret_failure, const char *what, const char *path, const char *advice)
{
	char text[200];

	return failure_set(ret_failure, "file", "%s: %s: %s; %s", what, path, explain_last(text, sizeof text),
	    advice);
}

static bool
context_load_ca(SSL_CTX *ctx, const struct header *header, struct failure *ret_failure)
{
	struct stat st;
	int good;

	if (header->verify == HEADER_VERIFY_NONE)
		return true;
	if (header->ca == NULL)
		good = SSL_CTX_set_default_verify_paths(ctx);
	else if (stat(header->ca, &st) == 0 && S_ISDIR(st.st_mode))
		good = SSL_CTX_load_verify_dir(ctx, header->ca);
	else
		good = SSL_CTX_load_verify_file(ctx, header->ca);
	return good || context_fail(ret_failure, "ca", header->ca != NULL ? header->ca : "the system's store",
	    "it must be certificates in PEM");
}

static bool
context_load_crl(SSL_CTX *ctx, const struct header *header, struct failure *ret_failure)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509_LOOKUP *lookup;

	if (header->crl == NULL)
		return true;
	lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	if (lookup == NULL || X509_load_crl_file(lookup, header->crl, X509_FILETYPE_PEM) <= 0)
		return context_fail(ret_failure, "crl", header->crl, "it must be lists in PEM");
	return X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) == 1;
}

static bool
context_load_certificate(SSL_CTX *ctx, const struct header *header, struct failure *ret_failure)
{
	if (header->cert == NULL)
		return true;
	if (SSL_CTX_use_certificate_chain_file(ctx, header->cert) != 1)
		return context_fail(ret_failure, "cert", header->cert,
		    "it must be a certificate in PEM, its chain behind");
	if (SSL_CTX_use_PrivateKey_file(ctx, header->key, SSL_FILETYPE_PEM) != 1)
		return context_fail(ret_failure, "key", header->key,
		    "it must be cert's key in PEM, without a passphrase");
	return true;
}

/* list is freed, a name stands behind it in what is returned.  list may be NULL. */
static char *
context_append_cipher(char *list, const char *name)
{
	char *longer = list == NULL ? mem_copy_text(name) : mem_print("%s:%s", list, name);

	mem_free(list);
	return longer;
}

/* Of the ciphers of TLS 1.3 that OpenSSL's configuration allows, AES with 128 bits comes first, as in browsers:
 * encrypting takes a quarter less time, and every server has it (RFC 8446, 9.1). */
static bool
context_prefer_fast(SSL_CTX *ctx)
{
	static const char fast[] = "TLS_AES_128_GCM_SHA256";
	STACK_OF(SSL_CIPHER) *allowed = SSL_CTX_get_ciphers(ctx);
	char *list = mem_copy_text(fast);
	bool has_fast = false, good;

	for (int i = 0; i < sk_SSL_CIPHER_num(allowed); i++) {
		const char *name = SSL_CIPHER_get_name(sk_SSL_CIPHER_value(allowed, i));

		if (strcmp(name, fast) == 0)
			has_fast = true;
		else if (strncmp(name, "TLS_", 4) == 0)
			list = context_append_cipher(list, name);
	}
	good = !has_fast || SSL_CTX_set_ciphersuites(ctx, list);
	mem_free(list);
	return good;
}

/* Names of TLS 1.3 begin with TLS_; each version has a list of its own. */
static bool
context_set_ciphers(SSL_CTX *ctx, const struct header *header, struct failure *ret_failure)
{
	char *names, *name, *rest = NULL, *old = NULL, *new = NULL;
	bool good;

	if (header->ciphers == NULL)
		return context_prefer_fast(ctx);
	names = mem_copy_text(header->ciphers);
	for (name = strtok_r(names, ":", &rest); name != NULL; name = strtok_r(NULL, ":", &rest)) {
		char **list = strncmp(name, "TLS_", 4) == 0 ? &new : &old;

		*list = context_append_cipher(*list, name);
	}
	good = (old == NULL || SSL_CTX_set_cipher_list(ctx, old)) &&
	    (new == NULL || SSL_CTX_set_ciphersuites(ctx, new));
	mem_free(old);
	mem_free(new);
	mem_free(names);
	ERR_clear_error();
	return good || failure_set(ret_failure, "header", "ciphers: OpenSSL does not know one of %s",
	    header->ciphers);
}

static int
context_on_asked(SSL *ssl, void *arg)
{
	(void)arg;
	SSL_set_ex_data(ssl, context_asked, ssl);
	return 1;
}

/* All but files and ciphers. */
static void
context_set_up(SSL_CTX *ctx, const struct header *header)
{
	SSL_CTX_set_default_passwd_cb(ctx, context_no_passphrase);
	SSL_CTX_set_min_proto_version(ctx, header->only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY); /* a read ends behind a buffer without data, too */
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_verify(ctx, header->verify == HEADER_VERIFY_NONE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
	    explain_verify);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, context_keep_session);
	SSL_CTX_set_cert_cb(ctx, context_on_asked, NULL);
}

static SSL_CTX *
context_make(const struct header *header, struct failure *ret_failure)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	ERR_clear_error();
	if (ctx == NULL) {
		failure_set(ret_failure, "file", "OpenSSL cannot be set up");
		return NULL;
	}
	context_set_up(ctx, header);
	if (context_load_ca(ctx, header, ret_failure) && context_load_crl(ctx, header, ret_failure) &&
	    context_load_certificate(ctx, header, ret_failure) && context_set_ciphers(ctx, header, ret_failure))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

static char *
context_key(const struct header *header)
{
	const char *texts[] = { header->ca, header->crl, header->cert, header->key, header->ciphers };

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (texts[i] == NULL)
			texts[i] = "";
	return mem_print("%s\n%s\n%s\n%s\n%s\n%d\n%d", texts[0], texts[1], texts[2], texts[3], texts[4],
	    (int)header->verify, header->only_1_3);
}

static struct context *
contexts_find(struct contexts *contexts, const char *key)
{
	struct context *context;

	TAILQ_FOREACH(context, &contexts->list, entry)
		if (strcmp(context->key, key) == 0)
			return context;
	return NULL;
}

static struct context *
contexts_add(struct contexts *contexts, const struct header *header, char *key, struct failure *ret_failure)
{
	struct context *context;
	SSL_CTX *ctx = context_make(header, ret_failure);

	if (ctx == NULL) {
		mem_free(key);
		return NULL;
	}
	context = mem_new(1, sizeof *context);
	context->key = key;
	context->ctx = ctx;
	TAILQ_INIT(&context->sessions);
	SSL_CTX_set_ex_data(ctx, context_index, context);
	if (contexts->count == CONTEXT_MAX)
		contexts_drop(contexts, TAILQ_LAST(&contexts->list, context_list));
	TAILQ_INSERT_HEAD(&contexts->list, context, entry);
	contexts->count++;
	return context;
}

/* The context for it, made if there is none or its files have changed. */
static struct context *
contexts_get(struct contexts *contexts, const struct header *header, struct failure *ret_failure)
{
	struct context_stamp stamps[CONTEXT_FILES];
	char *key;
	struct context *context;

	if (!context_stamp(header, stamps, ret_failure))
		return NULL;
	key = context_key(header);
	context = contexts_find(contexts, key);
	if (context != NULL && memcmp(context->stamps, stamps, sizeof stamps) == 0) {
		mem_free(key);
		TAILQ_REMOVE(&contexts->list, context, entry);
		TAILQ_INSERT_HEAD(&contexts->list, context, entry);
		return context;
	}
	if (context != NULL)
		contexts_drop(contexts, context);
	context = contexts_add(contexts, header, key, ret_failure);
	if (context != NULL)
		memcpy(context->stamps, stamps, sizeof stamps);
	return context;
}

static bool
context_is_ip(const char *name)
{
	struct in6_addr place;

	return inet_pton(AF_INET, name, &place) == 1 || inet_pton(AF_INET6, name, &place) == 1;
}

/* Without a name the address is what the certificate must be for. */
static void
context_set_name(SSL *ssl, const struct header *header)
{
	char host[INET6_ADDRSTRLEN] = "";
	const char *name = header->name;
	const struct sockaddr_storage *socket = &header->address.socket;

	if (name == NULL && socket->ss_family == AF_INET)
		name = inet_ntop(AF_INET, &((const struct sockaddr_in *)socket)->sin_addr, host, sizeof host);
	else if (name == NULL && socket->ss_family == AF_INET6)
		name = inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)socket)->sin6_addr, host, sizeof host);
	if (name == NULL)
		return;
	if (!context_is_ip(name))
		SSL_set_tlsext_host_name(ssl, name); /* RFC 6066, 3: no addresses */
	if (header->verify != HEADER_VERIFY_FULL)
		return;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (context_is_ip(name))
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
	else
		SSL_set1_host(ssl, name);
}

/* Commas become lengths: "h2,http/1.1" is 2 h2 8 http/1.1. */
static void
context_set_alpn(SSL *ssl, const char *alpn)
{
	unsigned char list[256];
	size_t length = alpn == NULL ? 0 : strlen(alpn), size = 0;

	if (length == 0 || length >= sizeof list)
		return;
	for (size_t i = length; i > 0; i--) {
		if (alpn[i - 1] == ',') {
			size = 0;
			continue;
		}
		list[i] = (unsigned char)alpn[i - 1];
		list[i - 1] = (unsigned char)++size;
	}
	SSL_set_alpn_protos(ssl, list, (unsigned)length + 1);
}

/* A resumed session's certificate is not verified again: what can change with time is looked at here. */
static bool
context_may_resume(SSL_SESSION *session)
{
	const X509 *peer = SSL_SESSION_get0_peer(session);

	return SSL_SESSION_is_resumable(session) && (peer == NULL || explain_end(peer) > 0);
}

SSL *
contexts_open(struct contexts *contexts, const struct header *header, struct failure *ret_failure)
{
	struct context *context = contexts_get(contexts, header, ret_failure);
	struct context_session *session;
	char *tag;
	SSL *ssl;

	if (context == NULL)
		return NULL;
	ssl = SSL_new(context->ctx);
	if (ssl == NULL) {
		failure_set(ret_failure, "limit", "OpenSSL has no memory");
		return NULL;
	}
	context_set_name(ssl, header);
	context_set_alpn(ssl, header->alpn);
	tag = mem_print("%s %s %s", header->address_text, header->name != NULL ? header->name : "",
	    header->alpn != NULL ? header->alpn : "");
	SSL_set_ex_data(ssl, context_tag, tag);
	session = context_find_session(context, tag);
	if (session != NULL && session->session != NULL && context_may_resume(session->session))
		SSL_set_session(ssl, session->session);
	return ssl;
}

bool
contexts_is_proven(const SSL *ssl)
{
	struct context *context = context_of(ssl);

	return context != NULL && context_find_session(context, SSL_get_ex_data(ssl, context_tag)) != NULL;
}

bool
contexts_is_judged(const SSL *ssl)
{
	return SSL_version(ssl) != TLS1_3_VERSION || SSL_get_ex_data(ssl, context_asked) == NULL ||
	    contexts_is_proven(ssl);
}

void
contexts_prove(SSL *ssl, bool good)
{
	struct context *context = context_of(ssl);
	const char *tag = SSL_get_ex_data(ssl, context_tag);
	struct context_session *found = context == NULL ? NULL : context_find_session(context, tag);

	if (context != NULL && good && found == NULL)
		context_keep(context, tag, NULL);
	else if (found != NULL && !good)
		context_forget(context, found);
}

void
contexts_close(SSL *ssl)
{
	if (ssl == NULL)
		return;
	if (SSL_is_init_finished(ssl))
		SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else it could not be resumed */
	SSL_free(ssl);
}

#include "tls/explain.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int explain_index = -1; /* of a SSL: the certificate that failed, owned */

static void
explain_free_certificate(void *parent, void *certificate, CRYPTO_EX_DATA *data, int index, long number, void *pointer)
{
	(void)parent, (void)data, (void)index, (void)number, (void)pointer;
	X509_free(certificate);
}

int
explain_verify(int good, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	X509 *certificate = X509_STORE_CTX_get_current_cert(store);

	if (good || certificate == NULL)
		return good;
	if (explain_index == -1)
		explain_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, explain_free_certificate);
	X509_up_ref(certificate);
	X509_free(SSL_get_ex_data(ssl, explain_index));
	SSL_set_ex_data(ssl, explain_index, certificate);
	return 0;
}

static void
explain_copy(BIO *bio, char *ret_text, size_t size)
{
	int length = BIO_read(bio, ret_text, (int)size - 1);

	ret_text[length > 0 ? length : 0] = '\0';
	BIO_free(bio);
}

static void
explain_x509_name(const X509_NAME *name, char ret_text[EXPLAIN_NAME_SIZE])
{
	BIO *bio = BIO_new(BIO_s_mem());

	X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
	explain_copy(bio, ret_text, EXPLAIN_NAME_SIZE);
}

void
explain_subject(const X509 *certificate, char ret_text[EXPLAIN_NAME_SIZE])
{
	ret_text[0] = '\0';
	if (certificate != NULL)
		explain_x509_name(X509_get_subject_name(certificate), ret_text);
}

int64_t
explain_end(const X509 *certificate)
{
	struct tm end;

	if (certificate == NULL || !ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end))
		return ANSWER_NO_END;
	return timegm(&end);
}

static void
explain_time(const ASN1_TIME *time, char *ret_text, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());

	ASN1_TIME_print_ex(bio, time, ASN1_DTFLGS_ISO8601);
	explain_copy(bio, ret_text, size);
}

/* The names that a certificate is for: "db.example, 10.0.0.5". */
static void
explain_names(const X509 *certificate, char *ret_text, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	BIO *bio = BIO_new(BIO_s_mem());

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		BIO_puts(bio, i > 0 ? ", " : "");
		GENERAL_NAME_print(bio, sk_GENERAL_NAME_value(names, i));
	}
	if (sk_GENERAL_NAME_num(names) <= 0)
		X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
	GENERAL_NAMES_free(names);
	explain_copy(bio, ret_text, size);
}

static void
explain_wrong_name(const X509 *certificate, const struct header *header, struct failure *ret_failure)
{
	char names[300];

	explain_names(certificate, names, sizeof names);
	failure_set(ret_failure, "name", "the server's certificate is for %s, not for \"%s\"; set name to one of "
	    "its names, or check the address", names, header->name != NULL ? header->name : header->address_text);
}

static void
explain_validity(const X509 *certificate, bool ended, struct failure *ret_failure)
{
	char time[40], subject[EXPLAIN_NAME_SIZE];

	explain_subject(certificate, subject);
	explain_time(ended ? X509_get0_notAfter(certificate) : X509_get0_notBefore(certificate), time, sizeof time);
	if (ended)
		failure_set(ret_failure, "expired", "the certificate %s expired at %s; renew it on the server",
		    subject, time);
	else
		failure_set(ret_failure, "expired", "the certificate %s is not valid before %s; check the clock of "
		    "this host", subject, time);
}

static void
explain_issuer(const X509 *certificate, const struct header *header, struct failure *ret_failure)
{
	char issuer[EXPLAIN_NAME_SIZE];

	explain_x509_name(X509_get_issuer_name(certificate), issuer);
	failure_set(ret_failure, "verify", "the server's certificate is of the CA %s, which is not in %s; set ca to "
	    "a file with this CA's certificate", issuer, header->ca != NULL ? header->ca : "the system's store");
}

static void
explain_verification(const SSL *ssl, long result, const struct header *header, struct failure *ret_failure)
{
	const X509 *certificate = explain_index == -1 ? NULL : SSL_get_ex_data(ssl, explain_index);

	if (certificate == NULL) {
		failure_set(ret_failure, "verify", "%s", X509_verify_cert_error_string(result));
		return;
	}
	switch (result) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		explain_wrong_name(certificate, header, ret_failure);
		return;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		explain_validity(certificate, result == X509_V_ERR_CERT_HAS_EXPIRED, ret_failure);
		return;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		failure_set(ret_failure, "verify", "the server's certificate is self-signed; set ca to a file with "
		    "this very certificate");
		return;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		explain_issuer(certificate, header, ret_failure);
		return;
	case X509_V_ERR_CERT_REVOKED:
		failure_set(ret_failure, "verify", "the server's certificate is revoked by %s; give the server a "
		    "new one", header->crl);
		return;
	default:
		failure_set(ret_failure, "verify", "the server's certificate: %s; check ca%s",
		    X509_verify_cert_error_string(result), header->crl != NULL ? " and crl" : "");
	}
}

const char *
explain_last(char *ret_text, size_t size)
{
	unsigned long last = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(last);

	if (ERR_SYSTEM_ERROR(last))
		snprintf(ret_text, size, "%s", strerror(ERR_GET_REASON(last)));
	else
		snprintf(ret_text, size, "%s", reason != NULL ? reason : "no reason is known");
	ERR_clear_error();
	return ret_text;
}

bool
explain_is_truncation(void)
{
	return ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

/* Whether this reason is an alert that the other end has sent. */
static bool
explain_is_alert(int reason)
{
	return reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256;
}

void
explain_session(int error, char *ret_text, size_t size)
{
	unsigned long last = ERR_peek_last_error();
	int reason = ERR_GET_REASON(last);

	if (last == 0)
		snprintf(ret_text, size, "%s", error != 0 ? strerror(error) : "the connection ended");
	else if (!ERR_SYSTEM_ERROR(last) && explain_is_alert(reason))
		snprintf(ret_text, size, "the server sent an alert: %s%s", ERR_reason_error_string(last),
		    reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED ? "; set cert and key" : "");
	else
		explain_last(ret_text, size);
	ERR_clear_error();
}

static bool
explain_is_version(int reason)
{
	return reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION || reason == SSL_R_UNSUPPORTED_PROTOCOL;
}

/* Bytes that are no TLS are taken for a record of an odd version or length. */
static bool
explain_is_plain(int reason)
{
	return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_PACKET_LENGTH_TOO_LONG ||
	    reason == SSL_R_HTTP_REQUEST || reason == SSL_R_BAD_RECORD_TYPE;
}

static bool
explain_wants_certificate(int reason)
{
	return reason == SSL_R_SSLV3_ALERT_BAD_CERTIFICATE || reason == SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN ||
	    reason == SSL_R_TLSV1_ALERT_UNKNOWN_CA || reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED;
}

void
explain_handshake(const SSL *ssl, const struct header *header, int error, struct failure *ret_failure)
{
	long result = header->verify == HEADER_VERIFY_NONE ? X509_V_OK : SSL_get_verify_result(ssl);
	unsigned long last = ERR_peek_last_error();
	int reason = ERR_SYSTEM_ERROR(last) ? 0 : ERR_GET_REASON(last);
	char text[200];

	if (result != X509_V_OK) {
		ERR_clear_error();
		explain_verification(ssl, result, header, ret_failure);
	} else if (explain_is_version(reason)) {
		ERR_clear_error();
		failure_set(ret_failure, "handshake", "the server speaks no TLS version from %s on; renew its "
		    "software, or set min_version", header->only_1_3 ? "1.3" : "1.2");
	} else if (explain_is_plain(reason)) {
		ERR_clear_error();
		failure_set(ret_failure, "handshake",
		    "what the server answers is no TLS; check the port, or set starttls");
	} else if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING || (last == 0 && error == 0)) {
		ERR_clear_error();
		failure_set(ret_failure, "handshake",
		    "the server closed the connection during the handshake; its log says why");
	} else {
		explain_session(error, text, sizeof text);
		failure_set(ret_failure, "handshake", "%s; %s", text, explain_wants_certificate(reason) ?
		    "the server does not take our certificate: check cert and key" : "the server's log may say more");
	}
}

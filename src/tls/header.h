/* header.h - what a client of holdfast-tls wants, pure: lines NAME VALUE, ended by an empty line; holdfast-tls(8). */
#ifndef HOLDFAST_TLS_HEADER_H
#define HOLDFAST_TLS_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "tls/starttls.h"

#define HEADER_MAX 8192 /* bytes, the empty line too */
#define HEADER_FIRST_LINE "holdfast-tls 1"

enum header_verify { HEADER_VERIFY_FULL, HEADER_VERIFY_CA, HEADER_VERIFY_NONE };

/* All texts are borrowed, of the header's own bytes; NULL: not given. */
struct header {
	struct address address;
	const char *address_text;
	const char *service;  /* for the log */
	const char *name;     /* for SNI and verification */
	const char *ca, *crl, *cert, *key;
	const char *alpn;     /* protocols, with commas between */
	const char *ciphers;
	enum header_verify verify;
	enum starttls_kind starttls;
	bool only_1_3;        /* else TLS 1.2 and later */
	bool check;           /* nothing is dialled: files and settings are looked at */
	int64_t timeout;      /* microseconds, for all until TLS is up */
};

/* The length of the header that the bytes begin with, including the empty line; 0: its end has not come yet. */
size_t header_length(const char *bytes, size_t length);

/* Reads a whole header, in place: the lines become texts.  NULL, or what is wrong, a static text; *ret_name is then
 * the line's name, or "". */
const char *header_parse(char *text, size_t length, struct header *ret_header, const char **ret_name);

#endif

/* mysql.h - how MySQL and MariaDB come to TLS, pure.
 *
 * The server greets, and the client answers with a login packet.  Who wants TLS says its first 32 bytes twice: in the
 * clear, with the capability for TLS, then over TLS.  The server takes the capabilities of the
 * first ones.  So TLS begins once the client has answered: it gets the server's greeting without that capability, and
 * the request is made of its answer.  Packets are numbered until the login is over: the client has said one packet
 * less than the server has heard.
 */
#ifndef HOLDFAST_TLS_MYSQL_H
#define HOLDFAST_TLS_MYSQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/starttls.h"

#define MYSQL_REQUEST_SIZE 36
#define MYSQL_LOGIN_MAX STARTTLS_ANSWER_MAX /* bytes of a client's login packet */
#define MYSQL_ERROR_SIZE 1024

/* Where one direction is in its packets. */
struct mysql_way {
	unsigned header; /* bytes of a packet's header that have passed */
	uint32_t left;   /* bytes of the packet itself that have not */
	bool begun;      /* one of them has */
};

/* All zero at first. */
struct mysql_login {
	struct mysql_way up, down;
	bool over;
};

/* Judges all that the server has said; a whole greeting that can be used is AGREED. */
enum starttls_verdict mysql_hear_greeting(const uint8_t *bytes, size_t length, const char **ret_error);

/* Makes of it the client's greeting. */
void mysql_hide_tls(uint8_t *greeting, size_t length);

/* Judges all that the client has said; AGREED: its login packet is there, perhaps more. */
enum starttls_verdict mysql_hear_login(const uint8_t *bytes, size_t length, const char **ret_error);

/* Makes the request for TLS of a login packet, which is then for TLS itself. */
void mysql_make_request(uint8_t *login, uint8_t ret_request[MYSQL_REQUEST_SIZE]);

/* A request for TLS of a client that is going to say nothing else: MYSQL_REQUEST_SIZE bytes. */
const uint8_t *mysql_probe_request(void);

/* Numbers packets on their way to the server and back, in any pieces, until the login is over. */
void mysql_pass_up(struct mysql_login *login, uint8_t *bytes, size_t length);
void mysql_pass_down(struct mysql_login *login, uint8_t *bytes, size_t length);

/* An error for the client that awaits an answer to its login packet.  Its length. */
size_t mysql_put_error(const char *text, uint8_t ret_packet[MYSQL_ERROR_SIZE]);

#endif

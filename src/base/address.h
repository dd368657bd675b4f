/* address.h - where an endpoint of a service is: as people write it, and as the kernel wants it.
 *
 * HOST:PORT, IPv4:PORT, [IPv6]:PORT, unix:/PATH.  Only numeric and unix addresses have a socket
 * address of their own; host names go through upstream/resolver first.
 */
#ifndef HOLDFAST_BASE_ADDRESS_H
#define HOLDFAST_BASE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>

#define ADDRESS_TEXT_SIZE 320 /* 253 of a host name, brackets, colon, port; or unix: and 107 */
#define ADDRESS_HOST_SIZE 256

enum address_kind { ADDRESS_SOCKET, ADDRESS_HOST };

/* A parsed address.  No pointers: it may lie in the shared table. */
struct address {
	enum address_kind kind;
	uint16_t port;                   /* host order; 0 for unix */
	char host[ADDRESS_HOST_SIZE];    /* ADDRESS_SOCKET: interface behind %, or "" */
	struct sockaddr_storage socket;  /* ADDRESS_SOCKET only */
	socklen_t socket_length;
};

/* Parses a text.  NULL, or what is wrong with it: a static text such as "port 0 is not a port". */
const char *address_parse(const char *text, struct address *ret_address);

/* Finds the network interface that an address names: it may come and go, so that this is done for each connect.  0,
 * or -ENODEV: there is none of this name now. */
int address_find_interface(struct address *address);

/* Writes the address that a text which is none was perhaps meant to be: a path without unix:, or a URL. */
bool address_advise(const char *text, char ret_text[ADDRESS_TEXT_SIZE]);

/* Writes the address as address_parse reads it. */
void address_format(const struct address *address, char ret_text[ADDRESS_TEXT_SIZE]);

/* Writes any kernel socket address in the same form; "unix:" alone for a nameless one. */
void address_format_socket(const struct sockaddr *socket, socklen_t length, char ret_text[ADDRESS_TEXT_SIZE]);

/* Same kind, same place. */
bool address_equal(const struct address *a, const struct address *b);

#endif

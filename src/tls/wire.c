#include "tls/wire.h"

#include <errno.h>
#include <openssl/bio.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/loop.h"

static BIO_METHOD *wire_method; /* owned, to the end */

/* What a BIO has of its own: the socket, and whether more follows. */
static void
wire_set(BIO *bio, int fd, bool more)
{
	BIO_set_data(bio, (void *)(intptr_t)(fd * 2 + more));
}

static int
wire_fd(BIO *bio)
{
	return (int)((intptr_t)BIO_get_data(bio) / 2);
}

static int
wire_result(BIO *bio, ssize_t length, int retry, size_t *ret_length)
{
	BIO_clear_retry_flags(bio);
	if (length == -1 && loop_is_busy(errno))
		BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
	if (length <= 0)
		return 0;
	*ret_length = (size_t)length;
	return 1;
}

static int
wire_write(BIO *bio, const char *bytes, size_t size, size_t *ret_length)
{
	int more = (intptr_t)BIO_get_data(bio) % 2 ? MSG_MORE : 0;

	return wire_result(bio, send(wire_fd(bio), bytes, size, MSG_NOSIGNAL | more), BIO_FLAGS_WRITE, ret_length);
}

static int
wire_read(BIO *bio, char *bytes, size_t size, size_t *ret_length)
{
	ssize_t length = recv(wire_fd(bio), bytes, size, 0);

	if (length == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	return wire_result(bio, length, BIO_FLAGS_READ, ret_length);
}

static long
wire_control(BIO *bio, int command, long number, void *pointer)
{
	(void)number, (void)pointer;
	switch (command) {
	case BIO_CTRL_FLUSH:
	case BIO_CTRL_DUP:
		return 1;
	case BIO_CTRL_EOF:
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	default:
		return 0;
	}
}

static bool
wire_begin(void)
{
	if (wire_method != NULL)
		return true;
	wire_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
	return wire_method != NULL && BIO_meth_set_write_ex(wire_method, wire_write) &&
	    BIO_meth_set_read_ex(wire_method, wire_read) && BIO_meth_set_ctrl(wire_method, wire_control);
}

bool
wire_attach(SSL *ssl, int fd)
{
	BIO *bio = wire_begin() ? BIO_new(wire_method) : NULL;

	if (bio == NULL)
		return false;
	wire_set(bio, fd, false);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	return true;
}

void
wire_set_more(SSL *ssl, bool more)
{
	BIO *bio = SSL_get_wbio(ssl);

	wire_set(bio, wire_fd(bio), more);
}

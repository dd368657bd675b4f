"""tls_hostile - a TLS server that floods its client with what is no data, by OpenSSL itself: Python's ssl cannot."""
import ctypes
import socket

import holdfast

WANT_WRITE = 3
PEM = 1
SET_NEWEST, TLS_1_2 = 124, 0x0303


def library():
    made = ctypes.CDLL("libssl.so.3")
    for name in ("TLS_server_method", "SSL_CTX_new", "SSL_new"):
        getattr(made, name).restype = ctypes.c_void_p
    return made


class Flood:
    """Serves one session: shakes hands, answers nothing, and sends as much as its client's kernel takes."""

    def __init__(self, cert, key, old=False):
        self.library = library()
        self.context = self.call("SSL_CTX_new", self.call("TLS_server_method"))
        for name, path in (("SSL_CTX_use_certificate_file", cert), ("SSL_CTX_use_PrivateKey_file", key)):
            assert self.call(name, self.context, path.encode(), PEM) == 1
        if old:
            self.call("SSL_CTX_ctrl", self.context, SET_NEWEST, ctypes.c_long(TLS_1_2), None)
        self.listener = socket.create_server(("127.0.0.1", holdfast.free_port()))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.connection = self.ssl = None

    def call(self, name, *arguments):
        """Numbers are taken for pointers where they are longer than an int."""
        return getattr(self.library, name)(*(ctypes.c_void_p(one) if isinstance(one, int) and one > 1 << 31 else one
                                             for one in arguments))

    def accept(self):
        self.connection = self.listener.accept()[0]
        self.ssl = self.call("SSL_new", self.context)
        self.call("SSL_set_fd", self.ssl, self.connection.fileno())
        assert self.call("SSL_accept", self.ssl) == 1
        self.connection.setblocking(False)

    def send(self, most, *steps):
        """Does these steps, each a function of OpenSSL's and its arguments, so often or until nothing more is taken.
        How often."""
        for count in range(most):
            for name, *arguments in steps:
                result = self.call(name, self.ssl, *arguments)
                if result != 1:
                    assert self.call("SSL_get_error", self.ssl, result) == WANT_WRITE
                    return count
        return most

    def end(self):
        if self.ssl:
            self.call("SSL_free", self.ssl)
            self.connection.close()
        self.listener.close()
        self.call("SSL_CTX_free", self.context)

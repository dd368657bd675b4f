"""web - an HTTP server whose answers a test gives: a stand-in for systems that the distribution does not have."""
import http.server
import json
import ssl
import threading
import urllib.parse

import holdfast


class Request:
    def __init__(self, handler):
        parts = urllib.parse.urlsplit(handler.path)
        self.path, self.query = parts.path, urllib.parse.parse_qs(parts.query, keep_blank_values=True)
        self.headers, self.handler = handler.headers, handler

    def asked(self, name):
        return self.query.get(name, [None])[0]


class Web:
    """answer(request) gives (status, headers, body): bytes, or what is made to JSON, or a generator of pieces, which
    are sent as they come."""

    def __init__(self, answer, certificate=None):
        web = self
        self.answer, self.requests, self.changed, self.over = answer, [], threading.Condition(), False

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                request = Request(self)
                web.requests.append(request)
                try:
                    self.reply(*web.answer(request))
                except OSError:
                    self.close_connection = True

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.do_GET()

            def reply(self, status, headers, body):
                streamed = hasattr(body, "__next__")
                if not streamed and not isinstance(body, bytes):
                    body = json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header(*(("Transfer-Encoding", "chunked") if streamed else
                                   ("Content-Length", str(len(body)))))
                self.end_headers()
                for piece in body if streamed else []:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n" if streamed else body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", holdfast.free_port()), Handler)
        self.server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http{'s' if certificate else ''}://{self.address}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def change(self, work=lambda: None):
        """Does it, and wakes whoever waits for a change."""
        with self.changed:
            work()
            self.changed.notify_all()

    def wait(self, condition, bound):
        """For the answer's thread; ends with the server too."""
        with self.changed:
            return self.changed.wait_for(lambda: self.over or condition(), bound)

    def stop(self):
        self.over = True
        self.change()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

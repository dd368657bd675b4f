"""curl --unix-socket reaches a plain HTTP server."""
import http.server
import threading

import holdfast


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"hello from {self.path}\n".encode())

    def log_message(self, *_):
        pass


def test_curl(daemon):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", holdfast.free_port()), Hello)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    one = daemon(holdfast.fixed("web", f"127.0.0.1:{server.server_port}"))
    for page in ("/a", "/b"):
        done = holdfast.run("curl", "-sS", "--unix-socket", one.socket("web"), f"http://web{page}")
        assert done.stdout == f"hello from {page}\n", done.stderr
    server.shutdown()
    server.server_close()

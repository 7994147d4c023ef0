"""A proxy between a program and an S3 server (or a REST catalog) on loopback that passes requests on, or does what networks do to them.

    with Proxy(server.port) as between:
        between.rule = lambda request: DROP_ANSWER if request.method == "PUT" else PASS

A rule may give PASS, DROP_ANSWER (passed on, the server's answer is thrown away), DROP_REQUEST (never passed on), or bytes: the answer as
it goes over the wire, the request not passed on; or a function of (request, pass_on) that gives the bytes. Connections of dropped requests
are closed. Signatures hold: the Host the program signed is what the server is told."""
import http.client
import http.server
import threading

PASS, DROP_ANSWER, DROP_REQUEST = "pass", "drop answer", "drop request"


class Request:
    def __init__(self, handler, body):
        self.method, self.path, self.headers, self.body = handler.command, handler.path, handler.headers, body


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) if not self.headers.get("Transfer-Encoding") else self.chunks()
        request = Request(self, body)
        rule = self.server.rule(request)
        if rule == DROP_REQUEST:
            self.close_connection = True
            return
        answer = rule(request, self.pass_on) if callable(rule) else rule if isinstance(rule, bytes) else self.pass_on(request)
        if rule == DROP_ANSWER or answer is None:
            self.close_connection = True
            return
        self.wfile.write(answer)
        if isinstance(rule, bytes) or callable(rule):
            self.close_connection = True

    def chunks(self):
        out = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            out += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return out

    def pass_on(self, request):
        """The server's answer, whole, as bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        try:
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in ("expect", "connection", "transfer-encoding", "content-length"):
                    connection.putheader(name, value)
            if request.body or request.method in ("PUT", "POST"):
                connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders(request.body or None)
            answer = connection.getresponse()
            body = answer.read()
            head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in answer.getheaders() if k.lower() not in ("transfer-encoding", "content-length", "connection"))
            length = answer.getheader("Content-Length") if request.method == "HEAD" else len(body)
            return (head + (f"Content-Length: {length}\r\n" if length is not None and answer.status not in (204, 304) else "") + "\r\n").encode("latin-1") + body
        finally:
            connection.close()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def log_message(self, *_):
        pass


class Proxy(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, behind):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind, self.port, self.rule = behind, self.server_address[1], lambda request: PASS
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that hangs up is what tests are about

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

"""TLS and HTTP/2 through a real nginx before the simulator: what must work does, what must be refused is, with its reason."""
import os
import re
import subprocess
import time

import pytest

import harness
import truth

DAY = "2024-06-10"
NGINX = next((p for p in ("/usr/sbin/nginx", "/usr/bin/nginx") if os.path.exists(p)), None)


def openssl(folder, *words):
    subprocess.run(["openssl", *map(str, words)], cwd=folder, check=True, capture_output=True)


def certificate(folder, name, ca=None, host="localhost", days=2, backdate=False):
    """name.key and name.pem for `host`, signed by ca or by itself; backdate: it ended an hour ago."""
    openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={host}")
    (folder / f"{name}.ext").write_text(f"subjectAltName={'IP' if host[0].isdigit() else 'DNS'}:{host}\nbasicConstraints=CA:FALSE\n" if ca or name == "self" else "basicConstraints=critical,CA:TRUE\n")
    signer = ["-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial"] if ca else ["-signkey", f"{name}.key"]
    command = ["openssl", "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", "-days", str(days), "-extfile", f"{name}.ext", *signer]
    if backdate:  # issued ten days ago, for two days
        command = ["faketime", "10 days ago", *command]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


CERTIFICATES = {  # name: ca, host, more
    "good": ("ca", "localhost", {}), "address": ("ca", "127.0.0.1", {}), "expired": ("ca", "localhost", {"backdate": True}),
    "self": (None, "localhost", {}), "other-name": ("ca", "data.example", {}), "unknown": ("rogue", "localhost", {})}


class Nginx:
    def __init__(self, folder, upstream):
        self.folder = folder
        certificate(folder, "ca", host="test authority")
        certificate(folder, "rogue", host="rogue authority")
        for name, (ca, host, more) in CERTIFICATES.items():
            certificate(folder, name, ca, host, **more)
        self.ports = {name: harness.free_port() for name in [*CERTIFICATES, "old-tls", "http1", "redirect", "downgrade"]}
        server = "server {{ listen 127.0.0.1:{port} ssl{h2}; server_name localhost; ssl_certificate {cert}.pem; ssl_certificate_key {cert}.key; {more} {body} }}\n"
        proxy = f"location / {{ proxy_pass {upstream}; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffer_size 64k; proxy_buffers 8 1m; }}"
        servers = "".join(server.format(port=self.ports[n], h2=" http2", cert=n, more="", body=proxy) for n in CERTIFICATES)
        servers += server.format(port=self.ports["old-tls"], h2="", cert="good", more="ssl_protocols TLSv1; ssl_ciphers ALL:@SECLEVEL=0;", body=proxy)
        servers += server.format(port=self.ports["http1"], h2="", cert="good", more="", body=proxy)
        servers += server.format(port=self.ports["redirect"], h2=" http2", cert="good", more="", body=f"return 302 https://localhost:{self.ports['good']}$request_uri;")
        servers += server.format(port=self.ports["downgrade"], h2=" http2", cert="good", more="", body=f"return 302 {upstream}$request_uri;")
        (folder / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\nevents {{ worker_connections 256; }}\n"
            f"http {{ log_format used '$server_port $server_protocol $status $ssl_protocol $request_uri'; access_log {folder}/access.log used;\n"
            + "".join(f"{kind}_temp_path {folder}/tmp;\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")) + servers + "}\n")
        self.process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")], cwd=folder, stderr=subprocess.DEVNULL)
        harness.wait_for(lambda: (folder / "pid").exists() and (folder / "pid").read_text().strip(), 20)

    def url(self, name, host="localhost"):
        return f"https://{host}:{self.ports[name]}"

    def log(self, name):
        """[(protocol, status, tls)] of a server's requests; nginx writes the line when an answer has gone out."""
        time.sleep(0.1)
        text = (self.folder / "access.log").read_text()
        return [tuple(line.split()[1:4]) for line in text.splitlines() if line.startswith(f"{self.ports[name]} ")]

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="module")
def nginx(sim, tmp_path_factory):
    assert NGINX, "nginx is not installed: run tools/setup test"
    server = Nginx(tmp_path_factory.mktemp("nginx"), sim.url)
    yield server
    server.stop()


@pytest.fixture
def user(tmp_path, nginx):
    home = harness.Home(tmp_path)
    home.env.update(APCA_API_KEY_ID="key", APCA_API_SECRET_KEY="secret", CURL_CA_BUNDLE=str(nginx.folder / "ca.pem"))
    return home


WORDS = ("1m", "AAPL,BRK.B", "2024-06-10", "2024-06-11", "--page-limit", "200", "--threads", "8")


@pytest.mark.parametrize("server,host,protocol", [("good", "localhost", "HTTP/2.0"), ("address", "127.0.0.1", "HTTP/2.0"), ("http1", "localhost", "HTTP/1.1")])
@pytest.mark.parametrize("variable", ["CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_import_over_https(server, host, protocol, variable, nginx, user, sim):
    """HTTP/2 where it is offered, else HTTP/1.1; the rows are those of the plain connection."""
    user.env[variable] = user.env.pop("CURL_CA_BUNDLE")
    before = len(nginx.log(server))
    said = user.import_(*WORDS, "--endpoint", nginx.url(server, host))
    harness.assert_rows(user.rows("1m"), truth.bars(sim, "1m", ["AAPL", "BRK.B"], "2024-06-10", "2024-06-11"))
    lines = nginx.log(server)[before:]
    assert len(lines) == said["requests"] >= 5
    assert {(p, s) for p, s, _ in lines} == {(protocol, "200")} and {t for _, _, t in lines} <= {"TLSv1.3", "TLSv1.2"}


@pytest.mark.parametrize("server,reason", [("expired", "expired"), ("self", "self.signed"), ("other-name", "name|match"), ("unknown", "issuer|unable to get|self.signed"),
                                           ("old-tls", "protocol|version|alert")])
def test_what_cannot_be_trusted_is_refused(server, reason, nginx, user, sim):
    """Clearly, at once, and before a request with the key has gone out."""
    before = sim.requests()
    outcome = user.run("import", *WORDS, "--endpoint", nginx.url(server), "--retries", "1", timeout=30)
    assert outcome.code == 1, outcome
    assert re.search(reason, outcome.stderr, re.I), outcome
    assert nginx.log(server) == [] and sim.requests() == before
    assert "secret" not in outcome.stderr


def test_without_the_authority_it_is_refused(nginx, user):
    del user.env["CURL_CA_BUNDLE"]
    outcome = user.run("import", *WORDS, "--endpoint", nginx.url("good"), "--retries", "0")
    assert outcome.code == 1 and re.search("certificate", outcome.stderr, re.I), outcome
    assert user.run("import", "--help").stdout.lower().count("insecure") == 0


@pytest.mark.parametrize("server", ["redirect", "downgrade"])
def test_redirects_to_another_origin_are_refused(server, nginx, user, sim):
    before, arrived = sim.requests(), len(nginx.log("good"))
    outcome = user.run("import", *WORDS, "--endpoint", nginx.url(server), "--retries", "0")
    assert outcome.code == 1 and "302" in outcome.stderr, outcome
    assert sim.requests() == before and len(nginx.log("good")) == arrived


def test_plain_http_only_to_this_machine(user, sim):
    """Before any name is looked up or socket opened; --allow-http says otherwise."""
    for host in ("http://data.example.invalid", "http://10.255.255.1:9"):
        outcome = user.run("import", *WORDS, "--endpoint", host, timeout=20)
        assert outcome.code == 2 and "--allow-http" in outcome.stderr, outcome
    outcome = user.run("import", *WORDS, "--endpoint", "http://data.example.invalid", "--allow-http", "--retries", "0", timeout=30)
    assert outcome.code == 1 and "data.example.invalid" in outcome.stderr
    user.ok("import", *WORDS, "--endpoint", sim.url)


def test_http2_carries_many_requests_on_few_connections(nginx, user, sim):
    before = sim.stats()["connections"]
    said = user.import_("trades", "AAPL,BRK.B,SPLT,MSFT,NVDA", "2024-06-10", "2024-06-14", "--page-limit", "300", "--threads", "16", "--endpoint", nginx.url("good"))
    assert said["requests"] > 40
    harness.assert_rows(user.rows("trades"), truth.trades(sim, ["AAPL", "BRK.B", "MSFT", "NVDA", "SPLT"], "2024-06-10", "2024-06-14"))
    assert sim.stats()["connections"] >= before

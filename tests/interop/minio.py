"""A MinIO server of one's own, and a small S3 client to look behind ticklake's back.

    from minio import minio          the fixture: one server a test session
    with Minio() as server: ...      or by hand

The server listens on 127.0.0.1 on a free port, keeps its data in a temporary folder and has random credentials; nothing of
it is left behind. `environment()` is what ticklake, delta-rs and DuckDB read. The client signs requests itself (Signature
Version 4 written here once more, with hashlib), so that it shares no code and no misunderstanding with ours."""

import ctypes
import datetime
import hashlib
import hmac
import http.client
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree

import pytest

SOURCE = pathlib.Path(os.environ.get("TICKLAKE_SOURCE", pathlib.Path(__file__).parents[2]))
PROGRAM = SOURCE / ".deps" / "minio" / "minio"
REGION = "us-east-1"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class S3Error(Exception):
    def __init__(self, code, text):
        super().__init__(f"HTTP {code}: {text[:300]}")
        self.code, self.text = code, text


class Client:
    """Requests to an S3 server at host:port, path style."""

    def __init__(self, port, access_key, secret_key, region=REGION):
        self.port, self.access_key, self.secret_key, self.region = port, access_key, secret_key, region

    def sign(self, method, path, query, headers):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = {k.lower(): v for k, v in headers.items()}
        headers |= {"host": f"127.0.0.1:{self.port}", "x-amz-date": now, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
        names = ";".join(sorted(headers))
        canonical = "\n".join([method, path, query, *(f"{k}:{headers[k].strip()}" for k in sorted(headers)), "", names, "UNSIGNED-PAYLOAD"])
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.secret_key).encode()
        for part in (now[:8], self.region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), "sha256").digest()
        signature = hmac.new(key, text.encode(), "sha256").hexdigest()
        headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        return headers

    def request(self, method, bucket, key="", query=None, headers=None, body=b""):
        """(code, headers, body) of one request, whatever the code."""
        path = "/" + urllib.parse.quote(bucket + ("/" + key if key else ""), safe="/-._~")
        text = "&".join(f"{urllib.parse.quote(k, safe='')}={urllib.parse.quote(str(v), safe='')}" for k, v in sorted((query or {}).items()))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path + ("?" + text if text else ""), body=body or None, headers=self.sign(method, path, text, headers or {}))
            answer = connection.getresponse()
            return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), answer.read()
        finally:
            connection.close()

    def ask(self, *args, **kwargs):
        code, headers, body = self.request(*args, **kwargs)
        if code >= 300:
            raise S3Error(code, body.decode(errors="replace"))
        return headers, body

    def make_bucket(self, bucket):
        self.ask("PUT", bucket)

    def put(self, bucket, key, body, **headers):
        return self.ask("PUT", bucket, key, body=body, headers=headers)[0]

    def get(self, bucket, key):
        return self.ask("GET", bucket, key)[1]

    def delete(self, bucket, key):
        self.ask("DELETE", bucket, key)

    def list(self, bucket, prefix=""):
        """{key: size} of everything below prefix."""
        found, token = {}, None
        space = "{http://s3.amazonaws.com/doc/2006-03-01/}"
        while True:
            query = {"list-type": 2, "prefix": prefix, "encoding-type": "url"} | ({"continuation-token": token} if token else {})
            root = ElementTree.fromstring(self.ask("GET", bucket, query=query)[1])
            for item in root.iter(space + "Contents"):
                found[urllib.parse.unquote_plus(item.find(space + "Key").text)] = int(item.find(space + "Size").text)
            if root.find(space + "IsTruncated").text != "true":
                return found
            token = root.find(space + "NextContinuationToken").text

    def uploads(self, bucket):
        """Keys of multipart uploads that were begun and neither completed nor aborted."""
        root = ElementTree.fromstring(self.ask("GET", bucket, query={"uploads": ""})[1])
        return [item.text for item in root.iter("{http://s3.amazonaws.com/doc/2006-03-01/}Key")]


class Minio(Client):
    """domain: also answers to bucket.DOMAIN (virtual-host style)."""

    def __init__(self, domain=None):
        super().__init__(0, secrets.token_hex(10), secrets.token_hex(20))
        self.domain, self.process, self.buckets = domain, None, 0

    def __enter__(self):
        if not PROGRAM.exists():
            raise FileNotFoundError(f"{PROGRAM} is missing: run tools/setup test")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ticklake-minio-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
        for _ in range(5):  # a free port may be taken by another before the server has it
            self.port = free_port()
            self.start()
            if self.wait_ready():
                return self
            self.stop()
        text = (self.folder / "log").read_text()
        self.__exit__()
        raise RuntimeError("the MinIO server does not start:\n" + text)

    def start(self):
        """Also after stop(): the same data, port and credentials."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MINIO_", "AWS_"))}
        environment |= {"MINIO_ROOT_USER": self.access_key, "MINIO_ROOT_PASSWORD": self.secret_key, "MINIO_BROWSER": "off",
                        "MINIO_UPDATE": "off", "MINIO_CI_CD": "on", "HOME": str(self.folder)}
        if self.domain:
            environment["MINIO_DOMAIN"] = self.domain
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([PROGRAM, "server", "--quiet", "--anonymous", "--address", f"127.0.0.1:{self.port}", self.folder / "data"],
                                            env=environment, stdout=log, stderr=log, preexec_fn=end_with_parent)

    def wait_ready(self, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                code = self.request("GET", "minio", "health/cluster")[0]
                if code == 200:
                    return True
            except OSError:
                pass
            time.sleep(0.05)
        return False

    def stop(self):
        self.process.kill()
        self.process.wait()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def bucket(self):
        """A new, empty bucket."""
        self.buckets += 1
        name = f"bucket-{self.buckets}-{secrets.token_hex(4)}"
        self.make_bucket(name)
        return name

    def environment(self, port=None):
        """The variables that lead a program here, or to a proxy in front of it."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key, "AWS_REGION": self.region,
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}", "AWS_ALLOW_HTTP": "true", "AWS_EC2_METADATA_DISABLED": "true"}

    def storage_options(self):
        """What delta-rs takes."""
        return self.environment() | {"AWS_CONDITIONAL_PUT": "etag"}


@pytest.fixture(scope="session")
def minio():
    with Minio() as server:
        yield server

"""Scorecard line 22: expired, self-signed, wrong name, unknown CA, TLS 1.0 and 1.1: each refused for good, nothing sent; a good
certificate of a CA that was named is taken. Nothing in a default configuration turns verification off."""
import datetime
import ssl
import socket
import subprocess

import pytest

import rig
from test_http_faults import good

START, END = "2024-03-05T14:30:00Z", "2024-03-05T15:30:00Z"
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")


def openssl(folder, *args, **more):
    subprocess.run(["openssl", *map(str, args)], cwd=folder, check=True, capture_output=True, **more)


def make_certificate(folder, name, ca=None, subject="/CN=127.0.0.1", alt="IP:127.0.0.1,DNS:localhost", days=2, start=None, end=None):
    """name.key and name.pem, signed by ca (NULL: by itself)."""
    config = folder / f"{name}.cnf"
    authority = alt is None
    config.write_text("[req]\ndistinguished_name=dn\n[dn]\n[v3]\n" + ("basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n" if authority
                      else f"basicConstraints=CA:FALSE\nsubjectAltName={alt}\n") + "[ca]\ndefault_ca=d\n"
                      f"[d]\ndatabase={folder}/{name}.index\nserial={folder}/{name}.serial\nnew_certs_dir={folder}\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\nCN=supplied\n")
    openssl(folder, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject, "-config", config)
    signer = ["-selfsign", "-keyfile", f"{name}.key"] if not ca else ["-cert", f"{ca}.pem", "-keyfile", f"{ca}.key"]
    (folder / f"{name}.index").write_text("")
    (folder / f"{name}.serial").write_text("01\n")
    now = datetime.datetime.now(datetime.timezone.utc)
    start, end = start or now - datetime.timedelta(hours=1), end or now + datetime.timedelta(days=days)
    openssl(folder, "ca", "-batch", "-notext", "-config", config, "-extensions", "v3", "-in", f"{name}.csr", "-out", f"{name}.pem",
            "-startdate", f"{start:%Y%m%d%H%M%SZ}", "-enddate", f"{end:%Y%m%d%H%M%SZ}", *signer)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    past, future = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=d) for d in (-1, 30))
    make_certificate(folder, "ca", subject="/CN=test CA", alt=None, days=30)
    make_certificate(folder, "other-ca", subject="/CN=another CA", alt=None, days=30)
    make_certificate(folder, "good", "ca")
    make_certificate(folder, "expired", "ca", start=past - datetime.timedelta(days=9), end=past)
    make_certificate(folder, "not-yet", "ca", start=future, end=future + datetime.timedelta(days=9))
    make_certificate(folder, "wrong-name", "ca", subject="/CN=data.alpaca.markets", alt="DNS:data.alpaca.markets")
    make_certificate(folder, "unknown-ca", "other-ca")
    make_certificate(folder, "self-signed")
    return folder


def context(folder, name, version=None):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    if version:
        tls.set_ciphers("ALL:@SECLEVEL=0")
        tls.minimum_version = tls.maximum_version = version
    return tls


def answer(request):
    return rig.ok(good(int(request.query.get("page_token", "page1")[4:])))


def run(home, url, folder, *more, **env):
    args = ["import", "1m", "AAPL", START, END, "--lake", rig.fresh(home, "lake"), "--json", "--page-limit", "8", "--quiet", *more]
    return rig.run(args, home, url, env={"CURL_CA_BUNDLE": str(folder / "ca.pem"), **env}, timeout=30)


def test_a_good_certificate_is_taken(home, certificates):
    """The control for all others here."""
    with rig.Vendor(answer, context(certificates, "good")) as vendor:
        for url in (vendor.url, vendor.url.replace("127.0.0.1", "localhost")):
            done = run(home, url, certificates)
            assert done.code == 0, done.err.decode()
            assert len(rig.lake_rows(home / "lake", "1m", "hive")) == 40
        done = run(home, vendor.url, certificates, CURL_CA_BUNDLE=None, SSL_CERT_FILE=str(certificates / "ca.pem"))
        assert done.code == 0, done.err.decode()


def expect_refusal(home, vendor, done, what):
    rig.assert_clean(done, what, codes=(1,))
    failed = rig.summary(done)["failed"]
    assert failed and len(failed[0]["reason"]) > 20, f"{what}: {done}"
    assert not vendor.seen, f"{what}: a request with our credentials was sent"
    assert not rig.lake_rows(home / "lake", "1m", "hive")


@pytest.mark.parametrize("name", ("expired", "not-yet", "wrong-name", "unknown-ca", "self-signed"))
def test_a_bad_certificate_is_refused(home, certificates, name):
    with rig.Vendor(answer, context(certificates, name)) as vendor:
        expect_refusal(home, vendor, run(home, vendor.url, certificates), name)
        expect_refusal(home, vendor, run(home, vendor.url, certificates, "--allow-http"), f"{name} with --allow-http")


def test_the_right_certificate_for_another_name(home, certificates):
    with rig.Vendor(answer, context(certificates, "good")) as vendor:
        expect_refusal(home, vendor, run(home, vendor.url.replace("127.0.0.1", "127.0.0.2"), certificates, "--retries", "0", "--connect-timeout", "2s"), "127.0.0.2")


@pytest.mark.parametrize("version", (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1), ids=("TLS1.0", "TLS1.1"))
def test_an_old_protocol_is_refused(home, certificates, version):
    with rig.Vendor(answer, context(certificates, "good", version)) as vendor:
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the control: the server does speak it
        client.load_verify_locations(certificates / "ca.pem")
        client.set_ciphers("ALL:@SECLEVEL=0")
        client.minimum_version = version
        with socket.create_connection(vendor.server_address) as plain, client.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped:
            assert wrapped.version() in ("TLSv1", "TLSv1.1")
        expect_refusal(home, vendor, run(home, vendor.url, certificates), version.name)


def test_tls_1_2_is_taken(home, certificates):
    with rig.Vendor(answer, context(certificates, "good", ssl.TLSVersion.TLSv1_2)) as vendor:
        assert run(home, vendor.url, certificates).code == 0


def test_no_setting_turns_verification_off(home, certificates):
    """What other programs listen to, and settings one might guess."""
    (home / "settings.ini").write_text("[alpaca]\nverify = false\ninsecure = true\nssl_verify = 0\nallow_http = true\n")
    (home / ".curlrc").write_text("insecure\n")
    with rig.Vendor(answer, context(certificates, "self-signed")) as vendor:
        done = run(home, vendor.url, certificates, CURL_SSL_VERIFY="0", SSL_VERIFY="0", PYTHONHTTPSVERIFY="0", GIT_SSL_NO_VERIFY="1",
                   NODE_TLS_REJECT_UNAUTHORIZED="0", CURL_HOME=str(home))
        expect_refusal(home, vendor, done, "settings that ask for no verification")
    text = rig.run(["import", "--help"], home).out.decode() + rig.run(["help"], home).out.decode()
    assert not any(word in text for word in ("insecure", "no-verify", "no-check-certificate"))


def test_plain_text_on_the_tls_port(home, certificates):
    with rig.Vendor(answer) as vendor:
        expect_refusal(home, vendor, run(home, vendor.url.replace("http:", "https:"), certificates, "--retries", "0"), "plain http")

"""What the registries on loopback of all languages' recorders share: serving, with TLS or without, and certificates."""

import http.server
import ssl
import subprocess
import threading


def serve(handler, certificate=None, port=0):
    """Serves until the recorder ends."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    server.handle_error = lambda *args: None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def certificate(room, kind):
    """Chain and key of a server: signed by itself (`self`) or by a private CA (`ca`, with the CA in `chain`); expired; for another host.

    `intermediate`: signed by a CA that another one signed, which is not in the chain.
    """

    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=room)

    name = "subjectAltName=DNS:registry.example" if kind == "other-name" else "subjectAltName=IP:127.0.0.1"
    (room / "extensions").write_text(name)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Private CA", "-keyout", "ca.key", "-out", "ca.pem")
    if kind == "intermediate":
        (room / "ca").write_text("basicConstraints=critical,CA:TRUE")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Intermediate CA", "-keyout", "next.key", "-out", "next.csr")
        openssl("x509", "-req", "-in", "next.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-extfile", "ca", "-out", "next.pem")
        (room / "next.pem").replace(room / "ca.pem")
        (room / "next.key").replace(room / "ca.key")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", "key.pem", "-out", "request.pem")
    days = "-1" if kind == "expired" else "2"
    signer = ["-signkey", "key.pem"] if kind == "self" else ["-CA", "ca.pem", "-CAkey", "ca.key"]
    openssl("x509", "-req", "-in", "request.pem", *signer, "-days", days, "-extfile", "extensions", "-out", "leaf.pem")
    chain = (room / "leaf.pem").read_text() + ((room / "ca.pem").read_text() if kind in ("chain", "intermediate") else "")
    (room / "chain.pem").write_text(chain)
    return room / "chain.pem", room / "key.pem"

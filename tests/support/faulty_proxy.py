#!/usr/bin/env python3
"""A proxy before a registry that does what bad networks, proxies and registries do.

faulty_proxy.py --upstream HOST:PORT --fault NAME --state FOLDER [--rate BYTES]

Writes its address to FOLDER/address when it listens, and what it saw to FOLDER/seen.json when it ends (SIGTERM).
--rate is how many bytes a second all answers together may have.
Faults:
  none           passes everything on; serves as a proxy for plain HTTP as well (http_proxy), to its upstream whatever
                 the host
  cut            cuts the connection after 64 KiB of a body, in either direction, for the first 20 such bodies
  unauthorized   wants tokens of its own; each is good for 2 requests, so that 401 comes in the middle of everything
  login          the same, and a token is good for ever
  range          answers the first three chunks or uploads with 416
  busy           refuses every request three times, with 429 and Retry-After, 500 and 502, and then answers it
  wrong-digest   says that it stored something else
  corrupt        flips one bit of every blob that is downloaded
  truncated      ends every blob after half of it, with the full Content-Length
  elsewhere      redirects blobs to another host, which is not to see credentials, and asks for them
  huge-error     refuses uploads with an error document of 4 GiB
  html           answers manifests with a page of HTML
  no-ranges      ignores Range
"""
import argparse
import http.client
import http.server
import json
import os
import signal
import sys
import threading
import time

PIECE = 65536


class State:
    def __init__(self, arguments):
        self.fault = arguments.fault
        self.upstream = arguments.upstream
        self.folder = arguments.state
        self.lock = threading.Lock()
        self.counts = {"requests": 0, "cuts": 0, "upload_bytes": 0, "download_bytes": 0, "refusals": 0,
                       "error_bytes": 0, "stranger_requests": 0, "stranger_credentials": 0, "tokens": 0}
        self.token_uses = {}
        self.refused = {}
        self.stranger = None
        self.rate = arguments.rate
        self.free_at = 0.0  # when the link has sent what it was given

    def add(self, name, count=1):
        with self.lock:
            self.counts[name] += count
            return self.counts[name]

    # How often this request came. Requests of several blobs run side by side: counted together, one of them could be
    # refused more often than a client has patience for.
    def refuse(self, request):
        with self.lock:
            self.refused[request] = self.refused.get(request, 0) + 1
            return self.refused[request]

    def pace(self, count):
        if not self.rate:
            return
        with self.lock:
            now = time.monotonic()
            self.free_at = max(self.free_at, now) + count / self.rate
            wait = self.free_at - now
        time.sleep(wait)

    def write(self):
        with self.lock, open(os.path.join(self.folder, "seen.json"), "w") as out:
            json.dump(self.counts, out)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state = None

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def drop(self):
        self.close_connection = True
        self.connection.close()

    def discard_body(self):
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            left -= len(self.rfile.read(min(left, PIECE)))

    def is_blob(self):
        return "/blobs/sha256:" in self.path

    def is_upload(self):
        return "/blobs/uploads/" in self.path

    # Answers in the place of the registry; True if it has.
    def misbehave(self):
        state, fault = self.state, self.state.fault
        state.add("requests")
        if fault in ("unauthorized", "login"):
            return self.check_token()
        if fault == "range" and self.command in ("PATCH", "PUT") and self.is_upload() and state.add("refusals") <= 3:
            self.discard_body()
            self.answer(416)
            return True
        if fault == "busy" and (times := state.refuse(self.command + " " + self.path)) <= 3:
            self.discard_body()
            status = (429, 500, 502)[times - 1]
            headers = [("Retry-After", "1")] if status == 429 else []
            self.answer(status, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}', headers)
            return True
        if fault == "wrong-digest" and self.command == "PUT":
            self.discard_body()
            self.answer(201, b"", [("Docker-Content-Digest", "sha256:" + "0" * 64), ("Location", self.path)])
            return True
        if fault == "elsewhere" and self.command == "GET" and self.is_blob():
            self.answer(307, b"", [("Location", f"http://{state.stranger}{self.path}")])
            return True
        if fault == "huge-error" and self.command in ("PATCH", "PUT", "POST") and self.is_upload():
            self.send_huge_error()
            return True
        if fault == "html" and "/manifests/" in self.path and self.command == "GET":
            self.answer(200, b"<html><body>Please log in to the guest network</body></html>",
                        [("Content-Type", "text/html")])
            return True
        return False

    def check_token(self):
        state = self.state
        if self.path.startswith("/token"):
            number = state.add("tokens")
            self.answer(200, json.dumps({"token": f"token-{number}", "expires_in": 300}).encode())
            return True
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        with state.lock:
            uses = state.token_uses[token] = state.token_uses.get(token, 0) + 1
        if token and (uses <= 2 or state.fault == "login"):
            return False
        self.discard_body()
        state.add("refusals")
        realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="test",error="invalid_token"'
        self.answer(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}',
                    [("WWW-Authenticate", realm)])
        return True

    def send_huge_error(self):
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(4 << 30))
        self.end_headers()
        self.close_connection = True
        try:
            self.wfile.write(b'{"errors":[{"code":"DENIED","message":"quota exceeded for this project"}],"x":"')
            while True:
                self.wfile.write(b"x" * PIECE)
                self.state.add("error_bytes", PIECE)
        except OSError:
            pass

    def may_cut(self):
        return self.state.fault == "cut" and self.state.counts["cuts"] < 20

    def forward(self):
        state = self.state
        upstream = http.client.HTTPConnection(state.upstream, timeout=60)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            hidden = name.lower() == "range" and state.fault == "no-ranges"
            if not hidden and name.lower() not in ("connection", "authorization"):
                upstream.putheader(name, value)
        upstream.endheaders()
        left = int(self.headers.get("Content-Length") or 0)
        sent = 0
        while left:
            piece = self.rfile.read(min(left, PIECE))
            if not piece:
                upstream.close()
                return self.drop()
            upstream.send(piece)
            sent += len(piece)
            left -= len(piece)
            state.add("upload_bytes", len(piece))
            if left and sent >= PIECE and self.may_cut():
                state.add("cuts")
                upstream.close()
                return self.drop()
        self.pass_back(upstream.getresponse())
        upstream.close()

    def pass_back(self, response):
        state = self.state
        blob = self.is_blob() and self.command == "GET" and response.status in (200, 206)
        length = int(response.getheader("Content-Length") or 0)
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        if response.getheader("Content-Length") is None:
            self.send_header("Content-Length", "0" if response.status == 204 else str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        sent = 0
        while True:
            piece = response.read(PIECE)
            if not piece:
                return
            if blob and state.fault == "corrupt" and sent == 0:
                piece = bytes([piece[0] ^ 1]) + piece[1:]
            if blob and state.fault == "truncated" and sent + len(piece) > length // 2:
                return self.drop()
            state.pace(len(piece))
            self.wfile.write(piece)
            sent += len(piece)
            state.add("download_bytes", len(piece))
            if blob and sent < length and self.may_cut():
                state.add("cuts")
                self.wfile.flush()
                return self.drop()

    def handle_request(self):
        if self.path.startswith("http://"):
            self.path = "/" + self.path.removeprefix("http://").partition("/")[2]
        try:
            if not self.misbehave():
                self.forward()
        except (OSError, http.client.HTTPException):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request


class Stranger(Handler):
    """Another host: serves blobs from the registry, and would like to know who asks."""

    def misbehave(self):
        self.state.add("stranger_requests")
        if self.headers.get("Authorization") or self.headers.get("Cookie"):
            self.state.add("stranger_credentials")
        return False


def serve(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "127.0.0.1:%d" % server.server_address[1]


def main():
    parser = argparse.ArgumentParser()
    for name in ("--upstream", "--fault", "--state"):
        parser.add_argument(name, required=True)
    parser.add_argument("--rate", type=float, default=0)
    state = State(parser.parse_args())
    Handler.state = state
    os.makedirs(state.folder, exist_ok=True)
    state.stranger = serve(Stranger)
    address = serve(Handler)
    with open(os.path.join(state.folder, "address.new"), "w") as out:
        out.write(address)
    os.rename(os.path.join(state.folder, "address.new"), os.path.join(state.folder, "address"))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    state.write()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A registry in memory that keeps to the distribution specification 1.1 where Debian's docker-registry does not: an
upload that was cut goes on where it ended. Speaks plain HTTP on the loopback interface.

resuming_registry.py FOLDER: writes its address to FOLDER/address when it listens.
"""
import hashlib
import http.server
import os
import re
import sys
import threading
import urllib.parse
import uuid

blobs, manifests, uploads = {}, {}, {}
busy = {}  # a lock for each upload: a question about it waits for the body that is still coming


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code):
        self.answer(status, b'{"errors":[{"code":"%s","message":"by the specification"}]}' % code.encode(),
                    Content_Type="application/json")

    def upload_answer(self, status, repository, upload):
        self.answer(status, Location=f"/v2/{repository}/blobs/uploads/{upload}",
                    Range="0-%d" % max(len(uploads[upload]) - 1, 0))

    def take_body(self, upload):
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self.rfile.read1(min(left, 65536))
            if not piece:
                raise ConnectionError
            uploads[upload] += piece
            left -= len(piece)

    def handle_upload(self, repository, rest, query):
        if self.command == "POST":
            upload = uuid.uuid4().hex
            busy[upload] = threading.Lock()
            uploads[upload] = bytearray()
            return self.upload_answer(202, repository, upload)
        if rest not in uploads:
            return self.error(404, "BLOB_UPLOAD_UNKNOWN")
        with busy[rest]:
            return self.continue_upload(repository, rest, query)

    def continue_upload(self, repository, rest, query):
        if self.command == "GET":
            return self.upload_answer(204, repository, rest)
        if self.command == "DELETE":
            del uploads[rest]
            return self.answer(204)
        wanted = self.headers.get("Content-Range")
        if wanted and int(wanted.split("-")[0]) != len(uploads[rest]):
            self.close_connection = True
            return self.upload_answer(416, repository, rest)
        self.take_body(rest)
        if self.command == "PATCH":
            return self.upload_answer(202, repository, rest)
        content = bytes(uploads.pop(rest))
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if query.get("digest") != [digest]:
            return self.error(400, "DIGEST_INVALID")
        blobs[repository, digest] = content
        return self.answer(201, Docker_Content_Digest=digest)

    def handle_blob(self, repository, digest):
        content = blobs.get((repository, digest))
        if content is None:
            return self.error(404, "BLOB_UNKNOWN")
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not asked:
            return self.answer(200, content, Docker_Content_Digest=digest)
        first, last = int(asked[1]), int(asked[2] or len(content) - 1)
        return self.answer(206, content[first:last + 1], Content_Range=f"bytes {first}-{last}/{len(content)}")

    def handle_manifest(self, repository, reference):
        if self.command == "PUT":
            body = self.rfile.read(int(self.headers["Content-Length"]))
            digest = "sha256:" + hashlib.sha256(body).hexdigest()
            manifests[repository, reference] = manifests[repository, digest] = (body, self.headers["Content-Type"])
            return self.answer(201, Docker_Content_Digest=digest)
        found = manifests.get((repository, reference))
        if found is None:
            return self.error(404, "MANIFEST_UNKNOWN")
        return self.answer(200, found[0], Content_Type=found[1])

    def handle_request(self):
        try:
            url = urllib.parse.urlsplit(self.path)
            if url.path == "/v2/":
                return self.answer(200)
            match = re.fullmatch(r"/v2/(.+?)/(blobs/uploads/|blobs/|manifests/)(.*)", url.path)
            if not match:
                return self.error(404, "NOT_FOUND")
            repository, kind, rest = match.groups()
            if kind == "blobs/uploads/":
                return self.handle_upload(repository, rest, urllib.parse.parse_qs(url.query))
            return self.handle_blob(repository, rest) if kind == "blobs/" else self.handle_manifest(repository, rest)
        except (OSError, ConnectionError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with open(os.path.join(folder, "address.new"), "w") as out:
        out.write("127.0.0.1:%d" % server.server_address[1])
    os.rename(os.path.join(folder, "address.new"), os.path.join(folder, "address"))
    server.serve_forever()


if __name__ == "__main__":
    main()

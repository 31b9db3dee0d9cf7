#!/usr/bin/env python3
"""A signer for mule: signs the requests of one upload place, and nothing else (docs/signing.md).

The host that uploads holds a token; the key stays here, in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN."""
import argparse
import datetime
import functools
import hashlib
import hmac
import http.server
import json
import os
import re
import ssl
from urllib.parse import parse_qsl, quote, unquote, urlsplit

LIFETIME = datetime.timedelta(minutes=15)  # a store refuses older signatures
LONGEST_CALL = 1 << 20
# operation: method, whether it is about an object, query items that it must have, and may have
OPERATIONS = {
    "CreateMultipartUpload": ("POST", True, {"uploads"}, set()),
    "UploadPart": ("PUT", True, {"partNumber", "uploadId"}, set()),
    "PutObject": ("PUT", True, set(), set()),
    "ListParts": ("GET", True, {"uploadId"}, {"max-parts", "part-number-marker"}),
    "CompleteMultipartUpload": ("POST", True, {"uploadId"}, set()),
    "AbortMultipartUpload": ("DELETE", True, {"uploadId"}, set()),
    "HeadObject": ("HEAD", True, set(), {"partNumber", "versionId"}),
    "GetObjectAttributes": ("GET", True, {"attributes"}, {"versionId"}),
    "HeadBucket": ("HEAD", False, set(), set()),
    "ListMultipartUploads": (
        "GET", False, {"uploads", "prefix"}, {"encoding-type", "key-marker", "upload-id-marker", "max-uploads"}),
}
HEADERS = re.compile(
    r"content-(type|md5|length)|x-amz-(content-sha256|mp-object-size|storage-class|tagging|object-attributes|max-parts"
    r"|part-number-marker|checksum-[a-z0-9-]+|sdk-checksum-algorithm|server-side-encryption[a-z0-9-]*|meta-[a-z0-9._-]+)")


class Signer:
    def __init__(self, options):
        self.url = urlsplit(options.endpoint)
        self.region, self.prefix = options.region, options.prefix
        self.key, self.secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        self.session_token = os.environ.get("AWS_SESSION_TOKEN")
        self.host = f"{options.bucket}.{self.url.netloc}" if options.virtual else self.url.netloc
        self.root = self.url.path.rstrip("/") + ("" if options.virtual else f"/{options.bucket}")

    def check(self, request):
        """Refuses what is not an operation of the scope. What is signed is the URL, so the URL is what is looked at."""
        operation, url = request["operation"], urlsplit(request["url"])
        method, has_key, must, may = OPERATIONS.get(operation, (None, False, set(), set()))
        if (url.scheme, url.netloc, url.fragment) != (self.url.scheme, self.host, ""):
            raise PermissionError("this is another store")
        items = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
        query = dict(items)
        # DELETE with an empty uploadId deletes the object at some stores.
        is_named = all(query.get(name) for name in must & {"uploadId", "partNumber"})
        is_allowed = must <= query.keys() <= must | may and len(query) == len(items)
        if request["method"] != method or method is None or not is_named or not is_allowed:
            raise PermissionError(f"{operation} is not allowed, or this is not one")
        if not (url.path + "/").startswith(self.root + "/"):
            raise PermissionError("this is another bucket")
        path = url.path[len(self.root) + 1:]
        key = unquote(path, errors="strict") if has_key else query.get("prefix", self.prefix)
        if bool(path) != has_key or not key.startswith(self.prefix) or {".", ".."} & set(key.split("/")):
            raise PermissionError("this key is not allowed")
        if has_key and quote(key, safe="/-._~") != path:
            raise PermissionError("this key is not encoded as a signature needs it")
        if wrong := [name for name in request["headers"] if not HEADERS.fullmatch(name)]:
            raise PermissionError(f"the header {wrong[0]} is not allowed")
        return url

    def sign(self, request, now):
        url, method = self.check(request), request["method"]
        date = f"{now:%Y%m%dT%H%M%SZ}"
        added = {"x-amz-date": date, "x-amz-content-sha256": request["headers"]["x-amz-content-sha256"]}
        added.update({"x-amz-security-token": self.session_token} if self.session_token else {})
        headers = {**request["headers"], **added, "host": self.host}
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers))
        query = "&".join(sorted(url.query.split("&"), key=lambda item: item.split("=")))
        canonical = "\n".join([method, url.path, query, lines, names, added["x-amz-content-sha256"]])
        scope = f"{date[:8]}/{self.region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        steps = [b"AWS4" + self.secret.encode(), *scope.encode().split(b"/"), text.encode()]
        key = functools.reduce(lambda key, step: hmac.digest(key, step, "sha256"), steps)
        added["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, SignedHeaders={names}, Signature={key.hex()}")
        return {"method": method, "url": request["url"], "headers": added}

    def answer(self, requests):
        if not 1 <= len(requests) <= 64:
            raise PermissionError("a call has 1 to 64 requests")
        now = datetime.datetime.now(datetime.timezone.utc)
        return {"date": f"{now:%FT%TZ}", "until": f"{now + LIFETIME:%FT%TZ}",
                "signed": [self.sign(request, now) for request in requests]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, timeout = "HTTP/1.1", 60
    wbufsize, disable_nagle_algorithm = -1, True  # an answer leaves at once and in one piece
    signer = token = None

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > LONGEST_CALL:
            return self.send(413, {"title": "the call is too long"})
        body, token = self.rfile.read(int(length)), self.headers.get("authorization", "")
        if not hmac.compare_digest(token.encode(), f"Bearer {self.token}".encode()):
            return self.send(401, {"title": "unknown token"})
        try:
            self.send(200, self.signer.answer(json.loads(body)["requests"]))
        except PermissionError as refusal:
            self.send(403, {"title": "not allowed", "detail": str(refusal)})
        except (ValueError, KeyError, TypeError, AttributeError):
            self.send(400, {"title": "the call is not valid"})

    def send(self, status, document):
        body = json.dumps(document).encode()
        self.close_connection = status == 413
        self.send_response(status)
        self.send_header("content-type", "application/json" if status == 200 else "application/problem+json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(handler=Handler):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:8900", help="ADDRESS:PORT; port 0 takes a free one")
    parser.add_argument("--endpoint", required=True, help="the store, as mule is given it: https://s3.example.org")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--prefix", default="", help="keys must begin with it")
    parser.add_argument("--virtual", action="store_true", help="the bucket is in the host name, as Amazon has it")
    parser.add_argument("--token-file", required=True)
    parser.add_argument("--certificate", help="PEM file with certificate and key; without it for this machine only")
    options = parser.parse_args()
    with open(options.token_file, encoding="ascii") as file:
        handler.token = file.read().strip()
    if len(handler.token) < 16:
        parser.error("the token must have at least 16 characters")
    handler.signer = Signer(options)
    address, _, port = options.listen.rpartition(":")
    server = http.server.ThreadingHTTPServer((address, int(port)), handler)
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(f"listening on {address}:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

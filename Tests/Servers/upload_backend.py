#!/usr/bin/env python3
"""A stand-in for the backend of mule-uploader: what its Flask example answers, without a database.

Keys are those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Each call is a line of the file --log.
"""
import argparse
import datetime
import hmac
import http.server
import json
import os
import random
import threading
import urllib.parse

parser = argparse.ArgumentParser()
parser.add_argument("--log", required=True)
parser.add_argument("--bucket", default="bucket")
parser.add_argument("--region", default="us-east-1")
parser.add_argument("--days", type=int, default=0, help="the key is of a day so many days ahead")
parser.add_argument("--known", nargs=2, metavar=("KEY", "UPLOAD_ID"), help="what is known of every file")
parser.add_argument("--lie", default="", choices=["", "key", "old", "garbage", "500", "moving"])
parser.add_argument("--token", help="must come as a bearer token")
options = parser.parse_args()
lock = threading.Lock()
files = {}
calls = 0


def signing_key(query):
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=options.days)
    key = b"AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"].encode()
    for step in [now.strftime("%Y%m%d"), options.region, "s3", "aws4_request"]:
        key = hmac.digest(key, step.encode(), "sha256")
    bucket = options.bucket + ("x" if options.lie == "moving" and calls > 1 else "")
    answer = {
        "date": now.strftime("%Y-%m-%dT%H:%M:%S.%f"), "signature": ("00" * 32) if options.lie == "key" else key.hex(),
        "access_key": os.environ["AWS_ACCESS_KEY_ID"], "region": options.region, "bucket": bucket,
        "backup_key": str(random.randint(1, 1_000_000)), "content_type": query.get("content_type", ""),
    }
    name = (query["filename"], query["filesize"], query["last_modified"])
    if query.get("force") == "true":
        files.pop(name, None)
    elif options.known:
        answer.update(key=options.known[0], upload_id=options.known[1], chunks=[0, 1, 2])
    elif name in files:
        key, upload_id, chunks = files[name]
        answer.update(key=key, upload_id=upload_id, chunks=sorted(chunks))
    return answer


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        global calls
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        call = query.get("action") or url.path.strip("/").split("/")[-1]
        with lock:
            calls += 1
            with open(options.log, "a", encoding="utf-8") as log:
                log.write(call + " " + json.dumps(query, sort_keys=True) + "\n")
            if options.token and self.headers.get("authorization") != "Bearer " + options.token:
                return self.send(401, b"{}")
            if options.lie == "500":
                return self.send(500, b"oops")
            if options.lie == "garbage":
                return self.send(200, b"<html>")
            if call == "signing_key":
                if options.lie == "old":
                    return self.send(200, b'{"signature": "c2ln", "date": "Mon, 30 Nov 2026 12:00:00 GMT"}')
                return self.send(200, json.dumps(signing_key(query)).encode())
            if call == "chunk_loaded":
                name = (query["filename"], query["filesize"], query["last_modified"])
                entry = files.get(name)
                if not entry or entry[1] != query["upload_id"]:
                    entry = files[name] = (query["key"], query["upload_id"], set())
                entry[2].add(int(query["chunk"]))
                return self.send(200, b"")
        self.send(404, b"")

    def send(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"listening on 127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()

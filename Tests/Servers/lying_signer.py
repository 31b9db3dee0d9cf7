#!/usr/bin/env python3
"""The reference signer with one lie, the first argument; the others are its own."""
import datetime
import json
import pathlib
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Examples" / "signer"))
import signer  # noqa: E402

LIE = sys.argv.pop(1)


def change_url(old, new):
    def lie(entry):
        entry["url"] = entry["url"].replace(old, new)
    return lie


def header(name, value):
    def lie(entry):
        entry["headers"][name] = value
    return lie


def method(entry):
    entry["method"] = "DELETE"


def wrong_signature(entry):
    text = entry["headers"]["authorization"]
    entry["headers"]["authorization"] = text[:-4] + ("0000" if text[-4:] != "0000" else "1111")


def drop(name):
    def lie(entry):
        del entry["headers"][name]
    return lie


ENTRIES = {
    "bucket": change_url("/bucket/", "/other/"), "key": change_url("/in/", "/out/"), "upload": change_url("uploadId=", "uploadId=x"),
    "part": change_url("partNumber=", "partNumber=1"), "host": change_url("127.0.0.1", "127.0.0.2"),
    "scheme": change_url("http:", "https:"), "method": method, "query": change_url("?", "?acl=&"),
    "header": header("x-amz-acl", "public-read"), "host-header": header("host", "evil.example.org"),
    "body": header("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    "line": header("authorization", "AWS4-HMAC-SHA256 x\r\nx-amz-acl: public-read"), "unsigned": drop("authorization"),
    "undated": drop("x-amz-date"), "stale-signature": header("x-amz-date", "20200101T000000Z"),
    "wrong-signature": wrong_signature, "basic": header("authorization", "Basic eDp5"),
}


honest_sign = signer.Signer.sign


def old_answer(self, requests):
    """Everything is right, of years ago."""
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    signed = [honest_sign(self, request, past) for request in requests]
    return {"date": f"{past:%FT%TZ}", "until": f"{past + signer.LIFETIME:%FT%TZ}", "signed": signed}


def sign_other_key(self, request, now):
    """The right URL with the signature of another one."""
    entry = honest_sign(self, dict(request, url=request["url"].replace("/in/", "/in/other-")), now)
    return dict(entry, url=request["url"])


if LIE == "stale":
    signer.Signer.answer = old_answer
elif LIE == "other-key-signed":
    signer.Signer.sign = sign_other_key


class Liar(signer.Handler):
    def send(self, status, document):
        if status != 200:
            return super().send(status, document)
        for entry in document["signed"]:
            if LIE in ENTRIES:
                ENTRIES[LIE](entry)
        if LIE == "expired":
            document["until"] = document["date"]
        elif LIE == "fewer":
            document["signed"].pop()
        elif LIE == "more":
            document["signed"].append(document["signed"][0])
        elif LIE == "array":
            document = [document]
        if LIE == "silence":
            time.sleep(30)
        elif LIE == "redirect":
            self.send_response(307)
            self.send_header("location", f"http://{self.headers['host']}/v1/sign?again")
            self.send_header("content-length", "0")
            self.end_headers()
        elif LIE in ("garbage", "truncated", "huge"):
            body = json.dumps(document).encode()
            size = {"garbage": 7, "truncated": len(body), "huge": 1 << 30}[LIE]
            self.send_response(200)
            self.send_header("content-length", str(size))
            self.end_headers()
            self.wfile.write({"garbage": b"{\xff\x00}<a>", "truncated": body[:-9], "huge": b" " * (4 << 20)}[LIE])
            self.close_connection = True
        elif LIE in ("500", "503", "401", "403", "404"):
            self.send_response(int(LIE))
            self.send_header("content-length", "0")
            self.end_headers()
        else:
            super().send(status, document)


signer.main(Liar)

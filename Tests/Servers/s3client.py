"""A few S3 requests with nothing but Python's standard library: a second implementation that judges what mule did."""

import datetime
import hashlib
import hmac
import http.client
import ssl
import urllib.parse
import xml.etree.ElementTree
from dataclasses import dataclass

from failure import Failure


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict
    body: bytes


@dataclass(frozen=True)
class Store:
    endpoint: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def request(self, method, path, query=None, headers=None, body=b""):
        """Sends a request, signed by AWS Signature Version 4 (IAM User Guide, "Create a signed AWS API
        request"). `path` is /bucket or /bucket/key, not encoded."""
        address = urllib.parse.urlsplit(self.endpoint)
        target = urllib.parse.quote(path, safe="/~")
        pairs = sorted((_encoded(name), _encoded(value)) for name, value in (query or {}).items())
        search = "&".join(f"{name}={value}" for name, value in pairs)
        signed = self._signed(method, address.netloc, target, search, hashlib.sha256(body).hexdigest())
        if address.scheme == "https":
            # A throw-away certificate of the test run, on 127.0.0.1: there is nobody to verify it with.
            link = http.client.HTTPSConnection(address.netloc, timeout=120, context=ssl._create_unverified_context())
        else:
            link = http.client.HTTPConnection(address.netloc, timeout=120)
        try:
            link.request(
                method, f"{target}?{search}" if search else target, body or None, headers={**(headers or {}), **signed}
            )
            response = link.getresponse()
            return Response(response.status, dict(response.getheaders()), response.read())
        except http.client.HTTPException as error:
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        finally:
            link.close()

    def read(self, bucket, key, offset, length):
        """Bytes `offset` ..< `offset + length` of an object."""
        reach = {"Range": f"bytes={offset}-{offset + length - 1}"}
        response = self.request("GET", f"/{bucket}/{key}", headers=reach)
        # rclone answers 200 when the range is the whole object.
        if response.status not in (200, 206) or len(response.body) != length:
            raise Failure(
                f"GET {bucket}/{key} bytes {offset} to {offset + length - 1}: HTTP {response.status},"
                f" {len(response.body)} bytes"
            )
        return response.body

    def size(self, bucket, key):
        """The object's length, or None where there is no such object."""
        response = self.request("HEAD", f"/{bucket}/{key}")
        if response.status == 404:
            return None
        if response.status != 200:
            raise Failure(f"HEAD {bucket}/{key}: HTTP {response.status}")
        lengths = [value for name, value in response.headers.items() if name.lower() == "content-length"]
        return int(lengths[0])

    def remove(self, bucket, key):
        response = self.request("DELETE", f"/{bucket}/{key}")
        if response.status not in (200, 204, 404):
            raise Failure(f"DELETE {bucket}/{key}: HTTP {response.status}")

    def abort(self, bucket, key, upload_id):
        response = self.request("DELETE", f"/{bucket}/{key}", {"uploadId": upload_id})
        if response.status not in (200, 204, 404):
            raise Failure(f"AbortMultipartUpload of {bucket}/{key}: HTTP {response.status}")

    def open_uploads(self, bucket):
        """Key and upload id of every multipart upload that was begun and neither completed nor aborted."""
        found, markers = [], {}
        while True:
            response = self.request("GET", f"/{bucket}", {"uploads": "", **markers})
            # So rclone says that there are none.
            if response.status == 404 and b"<Code>NoSuchUpload</Code>" in response.body:
                return found
            if response.status != 200:
                raise Failure(f"ListMultipartUploads of {bucket}: HTTP {response.status} {response.body[:300]!r}")
            page = xml.etree.ElementTree.fromstring(response.body)
            uploads = page.findall("{*}Upload")
            found += [(upload.findtext("{*}Key"), upload.findtext("{*}UploadId")) for upload in uploads]
            if page.findtext("{*}IsTruncated") != "true":
                return found
            markers = {
                "key-marker": page.findtext("{*}NextKeyMarker") or "",
                "upload-id-marker": page.findtext("{*}NextUploadIdMarker") or "",
            }

    def _signed(self, method, host, target, search, payload):
        moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": host, "x-amz-content-sha256": payload, "x-amz-date": moment}
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        canonical = "\n".join([method, target, search, lines, names, payload])
        scope = f"{moment[:8]}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        key = f"AWS4{self.secret_key}".encode()
        for word in scope.split("/"):
            key = hmac.digest(key, word.encode(), "sha256")
        signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}".encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return headers


def _encoded(text):
    return urllib.parse.quote(text, safe="~")

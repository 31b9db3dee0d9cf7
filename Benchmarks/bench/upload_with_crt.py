"""Uploads with the AWS Common Runtime as boto3 and the AWS CLI use it; run by the Python that holds awscrt and boto3.

    python upload_with_crt.py ENDPOINT SOURCE BUCKET KEY [concurrency=N] [part_mib=N] [ca=PEM]
"""

import os
import pathlib
import sys

import boto3
from s3transfer import crt

# The runtime has a setting for the speed, and opens one connection for each 0.4 Gbit/s of it; in bytes per second.
SPEED_OF_ONE = 50_000_000


def main():
    endpoint, source, bucket, key, *rest = sys.argv[1:]
    settings = dict(word.split("=", 1) for word in rest)
    trusted = settings.get("ca")
    tuned = {}
    if "concurrency" in settings:
        tuned["target_throughput"] = int(settings["concurrency"]) * SPEED_OF_ONE
    if "part_mib" in settings:
        tuned["part_size"] = int(settings["part_mib"]) << 20
    session = boto3.session.Session(region_name="us-east-1")._session
    credentials = crt.BotocoreCRTCredentialsWrapper(session.get_credentials()).to_crt_credentials_provider()
    runtime = crt.create_s3_crt_client(
        "us-east-1", credentials, use_ssl=endpoint.startswith("https:"), verify=trusted, **tuned
    )
    describer = crt.BotocoreCRTRequestSerializer(
        session, {"region_name": "us-east-1", "endpoint_url": endpoint, "verify": trusted}
    )
    source = pathlib.Path(source)
    pairs = [(source / name, f"{key}/{name}") for name in os.listdir(source)] if source.is_dir() else [(source, key)]
    with crt.CRTTransferManager(runtime, describer) as transfers:
        for future in [transfers.upload(str(path), bucket, name) for path, name in pairs]:
            future.result()


main()

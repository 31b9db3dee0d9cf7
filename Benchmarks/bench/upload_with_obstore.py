"""Uploads with obstore, which has no command line of its own; run by the Python that holds it.

    python upload_with_obstore.py ENDPOINT SOURCE BUCKET KEY [concurrency=N] [part_mib=N] [ca=PEM] [unsigned=1]
"""

import asyncio
import os
import pathlib
import sys

from obstore.store import S3Store

# The caller of obstore decides how many objects to send at once; this is its number of requests for one object.
OBJECTS_AT_ONCE = 12


async def send_all(store, folder, prefix, at_once, options):
    names = iter(os.listdir(folder))

    async def worker():
        for name in names:
            await store.put_async(f"{prefix}/{name}", folder / name, **options)

    await asyncio.gather(*(worker() for _ in range(at_once)))


def main():
    endpoint, source, bucket, key, *rest = sys.argv[1:]
    settings = dict(word.split("=", 1) for word in rest)
    network = {"allow_http": True}
    if "ca" in settings:
        network["root_certificate"] = pathlib.Path(settings["ca"]).read_text()
    signing = {"unsigned_payload": True} if "unsigned" in settings else {}
    store = S3Store(
        bucket,
        endpoint=endpoint,
        region="us-east-1",
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        client_options=network,
        **signing,
    )
    options = {}
    if "concurrency" in settings:
        options["max_concurrency"] = int(settings["concurrency"])
    if "part_mib" in settings:
        options["chunk_size"] = int(settings["part_mib"]) << 20
    source = pathlib.Path(source)
    if source.is_dir():
        asyncio.run(send_all(store, source, key, options.get("max_concurrency", OBJECTS_AT_ONCE), options))
    else:
        store.put(key, source, **options)
    # Everything is sent; its threads sometimes abort a Python that exits normally (status 134).
    os._exit(0)


main()

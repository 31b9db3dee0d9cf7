"""OpenStack Swift with s3api: proxy, account, container and object server and memcached, one replica on one folder.

A production server: it checks signatures, enforces no checksum header, and keeps its uploads over a kill.
Its access key is an account and a user with a colon between.
"""

import os
import pwd
import subprocess

import installs
from failure import Failure

ACCESS_KEY = "mule:tester"
SECRET_KEY = "mulesecret0123456789"

# Debian's own Python: that one sees the modules of Debian's packages.
PYTHON = "/usr/bin/python3"
PACKAGES = ["swift-proxy", "swift-account", "swift-container", "swift-object", "memcached"]
WORKERS = 2

RINGS = """
import sys
from swift.common.ring import RingBuilder
folder, *ports = sys.argv[1:]
for name, port in zip(("account", "container", "object"), map(int, ports)):
    builder = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
    place = {"ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port}
    builder.add_dev({"region": 1, "zone": 1, "device": "disk", "weight": 1, "meta": "", **place})
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{name}.ring.gz")
"""

SWIFT_CONF = """
[swift-hash]
swift_hash_path_prefix = mule
swift_hash_path_suffix = mule
[storage-policy:0]
name = single
default = yes
"""

# An update of a listing that times out would wait for a background daemon that is not here: give it time instead.
STORAGE_CONF = """
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
recon_cache_path = {folder}/cache
container_update_timeout = 60
network_chunk_size = 1048576
disk_chunk_size = 1048576
"""

PROXY_CONF = """
[pipeline:main]
pipeline =
    catch_errors gatekeeper healthcheck cache listing_formats bulk tempurl s3api tempauth copy slo dlo versioned_writes
    symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
client_chunk_size = 1048576
object_chunk_size = 1048576
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
storage_domain = s3.localhost
min_segment_size = 5242880
max_upload_part_num = 10000
[filter:slo]
use = egg:swift#slo
max_manifest_segments = 10000
[filter:tempurl]
use = egg:swift#tempurl
allowed_digests = sha1 sha256 sha512
[filter:tempauth]
use = egg:swift#tempauth
user_mule_tester = {secret} .admin
storage_url_scheme = {scheme}
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
"""
PLAIN_FILTERS = ["catch_errors", "gatekeeper", "healthcheck", "listing_formats", "bulk", "copy", "dlo", "symlink"]


def install():
    installs.debian(PACKAGES)


def launch(folder, port, tls, daemons, lease):
    settings = folder / "etc"
    for needed in (settings, folder / "data" / "disk", folder / "cache"):
        needed.mkdir(parents=True, exist_ok=True)
    _require_attributes(folder / "data")

    memcached, *storage = (lease.any() for _ in range(4))
    rings = [PYTHON, "-c", RINGS, settings, *map(str, storage)]
    made = subprocess.run(rings, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if made.returncode != 0:
        raise Failure(f"the rings of Swift could not be built: {made.stderr.strip()[-300:]}")

    (settings / "swift.conf").write_text(SWIFT_CONF)
    names = ("account", "container", "object")
    for name, listening in zip(names, storage):
        workers = WORKERS if name == "object" else 1
        text = _common(folder, listening, workers) + STORAGE_CONF.format(name=name, folder=folder)
        (settings / f"{name}-server.conf").write_text(text)
    proxy = _common(folder, port, WORKERS)
    if tls:
        proxy += f"cert_file = {tls[0]}\nkey_file = {tls[1]}\n"
    proxy += PROXY_CONF.format(secret=SECRET_KEY, scheme="https" if tls else "http", memcached=memcached)
    proxy += "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in PLAIN_FILTERS)
    (settings / "proxy-server.conf").write_text(proxy)

    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    daemons.spawn("memcached", ["memcached", "-l", "127.0.0.1", "-p", memcached, "-U", "0", "-m", "16", *user])
    for name in (*names, "proxy"):
        # --verbose: log to standard error as well; its syslog address is a file that never exists.
        program = f"/usr/bin/swift-{name}-server"
        daemons.spawn(f"{name}-server", [PYTHON, program, settings / f"{name}-server.conf", "--verbose"])


def _common(folder, port, workers):
    return f"""[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = {workers}
user = {pwd.getpwuid(os.geteuid()).pw_name}
swift_dir = {folder}/etc
devices = {folder}/data
mount_check = false
fallocate_reserve = 0
disable_fallocate = true
log_address = {folder}/log/no-syslog
log_level = WARNING
"""


def _require_attributes(folder):
    probe = folder / "probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.mule", b"1")
    except OSError as error:
        raise Failure(f"Swift needs user extended attributes (as ext4 and xfs have), and {folder} has none: {error}")
    finally:
        probe.unlink()

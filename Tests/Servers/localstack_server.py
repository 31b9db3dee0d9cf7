"""LocalStack's S3 without Docker: an emulator that enforces checksums and preconditions, and forgets all at its end."""

import installs

ACCESS_KEY = "muleaccess"
SECRET_KEY = "test"

# 4.8.1 is the newest release that runs on Debian 12's Python 3.11; cbor2 6 and pyOpenSSL 25 break it.
REQUIREMENTS = ["localstack-core[base-runtime]==4.8.1", "cbor2<6", "pyopenssl<25", "service-identity"]


def install():
    return installs.environment("localstack", REQUIREMENTS, installs.HERE / "localstack-constraints.txt")


def launch(folder, port, tls, daemons, lease):
    settings = {
        "SERVICES": "s3",
        "STRICT_SERVICE_LOADING": 1,
        "EAGER_SERVICE_LOADING": 1,
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "LOCALSTACK_HOST": f"localhost:{port}",
        "FILESYSTEM_ROOT": folder / "state",
        "LOCALSTACK_VOLUME_DIR": folder / "state",
        "PERSISTENCE": 0,
        # Presigned requests are held to their signature and expiry.
        "S3_SKIP_SIGNATURE_VALIDATION": 0,
        # No usage reports, no certificate from the net, no DNS server.
        "DISABLE_EVENTS": 1,
        "SKIP_SSL_CERT_DOWNLOAD": 1,
        "DNS_ADDRESS": 0,
    }
    (folder / "state").mkdir(exist_ok=True)
    if tls:
        both = folder / "server.pem"
        both.touch(mode=0o600)
        both.write_text(tls[1].read_text() + "\n" + tls[0].read_text())
        settings["CUSTOM_SSL_CERT_PATH"] = both
    daemons.spawn("localstack", [install(), installs.HERE / "localstack_loopback.py"], **settings)

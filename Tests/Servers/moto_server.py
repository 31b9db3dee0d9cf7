"""moto's server: AWS in memory. It enforces IAM's policies once it is asked to (POST /moto-api/reset-auth)."""

import installs

ACCESS_KEY = "muleaccess"
SECRET_KEY = "mulesecret0123456789"
# Without awscrt its CRC-64/NVME is a CRC-32.
REQUIREMENTS = [
    "moto==5.2.1", "flask==3.1.2", "flask-cors==6.0.1", "py-partiql-parser==0.6.3", "PyYAML==6.0.3", "awscrt==0.38.1",
]


def install():
    return installs.environment("moto", REQUIREMENTS).with_name("moto_server")


def launch(folder, port, tls, daemons, lease):
    command = [install(), "-H", "127.0.0.1", "-p", str(port)]
    if tls:
        command += ["-c", tls[0], "-k", tls[1]]
    daemons.spawn("moto", command)

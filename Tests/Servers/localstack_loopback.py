"""Runs LocalStack held to the loopback interface; started by localstack_server.py with LocalStack's own Python.

Its web server takes every address whatever GATEWAY_LISTEN says, and at its start it looks up its own public name.
"""

import runpy
import socket
import sys

# The folder of this file, first on the path of a script, holds modules that LocalStack must not find.
sys.path.pop(0)
sys.dont_write_bytecode = True

from twisted.internet import tcp


class LoopbackPort(tcp.Port):
    def __init__(self, port, factory, backlog=50, interface="", reactor=None):
        super().__init__(port, factory, backlog, "127.0.0.1", reactor)


tcp.Port = LoopbackPort

look_up = socket.getaddrinfo


def look_up_here(host, *rest, **options):
    return look_up("127.0.0.1" if host else host, *rest, **options)


# There is one machine in this server's world.
socket.getaddrinfo = look_up_here
socket.gethostbyname = lambda host: "127.0.0.1"

runpy.run_module("localstack.runtime.main", run_name="__main__")

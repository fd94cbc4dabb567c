"""A server with one lock and one hot function, for the test of stacks."""
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BOOK = threading.Lock()


def add():
    with BOOK:  # lock
        time.sleep(0.01)  # held


def render():
    value = 0
    for round in range(100000):
        value = (value * 31 + round) & 0xFFFF  # hot
    return value


class Ledger(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/lock":
            add()
        elif self.path == "/hot":
            render()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024


Server(("127.0.0.1", int(sys.argv[1])), Ledger).serve_forever()

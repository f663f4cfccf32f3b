"""A gate that a job waits at: an address of the loopback that answers once it is open. So a test knows that a run is under way, and says when
it may end, without looking at a clock."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from checking import WAIT_S


class Gate:
    def __init__(self):
        self._changed = threading.Condition()
        self._arrived = 0
        self._is_open = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._passing())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.port = str(self._server.server_port)

    def shut(self):
        """Shut, and nobody has come."""
        with self._changed:
            self._arrived, self._is_open = 0, False

    def open(self):
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    def until_arrived(self, times=1, within_s=WAIT_S):
        """Waits until somebody has come this often since it was shut."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._arrived >= times, within_s):
                raise TimeoutError(f"not within {within_s} s: arrival {times} at the gate, {self._arrived} came")

    def _pass(self):
        with self._changed:
            self._arrived += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_open)

    def _passing(gate):
        class Passing(BaseHTTPRequestHandler):
            def do_GET(self):
                gate._pass()
                try:
                    self.send_response(200)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except ConnectionError:
                    pass  # It was killed or cancelled while it waited.

            def log_message(self, *args):
                pass

        return Passing

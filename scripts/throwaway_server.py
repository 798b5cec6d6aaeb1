"""A server of a test's own: avalod with the shipped configuration, keys and ports of its own, gone with the `with` block."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

root = Path(__file__).resolve().parent.parent


def free_port():
    """One that nobody has now; the kernel gives it out again late enough."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(what, condition, seconds=60):
    """What a condition answers as soon as that is true; an operating error is not yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            answer = condition()
        except (OSError, http.client.HTTPException):
            answer = None
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"did not come within {seconds} s: {what}")


class Server:
    """- programs: the folder of the built executables.
    - settings: environment variables besides, such as AVALO_WORKERS__GATEWAY__INSTANCES."""

    def __init__(self, programs, settings=None):
        self.programs = Path(programs).resolve()
        self.folder = Path(tempfile.mkdtemp(prefix="avalo-"))
        self.port, self.admin = free_port(), free_port()
        self.settings = settings or {}
        self.children = []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def start(self):
        config = self.folder / "config"
        shutil.copytree(root / "config", config)
        self.ctl("init", "--dev")
        environment = dict(
            os.environ, AVALO_RUNTIME_DIRECTORY=f"{self.folder}/run", AVALO_STATE_DIRECTORY=f"{self.folder}/state",
            AVALO_ADMIN__LISTEN=f"127.0.0.1:{self.admin}",
            AVALO_WORKERS__GATEWAY__SOCKETS__CLIENT__LISTEN=f"127.0.0.1:{self.port}",
            AVALO_WORKERS__GATEWAY__INSTANCES="1", **self.settings)
        self.run("avalod", f"{self.programs}/avalod", "--config", str(config), environment=environment)
        eventually("avalod is ready", lambda: self.get("/readyz")[0] == 200)
        self.key = (config / "dev-api-key").read_text().strip()

    def run(self, name, *command, environment=None):
        """Starts a program that ends with the server; what it says is in a file."""
        log = open(self.folder / f"{name}.log", "wb")
        child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.children.append(child)
        return child

    def ctl(self, *arguments):
        environment = dict(
            os.environ, AVALO_CONFIG_DIR=f"{self.folder}/config", AVALO_RUNTIME_DIR=f"{self.folder}/run",
            AVALO_URL=f"http://127.0.0.1:{self.port}")
        return subprocess.run(
            [f"{self.programs}/avaloctl", *arguments], env=environment, check=True, capture_output=True, text=True).stdout

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def status(self):
        return json.loads(self.ctl("status", "--json"))

    def logs(self):
        for file in sorted(self.folder.glob("*.log")):
            yield f"--- {file.name}\n" + "".join(file.read_text(errors="replace").splitlines(True)[-30:])

    def __exit__(self, kind, error, trace):
        if kind is not None:
            print("\n".join(self.logs()))
        for child in reversed(self.children):
            child.terminate()
        for child in reversed(self.children):
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

"""Runs an unpacked image under bubblewrap, as a container runtime would, and tries it out.

    bundle = unpack(layout, "7", tmp_path / "bundle")
    with running(bundle) as app:
        check_redis(app)

umoci's runtime config says what to start. The application is pid 1 of namespaces of its own, the
network's too: it listens on the ports that its image names, `App.connect` goes in there, and tests
that run at once never meet. Nothing of the image is replaced; what the application writes outside
/tmp and /run lands in the bundle's rootfs.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

__all__ = [
    "App",
    "Redis",
    "check_flask",
    "check_nginx",
    "check_redis",
    "pong",
    "running",
    "unpack",
]

SUITE = Path(__file__).resolve().parents[2] / "fixtures" / "flask" / "suite.py"
NS_GET_USERNS = 0xB701  # linux/nsfs.h
SECONDS = 60.0  # until a port must answer: generous, for a busy machine
FOLLOW = 'mount --bind "$1" /mnt && shift && exec "$@"'
# In the application's network: connects and hands the socket back (argv: descriptor, port).
DIAL = (
    "import socket, sys;"
    "back = socket.socket(fileno=int(sys.argv[1]));"
    "far = socket.create_connection(('127.0.0.1', int(sys.argv[2])), 10);"
    "socket.send_fds(back, [b'+'], [far.fileno()])"
)


@dataclass(frozen=True)
class App:
    """A started application: `pid` as this machine counts, `log` what it printed."""

    pid: int
    stop_signal: int
    process: subprocess.Popen[bytes]
    log: Path

    def run(self, *argv: str, keep: Sequence[int] = ()) -> subprocess.CompletedProcess[str]:
        """Run this machine's `argv` in the application's network, with the descriptors `keep`."""
        with contextlib.ExitStack() as stack:
            spaces = {"net": os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)}
            stack.callback(os.close, spaces["net"])
            if os.geteuid() != 0:  # may enter it only through the user namespace that owns it
                spaces["user"] = fcntl.ioctl(spaces["net"], NS_GET_USERNS)
                stack.callback(os.close, spaces["user"])
            options = [f"--{kind}=/proc/self/fd/{number}" for kind, number in spaces.items()]
            return subprocess.run(
                ["nsenter", *options, "--preserve-credentials", "--", *argv],
                pass_fds=[*spaces.values(), *keep],
                capture_output=True,
                text=True,
                check=False,
            )

    def connect(self, port: int) -> socket.socket:
        """A connection to a port of the application; ConnectionError when none listens."""
        here, there = socket.socketpair()
        with here, there:
            number = there.fileno()
            done = self.run(sys.executable, "-ISc", DIAL, str(number), str(port), keep=[number])
            if done.returncode:
                raise ConnectionError(f"port {port}: {done.stderr.strip().rpartition(chr(10))[2]}")
            _, descriptors, _, _ = socket.recv_fds(here, 1, 1)
        connection = socket.socket(fileno=descriptors[0])
        connection.settimeout(30)
        return connection

    def wait_for(self, port: int) -> None:
        """Until the port answers; AssertionError with the log when it never does."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                self.connect(port).close()
            except OSError as error:  # a dead one has no namespaces to enter
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{error}\n{self.printed()}") from error
                time.sleep(0.05)
            else:
                return

    def stop(self) -> int:
        """Ask it to stop, as a runtime would, and wait; its exit code."""
        os.kill(self.pid, self.stop_signal)
        return self.process.wait(SECONDS)

    def printed(self) -> str:
        """The log so far."""
        return self.log.read_text(errors="replace")

    def wait_printed(self, words: str) -> None:
        """Until the log holds `words`; AssertionError with the log when it never does."""
        deadline = time.monotonic() + SECONDS
        while words not in (log := self.printed()):
            assert time.monotonic() < deadline, f"never printed {words!r}:\n{log}"
            time.sleep(0.05)


def unpack(layout: Path, ref: str, bundle: Path) -> Path:
    """Unpack with umoci into the new folder `bundle` (`rootfs/`, `config.json`)."""
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    argv = ["umoci", "unpack", *rootless, "--image", f"{layout}:{ref}", str(bundle)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"umoci unpack failed:\n{done.stderr}")
    return bundle


@contextlib.contextmanager
def running(bundle: Path, *arguments: str, tracer: Sequence[str] = ()) -> Iterator[App]:
    """Start what the image starts, with more arguments; at the end nothing of it is left.

    `tracer` is a command that runs the rest of its command line.
    """
    runtime = json.loads((bundle / "config.json").read_text())
    with tempfile.TemporaryDirectory(prefix="careen-run-") as folder:
        log = Path(folder) / "log"
        log.touch()
        log.chmod(0o666)  # the application may open it again as /dev/stdout
        read, write = os.pipe()
        with log.open("ab") as output, open(read, "rb", buffering=0) as info:
            argv = [*tracer, *sandbox(bundle / "rootfs", runtime["process"], write, arguments)]
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[write],
                start_new_session=True,
            )
            os.close(write)
            try:
                app = App(child_pid(info, log), stop_signal(runtime), process, log)
                with killed(app):
                    yield app
            finally:
                end(process)


def child_pid(info: IO[bytes], log: Path) -> int:
    """What bubblewrap tells, as soon as it does: a tracer keeps the pipe open."""
    told = b""
    while not told.rstrip().endswith(b"}"):
        more = info.read(4096)
        if not more:
            raise AssertionError(f"did not start:\n{log.read_text(errors='replace')}")
        told += more
    return int(json.loads(told)["child-pid"])


@contextlib.contextmanager
def killed(app: App) -> Iterator[None]:
    """Kill the application first, so that its launcher collects it."""
    try:
        yield
    finally:
        if app.process.poll() is None:
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.kill(app.pid, signal.SIGKILL)
                app.process.wait(5)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the launcher's group; bubblewrap's death takes the pid namespace with it."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def stop_signal(runtime: dict[str, Any]) -> int:
    """The image's StopSignal, else SIGTERM."""
    name = runtime.get("annotations", {}).get("org.opencontainers.image.stopSignal")
    return signal.Signals[name] if name else signal.SIGTERM


def sandbox(root: Path, process: dict[str, Any], info: int, arguments: Sequence[str]) -> list[str]:
    """The command line; bubblewrap writes the application's pid to the descriptor `info`."""
    uid, gid = process["user"]["uid"], process["user"]["gid"]
    as_root = os.geteuid() == 0
    if as_root and uid == 0:
        identity = ["--cap-add", "ALL"]
    else:
        identity = ["--unshare-user", "--uid", str(uid), "--gid", str(gid)]
    # Bubblewrap cannot change users; started as the user, it could not reach a root directory
    # below, say, a private /tmp folder. So root binds that to /mnt, in a mount namespace for this.
    launcher, source = [], str(root)
    if as_root and uid != 0:
        change = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        launcher, source = (
            ["unshare", "--mount", "sh", "-c", FOLLOW, "sh", str(root), *change],
            "/mnt",
        )
    variables = [item.partition("=")[::2] for item in process["env"]]
    return [
        *launcher,
        *("bwrap", "--bind", source, "/", "--proc", "/proc", "--dev", "/dev"),
        *("--tmpfs", "/tmp", "--perms", "0755", "--tmpfs", "/run"),
        *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"),
        *("--unshare-cgroup-try", "--hostname", "fixture", *identity),
        *("--die-with-parent", "--new-session", "--as-pid-1", "--info-fd", str(info)),
        *("--clearenv", *(word for pair in variables for word in ("--setenv", *pair))),
        *("--chdir", process["cwd"], "--", *process["args"], *arguments),
    ]


class Redis:
    """Redis' own protocol over a socket: requests as arrays of bulk strings."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.stream = connection.makefile("rb")

    def __enter__(self) -> Redis:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self.connection.close()

    def call(self, *words: str | int) -> Any:
        """The reply: str, int, None, or a list of them; AssertionError for an error reply."""
        encoded = [str(word).encode() for word in words]
        request = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
        self.connection.sendall(b"*%d\r\n%s" % (len(words), request))
        return self.reply()

    def reply(self) -> Any:
        """Read one reply, or a pushed message."""
        line = self.stream.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise AssertionError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        if kind == b"$":
            length = int(rest)
            return (
                None if length < 0 else self.stream.read(length + 2)[:-2].decode(errors="replace")
            )
        return rest.decode()


def check_redis(app: App) -> None:
    """Strings, scripts, saving in a child process, and what the server says of itself."""
    app.wait_for(6379)
    with Redis(app.connect(6379)) as redis:
        assert redis.call("PING") == "PONG"
        assert redis.call("SET", "key", "value") == "OK"
        assert redis.call("GET", "key") == "value"
        assert "redis_version:" in redis.call("INFO")
        assert redis.call("EVAL", "return cjson.encode({ARGV[1]})", 0, "a") == '["a"]'
        assert redis.call("SAVE") == "OK"
        redis.call("BGSAVE")
        deadline = time.monotonic() + SECONDS
        while "rdb_bgsave_in_progress:1" in redis.call("INFO", "persistence"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert "rdb_last_bgsave_status:ok" in redis.call("INFO", "persistence")


def get(app: App, port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    """Status and body of one HTTP request."""
    client = http.client.HTTPConnection("127.0.0.1", port)
    client.sock = app.connect(port)
    with contextlib.closing(client):
        client.request(method, path)
        answer = client.getresponse()
        return answer.status, answer.read()


def check_nginx(app: App) -> None:
    """The static site, its error page, and a worker's log on standard output."""
    app.wait_for(80)
    status, body = get(app, 80, "/")
    assert (status, b"careen nginx fixture" in body) == (200, True)
    status, body = get(app, 80, "/style.css")
    assert (status, b"font-family" in body) == (200, True)
    assert get(app, 80, "/nowhere")[0] == 404
    # nginx logs a request after it has answered it
    app.wait_printed('"GET /nowhere HTTP/1.1" 404')


def check_flask(app: App, *names: str) -> None:
    """The shop's own test suite, or the named tests of it."""
    app.wait_for(8000)
    done = app.run(sys.executable, "-I", str(SUITE), "http://127.0.0.1:8000", *names)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{app.printed()}"


def pong(bundle: Path) -> str:
    """Start the bundle's redis and say PING; its answer."""
    with running(bundle) as app:
        app.wait_for(6379)
        with Redis(app.connect(6379)) as redis:
            return str(redis.call("PING"))

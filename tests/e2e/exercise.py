"""The loads of recordings, as a user's would be: a program that talks to 127.0.0.1.

python exercise.py redis|nginx
"""

from __future__ import annotations

import socket
import sys
import urllib.error
import urllib.request

REDIS = (
    "PING", "SET key value", "GET key", "INFO", "SAVE", "BGSAVE",
    "EVAL return(cjson.encode({ARGV[1]})) 0 a", "INFO persistence", "CONFIG GET *",
)  # fmt: skip


def redis() -> None:
    with socket.create_connection(("127.0.0.1", 6379), 30) as connection:
        for line in REDIS:
            words = [word.encode() for word in line.split()]
            body = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
            connection.sendall(b"*%d\r\n%s" % (len(words), body))
            answer = connection.recv(1 << 20)
            if not answer or answer.startswith(b"-"):
                sys.exit(f"{line}: {answer!r}")


def nginx() -> None:
    for path, wanted in (("/", 200), ("/style.css", 200), ("/nowhere", 404)):
        try:
            status = urllib.request.urlopen(f"http://127.0.0.1{path}", timeout=30).status
        except urllib.error.HTTPError as error:
            status = error.code
        if status != wanted:
            sys.exit(f"{path}: {status}")


if __name__ == "__main__":
    {"redis": redis, "nginx": nginx}[sys.argv[1]]()

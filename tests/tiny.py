"""A tiny image to run: one static program that does what its arguments say, in a few kilobytes.

app listen PORT   listens, and takes connections until it is stopped
app sleep         goes on until it is stopped
app exit N        says something and ends
app read FILE     ends with 0 when it could be opened, with 1 else
app detach        leaves a child in a session of its own, which ignores SIGTERM, and ends
app spawn PORT    leaves such a child, and listens
app env NAME      prints the variable and ends with 9
app where         prints its folder and ends with 9
app write FILE    ends with 0 when it could be made, with 1 else
app await SIGNAL  ends as soon as that signal comes, and by no other
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from tests.builders import Dir, Node, Reg, image_layout, tar_layer

PROGRAM = r"""
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void leave(void) {
  if (fork()) return;
  setsid(); signal(SIGTERM, SIG_IGN); signal(SIGHUP, SIG_IGN);
  if (fork()) _exit(0);
  for (;;) pause();
}
static int take(int port) {
  int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(s, (void *)&a, sizeof a) || listen(s, 9)) { perror("bind"); return 1; }
  for (;;) close(accept(s, 0, 0));
}
static void end(int number) { _exit(0); }

int main(int count, char **words) {
  char *what = count > 1 ? words[1] : "sleep", *with = count > 2 ? words[2] : "";
  char folder[4096];
  signal(SIGTERM, end);  /* the first process of a pid namespace has no default for it */
  if (!strcmp(what, "listen")) return take(atoi(with));
  if (!strcmp(what, "exit")) { printf("it ends\n"); return atoi(with); }
  if (!strcmp(what, "read")) return open(with, O_RDONLY) < 0;
  if (!strcmp(what, "write")) return open(with, O_WRONLY | O_CREAT, 0644) < 0;
  if (!strcmp(what, "detach")) { leave(); usleep(50000); return 0; }
  if (!strcmp(what, "spawn")) { leave(); return take(atoi(with)); }
  if (!strcmp(what, "env")) { printf("%s\n", getenv(with) ? getenv(with) : "unset"); return 9; }
  if (!strcmp(what, "where")) { printf("%s\n", getcwd(folder, sizeof folder)); return 9; }
  if (!strcmp(what, "await")) {
    signal(SIGTERM, SIG_IGN); signal(atoi(with), end);
    for (;;) pause();
  }
  for (;;) pause();
}
"""


def program(folder: Path) -> bytes:
    """The program, linked with musl and statically."""
    source, target = folder / "app.c", folder / "app"
    source.write_text(PROGRAM)
    command = ["musl-gcc", "-static", "-Os", "-s", "-o", str(target), str(source)]
    subprocess.run(command, check=True)
    return target.read_bytes()


def image(folder: Path, *more: Node, **config: Any) -> str:
    """The image in a layout in `folder`, as a reference; `config` is added to its Entrypoint."""
    nodes = [
        *(Dir("bin"), Reg("bin/app", program(folder), 0o755), Dir("root", 0o700), Dir("etc")),
        Reg("etc/passwd", "root:x:0:0::/root:/bin/app\nuser:x:7:7::/:/bin/app\n"),
        Reg("etc/group", "root:x:0:\nuser:x:7:\n"),
        *more,
    ]
    layout = folder / "layout"
    image_layout(layout, [tar_layer(nodes)], tag="x", config={"Entrypoint": ["/bin/app"], **config})
    return f"oci:{layout}:x"

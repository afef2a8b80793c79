"""The shell that a test is given: the image's own, or one line that says why it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from careen.cli.app import main
from tests.builders import Node, Reg, image_layout, tar_layer
from tests.elf_builder import INTERP, elf

LIBRARY = "/usr/lib/libx.so"
LONG = f"/usr/lib/{'x' * 300}"


def shell(needed: str, *more: Node) -> list[Node]:
    loader = INTERP["glibc"]
    nodes = [Reg("bin/sh", elf(interpreter=loader, needed=[needed]), 0o755)]
    return [*nodes, Reg(loader[1:], elf(), 0o755), Reg(LIBRARY[1:], elf()), *more]


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        pytest.param([], "the image has no /bin/sh for such a --test-inside", id="no shell"),
        pytest.param(shell(f"{LIBRARY}/."), "'/usr/lib/libx.so/.', which cannot lie", id="dot"),
        pytest.param(shell(f"{LIBRARY}/"), "'/usr/lib/libx.so/', which cannot lie", id="slash"),
        pytest.param(shell("/bin/sh"), "'/bin/sh', which cannot lie", id="the shell's own name"),
        pytest.param(
            shell("/opt/loader", Reg("opt/loader", elf())), "'/opt/loader', which cannot lie",
            id="the loader's name",
        ),
        pytest.param(shell(LONG, Reg(LONG[1:], elf())), "File name too long", id="a long name"),
    ],
)  # fmt: skip
def test_a_hostile_shell_is_refused_in_one_line(
    nodes: list[Node], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = tar_layer([Reg("app", "#!/bin/sh\n", 0o755), *nodes])
    image_layout(tmp_path / "image", [layer], config={"Entrypoint": ["/app"]})
    profile = tmp_path / "p.yaml"
    profile.write_text("schema: careen.profile/v1\nscenarios: [{name: a, executed: [/app]}]\n")
    code = main([
        "repair", f"oci:{tmp_path}/image:latest", "-p", str(profile), "-q",
        "--test-inside", "true && true",
    ])  # fmt: skip
    lines = capsys.readouterr().err.splitlines()
    assert code in (1, 4)
    assert len(lines) == 1
    assert reason in lines[0]
    assert "defect" not in lines[0]


@pytest.mark.parametrize("needed", ["/..", "/usr/lib/..", f"{LIBRARY}/.."])
def test_a_library_that_is_no_file_is_simply_missing(needed: str, tmp_path: Path) -> None:
    from careen.linkage import of
    from careen.plan.closure import view
    from careen.rootfs.path import Path as ImagePath
    from tests.plan.scenes import seen

    scene = seen(tar_layer(shell(needed)))
    linkage = of(ImagePath("bin/sh"), view(scene))
    assert [missing.name for missing in linkage.missing] == [needed]

"""The order of a push, what is left when it is stopped, and what is sent again."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from careen.errors import CareenError, RegistryError, SourceError, UsageError
from careen.oci.layout import Layout
from careen.oci.manifest import Manifest
from careen.oci.platform import Platform
from careen.transport import copy
from careen.transport import reference as references
from careen.transport.access import Access
from careen.transport.copy import Delivery, Fetched, Watch
from careen.transport.registry import CareenRegistry
from tests.builders import Reg, add_to_index, image_layout, put, tar_layer
from tests.judges import needs
from tests.registries import RunningRegistry
from tests.transport.archives import LAYERS, whole
from tests.transport.common import HASTY
from tests.transport.registry_simulator import Fault, Simulator, hang_up, serve_then_hang_up

ONCE = Access(timeouts=HASTY, attempts=1)
Pair = tuple[Delivery, Delivery]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A hardened image `v1` and its counterpart `v1-debug`, of two layers."""
    image_layout(tmp_path / "made", [tar_layer([Reg("hard")])], tag="x")
    image_layout(tmp_path / "found", LAYERS, tag="x")
    made, found = Layout(tmp_path / "made"), Layout(tmp_path / "found")
    return (
        Delivery(layout=made, descriptor=made.find("x"), tag="v1", linkable=True),
        Delivery(layout=found, descriptor=found.find("x"), tag="v1-debug"),
    )


def deliver(pair: Pair, destination: str, access: Access = ONCE, origin: str = "") -> None:
    source = references.parse(origin) if origin else None
    copy.deliver(pair, references.parse(destination), access, Watch(), origin=source)


def fetch(text: str, room: Path, wanted: str = "", access: Access = ONCE) -> Fetched:
    platform = Platform.from_text(wanted) if wanted else None
    return copy.fetch(references.parse(text), access, platform, Layout(room), Watch())


def manifest_of(delivery: Delivery) -> Manifest:
    return Manifest.parse(delivery.layout.read(delivery.descriptor, ceiling=1 << 20))


def blobs_of(*deliveries: Delivery) -> set[str]:
    manifests = [manifest_of(delivery) for delivery in deliveries]
    return {blob.digest for each in manifests for blob in (each.config, *each.layers)}


def digests_of(pair: Pair) -> list[str]:
    return [delivery.descriptor.digest for delivery in pair]


# The order


def pushed(requests: list[tuple[str, str]]) -> list[str]:
    """What was put, in order: "blob", or what a manifest was put under."""
    return [
        path.rpartition("/")[2] if "/manifests/" in path else "blob"
        for method, path in requests
        if method == "PUT"
    ]


def changes(requests: list[tuple[str, str]]) -> list[str]:
    return [method for method, _ in requests if method not in ("GET", "HEAD")]


def seen(simulator: Simulator) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in simulator.seen]


def test_blobs_then_manifests_then_tags_the_hardened_one_last(
    simulator: Simulator, pair: Pair
) -> None:
    deliver(pair, f"docker://{simulator.host}/a/b:v1")
    assert pushed(seen(simulator)) == [*["blob"] * 5, *digests_of(pair), "v1-debug", "v1"]
    last_blob = max(i for i, (_, path) in enumerate(seen(simulator)) if "/blobs/" in path)
    first_manifest = min(
        i for i, (method, path) in enumerate(seen(simulator)) if "/manifests/" in path
    )
    assert last_blob < first_manifest
    assert state_problems(simulator, "a/b") == []


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What careen asks of any registry, at the one door that all of it goes through."""
    asked = list[tuple[str, str]]()
    real = CareenRegistry.do_request

    def watched(
        self: CareenRegistry, url: str, method: str = "GET", *more: Any, **named: Any
    ) -> Any:
        asked.append((method, url.partition("?")[0]))
        return real(self, url, method, *more, **named)

    monkeypatch.setattr(CareenRegistry, "do_request", watched)
    return asked


def test_the_same_on_a_real_registry(
    registry: RunningRegistry, pair: Pair, requests: list[tuple[str, str]]
) -> None:
    deliver(pair, f"docker://{registry.host}/order:v1", Access())
    assert pushed(requests) == [*["blob"] * 5, *digests_of(pair), "v1-debug", "v1"]
    requests.clear()
    deliver(pair, f"docker://{registry.host}/order:v1", Access())
    assert changes(requests) == []
    assert len(requests) > 0


@needs("skopeo")
def test_skopeo_finds_both_images(registry: RunningRegistry, pair: Pair, tmp_path: Path) -> None:
    deliver(pair, f"docker://{registry.host}/judged:v1", Access())
    for delivery in pair:
        source = f"docker://{registry.host}/judged:{delivery.tag}"
        command = ["skopeo", "copy", "-q", "--src-tls-verify=false", source]
        subprocess.run([*command, f"oci:{tmp_path}/{delivery.tag}:x"], check=True)
        copied = Layout(tmp_path / str(delivery.tag)).find("x")
        assert copied.digest == delivery.descriptor.digest


def test_progress_ends_at_the_total(simulator: Simulator, pair: Pair) -> None:
    told = list[int]()
    watch = Watch(start=told.append, on_bytes=told.append)
    target = references.parse(f"docker://{simulator.host}/a/b:v1")
    for _ in range(2):
        told.clear()
        copy.deliver(pair, target, ONCE, watch)
        assert told[0] == sum(told[1:]) > 0


# Stopped


class Failing(Simulator):
    """Answers `healthy` requests; all later ones meet `fault`."""

    healthy = 1 << 30
    broken: Fault = staticmethod(hang_up)

    def fault_for(self, method: str, path: str) -> Fault | None:
        self.healthy -= 1
        return self.broken if self.healthy < 0 else super().fault_for(method, path)


def state_problems(simulator: Simulator, repository: str) -> list[str]:
    """Tags that name what is not whole, and a hardened tag without its counterpart."""
    held = {ref: raw for (name, ref), (_, raw) in simulator.manifests.items() if name == repository}
    problems = []
    for ref, raw in held.items():
        manifest = Manifest.parse(raw)
        parts = [manifest.config, *manifest.layers]
        if any((repository, part.digest) not in simulator.blobs for part in parts):
            problems.append(f"{ref} is not whole")
        if manifest.digest not in held:
            problems.append(f"{ref} is not there by digest")
    if "v1" in held and "v1-debug" not in held:
        problems.append("the hardened image is there without its counterpart")
    return problems


def requests_of_a_push(pair: Pair) -> int:
    with Simulator() as simulator:
        deliver(pair, f"docker://{simulator.host}/a/b:v1")
        return len(simulator.seen)


@pytest.mark.parametrize("fault", [hang_up, serve_then_hang_up])
def test_stopped_at_any_request_and_run_again(pair: Pair, fault: Fault) -> None:
    for healthy in range(requests_of_a_push(pair)):
        with Failing() as simulator:
            destination = f"docker://{simulator.host}/a/b:v1"
            simulator.healthy, simulator.broken = healthy, fault
            with pytest.raises(RegistryError) as caught:
                deliver(pair, destination)
            assert caught.value.exit_code == 5
            assert state_problems(simulator, "a/b") == [], f"stopped at request {healthy}"
            missing = blobs_of(*pair) - {digest for _, digest in simulator.blobs}
            named = {ref for _, ref in simulator.manifests}
            simulator.seen.clear()
            simulator.healthy = 1 << 30
            deliver(pair, destination)
            assert blobs_sent(simulator) == sorted(missing), f"after request {healthy}"
            puts = pushed(seen(simulator))
            wanted = [*digests_of(pair), "v1-debug", "v1"]
            assert puts[len(missing) :] == [ref for ref in wanted if ref not in named]
            assert simulator.manifests.keys() == {("a/b", ref) for ref in wanted}
            assert state_problems(simulator, "a/b") == []


def blobs_sent(simulator: Simulator) -> list[str]:
    """Digests of the blobs whose bytes were put, one for each time."""
    return sorted(
        match[1].replace("%3A", ":")
        for request in simulator.asked("PUT", "/blobs/")
        if (match := re.search(r"digest=(sha256(?::|%3A)[0-9a-f]{64})", request.path))
    )


def test_a_bad_blob_of_the_source_sets_no_tag(simulator: Simulator, pair: Pair) -> None:
    layer = manifest_of(pair[1]).layers[0]
    path = pair[1].layout.path(layer.digest)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SourceError):
        deliver(pair, f"docker://{simulator.host}/a/b:v1")
    assert simulator.manifests == {}


# Again


def test_an_unchanged_push_sends_nothing(simulator: Simulator, pair: Pair) -> None:
    deliver(pair, f"docker://{simulator.host}/a/b:v1")
    simulator.seen.clear()
    deliver(pair, f"docker://{simulator.host}/a/b:v1")
    assert changes(seen(simulator)) == []
    assert len(simulator.seen) > 0


def test_a_tag_that_names_another_image_is_set_anew(simulator: Simulator, pair: Pair) -> None:
    deliver(pair, f"docker://{simulator.host}/a/b:v1")
    simulator.manifests["a/b", "v1"] = simulator.manifests["a/b", "v1-debug"]
    simulator.seen.clear()
    deliver(pair, f"docker://{simulator.host}/a/b:v1")
    assert pushed(seen(simulator)) == ["v1"]
    assert simulator.manifests["a/b", "v1"] == simulator.manifests["a/b", digests_of(pair)[0]]


def test_blobs_that_are_there_are_not_sent(simulator: Simulator, pair: Pair) -> None:
    layer = manifest_of(pair[1]).layers[0]
    simulator.add_blob(b"".join(pair[1].layout.stream(layer)))
    deliver(pair, f"docker://{simulator.host}/a/b:v1")
    assert blobs_sent(simulator) == sorted(blobs_of(*pair) - {layer.digest})


def test_a_blob_that_an_image_has_twice_is_sent_once(simulator: Simulator, tmp_path: Path) -> None:
    image_layout(tmp_path / "twice", [LAYERS[0]] * 3, tag="x")
    layout = Layout(tmp_path / "twice")
    delivery = Delivery(layout=layout, descriptor=layout.find("x"), tag="v1")
    copy.deliver([delivery], references.parse(f"docker://{simulator.host}/a/b:v1"), ONCE, Watch())
    assert blobs_sent(simulator) == sorted(blobs_of(delivery))


def in_registry(simulator: Simulator, delivery: Delivery, repository: str, tag: str) -> None:
    manifest = manifest_of(delivery)
    for blob in (manifest.config, *manifest.layers):
        simulator.add_blob(b"".join(delivery.layout.stream(blob)), repository)
    simulator.add_manifest(manifest.raw, manifest.media_type, tag, repository)


def test_the_counterparts_blobs_are_mounted(simulator: Simulator, pair: Pair) -> None:
    in_registry(simulator, pair[1], "a/source", "1")
    destination, origin = (f"docker://{simulator.host}/a/{name}:v1" for name in ("b", "source"))
    deliver(pair, destination, origin=origin)
    assert blobs_sent(simulator) == sorted(blobs_of(pair[0]))
    mounts = [request for request in simulator.asked("POST") if "mount=" in request.path]
    assert len(mounts) == len(blobs_of(pair[1]))
    assert state_problems(simulator, "a/b") == []
    simulator.seen.clear()
    deliver(pair, destination, origin=origin)
    assert changes(seen(simulator)) == []


def test_a_registry_that_does_not_mount_is_sent_the_bytes(simulator: Simulator, pair: Pair) -> None:
    origin = f"docker://{simulator.host}/a/empty:v1"
    deliver(pair, f"docker://{simulator.host}/a/b:v1", origin=origin)
    assert blobs_sent(simulator) == sorted(blobs_of(*pair))
    assert simulator.uploads  # those that were begun instead of a mount are given up
    assert len(simulator.asked("DELETE")) == len(blobs_of(pair[1]))


def test_a_mount_on_a_real_registry(
    registry: RunningRegistry, pair: Pair, requests: list[tuple[str, str]]
) -> None:
    origin = f"docker://{registry.host}/mounted-from:v1-debug"
    source = references.parse(origin)
    copy.deliver(pair[1:], source, Access(), Watch())
    requests.clear()
    deliver(pair, f"docker://{registry.host}/mounted-to:v1", Access(), origin)
    assert pushed(requests) == [*["blob"] * 2, *digests_of(pair), "v1-debug", "v1"]


@pytest.mark.parametrize(
    "origin", ["", "oci:somewhere:x", "docker://other.example/a/b:v1", "docker://{host}/a/b:other"]
)
def test_nothing_to_mount_from(simulator: Simulator, pair: Pair, origin: str) -> None:
    destination = f"docker://{simulator.host}/a/b:v1"
    deliver(pair, destination, origin=origin.format(host=simulator.host))
    assert [request for request in simulator.asked("POST") if "mount=" in request.path] == []


# Sources


def indexed(layout: Path) -> list[dict[str, Any]]:
    """An index `both` of two platforms; the descriptors of its images."""
    children = []
    for platform in ("linux/amd64", "linux/arm64"):
        child = image_layout(layout, LAYERS, tag=None, platform=platform)
        names = dict(zip(("os", "architecture"), platform.split("/"), strict=True))
        children.append({**child, "platform": names})
    (layout / "index.json").unlink()
    kind = "application/vnd.oci.image.index.v1+json"
    raw = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": children}).encode()
    add_to_index(layout, {"mediaType": kind, **put(layout, raw)}, "both")
    return children


def serve(simulator: Simulator, layout: Path) -> None:
    """All of a layout's content, and its index as a/b:both."""
    found = Layout(layout)
    top = found.find("both")
    index = json.loads(found.read(top, ceiling=1 << 20))
    for path in (layout / "blobs" / "sha256").iterdir():
        simulator.add_blob(path.read_bytes())
    for child in index["manifests"]:
        raw = (layout / "blobs" / child["digest"].replace(":", "/")).read_bytes()
        simulator.add_manifest(raw, child["mediaType"], child["digest"])
    simulator.add_manifest(found.read(top, ceiling=1 << 20), top.media_type, "both")


@pytest.mark.parametrize("place", ["registry", "layout"])
def test_an_index_needs_a_platform(simulator: Simulator, tmp_path: Path, place: str) -> None:
    children = indexed(tmp_path / "source")
    serve(simulator, tmp_path / "source")
    source = {
        "registry": f"docker://{simulator.host}/a/b:both",
        "layout": f"oci:{tmp_path}/source:both",
    }[place]
    with pytest.raises(SourceError, match="--platform: linux/amd64, linux/arm64") as caught:
        fetch(source, tmp_path / "room")
    assert caught.value.exit_code == 4
    with pytest.raises(SourceError, match="no image for --platform linux/s390x; the index has"):
        fetch(source, tmp_path / "room", "linux/s390x")
    found = fetch(source, tmp_path / "room", "linux/arm64")
    assert found.descriptor.digest == children[1]["digest"]
    assert len(whole(found)) == 4


def test_only_what_the_platform_needs_is_pulled(simulator: Simulator, tmp_path: Path) -> None:
    indexed(tmp_path / "source")
    serve(simulator, tmp_path / "source")
    found = fetch(f"docker://{simulator.host}/a/b:both", tmp_path / "room", "linux/amd64")
    pulled = [request.path.rpartition("/")[2] for request in simulator.asked("GET", "/blobs/")]
    assert sorted(pulled) == sorted(blob.digest for blob in whole(found)[1:])


@pytest.fixture
def remote(simulator: Simulator, pair: Pair) -> str:
    """The counterpart as an image of the simulator's."""
    in_registry(simulator, pair[1], "a/b", "1")
    return f"docker://{simulator.host}/a/b:1"


def pulled(simulator: Simulator) -> list[str]:
    return [request.path.rpartition("/")[2] for request in simulator.asked("GET", "/blobs/")]


def test_what_is_in_the_room_is_not_pulled_again(
    simulator: Simulator, remote: str, tmp_path: Path
) -> None:
    first = fetch(remote, tmp_path / "room")
    assert len(pulled(simulator)) == 3
    simulator.seen.clear()
    assert whole(fetch(remote, tmp_path / "room")) == whole(first)
    assert pulled(simulator) == []


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-2] + bytes([data[-2] ^ 1]) + data[-1:],
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: b"",
    ],
)
def test_a_damaged_blob_in_the_room_is_replaced(
    simulator: Simulator,
    remote: str,
    tmp_path: Path,
    number: int,
    damage: Callable[[bytes], bytes],
) -> None:
    first = fetch(remote, tmp_path / "room")
    blob = whole(first)[1 + number]
    path = first.layout.path(blob.digest)
    path.write_bytes(damage(path.read_bytes()))
    simulator.seen.clear()
    assert len(whole(fetch(remote, tmp_path / "room"))) == 4
    assert pulled(simulator) == [blob.digest]


def test_a_damaged_manifest_in_the_room_is_replaced(remote: str, tmp_path: Path) -> None:
    first = fetch(remote, tmp_path / "room")
    first.layout.path(first.descriptor.digest).write_bytes(b"{}")
    assert len(whole(fetch(remote, tmp_path / "room"))) == 4


def test_a_registry_that_serves_other_bytes(
    simulator: Simulator, remote: str, pair: Pair, tmp_path: Path
) -> None:
    layer = manifest_of(pair[1]).layers[1]
    data = simulator.blobs["a/b", layer.digest]
    simulator.blobs["a/b", layer.digest] = data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]
    with pytest.raises(SourceError) as caught:
        fetch(remote, tmp_path / "room")
    assert layer.digest in str(caught.value)
    assert not Layout(tmp_path / "room").has(layer.digest)


# A layout as destination


def test_a_layout_gets_both_images(pair: Pair, tmp_path: Path) -> None:
    deliver(pair, f"oci:{tmp_path}/out:v1")
    for delivery in pair:
        found = fetch(f"oci:{tmp_path}/out:{delivery.tag}", tmp_path / "no room")
        assert found.descriptor.digest == delivery.descriptor.digest
        whole(found)
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    names = [
        child["annotations"]["org.opencontainers.image.ref.name"] for child in index["manifests"]
    ]
    assert names == ["v1-debug", "v1"]  # the hardened one is listed last


def test_other_images_of_the_layout_stay(pair: Pair, tmp_path: Path) -> None:
    image_layout(tmp_path / "out", [tar_layer([Reg("old")])], tag="old")
    deliver(pair, f"oci:{tmp_path}/out:v1")
    assert len(whole(fetch(f"oci:{tmp_path}/out:old", tmp_path / "no room"))) == 3


@pytest.mark.parametrize("which", [0, 1])
def test_a_bad_blob_makes_no_layout(pair: Pair, tmp_path: Path, which: int) -> None:
    layer = manifest_of(pair[which]).layers[0]
    path = pair[which].layout.path(layer.digest)
    data = path.read_bytes()
    path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    deliveries = (pair[0], pair[1]) if which else (copied(pair[0]), pair[1])
    with pytest.raises(SourceError):
        deliver(deliveries, f"oci:{tmp_path}/out:v1")
    out = tmp_path / "out"
    assert not (out / "index.json").exists()
    assert not (out / "oci-layout").exists()
    assert not Layout(out).has(layer.digest)
    assert not list(out.rglob(".careen-*"))


def copied(delivery: Delivery) -> Delivery:
    """The same, of a layout that others may write to."""
    return Delivery(layout=delivery.layout, descriptor=delivery.descriptor, tag=delivery.tag)


def test_a_missing_blob_makes_nothing_at_all(pair: Pair, tmp_path: Path) -> None:
    pair[1].layout.path(pair[1].descriptor.digest).unlink()
    with pytest.raises(SourceError, match="cannot be read"):
        deliver(pair, f"oci:{tmp_path}/out:v1")
    assert not (tmp_path / "out").exists()


def test_a_damaged_blob_of_the_destination_is_replaced(pair: Pair, tmp_path: Path) -> None:
    deliver(pair, f"oci:{tmp_path}/out:v1")
    out = Layout(tmp_path / "out")
    for digest in blobs_of(*pair):
        path = out.folder / "blobs" / digest.replace(":", "/")
        data = path.read_bytes()
        path.unlink()  # not through the hard link into the layout that it came from
        path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    deliver(pair, f"oci:{tmp_path}/out:v1")
    for delivery in pair:
        assert len(whole(fetch(f"oci:{out.folder}:{delivery.tag}", tmp_path / "no room"))) >= 3


def test_an_unchanged_layout_keeps_its_blobs(pair: Pair, tmp_path: Path) -> None:
    deliver(pair, f"oci:{tmp_path}/out:v1")
    before = {path: path.stat().st_ino for path in (tmp_path / "out").glob("blobs/*/*")}
    names = blobs_of(*pair)
    index = (tmp_path / "out" / "index.json").read_bytes()
    deliver(pair, f"oci:{tmp_path}/out:v1")
    after = {path: path.stat().st_ino for path in (tmp_path / "out").glob("blobs/*/*")}
    assert {path.name for path in before if before[path] == after[path]} >= {
        name.removeprefix("sha256:") for name in names
    }
    assert (tmp_path / "out" / "index.json").read_bytes() == index


def test_the_layout_of_the_source_itself(pair: Pair, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "found", tmp_path / "same")
    layout = Layout(tmp_path / "same")
    debug = Delivery(layout=layout, descriptor=layout.find("x"), tag="v1-debug")
    deliver((pair[0], debug), f"oci:{tmp_path}/same:v1")
    for tag in ("x", "v1", "v1-debug"):
        whole(fetch(f"oci:{tmp_path}/same:{tag}", tmp_path / "no room"))


# Offline


VERBS: dict[str, Callable[[str, Access, Pair, Path], object]] = {
    "fetch": lambda text, access, _, room: fetch(text, room, access=access),
    "deliver": lambda text, access, pair, _: deliver(pair, text, access),
    "check": lambda text, access, *_: copy.check_destination(references.parse(text), access),
}


@pytest.mark.parametrize("verb", VERBS)
def test_offline_asks_no_registry(
    simulator: Simulator, pair: Pair, tmp_path: Path, verb: str
) -> None:
    text = f"docker://{simulator.host}/a/b:v1"
    with pytest.raises(UsageError, match=r"the network is off \(--offline\)") as caught:
        VERBS[verb](text, Access(offline=True), pair, tmp_path / "room")
    assert caught.value.exit_code == 2
    assert simulator.seen == []
    assert not (tmp_path / "room").exists()


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
def test_offline_does_not_mind_files(pair: Pair, tmp_path: Path, transport: str) -> None:
    offline, text = Access(offline=True), f"{transport}:{tmp_path}/out:app:v1"
    deliver(pair, text, offline)
    tag = "app:v1" if transport == "docker-archive" else "v1"
    assert len(whole(fetch(f"{transport}:{tmp_path}/out:{tag}", tmp_path / "room"))) == 3


def test_a_layout_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CareenError, match="not an OCI layout: No such file") as caught:
        fetch(f"oci:{tmp_path}/nowhere:x", tmp_path / "room")
    assert caught.value.exit_code == 4

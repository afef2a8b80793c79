"""Other tracers' logs as profiles: one module a format, all alike (`importer.Importer`)."""

from __future__ import annotations

from collections.abc import Mapping

from careen.profile.importers import (
    falco,
    fatrace,
    inspektor_gadget,
    kubescape,
    maps,
    paths,
    runtime_trace,
    slim,
    strace,
    tetragon,
    tracee,
)
from careen.profile.importers.importer import Importer

__all__ = ["FORMATS"]

FORMATS: Mapping[str, Importer] = {
    "strace": strace,
    "slim": slim,
    "inspektor-gadget": inspektor_gadget,
    "tetragon": tetragon,
    "tracee": tracee,
    "kubescape": kubescape,
    "falco": falco,
    "fatrace": fatrace,
    "maps": maps,
    "runtime-trace": runtime_trace,
    "paths": paths,
}

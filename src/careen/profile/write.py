"""A profile manifest as YAML that reads well in git: sorted, one path a line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from careen.profile.schema import Drop, Image, Keep, Profile, Scenario
from careen.profile.spelling import spelt

__all__ = ["manifest"]

# What every YAML reader, of 1.1 and 1.2, takes as the same text, in block and in flow context.
_PLAIN = re.compile(r"(?:[^\W\d]|/|\.{1,2}/|--?[A-Za-z])(?:[\w/.+=@%~^()\\ -]*[\w/.+=@%~^()\\-])?")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_KEY_LENGTH = 1000  # characters; longer keys need the `? key` form (YAML 1.2, 7.4.2: 1024)


def manifest(profile: Profile) -> bytes:
    """The manifest, entries in the order given; `keep` and `drop` always show where to write."""
    lines = [f"schema: {profile.schema}", "scenarios:" if profile.scenarios else "scenarios: []"]
    for scenario in profile.scenarios:
        lines += _scenario(scenario)
    lines += ["keep:", *_rules(profile.keep), *_map("  ", "why", profile.keep.why)]
    lines += ["drop:", *_rules(profile.drop)]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _scenario(scenario: Scenario) -> list[str]:
    lines = [f"  - name: {_text(scenario.name)}"]
    if scenario.image != Image():
        lines.append(f"    image: {_image(scenario.image)}")
    if scenario.command:
        lines.append(f"    command: [{', '.join(map(_text, scenario.command))}]")
    for key in ("exercise", "tool", "recorded", "revision"):
        if value := getattr(scenario, key):
            lines.append(f"    {key}: {_text(value)}")
    for key in ("executed", "opened", "examined"):
        lines += _list("    ", key, getattr(scenario, key))
    lines += _map("    ", "links", scenario.links)
    for key in ("missing", "answered"):
        lines += _list("    ", key, getattr(scenario, key))
    return lines


def _image(image: Image) -> str:
    fields = {"name": image.name, "digest": image.digest or "", "platform": image.platform}
    return "{" + ", ".join(f"{key}: {_text(text)}" for key, text in fields.items() if text) + "}"


def _rules(rules: Keep | Drop) -> list[str]:
    lines = []
    for key, entries in (("packages", rules.packages), ("paths", rules.paths)):
        lines += _list("  ", key, entries) or [f"  {key}: []"]
    return lines


def _list(indent: str, key: str, entries: Iterable[str]) -> list[str]:
    lines = [f"{indent}  - {_text(entry)}" for entry in entries]
    return [f"{indent}{key}:", *lines] if lines else []


def _map(indent: str, key: str, entries: Mapping[str, str]) -> list[str]:
    lines = [_pair(f"{indent}  ", _text(name), _text(value)) for name, value in entries.items()]
    return [f"{indent}{key}:", *lines] if lines else []


def _pair(indent: str, key: str, value: str) -> str:
    if len(key) > _KEY_LENGTH:
        return f"{indent}? {key}\n{indent}: {value}"
    return f"{indent}{key}: {value}"


def _text(text: str) -> str:
    """A scalar on one line: plain where every reader agrees on it, else in double quotes."""
    text = spelt(text)
    if _PLAIN.fullmatch(text) and text.casefold() not in _WORDS:
        return text
    return '"' + "".join(map(_quoted, text)) + '"'


def _quoted(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

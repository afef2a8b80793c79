"""What used files load by a name that no ELF header has: name services, PAM modules, converters.

glibc asks for libnss_X.so.2 as nsswitch.conf says, libpam for the modules of a service's file,
iconv for what gconv-modules lists, musl's loader for its path file. What works as well without a
file does not count (gai.conf, host.conf): reading it would keep a package that nothing needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from careen import linkage
from careen.linkage.machine import defaults
from careen.packages.catalog import Catalog
from careen.plan.rules import PAM_FILES
from careen.rootfs import nsswitch, pam
from careen.rootfs.elf import Elf
from careen.rootfs.facts import Facts
from careen.rootfs.path import Path, absolute, join, name, parent
from careen.rootfs.rootfs import Rootfs

__all__ = ["Named", "Services", "converters"]

_FOLDERS = 32  # directories of PAM modules: a system has one or two
_MUSL = re.compile(r"(?:ld-|libc\.)musl-([^.]+)\.so")


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A path as it is asked for, and why: the rule's name and a phrase that stands by itself."""

    text: str
    rule: str
    phrase: str


class Services:
    """Answers for one image; `view` is the image as its loaders see it."""

    def __init__(self, rootfs: Rootfs, catalog: Catalog, view: linkage.View) -> None:
        self.rootfs, self.catalog, self.view = rootfs, catalog, view
        self.facts = view.facts
        places = {rootfs.resolve(text).path: text for text in _pam_folders(self.facts)}
        places.pop(None, None)
        self._pam_folders = tuple(places.values())[:_FOLDERS]
        self._gconv_lists = _gconv_lists(self.facts)

    def of(self, path: Path) -> Iterator[Named]:
        """What the file at the resolved `path`, being used, asks for and the image has."""
        for named in self._asked(path):
            if self.rootfs.resolve(named.text).path is not None:
                yield named

    def _asked(self, path: Path) -> Iterator[Named]:
        elf = self.facts.elf.get(path)
        if elf is not None:
            if elf.soname == "libc.so.6":
                yield from self._name_services(path)
            if _is_pam_module(path):
                yield from self._pam_module(path)
            elif "libpam.so.0" in elf.needed and not name(path).startswith("libpam"):
                yield from self._pam_services(path, elf)
            yield from _musl_path(path)
        if path in self.facts.pam:
            yield from self._pam_file(path)
        if elf is not None or name(path).startswith("gconv-modules"):
            yield from self._gconv(path)

    def _name_services(self, path: Path) -> Iterator[Named]:
        """For the C library at `path`."""
        rule = "name service"
        yield Named(text=nsswitch.FILE, rule=rule, phrase=f"tells {name(path)} whom to ask")
        configured = self.facts.name_services
        asked = {database: configured.get(database, ()) for database in nsswitch.DEFAULTS}
        built_in = self._built_in(path)
        for service, databases in _turned(asked, built_in).items():
            phrase = f"is named by {nsswitch.FILE} ({', '.join(databases)})"
            yield from self._library(f"libnss_{service}.so.2", path, phrase)
        silent = {d: s for d, s in nsswitch.DEFAULTS.items() if not asked[d]}
        for service, databases in _turned(silent, built_in).items():
            phrase = f"is what glibc asks by itself ({', '.join(databases)})"
            yield from self._library(f"libnss_{service}.so.2", path, phrase)
        if "dns" in (asked["hosts"] or nsswitch.DEFAULTS["hosts"]):
            phrase = "tells libnss_dns.so.2 which servers to ask"
            yield Named(text="/etc/resolv.conf", rule=rule, phrase=phrase)

    def _built_in(self, path: Path) -> frozenset[str]:
        """The services that need no module: since 2.34 glibc ships empty stubs for these.

        Since then, too, packages have libc.so.6 as a file; before, as a link to libc-2.33.so.
        """
        modern = name(path) == "libc.so.6" and path in self.catalog.owners
        return frozenset(["dns", "files"]) if modern else frozenset()

    def _library(self, wanted: str, path: Path, phrase: str) -> Iterator[Named]:
        for found in linkage.named(wanted, path, self.view):
            yield Named(text=found.opened, rule="name service", phrase=f"{wanted} {phrase}")
            if found.via == "ld.so.cache":
                says = f"says where {wanted} is, for {absolute(path)}"
                yield Named(text="/etc/ld.so.cache", rule="name service", phrase=says)

    def _pam_services(self, path: Path, elf: Elf) -> Iterator[Named]:
        """The services that `path` may be: those of its name, else its packages', else any.

        A library works for a program that is not known here, so its name tells nothing.
        """
        by = absolute(path)
        present = [self.rootfs.resolve(folder).path for folder in pam.DIRECTORIES]
        folders = [folder for folder in present if folder is not None]
        if not folders:
            yield Named(text=pam.CONF, rule="PAM", phrase=f"configures PAM for {by}")
            return
        files = [file for folder in folders for file in self.rootfs.children(folder)]
        like = [file for file in files if _is_like(name(file), name(path))]
        owners = set(self.catalog.owners.get(path, ()))
        own = [f for f in files if not owners.isdisjoint(self.catalog.owners.get(f, ()))]
        sure = (like if elf.interpreter else []) or own
        for file in sure:
            yield Named(text=absolute(file), rule="PAM", phrase=f"configures PAM for {by}")
        for file in () if sure else files:
            if file not in self.catalog.owners or name(file) == "other":
                phrase = f"may configure PAM for {by}, of which no service is known"
                yield Named(text=absolute(file), rule="PAM", phrase=phrase)
        yield from self._fallback(path)

    def _pam_file(self, path: Path) -> Iterator[Named]:
        by = absolute(path)
        asked = self.facts.pam[path]
        for service in asked.includes:
            for text in self._first(pam.places(service)):
                yield Named(text=text, rule="PAM", phrase=f"{service} is included by {by}")
        for module, arguments in asked.modules.items():
            for text in self._pam_places(module):
                yield Named(text=text, rule="PAM", phrase=f"{module} is named by {by}")
            for text in arguments:
                there = self.rootfs.resolve(text).path
                if there is not None and self.rootfs.nodes[there].kind == "file":
                    yield Named(text=text, rule="PAM", phrase=f"is given to {module} by {by}")
        if by != pam.CONF:
            yield from self._fallback(path)

    def _fallback(self, path: Path) -> Iterator[Named]:
        phrase = f"is PAM's fallback for {absolute(path)}"
        for text in self._first(pam.places("other")):
            yield Named(text=text, rule="PAM", phrase=phrase)

    def _pam_module(self, path: Path) -> Iterator[Named]:
        """Its configuration, `/etc/security/X.*` of pam_X.so, and what it has compiled in."""
        module = name(path)
        stem = module.removesuffix(".so")
        folder = self.rootfs.resolve("/etc/security").path
        for child in () if folder is None else self.rootfs.children(folder):
            if name(child).partition(".")[0] in (stem, stem.removeprefix("pam_")):
                for file in (child, *self.rootfs.below(child)):
                    yield Named(text=absolute(file), rule="PAM", phrase=f"configures {module}")
        for text in PAM_FILES.get(module, ()):
            yield Named(text=text, rule="PAM", phrase=f"{module} opens or runs it")

    def _pam_places(self, module: str) -> Iterator[str]:
        """Where a module may be; `$ISA` stands for the part of a path that machines differ in."""
        if module.startswith("/") and "$ISA" not in module:
            yield module
        else:
            relative = module.rpartition("/")[2] if module.startswith("/") else module
            yield from (f"{folder}/{relative}" for folder in self._pam_folders)

    def _first(self, texts: Iterable[str]) -> list[str]:
        return [text for text in texts if self.rootfs.resolve(text).path is not None][:1]

    def _gconv(self, path: Path) -> Iterator[Named]:
        """For a file of a gconv directory: the lists in which iconv finds what is beside it."""
        folder, by = parent(path), absolute(path)
        lists = [join(folder, "gconv-modules"), join(folder, "gconv-modules.cache")]
        if not any(file in self.rootfs for file in lists):
            return
        lists += self._gconv_lists.get((folder, name(path).removesuffix(".so")), ())
        for file in lists:
            if file != path:
                phrase = f"tells iconv what {by} converts"
                yield Named(text=absolute(file), rule="gconv", phrase=phrase)


def converters(codeset: str, facts: Facts) -> Iterator[str]:
    """The paths of the modules that convert from and to `codeset`; none when glibc does itself."""
    wanted = _letters(codeset)
    names = {codeset}
    for gconv in facts.gconv.values():
        names |= {target for alias, target in gconv.aliases.items() if _letters(alias) == wanted}
        names |= {charset for charset in gconv.modules if _letters(charset) == wanted}
    for file, gconv in facts.gconv.items():
        for module in sorted({m for it in names for m in gconv.modules.get(it, ())}):
            text = module if module.startswith("/") else f"/{_gconv_folder(file)}/{module}"
            yield f"{text.removesuffix('.so')}.so"


def _letters(codeset: str) -> str:
    """`ISO-8859-1` and `iso88591` are one."""
    return "".join(character for character in codeset.upper() if character.isalnum())


def _gconv_lists(facts: Facts) -> dict[tuple[Path, str], list[Path]]:
    """(directory, a module's name without `.so`) → the files that list it."""
    found: dict[tuple[Path, str], list[Path]] = {}
    for file, gconv in facts.gconv.items():
        texts = {text for texts in gconv.modules.values() for text in texts}
        for stem in {name(Path(text)).removesuffix(".so") for text in texts}:
            found.setdefault((_gconv_folder(file), stem), []).append(file)
    return found


def _gconv_folder(file: Path) -> Path:
    """The directory of the modules that a gconv-modules or gconv-modules.d/X.conf lists."""
    folder = parent(file)
    return parent(folder) if name(folder) == "gconv-modules.d" else folder


def _turned(
    services: Mapping[str, tuple[str, ...]], without: frozenset[str]
) -> dict[str, list[str]]:
    """Service → the databases that it answers for; a name with a slash names no service."""
    found: dict[str, list[str]] = {}
    for database, names in services.items():
        for service in names:
            if "/" not in service and service not in without:
                found.setdefault(service, []).append(database)
    return found


def _is_like(service: str, program: str) -> bool:
    """`su-l` and `sudo-i` are services of `su` and `sudo`."""
    return service == program or service.startswith(f"{program}-")


def _is_pam_module(path: Path) -> bool:
    return name(parent(path)) == "security" and name(path).startswith("pam_")


def _pam_folders(facts: Facts) -> Iterator[str]:
    """Where each libpam looks for modules: it has one directory compiled in, beside libraries."""
    for path, elf in facts.elf.items():
        if elf.soname == "libpam.so.0":
            for folder in (absolute(parent(path)), *defaults(elf)):
                yield f"{folder}/security"


def _musl_path(path: Path) -> Iterator[Named]:
    """The path file of musl's loader, in the /etc beside its /lib."""
    if match := _MUSL.match(name(path)):
        for folder in dict.fromkeys(("", absolute(parent(parent(path))).rstrip("/"))):
            phrase = f"tells {absolute(path)} where libraries are"
            text = f"{folder}/etc/ld-musl-{match[1]}.path"
            yield Named(text=text, rule="linkage", phrase=phrase)

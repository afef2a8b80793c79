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
from careen.plan.pam_files import PamFiles
from careen.plan.rules import PAM_FILES
from careen.rootfs import nsswitch, pam
from careen.rootfs.elf import Elf
from careen.rootfs.facts import Facts
from careen.rootfs.pam import Pam
from careen.rootfs.path import Path, absolute, join, name, parent
from careen.rootfs.rootfs import Rootfs

__all__ = ["Named", "Services", "converters"]

_FOLDERS = 32  # directories of PAM modules: a system has one or two
_SEARCHES = 512  # for a service's module by a C library: a system has one, and some services
_MUSL = re.compile(r"(?:ld-|libc\.)musl-([^.]+)\.so")


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A path as it is asked for, and why: the rule's name and a phrase that stands by itself."""

    text: str
    rule: str
    phrase: str


class Services:
    """Answers for one image; `view` is the image as its loaders see it.

    What was told once is not told again for another file, so that all answers together cost no
    more than the image is large.
    """

    def __init__(self, rootfs: Rootfs, catalog: Catalog, view: linkage.View) -> None:
        self.rootfs, self.catalog, self.view = rootfs, catalog, view
        self.facts = view.facts
        places = {rootfs.resolve(text).path: text for text in _pam_folders(self.facts)}
        places.pop(None, None)
        self._pam_folders = tuple(places.values())[:_FOLDERS]
        self._gconv_lists = _gconv_lists(self.facts)
        self._pam_files = PamFiles(rootfs, catalog)
        self._settings = _settings(rootfs)
        self._services = tuple(_services(self.facts.name_services))
        hosts = self.facts.name_services.get("hosts")
        self._asks_dns = "dns" in (hosts or nsswitch.DEFAULTS["hosts"])
        self._searches = 0
        self._told: set[tuple[str, str]] = set()

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
        built_in = self._built_in(path)
        for service, phrase in self._services:
            if service in built_in:
                continue
            if self._searches == _SEARCHES:
                yield from self._modules_by_name()
                break
            self._searches += 1
            yield from self._library(f"libnss_{service}.so.2", path, phrase)
        if self._asks_dns:
            phrase = "tells libnss_dns.so.2 which servers to ask"
            yield Named(text="/etc/resolv.conf", rule=rule, phrase=phrase)

    def _modules_by_name(self) -> Iterator[Named]:
        """Every module that some service may mean, wherever it lies: more than is ever searched."""
        if not self._once("name service", ""):
            return
        phrases = {f"libnss_{service}.so.2": phrase for service, phrase in self._services}
        present = ((name(path), absolute(path)) for path in self.rootfs.nodes)
        cached = ((title, text) for title, texts in self.facts.ld_cache.items() for text in texts)
        for title, text in (*present, *cached):
            if title in phrases:
                yield Named(text=text, rule="name service", phrase=f"{title} {phrases[title]}")

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
        files, phrase = self._pam_files, f"configures PAM for {by}"
        if not files.present:
            yield Named(text=pam.CONF, rule="PAM", phrase=phrase)
            return
        named = files.like(name(path)) if elf.interpreter else []
        owned = {id: files.of(id) for id in self.catalog.owners.get(path, ())}
        groups = {("package", id): found for id, found in owned.items() if found}
        if named:
            groups = {("name", name(path)): named}
        elif not groups:
            groups[("any", "")] = files.unknown
            phrase = f"may configure PAM for {by}, of which no service is known"
        for group, found in groups.items():
            for file in found if self._once(*group) else ():
                yield Named(text=absolute(file), rule="PAM", phrase=phrase)
        yield from self._fallback(path)

    def _pam_file(self, path: Path) -> Iterator[Named]:
        by = absolute(path)
        asked = self.facts.pam[path]
        # hard links of one file say the same, and are one value
        said = asked if self._once("file", str(id(asked))) else Pam()
        for service in said.includes:
            for text in self._first(pam.places(service)):
                yield Named(text=text, rule="PAM", phrase=f"{service} is included by {by}")
        for module, arguments in said.modules.items():
            for text in self._pam_places(module):
                yield Named(text=text, rule="PAM", phrase=f"{module} is named by {by}")
            for text in arguments:
                there = self.rootfs.resolve(text).path
                if there is not None and self.rootfs.nodes[there].kind == "file":
                    yield Named(text=text, rule="PAM", phrase=f"is given to {module} by {by}")
        if by != pam.CONF:
            yield from self._fallback(path)

    def _once(self, kind: str, key: str) -> bool:
        """Whether this is the first to ask for a group of answers, which is then told."""
        new = (kind, key) not in self._told
        self._told.add((kind, key))
        return new

    def _fallback(self, path: Path) -> Iterator[Named]:
        phrase = f"is PAM's fallback for {absolute(path)}"
        for text in self._first(pam.places("other")):
            yield Named(text=text, rule="PAM", phrase=phrase)

    def _pam_module(self, path: Path) -> Iterator[Named]:
        """Its configuration, `/etc/security/X.*` of pam_X.so, and what it has compiled in."""
        module = name(path)
        stem = module.removesuffix(".so")
        for title in dict.fromkeys((stem, stem.removeprefix("pam_"))):
            for file in self._settings.get(title, ()) if self._once("module", title) else ():
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


def _services(configured: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Each service that glibc asks, and the phrase why."""
    asked = {database: configured.get(database, ()) for database in nsswitch.DEFAULTS}
    for service, databases in _turned(asked).items():
        yield service, f"is named by {nsswitch.FILE} ({', '.join(databases)})"
    silent = {d: names for d, names in nsswitch.DEFAULTS.items() if not asked[d]}
    for service, databases in _turned(silent).items():
        yield service, f"is what glibc asks by itself ({', '.join(databases)})"


def _turned(services: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Service → the databases that it answers for; a name with a slash names no service."""
    found: dict[str, list[str]] = {}
    for database, names in services.items():
        for service in names:
            if "/" not in service:
                found.setdefault(service, []).append(database)
    return found


def _settings(rootfs: Rootfs) -> dict[str, list[Path]]:
    """The first word of a name in /etc/security → what is there, directories with all in them."""
    found: dict[str, list[Path]] = {}
    folder = rootfs.resolve("/etc/security").path
    for child in () if folder is None else rootfs.children(folder):
        found.setdefault(name(child).partition(".")[0], []).extend((child, *rootfs.below(child)))
    return found


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

"""Interactive tools by name: what an attacker finds useful and an application rarely is.

Package managers, interpreters, network tools, editors and compilers are packages like others;
reports count them apart. Data that a reviewer can check, not code.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

__all__ = ["KINDS", "Kind", "of_package", "of_program"]

Kind = Literal["package manager", "interpreter", "network tool", "editor", "compiler"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_VERSION = r"-?[0-9.]*"

# Patterns over package names. A library or a module of an interpreter is none.
_PACKAGES: dict[Kind, str] = {
    "package manager": (
        "apt|apt-utils|aptitude|aptitude-common|dpkg|dselect|synaptic|snapd|flatpak|apk-tools|rpm|dnf|yum|zypper|"
        "python3?-pip(-whl)?|pipx|npm|yarnpkg|composer|rubygems|luarocks|cpanminus|microdnf|dnf5|python3-dnf|"
        "tdnf|opkg|pacman|conda|php-pear|python3?-easy-install|apk-tools-static"
    ),
    "interpreter": (
        f"python{_VERSION}(-minimal)?|pypy{_VERSION}|platform-python|perl(-base|-interpreter)?|"
        f"ruby{_VERSION}|nodejs|"
        f"php{_VERSION}(-cli)?|lua{_VERSION}|luajit|tcl{_VERSION}|tclsh|guile-[0-9.]+|gawk|mawk|"
        "original-awk|expect|bc|dc|m4|(default|openjdk-[0-9]+)-jre(-headless)?|deno|r-base-core|"
        "julia|octave|dotnet-runtime-.*|mono-runtime|erlang-base|elixir|quickjs|jruby|raku"
    ),
    "network tool": (
        "curl(-minimal)?|wget|netcat-(openbsd|traditional)|ncat|nmap(-ncat)?|socat|telnet|inetutils-.*|tnftp|ftp|"
        "lftp|tftp.*|openssh-(clients?|server|sftp-server)|dropbear.*|iputils(-.*)?|iproute2?|"
        "net-tools|dnsutils|bind-utils|bind9-(dnsutils|host)|knot-dnsutils|tcpdump|traceroute|mtr(-tiny)?|"
        "rsync|whois|iptables|nftables|aria2|proxychains4?"
    ),
    "editor": "ed|nano|vim(-.*)?|nvi|emacs.*|joe|jed|mcedit|mc|neovim|micro|busybox-vi",
    "compiler": (
        f"(gcc|g[+][+]|cpp|gfortran|gobjc|gccgo|clang|llvm|tcc|ldc|gdc|ghc){_VERSION}(-.*-linux-gnu.*)?|"
        "gcc-c[+][+]|binutils(-.*-linux-gnu.*)?|build-essential|make|cmake|rustc|cargo|golang(-.*)?-go|golang|"
        f"(default|openjdk-[0-9]+)-jdk(-headless)?|nasm|yasm|ocaml|dpkg-dev"
    ),
}

# Patterns over the base names of programs.
_PROGRAMS: dict[Kind, str] = {
    "package manager": (
        "apt|apt-get|apt-cache|aptitude|dpkg|dpkg-deb|dselect|snap|flatpak|apk|rpm|dnf|microdnf|yum|"
        f"zypper|pip{_VERSION}|pipx|uv|poetry|conda|mamba|npm|npx|pnpm|yarn|corepack|composer|"
        f"gem{_VERSION}|bundle{_VERSION}|bundler{_VERSION}|luarocks|cpan{_VERSION}(-[a-z0-9_-]*)?|cpanm|dnf5|"
        f"dnf-[0-9]|tdnf|opkg|pacman|micromamba|apt-mark|apk[.]static|easy_install{_VERSION}|pear|pecl"
    ),
    "interpreter": (
        f"python{_VERSION}|pypy{_VERSION}|perl{_VERSION}|ruby{_VERSION}|node|nodejs|deno|bun|"
        f"php{_VERSION}|lua{_VERSION}|luajit|tclsh{_VERSION}|guile{_VERSION}|[gm]?awk|"
        "original-awk|expect|bc|dc|m4|java|Rscript|julia|octave(-cli)?|dotnet|mono|erl|escript|"
        "elixir|qjs|jruby|raku|micropython|wish"
    ),
    "network tool": (
        "curl|wget|nc|nc[.](openbsd|traditional)|netcat|ncat|nmap|socat|telnet|ftp|lftp|tftp|ssh|"
        "scp|sftp|sshd|dropbear|ping[46]?|ip|ss|ifconfig|netstat|route|arp|dig|host|nslookup|"
        "kdig|tcpdump|traceroute6?|mtr|rsync|whois|iptables|nft|aria2c"
    ),
    "editor": "ed|nano|vi|vim([.].*)?|nvim|emacs.*|joe|jed|mcedit|micro",
    "compiler": (
        f"(.*-linux-gnu-)?(gcc|g[+][+]|cpp|gfortran|clang([+][+])?|tcc|ld|as){_VERSION}|cc|c[+][+]|"
        "make|cmake|rustc|cargo|go|gofmt|javac|nasm|yasm|ocamlc|ocamlopt"
    ),
}


def of_package(name: str) -> Kind | None:
    """The kind of tool that a package of this name brings; None for none."""
    return _kind(_PACKAGES, name)


def of_program(name: str) -> Kind | None:
    """The kind of tool that a program of this base name is; None for none."""
    return _kind(_PROGRAMS, name)


def _kind(patterns: dict[Kind, str], name: str) -> Kind | None:
    return next((kind for kind, text in patterns.items() if re.fullmatch(text, name)), None)

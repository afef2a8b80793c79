"""Which package and program names count as interactive tools, and which do not."""

from __future__ import annotations

import pytest

from careen import tools

PACKAGES = {
    "package manager": "apt apt-utils dpkg python3-pip npm rpm dnf dnf5 tdnf microdnf zypper "
    "php-pear",
    "interpreter": "perl perl-base perl-interpreter platform-python python3 python3.11 "
    "python3.11-minimal python3-minimal mawk openjdk-17-jre-headless default-jre",
    "network tool": "curl curl-minimal wget netcat-openbsd nmap-ncat openssh-client "
    "openssh-clients bind-utils iproute iproute2 iputils iputils-ping rsync",
    "editor": "nano vim vim-tiny ed",
    "compiler": "gcc gcc-12 gcc-c++ g++-12 clang-14 binutils binutils-x86-64-linux-gnu make "
    "golang-1.19-go",
    None: "libc6 libpython3-stdlib python3-flask libperl5.36 libcurl4 gcc-12-base libgcc-s1 sed "
    "perl-modules-5.36 base-files python3-dev redis-server libapt-pkg6.0 debconf golang-1.19-doc "
    "dnf-data java-common libdnf perl-libs python3-libs",
}  # fmt: skip
PROGRAMS = {
    "package manager": "apt-get dpkg pip pip3 pip3.11 npm gem gem3.1 bundle3.1 "
    "cpan5.36-x86_64-linux-gnu apk.static pear rpm dnf dnf-3 microdnf",
    "interpreter": "python3.11 perl perl5.36.0 ruby node mawk awk gawk lua5.4 tclsh8.6 java "
    "Rscript",
    "network tool": "curl wget nc nc.openbsd ssh ip ping",
    "editor": "vi vim.basic nano ed",
    "compiler": "gcc g++-12 x86_64-linux-gnu-gcc-12 cc ld as make go",
    None: "redis-server grep python3-config ipcs cat dpkg-query editline sh javaws gemini",
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in PACKAGES.items() for name in names.split()]
)
def test_packages(kind: str | None, name: str) -> None:
    assert tools.of_package(name) == kind


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in PROGRAMS.items() for name in names.split()]
)
def test_programs(kind: str | None, name: str) -> None:
    assert tools.of_program(name) == kind

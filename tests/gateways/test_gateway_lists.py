"""Lists written for gateways, asked of the real programs: the answer is the one of `AllowList`.

    client --"PROXY TCP4 203.0.113.5 ..."--> nginx, HAProxy, Caddy, Traefik, Envoy, Apache: 200, or 403 and the like
    packet of the address ------------------> nftables, iptables in a network namespace of their own

A header of the PROXY protocol says who the client is, so any address of either family can ask from here.

Each program starts with some lists, one of them empty where the dialect has a "nobody".  Addresses are the borders of
each prefix and random ones.
"""

from __future__ import annotations

import ipaddress
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cidrmatch import AllowList
from cidrmatch.files.dialects.table import DIALECTS
from cidrmatch.files.dialects.writing import UnwritableList, write_list
from tests.servers import connect, free_port, path_of, started

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FIXED: dict[str, list[tuple[str, str | None]]] = {
    "nobody": [],
    "mixed": [
        ("203.0.113.0/24", "Vienna"),
        ("198.51.100.7", 'HQ "2"; }\n allow all; # ${HOME} {$HOME} {{ env "HOME" }} \\'),
        ("2001:db8::/48", "*/ deny"),
        ("10.0.0.0/8", None),
        ("10.1.0.0/16", "nested"),
    ],
    "one family": [("192.0.2.128/25", None)],
    "everyone of IPv4": [("0.0.0.0/0", None)],
    "everyone of IPv6": [("::/0", None)],
    "halves": [("0.0.0.0/1", None), ("128.0.0.0/1", None), ("8000::/1", "half")],
}


def random_list(seed: int) -> list[tuple[str, str | None]]:
    """Give a list of some 30 prefixes, many of them nested or side by side."""
    dice = random.Random(seed)
    entries: list[tuple[str, str | None]] = []
    for _ in range(30):
        if dice.random() < 0.6:
            address, width = (dice.choice([10 << 24, 0xC0000200, 0]) + dice.getrandbits(dice.choice([8, 16, 24]))), 32
        else:
            address, width = (0x20010DB8 << 96) + dice.getrandbits(dice.choice([8, 40, 90])), 128
        length = dice.randint(width // 4, width)
        network = ipaddress.ip_network((address >> (width - length) << (width - length), length))
        if width == 128:
            network = ipaddress.IPv6Network((address >> (128 - length) << (128 - length), length))
        entries.append((str(network), dice.choice([None, "a label", 'a "quoted" one; }'])))
    return entries


LISTS = FIXED | {f"random {seed}": random_list(seed) for seed in range(3)}


def addresses_for(entries: Sequence[tuple[str, str | None]], seed: int = 0) -> list[str]:
    """Give the borders of each prefix, their neighbours outside, and some others."""
    dice = random.Random(seed)
    found = {
        "0.0.0.1",
        "8.8.8.8",
        "203.0.113.5",
        "255.255.255.254",
        "::1",
        "2001:db8::1",
        "::203.0.113.5",
        "2002:cb00:7105::1",
        "2620:fe::fe",
        "fe80::1",
    }
    for prefix, _ in entries:
        network = ipaddress.ip_network(prefix)
        first, last = int(network[0]), int(network[-1])
        for number in (first - 1, first, dice.randint(first, last), last, last + 1):
            if 0 <= number < 1 << network.max_prefixlen:
                found.add(str(type(network[0])(number)))
    return sorted(found)


def ask(port: int, address: str) -> int:
    """Ask as a client with this address; give the status of the response."""
    family, here = ("TCP6", "::1") if ":" in address else ("TCP4", "127.0.0.1")
    with connect(port) as stream:
        stream.sendall(
            f"PROXY {family} {address} {here} 40000 {port}\r\n"
            "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        head = b""
        with suppress(ConnectionResetError):
            while b"\r\n" not in head and (received := stream.recv(4096)):
                head += received
    return int(head.split()[1]) if head else 0


def is_nobody(address: str) -> bool:
    """Tell whether no client has this address; Envoy closes the connection without an answer."""
    parsed = ipaddress.ip_address(address)
    return parsed.is_unspecified or parsed.is_multicast or address == "255.255.255.255"


def check(*words: str, environment: dict[str, str] | None = None) -> None:
    """Run a program that checks a configuration; it finds nothing wrong."""
    done = subprocess.run(words, capture_output=True, timeout=60, env=environment, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-2_000:]


# -- The programs -------------------------------------------------------------

NGINX = """
daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;
    {outside}
    server {{
        listen 127.0.0.1:{port} proxy_protocol;
        {inside}
        location / {{ root {folder}/www; {rule} }}
    }}
}}
"""


@contextmanager
def _nginx(folder: Path, outside: str, inside: str, rule: str) -> Iterator[int]:
    program, port = path_of("nginx"), free_port()
    folder.joinpath("www").mkdir()
    folder.joinpath("www", "index.html").write_text("ok", encoding="ascii")
    folder.joinpath("www").chmod(0o755)
    folder.chmod(0o755)
    config = folder / "nginx.conf"
    text = NGINX.format(folder=folder, port=port, outside=outside, inside=inside, rule=rule)
    config.write_text("user root;\n" * (os.geteuid() == 0) + text, encoding="utf-8")
    words = [program, "-p", str(folder), "-e", "stderr", "-c", str(config)]
    check(*words, "-t")
    with started(words, port):
        yield port


def nginx(folder: Path, written: Path) -> object:
    return _nginx(folder, "", "", f"include {written};")


def nginx_geo(folder: Path, written: Path) -> object:
    return _nginx(folder, f"include {written};", "", "if ($allow_list = 0) { return 403; }")


HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend in
    bind 127.0.0.1:{port} accept-proxy
    http-request deny unless {condition}
    http-request return status 200
"""


@contextmanager
def _haproxy(folder: Path, condition: str) -> Iterator[int]:
    program, port = path_of("haproxy"), free_port()
    config = folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, condition=condition), encoding="utf-8")
    check(program, "-c", "-f", str(config))
    with started([program, "-f", str(config)], port):
        yield port


def haproxy_acl(folder: Path, written: Path) -> object:
    return _haproxy(folder, f"{{ src -f {written} }} !{{ src ::/96 2002::/16 }}")


def haproxy_map(folder: Path, written: Path) -> object:
    return _haproxy(folder, f"{{ src,map_ip({written},0) -m str 1 }}")


CADDYFILE = """
{{
    admin off
    auto_https off
    servers {{
        listener_wrappers {{
            proxy_protocol {{
                allow 127.0.0.1/32
            }}
        }}
    }}
}}
:{port} {{
    bind 127.0.0.1
    import {written}
    handle @allow_list {{
        respond 200
    }}
    handle {{
        respond 403
    }}
}}
"""


@contextmanager
def _caddy(folder: Path, port: int, config: Path, *words: str) -> Iterator[int]:
    environment = os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    program = path_of("caddy")
    check(program, "validate", "--config", str(config), *words, environment=environment)
    with started([program, "run", "--config", str(config), *words], port, environment=environment):
        yield port


def caddy(folder: Path, written: Path) -> object:
    port, config = free_port(), folder / "Caddyfile"
    config.write_text(CADDYFILE.format(port=port, written=written), encoding="utf-8")
    return _caddy(folder, port, config, "--adapter", "caddyfile")


def caddy_json(folder: Path, written: Path) -> object:
    port, config = free_port(), folder / "caddy.json"
    match = json.loads(written.read_text(encoding="utf-8"))
    routes = [
        {"match": match, "handle": [{"handler": "static_response", "status_code": 200}], "terminal": True},
        {"handle": [{"handler": "static_response", "status_code": 403}]},
    ]
    server = {
        "listen": [f"127.0.0.1:{port}"],
        "listener_wrappers": [{"wrapper": "proxy_protocol", "allow": ["127.0.0.1/32"]}],
        "automatic_https": {"disable": True},
        "routes": routes,
    }
    whole = {"admin": {"disabled": True}, "apps": {"http": {"servers": {"one": server}}}}
    config.write_text(json.dumps(whole), encoding="utf-8")
    return _caddy(folder, port, config)


ROUTERS = """
[http.routers.all]
rule = "PathPrefix(`/`)"
service = "ping@internal"
middlewares = ["allow_list"]
"""


@contextmanager
def traefik(folder: Path, written: Path) -> Iterator[int]:
    program, port = path_of("traefik"), free_port()
    rules = folder / "rules"
    rules.mkdir()
    rules.joinpath("routers.toml").write_text(ROUTERS, encoding="utf-8")
    suffix = ".toml" if written.read_bytes().startswith(b"[") else ".yaml"
    rules.joinpath(f"list{suffix}").write_bytes(written.read_bytes())
    words = [
        program,
        f"--entrypoints.web.address=127.0.0.1:{port}",
        "--entrypoints.web.proxyProtocol.trustedIPs=127.0.0.1",
        f"--providers.file.directory={rules}",
        "--ping=true",
        "--ping.manualrouting=true",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ]
    with started(words, port):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:  # it listens before it has read the rules, and answers 404 until then
            with suppress(OSError):
                if ask(port, "192.0.2.1") in (200, 403):
                    break
            time.sleep(0.05)
        yield port


@contextmanager
def envoy(folder: Path, written: Path) -> Iterator[int]:
    program, port = path_of("envoy"), free_port()
    extension = "type.googleapis.com/envoy.extensions.filters"
    text = written.read_text(encoding="utf-8").replace("direct_remote_ip", "remote_ip")  # whom a proxy names
    manager = {
        "@type": f"{extension}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "use_remote_address": True,
        "http_filters": [
            json.loads(text),
            {"name": "router", "typed_config": {"@type": f"{extension}.http.router.v3.Router"}},
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
                }
            ]
        },
    }
    protocol = {"@type": f"{extension}.listener.proxy_protocol.v3.ProxyProtocol"}
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "listener_filters": [{"name": "envoy.filters.listener.proxy_protocol", "typed_config": protocol}],
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }
    config = folder / "envoy.json"
    config.write_text(json.dumps({"static_resources": {"listeners": [listener]}}), encoding="utf-8")
    with started([program, "-c", str(config), "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"], port):
        yield port


APACHE = """
ServerRoot {folder}
ServerName localhost
PidFile {folder}/pid
Mutex pthread
ErrorLog {folder}/error.log
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_host_module {modules}/mod_authz_host.so
LoadModule remoteip_module {modules}/mod_remoteip.so
LoadModule dir_module {modules}/mod_dir.so
{user}
DocumentRoot {folder}/www
RemoteIPProxyProtocol On
<Directory {folder}/www>
    Include {written}
</Directory>
"""


@contextmanager
def apache(folder: Path, written: Path) -> Iterator[int]:
    program, port = path_of("apache2"), free_port()
    folder.joinpath("www").mkdir()
    folder.joinpath("www", "index.html").write_text("ok", encoding="ascii")
    folder.joinpath("www").chmod(0o755)
    folder.chmod(0o755)
    modules, user = "/usr/lib/apache2/modules", ""
    if os.geteuid() == 0:
        user = "User www-data\nGroup www-data"
    config = folder / "apache.conf"
    config.write_text(
        APACHE.format(folder=folder, port=port, modules=modules, user=user, written=written), encoding="utf-8"
    )
    check(program, "-t", "-f", str(config))
    with started([program, "-X", "-f", str(config)], port):
        yield port


PROGRAMS: dict[str, Callable[[Path, Path], object]] = {
    "nginx": nginx,
    "nginx-geo": nginx_geo,
    "haproxy-acl": haproxy_acl,
    "haproxy-map": haproxy_map,
    "caddy": caddy,
    "caddy-json": caddy_json,
    "traefik-yaml": traefik,
    "traefik-toml": traefik,
    "envoy-rbac": envoy,
    "apache": apache,
}


@pytest.mark.parametrize("dialect", PROGRAMS)
@pytest.mark.parametrize("name", LISTS)
def test_a_gateway_answers_as_the_list(dialect: str, name: str) -> None:
    entries = LISTS[name]
    if not entries and DIALECTS[dialect].empty:
        with pytest.raises(UnwritableList, match="the list is empty"):
            write_list(entries, dialect)
        return
    allow = AllowList(entries)
    never = AllowList(["::/96", "2002::/16"] if dialect == "haproxy-acl" else [])
    with tempfile.TemporaryDirectory() as place:
        written = Path(place, "list")
        written.write_text(write_list(entries, dialect).text, encoding="utf-8")
        with PROGRAMS[dialect](Path(place), written) as port:  # type: ignore[attr-defined]
            for address in addresses_for(entries):
                status = ask(port, address)
                if dialect == "envoy-rbac" and is_nobody(address):
                    continue
                assert (status == 200) == (address in allow and address not in never), (address, status)
                assert status in (200, 403), (address, status)


# -- The kernel ---------------------------------------------------------------

PACKETS = r"""
import json, socket, subprocess, sys
addresses = json.load(sys.stdin)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
batch = "".join(f"addr add {a}/{128 if ':' in a else 32} dev lo{' nodad' if ':' in a else ''}\n" for a in addresses)
subprocess.run(["ip", "-force", "-batch", "-"], input=batch, text=True, check=True)
heard = {}
for family, here in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    with socket.socket(family, socket.SOCK_DGRAM) as receiver:
        receiver.bind((here, 0))
        receiver.setblocking(False)
        for address in addresses:
            if (":" in address) != (family == socket.AF_INET6):
                continue
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                sender.bind((address, 0))
                try:
                    sender.sendto(b"x", receiver.getsockname()[:2])
                except PermissionError:  # the rules stand where packets leave, too
                    pass
            try:
                heard[address] = receiver.recvfrom(10)[1][0] == address
            except BlockingIOError:
                heard[address] = False
json.dump(heard, sys.stdout)
"""
"""Sends a packet from each address over the loopback, which delivers it at once or never."""

LOADING = {
    "nft": (
        "nft -f {written} && nft -f {written} && nft add chain inet allow_list in "
        "'{{ type filter hook input priority 0; meta l4proto udp jump admit; }}'"
    ),
    "iptables": "iptables-restore --noflush {written} && iptables -A INPUT -p udp -j allow_list",
    "ip6tables": "ip6tables-restore --noflush {written} && ip6tables -A INPUT -p udp -j allow_list",
    "ipset": (
        "ipset restore -file {written} && ipset restore -file {written} && "
        "for v in 4 6; do p=ip${{v#4}}tables; "
        "$p -A INPUT -p udp -m set --match-set allow_list$v src -j ACCEPT && $p -A INPUT -p udp -j DROP; done"
    ),
}
NEEDED = {"nft": ("nft",), "iptables": ("iptables",), "ip6tables": ("ip6tables",), "ipset": ("ipset", "iptables")}


def in_namespace(command: str, addresses: Sequence[str]) -> dict[str, bool]:
    """Run a command in a network namespace of its own, and then send a packet from each address there."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-ec", f'{command}; exec "$0" -c "$1"', sys.executable, PACKETS],
        input=json.dumps(addresses),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PATH": path, "XTABLES_LOCKFILE": str(Path(tempfile.gettempdir(), "xtables.lock"))},
    )
    assert done.returncode == 0, done.stderr
    heard: dict[str, bool] = json.loads(done.stdout)
    return heard


@pytest.fixture(scope="module")
def namespaces() -> None:
    """Skip where the kernel lets nobody make a namespace; a program that is missing fails where CI wants it."""
    path_of("ip")
    done = subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False, timeout=60)
    if done.returncode:
        pytest.skip("no network namespace may be made here")


def is_sender(address: str, dialect: str) -> bool:
    """Tell whether a packet can come from this address over the loopback, and the dialect knows its family."""
    parsed = ipaddress.ip_address(address)
    if DIALECTS[dialect].only_family not in (None, parsed.version):
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and (parsed.is_link_local or parsed in ipaddress.ip_network("::/96")):
        return False
    return not (is_nobody(address) or parsed in ipaddress.ip_network("0.0.0.0/8") or parsed.is_loopback)


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("dialect", LOADING)
@pytest.mark.parametrize("name", LISTS)
def test_the_kernel_answers_as_the_list(dialect: str, name: str, tmp_path: Path) -> None:
    for program in NEEDED[dialect]:
        path_of(program)
    written, entries = tmp_path / "list", LISTS[name]
    text = write_list(entries, dialect, family=DIALECTS[dialect].only_family).text
    written.write_text(text, encoding="utf-8")
    allow = AllowList(entries)
    addresses = [address for address in addresses_for(entries) if is_sender(address, dialect)]
    heard = in_namespace(LOADING[dialect].format(written=written), addresses)
    assert heard == {address: address in allow for address in addresses}

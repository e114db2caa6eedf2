"""`cidrmatch serve`: start the workers of the server, and stop them.

    cidrmatch serve --snapshot keys.snap --trusted 127.0.0.1 --listen 127.0.0.1:9180 --workers 2
    cidrmatch serve --store sqlite:///keys.db --trusted 127.0.0.1

    parent    checks the settings and the data, starts the workers, starts one anew that died
    workers   one ASGI application each (app.py), all on one socket, all with one snapshot in memory

A configuration is read once, at start, and becomes a snapshot in a temporary folder, so all workers have the same.
SIGTERM and SIGINT stop the server after the requests that it accepted are answered.
"""

from __future__ import annotations

import errno
import logging.config
import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ...cli.inputs import SecretOption, load_config, open_snapshot, read_secret
from ...cli.output import fail
from .recording import open_log
from .settings import ENVIRONMENT, Settings, SettingsError

if TYPE_CHECKING:
    from granian.server.common import AbstractServer

__all__ = ["serve"]

_HEAD_BYTES = 65_536
_HEAD_MILLISECONDS = 5_000
_STOP_SECONDS = 10


def serve(
    snapshot: Annotated[str | None, typer.Option(metavar="SNAP", help="The file to follow.")] = None,
    config: Annotated[str | None, typer.Option(metavar="FILE", help="A configuration, read once at start.")] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A database to follow, with the admin API; or CIDRMATCH_STORE."),
    ] = None,
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose keys, of those in the store.")] = "main",
    id_secret_file: SecretOption = None,
    listen: Annotated[str, typer.Option(help="ADDRESS:PORT or unix:/path.")] = "127.0.0.1:9180",
    insecure_listen: Annotated[
        str | None, typer.Option(help="The same again, if others reach it without TLS or an API token.")
    ] = None,
    grpc_listen: Annotated[
        str | None, typer.Option(metavar="ADDRESS:PORT", help="Where Envoy asks by gRPC; the extra server-grpc.")
    ] = None,
    insecure_grpc_listen: Annotated[
        str | None, typer.Option(metavar="ADDRESS:PORT", help="The same again, if others reach it.")
    ] = None,
    tls_cert: Annotated[str | None, typer.Option(metavar="PEM")] = None,
    tls_key: Annotated[str | None, typer.Option(metavar="PEM")] = None,
    client: Annotated[
        str,
        typer.Option(help="x-forwarded-for, forwarded, hops:N, header:NAME, a ready strategy such as nginx; or peer."),
    ] = "x-forwarded-for",
    trusted: Annotated[
        list[str] | None, typer.Option(metavar="PREFIX", help="The gateways; give it once for each prefix.")
    ] = None,
    key_header: Annotated[str, typer.Option(help="The header with the key.")] = "x-api-key",
    token_file: Annotated[str | None, typer.Option(help="A token that every allowance carries.")] = None,
    api_token_file: Annotated[str | None, typer.Option(help="A token that /v1 asks for.")] = None,
    max_age: Annotated[float, typer.Option(help="Seconds; older data is stale.")] = 10.0,
    when_stale: Annotated[str, typer.Option(help="deny or serve.")] = "deny",
    show_address: Annotated[bool, typer.Option(help="Tell a denied client which address was judged.")] = False,
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
    connections: Annotated[int, typer.Option(help="The most that a worker holds; others wait.")] = 16_384,
    batch: Annotated[bool, typer.Option(help="Run the workers as batch work, on Linux.")] = True,
    usage_log: Annotated[
        str | None, typer.Option(metavar="URL", help="Note every question there, such as sqlite:///usage.db.")
    ] = None,
    usage_days: Annotated[int | None, typer.Option(help="Whole days of it that are kept; all without it.")] = None,
    usage_mask: Annotated[
        str | None, typer.Option(metavar="BITS4/BITS6", help="How much of an address it keeps, such as 24/48.")
    ] = None,
    usage_secret_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Hash the keys in it under these bytes.")
    ] = None,
    usage_when_full: Annotated[
        str, typer.Option(help="drop or block: lose a record, or let a request wait, if it is not written in time.")
    ] = "drop",
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Answer gateways: may this client address use this key?"""
    if snapshot is None and config is None:
        store = store or os.environ.get("CIDRMATCH_STORE") or None
    if sum(each is not None for each in (snapshot, config, store)) != 1:
        raise typer.BadParameter("name one source: --snapshot, --config or --store")
    if log_level not in ("debug", "info", "warning", "error"):
        raise typer.BadParameter("--log-level is debug, info, warning or error")
    with tempfile.TemporaryDirectory(prefix="cidrmatch-") as folder:
        settings = Settings(
            snapshot=_snapshot_in(folder, snapshot, store),
            store=store,
            tenant=tenant,
            id_secret_file=id_secret_file,
            listen=listen,
            insecure_listen=insecure_listen,
            grpc_listen=grpc_listen,
            insecure_grpc_listen=insecure_grpc_listen,
            tls_cert=tls_cert,
            tls_key=tls_key,
            client=client.lower(),
            trusted=tuple(trusted or ()),
            key_header=key_header.lower(),
            token_file=token_file,
            api_token_file=api_token_file,
            max_age=max_age,
            when_stale=when_stale,
            show_address=show_address,
            workers=workers,
            connections=connections,
            batch=batch,
            usage_log=usage_log,
            usage_days=usage_days,
            usage_mask=usage_mask,
            usage_secret_file=usage_secret_file,
            usage_when_full=cast("Any", usage_when_full),  # judged below
        )
        try:
            settings.check()
            if settings.socket is None:
                _check_free(settings.address)
            else:
                _check_unused(settings.socket)
            _check_free(settings.grpc_address)
        except (SettingsError, OSError) as error:
            fail(str(error))
        _check_usage(settings)
        if store is not None:
            _check_store(settings)
        elif config is not None:
            load_config(config, as_json=False, secret=read_secret(id_secret_file)).save(settings.snapshot)
        else:
            open_snapshot(settings.snapshot, False, id_secret_file)
        os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
        if workers > 1:  # then their numbers are added up, by files
            metrics = Path(folder, "metrics")
            metrics.mkdir()
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
        os.environ[ENVIRONMENT] = settings.to_json()
        _server(settings, log_level).serve()


def _snapshot_in(folder: str, snapshot: str | None, store: str | None) -> str:
    """Give the path of the snapshot that the workers open; "" where they follow a store."""
    if store is not None:
        return ""
    return os.path.abspath(snapshot) if snapshot is not None else str(Path(folder, "config.snap"))


def _check_store(settings: Settings) -> None:
    """End with a message if the store cannot be used; the workers open it anew."""
    from ..stores.errors import StoreError  # noqa: PLC0415  an extra
    from ..stores.store import Store  # noqa: PLC0415

    assert settings.store is not None  # noqa: S101  said by the caller
    try:
        store = Store(settings.store, settings.tenant, id_secret=read_secret(settings.id_secret_file))
        with store.look():
            pass
        store.close()
    except (StoreError, ValueError) as error:
        fail(str(error))


def _check_usage(settings: Settings) -> None:
    """End with a message if the usage log is refused; the workers open it anew."""
    try:
        log = open_log(settings, None)
    except SettingsError as error:
        fail(str(error))
    if log is not None:
        log.close()


def _check_free(address: tuple[str, int] | None) -> None:
    """Raise OSError if somebody listens there: the workers share the port, and would share it with a stranger."""
    if address is not None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        try:
            socket.create_server(address, family=family).close()
        except OSError as error:
            raise OSError(error.errno, f"{address[0]}, port {address[1]}: {error.strerror or error}") from None


def _check_unused(path: str) -> None:
    """Raise OSError if somebody listens on this socket, or it is another file; remove one that a killed server left."""
    if not os.path.lexists(path):
        return
    with socket.socket(socket.AF_UNIX) as stream:
        try:
            stream.connect(path)
        except ConnectionRefusedError:
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)
                return
        except OSError as error:
            raise OSError(error.errno, f"{path}: {error.strerror or error}") from None
    raise OSError(errno.EADDRINUSE, f"{path}: {os.strerror(errno.EADDRINUSE)}")


def _server(settings: Settings, log_level: str) -> AbstractServer[Any]:
    """Make the server with its bounds."""
    from granian import Granian  # noqa: PLC0415  an extra; a wrong call needs none
    from granian.constants import Interfaces  # noqa: PLC0415
    from granian.http import HTTP1Settings  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415

    from . import logs  # noqa: PLC0415

    logging.config.dictConfig(logs.configuration(log_level))
    host, port = ("127.0.0.1", 0) if settings.socket is not None else settings.address
    return Granian(
        "cidrmatch.service.server.app:build",
        factory=True,
        interface=Interfaces.ASGI,
        address=host,
        port=port,
        uds=None if settings.socket is None else Path(settings.socket),
        uds_permissions=None if settings.socket is None else 0o660,
        workers=settings.workers,
        websockets=False,
        backpressure=settings.connections,
        http1_settings=HTTP1Settings(header_read_timeout=_HEAD_MILLISECONDS, max_buffer_size=_HEAD_BYTES),
        log_level=LogLevels(log_level),
        log_dictconfig=logs.configuration(log_level),
        ssl_cert=None if settings.tls_cert is None else Path(settings.tls_cert),
        ssl_key=None if settings.tls_key is None else Path(settings.tls_key),
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=_STOP_SECONDS,
    )

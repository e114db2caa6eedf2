"""The tests of what needs a server: left out in a library without its service, or without the extra, but not in CI."""

import os
from importlib.util import find_spec


def is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


needed = ("cidrmatch.service", "granian", "starlette", "prometheus_client", "schemathesis")
collect_ignore_glob = [] if os.environ.get("CIDRMATCH_SERVERS") or all(map(is_there, needed)) else ["*"]
if not os.environ.get("CIDRMATCH_SERVERS") and not all(map(is_there, ("grpc", "envoy.service"))):
    collect_ignore_glob.append("*envoy*")
if not os.environ.get("CIDRMATCH_SERVERS") and not all(map(is_there, ("sqlalchemy", "alembic", "psycopg", "httpx"))):
    collect_ignore_glob += ["*admin*", "*client*"]

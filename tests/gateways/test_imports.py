"""The library without extras imports no framework, and each face imports its own alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

FRAMEWORKS = ("aiohttp", "django", "fastapi", "flask", "grpc", "litestar", "rest_framework", "starlette", "werkzeug")
OWN = {
    "cidrmatch": (),
    "cidrmatch.client": (),
    "cidrmatch.gateways.guard": (),
    "cidrmatch.gateways.face": (),
    "cidrmatch.gateways.admin": (),
    "cidrmatch.gateways.asgi": (),
    "cidrmatch.gateways.wsgi": (),
    "cidrmatch.gateways.fastapi": ("fastapi", "starlette"),
    "cidrmatch.gateways.django": ("django",),
    "cidrmatch.gateways.flask": ("flask", "werkzeug"),
    "cidrmatch.gateways.grpc": ("grpc",),
    "cidrmatch.gateways.aiohttp": ("aiohttp",),
    "cidrmatch.gateways.litestar": ("litestar",),
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_module_imports_no_framework_but_its_own(name: str) -> None:
    text = f"import sys, {name}; print(*sorted(set({FRAMEWORKS!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert tuple(done.stdout.split()) == OWN[name]

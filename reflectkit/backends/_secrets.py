"""Addresses and keys: what may be shown, and what is kept out of every text."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from ..errors import ConfigurationError, ReflectKitError

__all__ = ["Address", "Secrets", "hidden"]

_SENSITIVE: Final = re.compile(r"auth|key|token|secret|cookie|password|signature", re.I)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
#: shorter values are no secrets, and hiding them would garble messages
_SHORTEST: Final = 4
_HIDDEN: Final = "***"
_BESIDE: Final = "/../"
_VERSION: Final = re.compile(r"/v\d+$")
_KEY_HEADERS: Final = ("Authorization", "x-api-key")

T = TypeVar("T")


class _Hidden(str):
    """A text whose repr does not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(_HIDDEN)


def hidden(value: T) -> T | _Hidden:
    """``value`` with a repr that says nothing, if it is a text.

    A report of an error may show the variables of every frame; in ours a secret stands like this.
    """
    return _Hidden(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL, taken apart: only ``shown`` (no user, password or query) may be printed."""

    shown: str
    query: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(
        cls, base_url: str, *, path: str = "/v1", endpoint: str = "/chat/completions"
    ) -> Address:
        """Read a base URL; without a path it gets ``path``, and a trailing ``endpoint`` is cut.

        Raises ``ConfigurationError``.
        """
        try:
            url = urlsplit(base_url.strip())
            host, _ = url.hostname, url.port
        except (ValueError, AttributeError):
            host = None
        if not host or url.scheme not in ("http", "https"):
            raise ConfigurationError(
                "base_url must be the address of a server.",
                hint=f'Write it like "http://localhost:8000{path}".',
            )
        found = url.path.rstrip("/").removesuffix(endpoint) or path
        return cls(
            f"{url.scheme}://{url.netloc.rpartition('@')[2]}{found}",
            query=url.query,
            user=unquote(url.username or ""),
            password=unquote(url.password or ""),
        )

    @property
    def host(self) -> str:
        """The name of the host, in lower case."""
        return urlsplit(self.shown).hostname or ""

    def url(self, path: str) -> str:
        """The address to send to, query included; "/../x" lies beside the API's version."""
        base = self.shown
        if path.startswith(_BESIDE):
            base, path = _VERSION.sub("", base), path.removeprefix("/..")
        return f"{base}{path}" + (f"?{self.query}" if self.query else "")


class Secrets:
    """Holds key and headers, and takes them out of texts. Its repr says nothing."""

    __slots__ = ("_headers", "_hidden")

    def __init__(
        self,
        api_key: str | None,
        headers: Mapping[str, str],
        address: Address,
        *,
        key_header: str = "Authorization",
    ) -> None:
        if not isinstance(api_key, str | None):
            raise ConfigurationError(
                f"api_key is a {type(api_key).__name__}.", hint="It must be a text."
            )
        self._headers = {"User-Agent": "reflectkit", "Content-Type": "application/json"}
        self._headers |= {"Accept": "text/event-stream, application/json"}
        secret = [hidden(api_key or ""), hidden(address.password)]
        if address.user or address.password:
            login = hidden(base64.b64encode(f"{address.user}:{address.password}".encode()).decode())
            self._headers["Authorization"] = hidden(f"Basic {login}")
            secret.append(login)
        if api_key:
            if key_header in self._headers:
                raise ConfigurationError(
                    "base_url holds a user and password, and there is an api_key too.",
                    hint="Only one of them can be sent: take one out.",
                )
            bearer = key_header == "Authorization"
            self._headers[key_header] = hidden(f"Bearer {api_key}" if bearer else api_key)
        self._headers |= {name: hidden(value) for name, value in headers.items()}
        _check(self._headers)
        secret += [v for k, v in headers.items() if _SENSITIVE.search(k)]
        secret += [v for _, v in parse_qsl(address.query)]
        self._hidden = sorted({s for s in secret if len(s) >= _SHORTEST}, key=len, reverse=True)

    def __repr__(self) -> str:
        return "Secrets(...)"

    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        return dict(self._headers)

    def redact(self, text: str) -> str:
        """The text without any secret that a server may have put into it."""
        for secret in self._hidden:
            text = text.replace(secret, _HIDDEN)
        return text

    def clean(self, error: ReflectKitError) -> ReflectKitError:
        """Take secrets out of an error's texts, and off it the frames that held raw bytes."""
        error.message, error.hint = self.redact(error.message), self.redact(error.hint)
        error.args = (error.message,)
        return error.with_traceback(None)


def _check(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ConfigurationError("A header's name holds characters that it must not.")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            what = "api_key" if name in _KEY_HEADERS else f"header {name}"
            raise ConfigurationError(
                f"The value of {what} holds a line break or another character that no header may.",
                hint="Strip it; it often comes from reading a file.",
            )

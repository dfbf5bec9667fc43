"""What may be shown of a notice's URL: its scheme, and its host where that is one. Everything else may be a secret.

To most services the place of the host is a token's (``slack://TOKEN/...``), so the few where it is a host are listed.
"""

from __future__ import annotations

import re
from typing import Final

_SCHEME: Final = re.compile(r"([a-z][a-z0-9]{0,15})://", re.IGNORECASE)
_HOST: Final = re.compile(r"[a-z0-9.-]{1,253}\Z", re.IGNORECASE)
_WITH_HOST: Final = frozenset(
    {"form", "forms", "gotify", "gotifys", "http", "https", "json", "jsons", "mailto", "mailtos", "mmost", "mmosts"}
    | {"xml", "xmls"}
)

HIDDEN: Final = "a URL"


def shown(url: str) -> str:
    """``json://hooks.example``, ``slack``; of what has no scheme nothing at all."""
    found = _SCHEME.match(url)
    if found is None:
        return HIDDEN
    scheme = found[1].lower()
    host = re.split(r"[/?#]", url[found.end() :], maxsplit=1)[0].rpartition("@")[2].partition(":")[0]
    if scheme in _WITH_HOST and _HOST.match(host):
        return f"{scheme}://{host}"
    return scheme

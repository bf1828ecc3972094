"""Where a request to the hub comes from, as far as it can be believed."""

from __future__ import annotations

from typing import Any

from ..core.throttle import find_source


def source_of(handler: Any) -> str:
    """The address of who asks. Only proxies of the site are believed; ``X-Real-Ip``, which anybody may send along, never is."""
    request = handler.request
    context = getattr(request.connection, "context", None)
    # The server has put a header's address in the place of the peer's already; this is the peer's.
    peer = getattr(context, "_orig_remote_ip", None) or request.remote_ip or ""
    forwarded = ",".join(request.headers.get_list("X-Forwarded-For"))
    return find_source(peer, forwarded, handler.authenticator.trusted_proxies)

"""Which proxy the environment wants between here and a server."""

from __future__ import annotations

import urllib.request

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def proxy_for(scheme: str, host: str) -> str | None:
    """What HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say; never one for this machine itself."""
    if host in _LOOPBACK or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(scheme) or proxies.get("all")

"""Ready strategies: for each common proxy, the strategy that is safe by the proxy's documentation.

    from cidrmatch.client import ready
    ready.nginx(["10.0.0.0/8"])          one of the strategies, made for nginx
    ready.NAMES["nginx"]                 the same function by its name, for a configuration file

The docstring of each function has the same four parts, and says what is unclear:

    Writes     what the proxy does to the header, also to a header that the client sent
    Check      the setting that makes this safe
    Door       the setting, or the missing setting, with which a client can name any address
    Source     the page that says so, and the day on which the page was read

The caller gives the ranges.  None is built in, because providers change their ranges.  `trusted` has the addresses from
which proxies reach this server, and the addresses of every proxy in front of these.  It must not contain a client.

All customers of a provider share its ranges.  Requests of other customers come from the same ranges, with headers that
these customers choose.  So let the provider prove that a request belongs to your account, by a client certificate or a
secret header.

If a product has two headers, the function reads the header that is safe by the documentation.  A list is read with
`TrustedProxies` and not by a count, because `TrustedProxies` notices a client that goes around the first proxy.

    not offered                 why
    True-Client-IP              Cloudflare passes on a client's own, unless a setting adds the header
    X-Azure-ClientIP            Azure Front Door: "can be arbitrarily overwritten by a user"
    X-Azure-SocketIP            Azure Front Door does not say what happens to a client's own
    x-envoy-external-address    Envoy does not set it for internal requests, and passes on a client's own

The sources are the vendors' pages of that day.  Since then, a vendor may have changed a page or the product.
Cost: that of the strategy.
Threads: keeps no state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from .strategies import SingleHeader, TrustedHops, TrustedProxies

if TYPE_CHECKING:
    from .._core import PrefixLike
    from .strategies import ClientStrategy

__all__ = [
    "NAMES",
    "aws_alb",
    "aws_cloudfront",
    "aws_cloudfront_viewer_address",
    "azure_application_gateway",
    "azure_front_door",
    "caddy",
    "cloudflare",
    "envoy",
    "fastly",
    "google_cloud",
    "haproxy",
    "nginx",
    "nginx_real_ip",
    "traefik",
]


# Proxies that a host runs itself


def nginx(trusted: Iterable[PrefixLike], *, unix: bool = False) -> TrustedProxies:
    """Read the chain to which nginx appends.

    Writes: `$proxy_add_x_forwarded_for` is the client's X-Forwarded-For, a comma and `$remote_addr`.
    Check: `proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;` stands in every location that passes requests.
    Door: a level with a `proxy_set_header` of its own inherits none, so the client's header passes as it came.
        `set_real_ip_from` makes `$remote_addr` whatever a trusted sender says, so it names proxies only.
    Source: Module ngx_http_proxy_module, https://nginx.org/en/docs/http/ngx_http_proxy_module.html; Module
        ngx_http_realip_module, https://nginx.org/en/docs/http/ngx_http_realip_module.html (2026-11-28).

    >>> nginx(["10.0.0.0/8"]).find("10.0.0.7", [("X-Forwarded-For", "6.6.6.6, 203.0.113.9")]).address
    '203.0.113.9'
    """
    return TrustedProxies(trusted, unix=unix)


def nginx_real_ip(trusted: Iterable[PrefixLike], *, unix: bool = False) -> SingleHeader:
    """Read the one address that nginx sets: whoever connected to it.

    Writes: `proxy_set_header X-Real-IP $remote_addr;` replaces what the client sent.
    Check: the line stands in every location that passes requests, and nginx is the first proxy.  Behind another one,
        `$remote_addr` is that proxy, unless ngx_http_realip_module is set.
    Door: without the line, the client's own X-Real-IP passes.  A level with a `proxy_set_header` inherits none.
    Source: Module ngx_http_proxy_module, https://nginx.org/en/docs/http/ngx_http_proxy_module.html (2026-11-28).

    >>> nginx_real_ip(["10.0.0.0/8"]).find("10.0.0.7", [("X-Real-IP", "2001:db8::9")]).address
    '2001:db8::9'
    """
    return SingleHeader("x-real-ip", trusted, port="never", unix=unix)


def haproxy(trusted: Iterable[PrefixLike], *, unix: bool = False) -> TrustedProxies:
    """Read the line that HAProxy adds behind those that came.

    Writes: `option forwardfor` adds an X-Forwarded-For line of its own, the last one.  A client's lines stay.
    Check: all lines reach the strategy.  A mapping that keeps one line of a name must keep the last, or all joined.
    Door: `if-none` adds no line where a client sent one.  `except` adds none for those sources, so they name anybody.
        A framework that keeps the first line shows what the client wrote.
    Source: HAProxy Configuration Manual, "option forwardfor", https://docs.haproxy.org/ (2026-11-28).

    >>> lines = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "203.0.113.9")]
    >>> haproxy([], unix=True).find(None, lines).address
    '203.0.113.9'
    """
    return TrustedProxies(trusted, unix=unix)


def caddy(trusted: Iterable[PrefixLike], *, unix: bool = False) -> TrustedProxies:
    """Read the chain of Caddy's `reverse_proxy`.

    Writes: X-Forwarded-For with the address of whoever connected.  A client's own is ignored; that of a
        `trusted_proxies` range is kept, and appended to.
    Check: `trusted_proxies` names the proxies in front, and nobody else.
    Door: `trusted_proxies` with a range that holds clients, or a `header_up X-Forwarded-For` that copies the client's.
        {client_ip} is read from the left unless `trusted_proxies_strict` is set, so a header made of it is not safe.
    Source: reverse_proxy, https://caddyserver.com/docs/caddyfile/directives/reverse_proxy#defaults; Global options,
        https://caddyserver.com/docs/caddyfile/options#trusted-proxies (2026-11-28).

    >>> caddy(["10.0.0.0/8"]).find("10.0.0.7", [("X-Forwarded-For", "203.0.113.9")]).address
    '203.0.113.9'
    """
    return TrustedProxies(trusted, unix=unix)


def traefik(trusted: Iterable[PrefixLike]) -> TrustedProxies:
    """Read the chain of Traefik.

    Writes: X-Forwarded-For with the address of whoever connected.  The client's X-Forwarded-* and X-Real-Ip are
        removed; those of a `forwardedHeaders.trustedIPs` range are kept, and the chain is appended to.
    Check: `trustedIPs` names the proxies in front, and nobody else.
    Door: `forwardedHeaders.notAppendXForwardedFor` appends nothing.  `forwardedHeaders.insecure` keeps every client's
        headers: the chain stays safe from the right, and X-Real-Ip does not.  An X-Real-Ip that a trusted proxy passes
        on is kept, too, so that header is not read here.
    Source: EntryPoints, https://doc.traefik.io/traefik/reference/install-configuration/entrypoints/; what is removed:
        traefik/traefik, pkg/middlewares/forwardedheaders/forwarded_header.go (2026-11-28).

    >>> traefik(["10.0.0.0/8"]).find("10.0.0.7", [("X-Forwarded-For", "203.0.113.9")]).address
    '203.0.113.9'
    """
    return TrustedProxies(trusted)


def envoy(trusted: Iterable[PrefixLike], *, unix: bool = False) -> TrustedProxies:
    """Read the chain to which Envoy appends.

    Writes: with `use_remote_address: true`, X-Forwarded-For with the address of whoever connected at its right end.
    Check: `use_remote_address: true`, and `skip_xff_append` is false.
    Door: `use_remote_address` is false by default, and then Envoy passes the client's header as it came.
        x-envoy-external-address is not set for an internal request, so a client of an internal address can send it.
    Other: where the proxies in front have no known ranges, `TrustedHops(N + 1, trusted=...)` counts like
        `xff_num_trusted_hops: N`.  Then nobody may reach Envoy around them.
    Source: HTTP header manipulation,
        https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers (2026-11-28).

    >>> envoy(["10.0.0.0/8"]).find("10.0.0.7", [("x-forwarded-for", "6.6.6.6,203.0.113.9")]).address
    '203.0.113.9'
    """
    return TrustedProxies(trusted, unix=unix)


# Services of a provider


def aws_alb(trusted: Iterable[PrefixLike], *, client_port: bool = False) -> TrustedProxies:
    """Read the chain to which an AWS Application Load Balancer appends.

    Args:
        trusted: the subnets of the load balancer; with CloudFront in front, its ranges, too.
        client_port: whether `routing.http.xff_client_port.enabled` is on, so that each element has a port.

    Writes: by default ("append"), X-Forwarded-For with the client's address at its right end.
    Check: `routing.http.xff_header_processing.mode` is "append", and the attribute for the port is as said here.
    Door: "preserve" passes the client's header as it came.  "remove" sends none, which is no address ("missing").
    Unclear: the pages show no IPv6 address with a port.  It is read with brackets and without; another form is refused.
        CloudFront in front writes no port, so with `client_port` its element is refused.
    Source: HTTP headers and Application Load Balancers,
        https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html (2026-11-28).

    >>> aws_alb(["10.0.0.0/16"]).find("10.0.1.7", [("X-Forwarded-For", "6.6.6.6, 203.0.113.9")]).address
    '203.0.113.9'
    """
    return TrustedProxies(trusted, port="always" if client_port else "never")


def aws_cloudfront(trusted: Iterable[PrefixLike]) -> TrustedProxies:
    """Read the chain to which Amazon CloudFront appends.

    Writes: X-Forwarded-For with the viewer's address at its right end; what a viewer sent stays to the left.
    Check: only CloudFront reaches the origin, and it proves your distribution by a secret header that it adds.
    Door: an origin that everybody reaches.  CloudFront's ranges are those of every other customer, too.
    Source: Request and response behavior for custom origins, "Client IP addresses",
        https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html
        (2026-11-28).

    >>> aws_cloudfront(["192.0.2.0/24"]).find("192.0.2.7", [("X-Forwarded-For", "6.6.6.6,203.0.113.9")]).address
    '203.0.113.9'
    """
    return TrustedProxies(trusted)


def aws_cloudfront_viewer_address(trusted: Iterable[PrefixLike]) -> SingleHeader:
    """Read the address and port that Amazon CloudFront sets, an IPv6 address without brackets.

    `aws_cloudfront` needs no setting and is the safer one.  This one finds the viewer where other proxies between
    CloudFront and this server append to X-Forwarded-For, and have no known ranges.

    Writes: CloudFront-Viewer-Address, where an origin request policy adds it: "198.51.100.10:46532".
    Check: the origin request policy of every behaviour adds the header.
    Door: the pages do not say what becomes of a viewer's own where no policy adds the header.  Take it that it passes.
    Source: Add CloudFront request headers,
        https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html (2026-11-28).

    >>> strategy = aws_cloudfront_viewer_address(["192.0.2.0/24"])
    >>> strategy.find("192.0.2.7", [("CloudFront-Viewer-Address", "2001:db8::9:46532")]).address
    '2001:db8::9'
    """
    return SingleHeader("cloudfront-viewer-address", trusted, port="always")


def google_cloud(trusted: Iterable[PrefixLike]) -> TrustedHops:
    """Read the second value from the right, which a Google Cloud external Application Load Balancer appends.

    Writes: X-Forwarded-For with two values at its right end: the client, then the load balancer's own address.
        What the client sent stays to the left and is not verified.
    Check: the peer is the load balancer: `trusted` holds the ranges that Google documents for it, or a regional one's
        proxy-only subnet, and the firewall lets in nobody else.
    Door: a proxy between the load balancer and this server appends a third value.  The second is then the load
        balancer, and everybody has one address.  A service that is also reached without the load balancer has one value
        less, so the second is the client's own.
    Raises:
        TypeError: the ranges are None, by which `TrustedHops` would believe every peer; or as `TrustedHops`.
    Source: External Application Load Balancer overview, "X-Forwarded-For header",
        https://cloud.google.com/load-balancing/docs/https#x-forwarded-for_header, as others quote it (2026-11-28).

    >>> line = ("X-Forwarded-For", "6.6.6.6,203.0.113.9,198.51.100.1")
    >>> google_cloud(["192.0.2.0/24"]).find("192.0.2.7", [line]).address
    '203.0.113.9'
    """
    if trusted is None:
        raise TypeError("the ranges of the load balancer are a list, not None")
    return TrustedHops(2, trusted=trusted)


def azure_application_gateway(trusted: Iterable[PrefixLike]) -> TrustedProxies:
    """Read the chain to which an Azure Application Gateway appends, a port behind every address.

    Writes: X-Forwarded-For, "a comma-separated list of IP:port", with whoever connected at its right end.
    Check: no rewrite rule sets X-Forwarded-For.  One that takes the ports off, by `add_x_forwarded_for_proxy`, is read
        with `TrustedProxies(trusted, port="never")`.
    Door: a rewrite rule that sets the header to what the client sent.
    Unclear: the pages show no IPv6 address with a port.  It is read with brackets and without; without a port it is
        refused.  So is an element that a proxy in front, such as Front Door, wrote without one.
    Source: How an application gateway works,
        https://learn.microsoft.com/azure/application-gateway/how-application-gateway-works; Rewrite HTTP headers and
        URL, https://learn.microsoft.com/azure/application-gateway/rewrite-http-headers-url (2026-11-28).

    >>> line = ("X-Forwarded-For", "6.6.6.6:1, 203.0.113.9:4711")
    >>> azure_application_gateway(["10.0.0.0/24"]).find("10.0.0.7", [line]).address
    '203.0.113.9'
    """
    return TrustedProxies(trusted, port="always")


def azure_front_door(trusted: Iterable[PrefixLike]) -> TrustedProxies:
    """Read the chain to which Azure Front Door appends.

    Writes: X-Forwarded-For with the client's socket address at its right end.
    Check: the server also compares X-Azure-FDID with the identifier of your Front Door, before anything else.
    Door: without X-Azure-FDID, anybody's Front Door comes from the same ranges.  X-Azure-ClientIP is the client's own
        word.  X-Azure-SocketIP is the socket address, and nothing says that a client's own is replaced.
    Unclear: Front Door may show a second address of its own.  Where `trusted` does not hold it, it is taken for the
        client, and denied as one.
    Source: Protocol support for HTTP headers in Azure Front Door,
        https://learn.microsoft.com/azure/frontdoor/front-door-http-headers-protocol (2026-11-28).

    >>> azure_front_door(["192.0.2.0/24"]).find("192.0.2.7", [("X-Forwarded-For", "6.6.6.6, 203.0.113.9")]).address
    '203.0.113.9'
    """
    return TrustedProxies(trusted)


def cloudflare(trusted: Iterable[PrefixLike]) -> SingleHeader:
    """Read the one address that Cloudflare sets: whoever connected to it.

    Writes: CF-Connecting-IP, on traffic from its edge to the origin.  A request that brings one is refused with 1000.
    Check: only Cloudflare reaches the origin, and proves your zone by an authenticated origin pull.
        Pseudo IPv4 does not overwrite headers: else IPv6 clients appear as class E addresses, which no list holds.
    Door: an origin that everybody reaches.  A Worker of your own zone can change the header of its subrequests.
        A server that takes "_" for "-" in names also takes CF-Connecting_IP, which Cloudflare passes.
    Other: True-Client-IP has the same value, by a setting of the Enterprise plan; without it a client's own passes.
        X-Forwarded-For is appended to, and a chain through several proxies needs `TrustedProxies`.
    Source: Cloudflare HTTP headers, https://developers.cloudflare.com/fundamentals/reference/http-headers/; error 1000:
        https://github.com/cloudflare/cloudflare-docs/issues/8066 (2026-11-28).

    >>> cloudflare(["192.0.2.0/24"]).find("192.0.2.7", [("CF-Connecting-IP", "203.0.113.9")]).address
    '203.0.113.9'
    """
    return SingleHeader("cf-connecting-ip", trusted, port="never")


def fastly(trusted: Iterable[PrefixLike], *, set_in_vcl: bool = False) -> SingleHeader:
    """Read the one address that your VCL sets at Fastly; without that VCL no header of Fastly is safe.

    Args:
        trusted: Fastly's ranges.
        set_in_vcl: whether the lines below stand in `vcl_recv`; anything but True is refused.

    Writes: Fastly-Client-IP, only where the client sent none.  "If a client sets this header themselves, we will use
        it."  X-Forwarded-For is appended to over TLS only, so over plain HTTP a client's own passes as it came.
    Check: only your Fastly service reaches the origin, and `vcl_recv` has these lines:

        if (fastly.ff.visits_this_service == 0 && req.restarts == 0) {
          set req.http.Fastly-Client-IP = client.ip;
        }

    Door: another customer's service has the same ranges, and sets the header as it likes.
    Raises:
        ValueError: nobody said that the VCL sets the header.
    Source: Fastly-Client-IP, https://www.fastly.com/documentation/reference/http/http-headers/Fastly-Client-IP;
        X-Forwarded-For, https://www.fastly.com/documentation/reference/http/http-headers/X-Forwarded-For (2026-11-28).

    >>> fastly(["192.0.2.0/24"], set_in_vcl=True).find("192.0.2.7", [("Fastly-Client-IP", "203.0.113.9")]).address
    '203.0.113.9'
    """
    if set_in_vcl is not True:
        raise ValueError(
            "Fastly passes on a Fastly-Client-IP that the client sent; set it to client.ip in vcl_recv, "
            "and say set_in_vcl=True"
        )
    return SingleHeader("fastly-client-ip", trusted, port="never")


NAMES: Final[Mapping[str, Callable[..., ClientStrategy]]] = MappingProxyType(
    {
        function.__name__: function
        for function in (
            nginx, nginx_real_ip, haproxy, caddy, traefik, envoy,
            aws_alb, aws_cloudfront, aws_cloudfront_viewer_address, google_cloud,
            azure_application_gateway, azure_front_door, cloudflare, fastly,
        )
    }
)  # fmt: skip
"""Every ready strategy by its name.  Each function takes the trusted prefixes first, and may have other arguments."""

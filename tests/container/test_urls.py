"""URLs as text: what is refused, and that no spelling of an internal address is open."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagemaker_dogbreed.container.addresses import is_public, normal_host
from sagemaker_dogbreed.container.url_fetch import fetch
from sagemaker_dogbreed.container.urls import AllowedHosts, UrlError, parse_url

MAX_BYTES = 100_000


def error_of(url: str, **options: object) -> UrlError:
    with pytest.raises(UrlError) as caught:
        fetch(url, **{"max_bytes": MAX_BYTES, **options})
    return caught.value


def unreachable_resolver(host: str, port: int) -> list[str]:
    raise AssertionError("nothing is to be resolved")


@pytest.mark.parametrize(
    "entry", ["http://host/", "a b", "host:99999", "host:", "", "ho/st", "[::1", "user@host"]
)
def test_bad_allow_list_entry_is_named(entry: str) -> None:
    """An allow-list entry that is no host is an error of the caller's that names it."""
    with pytest.raises(ValueError, match="allowed URL host") as caught:
        AllowedHosts([entry])
    assert repr(entry) in str(caught.value)


@pytest.mark.parametrize("port", [1, 22, 25, 445, 1023])
def test_system_ports_are_blocked(port: int) -> None:
    """Ports of other services are closed on public hosts as well."""
    assert error_of(f"http://8.8.8.8:{port}/", resolve=unreachable_resolver).code == "url_blocked"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "dog.jpg",
        "//host/dog.jpg",
        "ftp://example.com/",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "http://",
        "http:///path",
        "http:example.com",
        "http://user@example.com/",
        "http://user:pass@example.com/",
        "http://example.com@127.0.0.1/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:port/",
        "http://exam ple.com/",
        "http://example.com/a b",
        " http://example.com/",
        "http://example.com/\r\nX: y",
        "http://exa\tmple.com/",
        "http://example.com\\@127.0.0.1/",
        "http:\\\\example.com/",
        "http://127.0.0.1%00.example.com/",
        "http://[::1/",
        "http://::1/",
        "http://[fe80::1%25eth0]/",
        "http://[v1.x]/",
        "http://[127.0.0.1]/",
        "http://1.2.3.4.5/",
        "http://999.1.1.1/",
        "http://0x100000000/",
        "http://a..b/",
        "http://-a.example/",
        "http://\uff45xample.com/",
        "http://①②⑦.0.0.1/",
        "http://köter.example/",
        "http://localhost\u3002/",
        "http://example.com/\ud800",
        "http://" + "a" * 64 + ".example/",
        "http://example.com/" + "a" * 9000,
    ],
)
def test_what_is_no_clean_url_is_invalid(url: str) -> None:
    """A URL that cannot be read one way only is refused before anything is resolved."""
    error = error_of(url, resolve=unreachable_resolver)
    assert error.code == "url_invalid"
    assert "pass" not in error.message


def test_credentials_in_a_url_are_named_as_the_problem() -> None:
    """A URL with credentials is refused for them, and they are not repeated."""
    error = error_of("https://user:hunter2@dogs.example/", resolve=unreachable_resolver)
    assert (error.code, error.message) == (
        "url_invalid",
        "the URL has credentials in it; they are never sent on",
    )


@pytest.mark.parametrize(
    "host",
    [
        "Example.COM",
        "example.com.",
        "xn--kter-5qa.example",
        "my_host.example",
        "8.8.8.8",
        "[2606:4700::1111]",
    ],
)
def test_clean_hosts_are_read(host: str) -> None:
    """Names in ASCII and addresses are hosts; case and a final dot do not matter."""
    assert parse_url(f"https://{host}:8443/x").host == host.lower().strip("[].")


IPV4_CLOSED = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
]


@st.composite
def closed_ipv4(draw: st.DrawFn) -> ipaddress.IPv4Address:
    network = ipaddress.IPv4Network(draw(st.sampled_from(IPV4_CLOSED)))
    first, last = int(network.network_address), int(network.broadcast_address)
    metadata = [int(ipaddress.IPv4Address(text)) for text in ("169.254.169.254", "169.254.170.2")]
    return ipaddress.IPv4Address(
        draw(st.one_of(st.integers(first, last), st.sampled_from([first, last, *metadata])))
    )


def number(draw: st.DrawFn, value: int) -> str:
    zeros = "0" * draw(st.integers(0, 3))
    return draw(st.sampled_from([f"{value}", f"0{zeros}{value:o}", f"0x{zeros}{value:x}", f"0X{value:X}"]))


@st.composite
def spelled_closed_ipv4(draw: st.DrawFn) -> str:
    """Draw a spelling of a closed IPv4 address: 1 to 4 parts, each decimal, octal or hexadecimal."""
    value = int(draw(closed_ipv4()))
    parts = draw(st.integers(1, 4))
    leading = [value >> shift & 0xFF for shift in (24, 16, 8)][: parts - 1]
    rest = value & (1 << 8 * (5 - parts)) - 1
    dot = draw(st.sampled_from(["", "."]))
    return ".".join(number(draw, part) for part in [*leading, rest]) + dot


@st.composite
def closed_ipv6(draw: st.DrawFn) -> str:
    """Draw an IPv6 address that is closed itself, or wraps an IPv4 address that is."""
    inner = int(draw(closed_ipv4()))
    low = draw(st.integers(0, 2**64 - 1))
    value = draw(
        st.sampled_from(
            [
                0,
                1,
                inner,
                0xFFFF << 32 | inner,
                0xFFFF0000 << 32 | inner,
                0x0064FF9B << 96 | inner,
                0x0064FF9B0001 << 80 | inner,
                0x2002 << 112 | inner << 80 | low,
                0x2001 << 112 | inner << 32 | low >> 32,
                0xFD00_0EC2 << 96 | 0x254,
                0xFC00 << 112 | low,
                0xFE80 << 112 | low,
                0xFEC0 << 112 | low,
                0xFF02 << 112 | low,
                0x100 << 112 | low,
                0x2001_0DB8 << 96 | low,
            ]
        )
    )
    address = ipaddress.IPv6Address(value)
    mixed = f"::{'ffff:' if value >> 32 else ''}{ipaddress.IPv4Address(value & 0xFFFFFFFF)}"
    spellings = [address.compressed, address.exploded, address.exploded.upper()]
    if value >> 32 in {0, 0xFFFF} and value > 1:
        spellings.append(mixed)
    return draw(st.sampled_from(spellings))


@settings(max_examples=300, deadline=None)
@given(
    spelled_closed_ipv4(), st.sampled_from(["", ":80", ":8080"]), st.sampled_from(["http", "https", "HTTP"])
)
def test_no_spelling_of_a_closed_ipv4_address_is_open(host: str, port: str, scheme: str) -> None:
    """However a closed IPv4 address is written, it is blocked, and nothing is asked of DNS."""
    assert error_of(f"{scheme}://{host}{port}/", resolve=unreachable_resolver).code == "url_blocked"


@settings(max_examples=300, deadline=None)
@given(closed_ipv6())
def test_no_spelling_of_a_closed_ipv6_address_is_open(host: str) -> None:
    """However a closed address is written in IPv6, it is blocked."""
    assert error_of(f"http://[{host}]:8080/", resolve=unreachable_resolver).code == "url_blocked"


@settings(max_examples=200, deadline=None)
@given(st.one_of(closed_ipv4().map(str), closed_ipv6()))
def test_no_name_leads_to_a_closed_address(address: str) -> None:
    """A name that resolves to a closed address is blocked, and the message does not tell the address."""
    error = error_of("https://dogs.example/d.jpg?key=1", resolve=lambda *_: [address])
    assert error.code == "url_blocked"
    assert error.message == (
        "https://dogs.example/d.jpg: the host is not on the public internet; if it is meant to be "
        "reached, it has to be listed in this endpoint's allowed URL hosts"
    )


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_open_ipv4_addresses_are_those_python_calls_global(address: ipaddress.IPv4Address) -> None:
    """Whatever the standard library calls private or multicast is closed here."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not is_public(str(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808"]
)
def test_public_addresses_are_open(address: str) -> None:
    """Addresses of the open internet are open, those just outside private ranges as well."""
    assert is_public(address)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_any_text_as_a_host_is_read_or_refused(text: str) -> None:
    """No host makes anything but a UrlError, and what is read is in its one spelling."""
    try:
        url = parse_url(f"http://{text}/")
    except UrlError as error:
        assert error.code == "url_invalid"  # noqa: PT017  (either outcome is right)
    else:
        assert normal_host(f"[{url.host}]" if ":" in url.host else url.host) == url.host

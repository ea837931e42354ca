from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.provisional import urls

from talkingvideo_api.errors import StageError
from talkingvideo_api.hosts import host_matches
from talkingvideo_api.uris import safe_uri
from talkingvideo_worker.inputs.addresses import is_open, is_public, parse_address
from talkingvideo_worker.inputs.https import checked_url
from talkingvideo_worker.inputs.policy import FetchPolicy

FIELD = "spec.source.image.uri"

CLOSED = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450:4001::1"]


@pytest.mark.parametrize("address", CLOSED)
def test_private_reserved_and_embedding_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses())
def test_what_python_calls_not_global_is_never_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_link_local:
        assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_no_ipv6_form_of_an_ipv4_address_is_public(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for form in ((0xFFFF << 32) | number, number, (0x64FF9B << 96) | number, (0x2002 << 112) | (number << 80)):
        assert not is_public(ipaddress.IPv6Address(form))


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "::",
        "0.0.0.0",
    ],
)
def test_an_open_host_does_not_open_metadata_services(address: str) -> None:
    assert not is_open(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["10.96.0.7", "192.168.0.2", "127.0.0.1", "fd12::1", "8.8.8.8"])
def test_an_open_host_may_be_inside_the_cluster(address: str) -> None:
    assert is_open(ipaddress.ip_address(address))


def test_an_address_with_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        parse_address("fe80::1%eth0")


@pytest.mark.parametrize(
    ("host", "pattern", "matches"),
    [
        ("a.example.com", "*.example.com", True),
        ("a.b.example.com", "*.example.com", True),
        ("example.com", "*.example.com", False),
        ("evilexample.com", "*.example.com", False),
        ("example.com", "example.com", True),
        ("example.com", "EXAMPLE.com.", True),
        ("example.com.evil.net", "example.com", False),
        ("anything.net", "*", True),
    ],
)
def test_host_patterns_match_whole_labels(host: str, pattern: str, matches: bool) -> None:
    assert host_matches(host, [pattern]) is matches


@pytest.mark.parametrize(
    "uri",
    [
        "http://example.com/a.png",
        "ftp://example.com/a.png",
        "//example.com/a.png",
        "https:///a.png",
        "https://",
        "https://user@example.com/",
        "https://user:pa55@example.com/",
        "https://example.com\\@evil.net/",
        "https://example.com\n.evil.net/",
        "https://exam ple.com/",
        "https://[::1/",
        "https://example.com:port/",
        "https://example.com:99999/",
        "https://\u0000/",
        "https:/example.com/",
        "https:example.com/a.png",
        "https:///example.com/a.png",
        "https://?a.png",
        "https://#a.png",
        "https://:443/",
        "https://example.com:-1/",
        "https://example.com:0/",
        "https://example.com:0x1bb/",
        "https://example.com:443:443/",
        "https://@example.com:80@evil.net/",
        "https://:pa55@example.com/",
        "https://pa55%40example.com@evil.net/",
        "https://example.com\u2028.evil.net/",
        "https://example.com\u00a0/",
        "https://example.com/\u202egnp.a",
        "https://[v1.fe80::a]/",
        "https://[::ffff:127.0.0.1/",
        "https://[1]/",
        "https://\ud800/",
        "ftps://example.com/",
        "HTTP://example.com/",
        "https+unix://example.com/",
        "blob:https://example.com/1",
        "view-source:https://example.com/",
        "",
        " ",
    ],
)
def test_addresses_that_are_not_plain_https_are_refused(uri: str) -> None:
    with pytest.raises(StageError) as caught:
        checked_url(uri, FetchPolicy(), FIELD)
    assert caught.value.field == FIELD
    assert not caught.value.retryable
    assert "pa55" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "https://good.test@evil.net/",
        "https://evil.net#@good.test/",
        "https://evil.net?.good.test",
        "https://evil.net/.good.test",
    ],
)
def test_a_host_cannot_be_hidden_behind_another(uri: str) -> None:
    with pytest.raises(StageError):
        checked_url(uri, FetchPolicy(allowed_hosts=("good.test", "*.good.test")), FIELD)


@pytest.mark.parametrize("uri", ["https://GOOD.test/a", "https://good.test./a", "https://good.test:8443/a?b#c"])
def test_a_host_is_recognised_in_every_spelling(uri: str) -> None:
    assert checked_url(uri, FetchPolicy(allowed_hosts=("good.test",)), FIELD)


@given(st.text(max_size=60))
def test_any_text_is_either_a_url_or_refused_with_a_reason(text: str) -> None:
    for uri in (text, f"https://{text}", f"https://example.com/{text}"):
        try:
            url = checked_url(uri, FetchPolicy(allowed_hosts=("example.com",)), FIELD)
        except StageError as error:
            assert error.field == FIELD
        else:
            assert url.scheme == "https"
            assert url.raw_host.lower().rstrip(b".") == b"example.com"
            assert not url.userinfo


SECRET = "s3cr3tS1gnature"


@given(urls())
def test_messages_never_show_a_query_or_a_password(url: str) -> None:
    plain = url.partition("#")[0].partition("?")[0]
    scheme, _, rest = plain.partition("://")
    for uri in (f"{plain}?X-Amz-Signature={SECRET}", f"{scheme}://me:{SECRET}@{rest}", f"{plain}#{SECRET}"):
        assert SECRET not in safe_uri(uri)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_readable_form_exists_for_any_text_and_hides_what_follows_a_question_mark(before: str, after: str) -> None:
    for scheme in ("https", "s3", "pvc", "file", "data"):
        assert SECRET not in safe_uri(f"{scheme}://{before}?{SECRET}{after}")
        safe_uri(before + after)


@pytest.mark.parametrize(
    "uri", [f"https://me:{SECRET}/x@host/", f"https:/me:{SECRET}@host/", f"https://[{SECRET}", f"https:{SECRET}@host"]
)
def test_malformed_addresses_are_not_shown(uri: str) -> None:
    assert SECRET not in safe_uri(uri)

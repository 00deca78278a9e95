import pytest

from bursar.gateway.hosts import LOOPBACK_NAMES, Hosts

HOSTS = Hosts((*LOOPBACK_NAMES, "Gateway.example.com"))


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:4100", "localhost.", "127.0.0.1:4100", "[::1]:4100", "gateway.example.com:443"],
)
def test_own_names_are_known_whatever_the_port(host: str) -> None:
    assert HOSTS.refuse_foreign({"host": host}) is None
    assert HOSTS.refuse_foreign({"host": host, "origin": f"http://{host}"}) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.example/localhost",
        "localhost@evil.example",
        "evil.example@localhost",
        "localhost, evil.example",
        "localhost:x",
        "localhost:99999999",
        "127.0.0.1.evil.example",
        "[::1",
        "2130706433",
        "localhost#x",
        "localhost\\evil",
        "\u0130",
    ],
)
def test_other_names_are_refused(host: str) -> None:
    fault = HOSTS.refuse_foreign({"host": host})
    assert fault is not None
    assert fault.status == 421
    # As it was the first time.
    assert HOSTS.refuse_foreign({"host": host}) == fault


@pytest.mark.parametrize(
    "origin", ["null", "https://evil.example", "http://localhost.evil.example", "", "file://"]
)
def test_a_page_of_elsewhere_is_refused_though_it_names_this_host(origin: str) -> None:
    fault = HOSTS.refuse_foreign({"host": "localhost:4100", "origin": origin})
    assert fault is not None
    assert fault.status == 403


def test_a_program_without_a_host_is_no_browser() -> None:
    assert HOSTS.refuse_foreign({}) is None


def test_without_names_every_name_is_answered_to() -> None:
    assert Hosts().refuse_foreign({"host": "evil.example", "origin": "null"}) is None

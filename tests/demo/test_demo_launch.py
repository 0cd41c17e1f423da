"""Services as processes of their own."""

import os
import socket
from threading import Thread
from time import monotonic, sleep

import httpx
import pytest

import demo
from demo.groups import groups
from demo.launch import LaunchError, PortInUse, Services

ORDER = {"userId": 7, "items": [{"productId": 1, "quantity": 2}]}
KEY = {"idempotency-key": "k-1"}


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_urls_follow_the_order_of_ports():
    assert demo.urls(8101)["users"] == "http://127.0.0.1:8101"
    assert demo.urls(8101)["comments"] == "http://127.0.0.1:8120"
    assert list(demo.urls(9000, only=["orders"])) == ["orders"]


def test_every_service_is_in_one_group():
    assert sorted(name for group in groups() for name in group) == sorted(demo.PORTS)
    assert groups(["users", "orders", "payments"], ["orders"]) == (
        ("users",),
        ("payments",),
        ("orders",),
    )


@pytest.mark.parametrize(
    "options", [{"only": ["nope"]}, {"only": ["users"], "isolate": ["orders"]}, {"base_port": -1}]
)
def test_wrong_options_are_refused_at_once(options):
    with pytest.raises(ValueError, match=r"nope|orders|base port"):
        Services(**options)


def test_everything_starts_answers_and_ends():
    start = monotonic()
    with Services(base_port=0) as services:
        assert monotonic() - start < 10
        with httpx.Client() as client:
            for name, url in services.urls.items():
                assert client.get(f"{url}/health").json()["service"] == name
        assert services.poll() == {}
        pids = {services.pid(name) for name in services.names}
        assert len(pids) == len(groups())
    assert not any(map(alive, pids))


def test_a_killed_service_takes_only_its_own_process_along_and_can_come_back():
    with Services(
        base_port=0, only=["users", "orders", "payments"], isolate=["orders"]
    ) as services:
        assert services.kill("orders") == ("orders",)
        assert services.poll() == {"orders": -9}
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{services.urls['orders']}/health")
        assert httpx.get(f"{services.urls['payments']}/health").status_code == 200
        services.restart("orders")
        assert services.poll() == {}
        assert httpx.get(f"{services.urls['orders']}/health").status_code == 200
        with pytest.raises(LaunchError, match="orders runs already"):
            services.restart("orders")


def test_killed_between_effect_and_reply_the_key_is_remembered():
    with Services(base_port=0, only=["orders"]) as services:
        url = services.urls["orders"]
        httpx.post(f"{url}/_admin/config", json={"replyDelayMs": 20_000})
        lost = Thread(target=_post_and_lose, args=(f"{url}/orders",))
        lost.start()
        _wait_for_effect(url)
        services.kill("orders")
        lost.join()
        services.restart("orders")
        again = httpx.post(f"{url}/orders", json=ORDER, headers=KEY)
        assert again.headers["idempotent-replayed"] == "true"
        effects = httpx.get(f"{url}/_admin/effects").json()
        assert effects["tables"] == {"orders": 5001}


def _post_and_lose(url):
    with pytest.raises(httpx.TransportError):
        httpx.post(url, json=ORDER, headers=KEY, timeout=15)


def _wait_for_effect(url):
    deadline = monotonic() + 5
    while not httpx.get(f"{url}/_admin/effects").json()["effects"]:
        assert monotonic() < deadline
        sleep(0.02)


def test_given_data_stays_and_the_delay_is_used(tmp_path):
    data = tmp_path / "data"
    with Services(base_port=0, data=data, only=["monitoring"], delay_ms=1) as services:
        url = services.urls["monitoring"]
        assert httpx.get(f"{url}/_admin/config").json()["delayMs"] == 1
    assert (data / "monitoring.db").exists()


def test_a_port_in_use_is_named_and_nothing_starts():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        services = Services(base_port=port - demo.PORTS["orders"], only=["orders"])
        with pytest.raises(PortInUse, match=f"orders: port {port}"), services:
            pass
        assert services.poll() == {}

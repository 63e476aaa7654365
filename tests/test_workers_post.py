"""What a worker is told by its supervisor, what it makes of it, and what somebody is told who starts one by hand."""

import os
import socket
from pathlib import Path

import pytest

from agents.errors import ConfigError
from gateway.cli import main
from gateway.settings import read_settings
from gateway.workers.listening import listening
from gateway.workers.post import READY, ParentLine, Post
from gateway.workers.supervisor import worker_environment

POST = Post(2, 3, (7, 8), 9, "/run/voice-gateway", "invented-0123456789")


def test_a_post_arrives_as_it_was_sent_and_readiness_is_answered() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        line = ParentLine(theirs.detach())
        ours.sendall(POST.to_bytes())

        post = line.post()
        line.say_ready()

        assert post == POST
        assert ours.recv(64) == READY
        line.socket.close()


def test_a_post_does_not_show_its_secret() -> None:
    assert "invented" not in repr(POST)


def test_a_worker_has_the_services_settings_its_invented_token_and_addresses_of_its_own() -> None:
    all_settings = read_settings({"MAX_CALLS": "7", "WORKERS": "3"})

    mine = POST.settings(all_settings)

    assert (mine.max_calls, mine.worker, mine.has_invented_token) == (7, 2, True)
    assert mine.auth_tokens == ("invented-0123456789",)
    assert mine.base_url == all_settings.base_url
    assert mine.addresses.of("/twilio/voice") == f"{all_settings.base_url}/twilio/w/2/twilio/voice"
    assert all_settings.addresses.of("/twilio/voice") == f"{all_settings.base_url}/twilio/voice"


@pytest.mark.parametrize(("all_of_them", "share"), [(1, "1"), (3, "1"), (4, "2"), (9, "3")])
def test_the_processes_that_speak_are_shared_out_and_each_worker_has_one(all_of_them: int, share: str) -> None:
    environment = POST.environment({"PATH": "/bin"}, all_of_them)

    assert environment == {"PATH": "/bin", "SPEECH_WORKERS": share}


@pytest.mark.parametrize("descriptor", [0, 987])
def test_who_starts_a_worker_by_hand_is_told_how_it_is_done(
    descriptor: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", {})

    status = main(["serve", "--worker", str(descriptor)])

    assert status == 2
    assert "`--workers 2` starts two" in capfd.readouterr().err


def test_workers_find_this_package_before_any_other() -> None:
    house = str(Path(__file__).parent.parent)

    assert worker_environment({})["PYTHONPATH"] == house
    assert worker_environment({"PYTHONPATH": "/else", "A": "b"}) == {
        "PYTHONPATH": f"{house}{os.pathsep}/else",
        "A": "b",
    }


def test_a_port_that_is_taken_is_told_with_its_number() -> None:
    with listening("127.0.0.1", 0)[0] as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1, port {port}: "):
            listening("127.0.0.1", port)


def test_the_port_is_open_on_every_address_of_a_host() -> None:
    listeners = listening("localhost", 0)

    assert {each.getsockname()[0] for each in listeners} <= {"127.0.0.1", "::1"}
    assert all(each.proto == socket.IPPROTO_TCP for each in listeners)
    for each in listeners:
        each.close()

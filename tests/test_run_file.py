"""The run file tells this user's tools how to reach the service, and tells nobody else."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.errors import ConfigError
from gateway.run_file import RunFile, folder, read, shared

RUN = RunFile(
    url="http://127.0.0.1:8080",
    public_url="https://voice.example.com",
    account_sid="AC" + "0" * 32,
    auth_token="invented-token",
)
OTHER = RUN.model_copy(update={"url": "http://127.0.0.1:9090"})


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home for state, with a umask that hides nothing by itself."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    umask = os.umask(0)
    yield tmp_path / "state" / "voice-gateway"
    os.umask(umask)


def closed_url() -> str:
    """An address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_lies_in_the_users_state_folder(state: Path) -> None:
    with shared(8080, RUN) as path:
        assert path == state / "8080.json"
        assert folder() == state


def test_without_a_state_folder_it_lies_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert folder() == tmp_path / ".local" / "state" / "voice-gateway"


def test_only_its_user_can_read_it() -> None:
    with shared(8080, RUN) as path:
        assert permissions(path) == 0o600
        assert permissions(path.parent) == 0o700


def test_what_was_shared_can_be_read_back() -> None:
    with shared(8080, RUN):
        assert read(8080) == RUN
        assert read() == RUN


def test_it_is_gone_when_the_service_ends(state: Path) -> None:
    with shared(8080, RUN):
        pass

    assert list(state.iterdir()) == []


def test_it_is_gone_when_the_service_breaks(state: Path) -> None:
    with pytest.raises(RuntimeError), shared(8080, RUN):
        raise RuntimeError("the service broke")

    assert list(state.iterdir()) == []


def test_one_that_is_gone_already_is_no_error() -> None:
    with shared(8080, RUN) as path:
        path.unlink()


def test_a_stale_one_is_removed_and_its_permissions_with_it(state: Path) -> None:
    state.mkdir(parents=True)
    stale = state / "8080.json"
    stale.write_text("left behind by a crash")
    stale.chmod(0o644)

    with shared(8080, RUN) as path:
        assert permissions(path) == 0o600
        assert read(8080) == RUN


def test_a_link_in_its_place_is_not_followed(state: Path, tmp_path: Path) -> None:
    state.mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("untouched")
    (state / "8080.json").symlink_to(elsewhere)

    with shared(8080, RUN):
        assert read(8080) == RUN

    assert elsewhere.read_text() == "untouched"


def test_each_port_has_its_own() -> None:
    with shared(8080, RUN), shared(9090, OTHER):
        assert read(8080) == RUN
        assert read(9090) == OTHER


def test_without_a_port_the_service_started_last_is_found() -> None:
    with shared(8080, RUN) as first, shared(9090, OTHER) as second:
        os.utime(first, (2_000, 2_000))
        os.utime(second, (1_000, 1_000))

        assert read() == RUN


def test_a_file_that_a_killed_service_left_is_passed_over_for_one_that_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        live = RUN.model_copy(update={"url": f"http://127.0.0.1:{listening.getsockname()[1]}"})
        with shared(8080, live) as older, shared(9090, RUN.model_copy(update={"url": closed_url()})) as left:
            os.utime(older, (1_000, 1_000))
            os.utime(left, (2_000, 2_000))

            assert read() == live


def test_when_no_service_answers_the_newest_file_is_taken() -> None:
    silent = RUN.model_copy(update={"url": closed_url()})
    with shared(8080, silent) as newest, shared(9090, OTHER.model_copy(update={"url": closed_url()})) as older:
        os.utime(newest, (2_000, 2_000))
        os.utime(older, (1_000, 1_000))

        assert read() == silent


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "nonsense", "http://[::1"])
def test_an_address_that_cannot_be_called_does_not_answer(url: str) -> None:
    with shared(8080, RUN.model_copy(update={"url": url})):
        assert read().url == url


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b'{"url":"http://127.0.0.1:1"}', b"\xff\xfe"])
def test_one_that_makes_no_sense_is_passed_over(state: Path, content: bytes) -> None:
    state.mkdir(parents=True)
    broken = state / "7000.json"
    broken.write_bytes(content)

    with shared(8080, RUN) as good:
        os.utime(good, (1_000, 1_000))
        assert read() == RUN
        with pytest.raises(ConfigError):
            read(7000)


def test_when_nothing_runs_the_error_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="no gateway is running here; start one with `make run`"):
        read()
    with pytest.raises(ConfigError, match="no gateway is running here on port 8080"):
        read(8080)


def test_a_real_token_is_not_written_down() -> None:
    with shared(8080, RUN.model_copy(update={"auth_token": None})) as path:
        assert '"auth_token":null' in path.read_text()


def test_the_token_is_in_no_repr() -> None:
    assert "invented-token" not in repr(RUN)

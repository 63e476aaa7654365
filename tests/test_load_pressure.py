"""How long a socket may be full."""

from gateway.load.pressure import MAX_BLOCKED_S, Pressure


def test_a_socket_that_stays_full_is_given_up() -> None:
    pressure = Pressure()

    pressure.begin(1.0)
    pressure.begin(5.0)

    assert not pressure.is_too_long(1.0 + MAX_BLOCKED_S)
    assert pressure.is_too_long(1.1 + MAX_BLOCKED_S)


def test_a_socket_that_has_room_again_is_not() -> None:
    pressure = Pressure()

    pressure.begin(1.0)
    pressure.end()

    assert not pressure.is_too_long(100.0)

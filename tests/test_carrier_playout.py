from channels.carrier.playout import BUFFER_FRAMES, Playout, Tick

A, B, C = (bytes([value]) * 160 for value in (1, 2, 3))


def test_audio_plays_frame_by_frame_and_then_there_is_none() -> None:
    playout = Playout()
    playout.play(A + B)

    assert [playout.tick(at_ms) for at_ms in (0, 20, 40)] == [Tick(0, A), Tick(20, B), Tick(40, None)]


def test_a_mark_is_reached_when_the_audio_before_it_has_sounded_to_its_end() -> None:
    playout = Playout()
    playout.play(A)
    assert not playout.mark("first")
    playout.play(B + C)
    assert not playout.mark("second")
    assert not playout.mark("third")

    marks = [playout.tick(at_ms).marks for at_ms in range(0, 100, 20)]

    assert marks == [(), ("first",), (), ("second", "third"), ()]


def test_a_mark_on_an_empty_buffer_is_reached_at_once_but_not_while_the_last_frame_sounds() -> None:
    playout = Playout()
    assert playout.mark("before anything")

    playout.play(A)
    playout.tick(0)
    assert not playout.mark("while A sounds")
    assert playout.tick(20).marks == ("while A sounds",)
    assert playout.mark("after A")


def test_clear_returns_unreached_marks_in_order_and_silences_the_phone() -> None:
    playout = Playout()
    playout.play(A)
    playout.mark("one")
    playout.play(B)
    playout.mark("two")
    playout.tick(0)

    assert playout.clear() == ("one", "two")
    assert playout.mark("fence")
    assert playout.tick(20) == Tick(20, None, (), was_cleared=True)
    assert playout.tick(40) == Tick(40, None)


def test_clear_with_nothing_to_clear_is_not_a_clearing() -> None:
    playout = Playout()

    assert playout.clear() == ()
    assert playout.tick(0) == Tick(0, None)


def test_audio_after_clear_plays_at_the_next_tick() -> None:
    playout = Playout()
    playout.play(A + A)
    playout.tick(0)
    playout.clear()
    playout.play(B)

    assert playout.tick(20) == Tick(20, B, (), was_cleared=True)


def test_more_than_ten_minutes_of_audio_do_not_fit() -> None:
    playout = Playout()

    assert playout.play(A * (BUFFER_FRAMES - 1)) == 0
    assert playout.play(B * 3) == 2
    assert playout.play(B) == 1

    playout.tick(0)
    assert playout.play(B) == 0

"""What was heard of a spoken text is known to a word or two, however text and audio come."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.heard_text import LETTER_MS, MAX_TEXT_CHARS, Pace, SpokenText


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as long as its audio, and when each of its words ends."""

    text: str
    total_ms: int
    ends_ms: tuple[int, ...]


Utterance = tuple[Sentence, ...]

MEASURED = """
Hello, 679 and 904 thank 1154 you 1304 for 1429 calling 1804 the 1879 Riverside 2379 Dental 2729 Clinic. 3111
How 262 can 387 I 512 help 737 you 887 today? 1248

We 129 are 254 open 579 from 729 nine 1054 to 1179 five 1529 on 1654 weekdays. 2191 On 206 Saturdays 806 we 956
close 1331 at 1456 noon, 2056 and 2256 on 2431 Sundays 2956 we 3106 are 3181 closed 3606 all 3856 day. 4094

Of 214 course. 643 Let 258 me 383 check 658 that 883 for 1008 you. 1212 One 301 moment, 676 please. 1188 I 184
can 359 see 584 a 684 free 934 slot 1259 on 1434 Thursday 1984 at 2084 ten 2334 fifteen, 3184 and 3384 another 3734
one 3959 on 4134 Friday 4584 afternoon. 5136 Which 230 of 305 them 480 would 655 suit 905 you 1030 better? 1361

No 288 problem. 792 Goodbye! 535

The 118 total 518 comes 818 to 943 forty 1293 two 1518 dollars 1993 and 2118 ninety 2493 cents, 3168 including 3743
tax 4193 and 4318 delivery. 4732 Shall 212 I 337 charge 712 the 812 card 1162 that 1337 ends 1662 with 1787 the 1862
numbers 2237 one 2462 two 2687 three 2937 four? 3254

You 137 can 287 reach 537 the 612 building 962 by 1137 bus, 1587 by 1812 tram 2212 or 2337 by 2512 car. 2814
There 155 is 280 a 380 large 755 car 1005 park 1305 behind 1755 it, 2155 which 2430 is 2580 free 2880 for 3005
visitors 3505 during 3755 the 3830 first 4155 two 4355 hours. 4844 The 149 entrance 599 is 724 on 824 the 899
left 1199 side 1499 of 1574 the 1649 street, 2274 right 2649 next 2949 to 3049 the 3124 pharmacy. 3662 Take 276
the 401 elevator 951 to 1051 the 1151 third 1476 floor, 2076 and 2276 then 2476 follow 2826 the 2926 signs. 3406

Well, 382 that 632 depends. 1154 Extraordinarily 934 complicated 1684 investigations 2959 occasionally 3709
necessitate 4409 additional 4884 documentation. 5788 But 151 do 276 not 476 worry, 1001 as 1276 we 1426 can 1601
do 1751 it 1851 for 1976 you 2126 if 2251 you 2351 say 2626 so. 2868
"""
"""Seven utterances in the embedded voice. Behind each word, at which millisecond of its sentence it ends, by the
durations that the voice's model gives each sound."""

TAIL_MS = 240
"""Silence at the end of each of these sentences."""


def measured(paragraph: str) -> Utterance:
    sentences = re.findall(r"\S.*?[.?!] \d+", " ".join(paragraph.split()))
    columns = [(sentence.split()[::2], [int(end) for end in sentence.split()[1::2]]) for sentence in sentences]
    return tuple(Sentence(" ".join(words), ends[-1] + TAIL_MS, tuple(ends)) for words, ends in columns)


PIECE_MS = 200
"""Audio that comes at once; the text beside it comes between two such pieces."""


def with_pauses(utterance: Utterance) -> Utterance:
    """The same in a slow voice: a fifth more, 300 ms at each comma, half a second between sentences."""
    slow: list[Sentence] = []
    for sentence in utterance:
        pauses = accumulate(300 if word.endswith(",") else 0 for word in ("", *sentence.text.split()[:-1]))
        ends = tuple(int(end_ms * 1.2) + pause for end_ms, pause in zip(sentence.ends_ms, pauses, strict=True))
        lengthened = int(sentence.total_ms * 1.2) + ends[-1] - int(sentence.ends_ms[-1] * 1.2)
        slow.append(replace(sentence, total_ms=lengthened + 500, ends_ms=ends))
    return tuple(slow)


QUICK = tuple(measured(paragraph) for paragraph in MEASURED.split("\n\n"))
SPOKEN = QUICK + tuple(with_pauses(utterance) for utterance in QUICK)


# ---- ways in which text comes beside the audio ----


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    begin_ms: int
    end_ms: int


Delta = tuple[int, str]
"""So much audio had come when this text came."""


def words(utterance: Utterance) -> list[Word]:
    found: list[Word] = []
    start_ms = 0
    for sentence in utterance:
        begin_ms = start_ms
        for text, end_ms in zip(sentence.text.split(), sentence.ends_ms, strict=True):
            found.append(Word(f" {text}" if found else text, begin_ms, start_ms + end_ms))
            begin_ms = start_ms + end_ms
        start_ms += sentence.total_ms
    return found


def length_ms(utterance: Utterance) -> int:
    return sum(sentence.total_ms for sentence in utterance)


def whole_text(utterance: Utterance) -> str:
    return " ".join(sentence.text for sentence in utterance)


def by_sentence(utterance: Utterance) -> Iterator[Delta]:
    start_ms = 0
    for sentence in utterance:
        yield start_ms, f" {sentence.text}" if start_ms else sentence.text
        start_ms += sentence.total_ms


def sentence_ahead(utterance: Utterance) -> Iterator[Delta]:
    starts = [start_ms for start_ms, _ in by_sentence(utterance)]
    for start_ms, (_, text) in zip([0, *starts], by_sentence(utterance), strict=False):
        yield start_ms, text


def word_beside(utterance: Utterance) -> Iterator[Delta]:
    for word in words(utterance):
        yield word.begin_ms // PIECE_MS * PIECE_MS, word.text


def word_beside_but_audio_first(utterance: Utterance) -> Iterator[Delta]:
    for audio_ms, text in word_beside(utterance):
        yield max(400, audio_ms), text


def word_ahead(utterance: Utterance) -> Iterator[Delta]:
    for word in words(utterance):
        yield max(0, word.begin_ms - 1500) // PIECE_MS * PIECE_MS, word.text


def text_three_times_as_fast(utterance: Utterance) -> Iterator[Delta]:
    for word in words(utterance):
        yield word.begin_ms // 3 // PIECE_MS * PIECE_MS, word.text


def all_before(utterance: Utterance) -> Iterator[Delta]:
    yield 0, whole_text(utterance)


def word_after(utterance: Utterance) -> Iterator[Delta]:
    for word in words(utterance):
        yield min(word.end_ms // PIECE_MS * PIECE_MS + 800, length_ms(utterance)), word.text


def phrase_after(utterance: Utterance) -> Iterator[Delta]:
    said = words(utterance)
    for first in range(0, len(said), 3):
        phrase = said[first : first + 3]
        came_ms = phrase[-1].end_ms // PIECE_MS * PIECE_MS + (400 if first % 2 else 800)
        yield min(came_ms, length_ms(utterance)), "".join(word.text for word in phrase)


def all_after(utterance: Utterance) -> Iterator[Delta]:
    yield length_ms(utterance), whole_text(utterance)


Delivery = Callable[[Utterance], Iterator[Delta]]


def errors(delivery: Delivery, utterance: Utterance, received_ms: int, pace: Pace) -> Iterator[int]:
    """By how many words `heard` is wrong, every quarter of a second. Of text that lags, the rest came late."""
    is_complete = received_ms >= length_ms(utterance)
    came = max(0, len([word for word in words(utterance) if word.end_ms <= received_ms]))
    spoken = SpokenText(pace)
    for audio_ms, text in delivery(utterance):
        if audio_ms <= received_ms:
            spoken.wrote(text, audio_ms)
    late = " ".join(whole_text(utterance).split()[:came])[len(spoken.text) :]
    if late:
        spoken.wrote(late, received_ms)
    ends = [word.end_ms for word in words(utterance)]
    for heard_ms in range(0, received_ms, 250):
        yield len(spoken.heard(heard_ms, received_ms, is_complete).split()) - bisect_right(ends, heard_ms)


Errors = tuple[float, int]
"""Wrong words on average, and at worst."""

MEASURED_ERRORS: tuple[tuple[Delivery, Errors, Errors, Errors], ...] = (
    # whole items, items cut while they came, the same when the voice was never heard before
    (by_sentence, (0.5, 3), (0.6, 3), (0.6, 4)),
    (sentence_ahead, (0.6, 4), (1.2, 5), (2.3, 14)),
    (word_beside, (0.5, 3), (0.6, 4), (0.5, 3)),
    (word_beside_but_audio_first, (0.5, 3), (0.7, 4), (0.6, 4)),
    (word_ahead, (0.6, 4), (0.8, 6), (1.0, 8)),
    (text_three_times_as_fast, (0.6, 4), (0.9, 5), (2.4, 14)),
    (all_before, (0.6, 4), (0.9, 5), (2.4, 14)),
    (word_after, (0.6, 3), (0.6, 3), (0.6, 3)),
    (phrase_after, (0.8, 4), (0.7, 4), (0.7, 4)),
    (all_after, (0.6, 4), (0.6, 4), (0.6, 4)),
)


def assert_no_worse(wrong: Iterator[int], than: Errors) -> None:
    sizes = [abs(error) for error in wrong]
    assert mean(sizes) <= than[0]
    assert max(sizes) <= than[1]


def cut_errors(delivery: Delivery, *, is_known: bool) -> Iterator[int]:
    for utterance in SPOKEN:
        pace = Pace()
        if is_known:
            pace.learn(whole_text(utterance), length_ms(utterance))
        for received_ms in range(1000, length_ms(utterance), 2000):
            yield from errors(delivery, utterance, received_ms, pace)


@pytest.mark.parametrize(("delivery", "whole"), [row[:2] for row in MEASURED_ERRORS])
def test_the_words_heard_of_a_whole_item_are_known(delivery: Delivery, whole: Errors) -> None:
    wrong = (error for utterance in SPOKEN for error in errors(delivery, utterance, length_ms(utterance), Pace()))

    assert_no_worse(wrong, whole)


@pytest.mark.parametrize(("delivery", "cut"), [(row[0], row[2]) for row in MEASURED_ERRORS])
def test_the_words_heard_of_an_item_that_was_cut_while_it_came_are_known(delivery: Delivery, cut: Errors) -> None:
    assert_no_worse(cut_errors(delivery, is_known=True), cut)


@pytest.mark.parametrize(("delivery", "cut"), [(row[0], row[3]) for row in MEASURED_ERRORS])
def test_the_words_heard_are_about_known_where_the_voice_is_not(delivery: Delivery, cut: Errors) -> None:
    assert_no_worse(cut_errors(delivery, is_known=False), cut)


def test_a_sentence_that_comes_right_before_its_audio_begins_exactly_there() -> None:
    spoken = SpokenText()
    spoken.wrote("Sure.", 0)
    spoken.wrote(" We open at nine.", 4000)

    assert spoken.heard(4000, 6000, True) == "Sure."
    assert spoken.heard(4300, 6000, True) == "Sure. We"


# ---- what counts as heard ----


def spoken_evenly(text: str) -> SpokenText:
    spoken = SpokenText()
    spoken.wrote(text, 0)
    return spoken


def test_nothing_is_heard_at_0_and_everything_at_the_end_of_a_complete_item() -> None:
    spoken = spoken_evenly("We are open from nine to five.")

    assert spoken.heard(0, 2000, True) == ""
    assert spoken.heard(2000, 2000, True) == "We are open from nine to five."
    assert spoken.heard(9999, 2000, True) == "We are open from nine to five."


def test_a_word_counts_when_it_was_heard_to_its_end_without_the_pause_after_it() -> None:
    spoken = spoken_evenly("aaaa bbbb. cccc")  # 12 letters and a pause of 4.5

    assert spoken.heard(999, 4125, True) == ""
    assert spoken.heard(1000, 4125, True) == "aaaa"
    assert spoken.heard(1999, 4125, True) == "aaaa"
    assert spoken.heard(2000, 4125, True) == "aaaa bbbb."


def test_of_an_item_still_coming_only_what_came_can_be_heard() -> None:
    spoken = spoken_evenly("One two three four five six seven eight nine ten.")

    heard = spoken.heard(60_000, 1000, False)

    assert heard == spoken.heard(1000, 1000, False)
    assert heard == "One two three four"


def test_text_that_was_written_far_ahead_was_not_heard() -> None:
    spoken = SpokenText()
    for number in range(30):
        spoken.wrote("abcdefghi ", number * 10)

    assert len(spoken.heard(300, 300, False).split()) <= 1
    assert len(spoken.heard(3000, 3000, False).split()) == 3000 // (9 * LETTER_MS)


def test_text_that_lags_is_counted_once_it_is_there() -> None:
    spoken = SpokenText()

    before = spoken.heard(1500, 3000, False)
    spoken.wrote("We are open from nine to five.", 3000)

    assert before == ""
    assert spoken.heard(1500, 3000, False) == "We are open from"


def test_a_final_text_without_pieces_is_spread_over_the_audio() -> None:
    spoken = SpokenText()
    spoken.written("We are open from nine to five.")

    assert spoken.heard(1500, 3000, True) == "We are open from"


def test_the_final_text_wins_over_the_pieces() -> None:
    spoken = spoken_evenly("We are oben")

    spoken.written("We are open.")

    assert spoken.text == "We are open."
    assert spoken.heard(1000, 1000, True) == "We are open."


def test_a_voice_that_was_heard_before_is_known_to_be_slow() -> None:
    slow, usual = Pace(), Pace()
    slow.learn("abcd " * 1000, 4000 * 130)

    texts = [SpokenText(pace) for pace in (slow, usual)]
    for text in texts:
        text.wrote("abcd " * 20, 0)

    assert [len(text.heard(2600, 2600, False).split()) for text in texts] == [5, 10]


def test_digits_and_pauses_last_longer_than_letters() -> None:
    spoken = spoken_evenly("Call 5551234 or mail")

    assert spoken.heard(1000, 2000, True) == "Call"
    assert spoken.heard(1700, 2000, True) == "Call 5551234"


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("我们九点开门。", "我们九"),
        ("营业时间、「九点」到五点", "营业时间、"),
        ("こんにちは世界です", "こんにち"),
        ("สวัสดีครับผม", "สวัสดี"),
        ("안녕하세요 여러분 반갑습니다", "안녕하세요"),
        ("Das heißt 『東京タワー』 here", "Das heißt 『東"),
    ],
)
def test_scripts_without_spaces_are_heard_letter_by_letter(text: str, heard: str) -> None:
    assert spoken_evenly(text).heard(500, 1000, True) == heard


@pytest.mark.parametrize("text", ["", "…", " ", "()", "- -"])
def test_there_may_be_nothing_to_hear(text: str) -> None:
    spoken = spoken_evenly(text)

    assert spoken.heard(0, 0, True) == ""
    assert text.startswith(spoken.heard(500, 1000, True))


def test_a_text_is_bounded() -> None:
    spoken = SpokenText()
    for _ in range(30):
        spoken.wrote("word " * 200, 0)
    spoken.written("word " * 100_000)

    assert len(spoken.text) == MAX_TEXT_CHARS


# ---- whatever comes ----

TEXTS = st.one_of(st.text(max_size=30), st.text("ab. 1,我。", max_size=30))
LENGTHS_MS = st.integers(-100, 30_000)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(TEXTS, LENGTHS_MS), max_size=12),
    st.none() | TEXTS,
    LENGTHS_MS,
    st.lists(LENGTHS_MS, min_size=1, max_size=12),
    st.booleans(),
)
def test_what_was_heard_begins_the_text_and_only_grows(
    pieces: list[tuple[str, int]], whole: str | None, received_ms: int, moments: list[int], is_complete: bool
) -> None:
    spoken = SpokenText()
    for text, audio_ms in pieces:
        spoken.wrote(text, audio_ms)
    if whole is not None:
        spoken.written(whole)

    heard = [spoken.heard(moment, received_ms, is_complete) for moment in sorted(moments)]

    assert all(spoken.text.startswith(text) for text in heard)
    assert [len(text) for text in heard] == sorted(len(text) for text in heard)
    assert all(text == text.rstrip() or text == spoken.text for text in heard)

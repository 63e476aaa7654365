"""Text is cut into sentences as it is written, and freed of what cannot be spoken."""

import pytest

from agents.local.sentences import MAX_SENTENCE_CHARS, SentenceSplitter, sentences, spoken


def test_a_sentence_comes_as_soon_as_the_next_one_begins() -> None:
    splitter = SentenceSplitter()

    assert splitter.feed("Hello the") == []
    assert splitter.feed("re. How") == ["Hello there."]
    assert splitter.feed(" are you?") == []
    assert splitter.flush() == ["How are you?"]


@pytest.mark.parametrize(
    "text",
    [
        "We open at 9.30 today",
        "Dr. Miller is in.",
        "Ask for J. Smith, please.",
        "That is 3.5 percent!",
        "Well... fine",
        "1. is our street number",
    ],
)
def test_not_every_dot_ends_a_sentence(text: str) -> None:
    joined = " ".join(sentences(text))

    assert joined == text
    assert len(sentences(text)) <= 2 if "..." in text else len(sentences(text)) == 1


def test_lines_are_sentences_and_marks_are_not_spoken() -> None:
    text = "## Our hours\n\n- **Monday**: nine to five\n- *Tuesday*: `ten` to six\n\n```\nSee [our page](https://x.y).\n---"

    assert sentences(text) == ["Our hours", "Monday: nine to five", "Tuesday: ten to six", "See our page."]


@pytest.mark.parametrize("text", ["", "   ", "...", "***", "-\n"])
def test_there_may_be_nothing_to_say(text: str) -> None:
    assert sentences(text) == []


def test_words_with_marks_inside_keep_them() -> None:
    assert spoken("The file_name and the snake_case word") == "The file_name and the snake_case word"


def test_endless_sentences_are_cut_between_words() -> None:
    text = "and so on " * 100

    pieces = sentences(text)

    assert all(len(piece) <= MAX_SENTENCE_CHARS for piece in pieces)
    assert " ".join(pieces) == text.strip()


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pieces_of_any_size_give_the_same_sentences(size: int) -> None:
    text = "Hello, Mr. Smith! We are open. Is that all? Yes."
    splitter = SentenceSplitter()

    found = [sentence for at in range(0, len(text), size) for sentence in splitter.feed(text[at : at + size])]

    assert found + splitter.flush() == ["Hello, Mr. Smith!", "We are open.", "Is that all?", "Yes."]

"""What an agent's file may not say about interruptions, silence, time and keys, and where its mistakes are told."""

from pathlib import Path

import pytest

from agents.errors import Problem
from agents.schema import MAX_IDLE_STEPS, MAX_MODELS, AgentSpec
from agents.yaml_file import read

MODEL = "model: scripted/hello.steps\n"


def read_text(tmp_path: Path, text: str) -> tuple[AgentSpec | None, list[Problem]]:
    file = tmp_path / "agent.yaml"
    file.write_text(MODEL + text, encoding="utf-8")
    return read(file, AgentSpec)


def place(problems: list[Problem]) -> tuple[int | None, str, str]:
    [problem] = problems
    return problem.line, problem.field, problem.right


def test_by_default_a_voice_interrupts_at_once_and_silence_and_keys_do_nothing(tmp_path: Path) -> None:
    spec, _ = read_text(tmp_path, "")

    assert spec
    assert not any(spec.interruption.model_dump().values())
    assert (spec.idle, spec.duration_warning, spec.keys.to_model) == ((), None, False)


# ---- interruption ----

VOICE_RULES = ["protect_greeting: true", "min_speech_ms: 300", "min_words: 2", "resume_after_ms: 1500"]


@pytest.mark.parametrize("turns", ["interrupt_response: false", "mode: manual"])
@pytest.mark.parametrize("rule", VOICE_RULES)
def test_a_rule_about_the_voice_contradicts_a_voice_that_never_interrupts(
    tmp_path: Path, rule: str, turns: str
) -> None:
    spec, problems = read_text(tmp_path, f"turn_detection: {{{turns}}}\ninterruption:\n  {rule}\n")

    name = rule.partition(":")[0]
    assert spec is None
    assert place(problems) == (
        3,
        "interruption",
        f"interruption.{name} can have no effect, as turn_detection.{turns} lets no voice interrupt; "
        "remove one or the other",
    )


@pytest.mark.parametrize("rule", ["min_words: 2", "resume_after_ms: 1500"])
def test_a_rule_about_words_contradicts_transcripts_that_are_off(tmp_path: Path, rule: str) -> None:
    spec, problems = read_text(tmp_path, f"transcription: null\ninterruption: {{{rule}}}\n")

    assert spec is None
    assert place(problems) == (
        3,
        "interruption",
        f"interruption.{rule.partition(':')[0]} can have no effect, as transcription: null writes no words down; "
        "remove one or the other",
    )


def test_every_rule_that_has_no_effect_is_named(tmp_path: Path) -> None:
    _, problems = read_text(tmp_path, "interruption: {min_words: 1, resume_after_ms: 500}\ntranscription:\n")

    assert place(problems)[2].startswith("interruption.min_words and interruption.resume_after_ms can have no effect")


@pytest.mark.parametrize(
    "text",
    [
        "turn_detection: {interrupt_response: false}\ninterruption: {on_key: true}\n",
        "turn_detection: {interrupt_response: false}\ninterruption: {min_words: 0, resume_after_ms: null}\n",
        "transcription: null\ninterruption: {protect_greeting: true, min_speech_ms: 300}\n",
        "turn_detection: {interrupt_response: true}\ninterruption: {min_speech_ms: 5000, min_words: 20}\n",
    ],
)
def test_rules_that_have_their_effect_are_fine(tmp_path: Path, text: str) -> None:
    assert read_text(tmp_path, text)[1] == []


def test_a_mistake_in_turn_detection_is_told_without_one_that_would_follow(tmp_path: Path) -> None:
    _, problems = read_text(
        tmp_path, "turn_detection: {interrupt_response: never}\ntranscription: 5\ninterruption: {min_words: 2}\n"
    )

    assert [problem.field for problem in problems] == ["turn_detection.interrupt_response", "transcription"]


# ---- idle ----


def test_only_the_last_step_may_hang_up(tmp_path: Path) -> None:
    _, problems = read_text(tmp_path, "idle:\n  - {after_s: 9, hang_up: true}\n  - {after_s: 9, say: Hello?}\n")

    assert place(problems) == (2, "idle", "only the last step may hang up; step 1 of 2 does")


def test_a_step_that_does_nothing_is_a_mistake_at_its_line(tmp_path: Path) -> None:
    _, problems = read_text(tmp_path, "idle:\n  - {after_s: 9, say: Hello?}\n  - after_s: 9\n")

    assert place(problems) == (4, "idle[1]", "a step must say something, hang up, or both: add say or hang_up: true")


@pytest.mark.parametrize(("steps", "is_fine"), [(MAX_IDLE_STEPS, True), (MAX_IDLE_STEPS + 1, False)])
def test_a_ladder_has_at_most_ten_steps(tmp_path: Path, steps: int, is_fine: bool) -> None:
    _, problems = read_text(tmp_path, "idle:\n" + "  - {after_s: 9, say: Hello?}\n" * steps)

    assert [problem.right for problem in problems] == (
        [] if is_fine else ["at most 10 steps are allowed; these are 11"]
    )


def test_a_step_needs_a_silence(tmp_path: Path) -> None:
    _, problems = read_text(tmp_path, "idle:\n  - {after_s: 0, say: Hello?}\n")

    assert place(problems) == (3, "idle[0].after_s", "must be a number above 0, at most 3600")


# ---- duration_warning ----


@pytest.mark.parametrize("before_s", ["60", "60.5"])
def test_a_warning_before_the_call_begins_is_a_mistake(tmp_path: Path, before_s: str) -> None:
    _, problems = read_text(
        tmp_path, f"max_duration_s: 60\nduration_warning:\n  before_s: {before_s}\n  say: Soon over.\n"
    )

    right = f"duration_warning.before_s ({before_s}) must be less than max_duration_s (60)"
    assert place(problems) == (3, "duration_warning", right)


def test_a_warning_within_the_default_time_is_fine(tmp_path: Path) -> None:
    assert read_text(tmp_path, "duration_warning: {before_s: 3599, say: Soon over.}\n")[1] == []
    assert len(read_text(tmp_path, "duration_warning: {before_s: 3600, say: Soon over.}\n")[1]) == 1


def test_a_mistake_in_the_longest_time_is_told_without_one_that_would_follow(tmp_path: Path) -> None:
    _, problems = read_text(tmp_path, "max_duration_s: 0\nduration_warning: {before_s: 60, say: Soon over.}\n")

    assert [problem.field for problem in problems] == ["max_duration_s"]


# ---- keys ----


@pytest.mark.parametrize("key", ['"#"', '"*"', '"0"', "D"])
def test_any_key_may_complete_an_entry(tmp_path: Path, key: str) -> None:
    spec, problems = read_text(tmp_path, f"keys: {{terminator: {key}}}\n")

    assert problems == []
    assert spec and spec.keys.terminator == key.strip('"')


def test_no_key_may_complete_an_entry(tmp_path: Path) -> None:
    spec, _ = read_text(tmp_path, "keys: {terminator: null}\n")

    assert spec and spec.keys.terminator is None


@pytest.mark.parametrize("key", ['"##"', '""', "E", "d"])
def test_what_is_no_key_is_a_mistake(tmp_path: Path, key: str) -> None:
    _, problems = read_text(tmp_path, f"keys: {{terminator: {key}}}\n")

    line, field, right = place(problems)
    assert (line, field) == (2, "keys.terminator")
    assert right.endswith("C or D, or null")


def test_a_bare_number_sign_is_no_key_but_the_beginning_of_a_comment(tmp_path: Path) -> None:
    spec, problems = read_text(tmp_path, "keys:\n  terminator: #\n")

    assert spec is None
    assert place(problems) == (3, "keys.terminator", 'put the sign in quotes: "#"')


# ---- texts ----


def test_what_is_said_into_silence_and_before_the_end_may_hold_variables(tmp_path: Path) -> None:
    spec, problems = read_text(
        tmp_path,
        "duration_warning: {before_s: 9, say: 'Soon over, {{ shop }}.'}\n"
        "idle:\n"
        "  - {after_s: 9, say: Hello?}\n"
        "  - {after_s: 9, hang_up: true, say: 'Goodbye from {{ store }}.'}\n",
    )

    assert problems == []
    assert spec and spec.unknown_variables() == [(("duration_warning", "say"), "shop"), (("idle", 1, "say"), "store")]


# ---- models, and what is done without any ----


def read_whole(tmp_path: Path, text: str) -> tuple[AgentSpec | None, list[Problem]]:
    file = tmp_path / "agent.yaml"
    file.write_text(text, encoding="utf-8")
    return read(file, AgentSpec)


@pytest.mark.parametrize("text", ["greeting: Hello.\n", MODEL + "models:\n  - model: scripted/other.steps\n"])
def test_an_agent_has_either_a_model_or_a_list_of_them(tmp_path: Path, text: str) -> None:
    spec, [problem] = read_whole(tmp_path, text)

    assert spec is None
    assert problem.right == "an agent has a model, or a list of models: give one of the two"


def test_so_many_models_are_a_mistake(tmp_path: Path) -> None:
    text = "models:\n" + "  - model: scripted/hello.steps\n" * (MAX_MODELS + 1)

    _, [problem] = read_whole(tmp_path, text)

    assert problem.right == f"at most {MAX_MODELS} models are allowed; these are {MAX_MODELS + 1}"


def test_a_caller_is_put_through_or_leaves_a_message(tmp_path: Path) -> None:
    text = 'last_resort:\n  dial: "+15550100300"\n  voicemail: true\n'

    _, problems = read_text(tmp_path, text)

    right = "the caller can be put through or leave a message: remove dial or voicemail"
    assert place(problems)[1:] == ("last_resort", right)


@pytest.mark.parametrize("address", ["5550100300", "sip:", "+0155", "desk@example.com"])
def test_who_is_telephoned_has_an_address_that_can_be(tmp_path: Path, address: str) -> None:
    _, [problem] = read_text(tmp_path, f'last_resort:\n  dial: "{address}"\n')

    assert problem.field == "last_resort.dial"

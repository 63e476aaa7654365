"""Operators' texts are filled in, or refused with their reason; nothing in them can reach further."""

import pytest

from agents.errors import ConfigError
from agents.templates import render, undeclared


@pytest.mark.parametrize(
    ("text", "filled_in"),
    [
        ("Hello.", "Hello."),
        ("Hello {{ name }}.", "Hello Ann."),
        ("{% if name %}Hello {{ name | upper }}{% endif %}", "Hello ANN"),
        ("{{ unset | default('friend') }}", "friend"),
        ("a < b & c, {name}", "a < b & c, {name}"),
        ("line\n", "line\n"),
        ("", ""),
    ],
)
def test_variables_are_filled_in(text: str, filled_in: str) -> None:
    assert render(text, {"name": "Ann"}) == filled_in


def test_a_value_is_not_a_template() -> None:
    assert render("{{ name }}", {"name": "{{ secret }}", "secret": "x"}) == "{{ secret }}"


def test_a_value_that_a_filter_has_made_up_is_not_a_template() -> None:
    assert render("{{ name | replace('(', '{{') }}", {"name": "( secret }}", "secret": "x"}) == "{{ secret }}"


@pytest.mark.parametrize("text", ["{{ none }}", "{{ {}.get('x') }}", "Hello {{ (none, 1)[0] }}."])
def test_none_is_an_error_and_is_never_said(text: str) -> None:
    with pytest.raises(ConfigError, match="no value"):
        render(text, {})


def test_values_are_not_escaped_for_html() -> None:
    assert render("{{ name }}", {"name": "Smith & <Sons>"}) == "Smith & <Sons>"


def test_a_missing_variable_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError, match="nmae"):
        render("Hello {{ nmae }}.", {"name": "Ann"})


@pytest.mark.parametrize(
    "text",
    [
        "{{ name",
        "{% if %}",
        "{{ name | nope }}",
        "{{ name.missing.deeper }}",
        "{{ name + 1 }}",
        "{{ 1 / 0 }}",
        "{{ name() }}",
        "{{ name | round }}",
        "{% include 'other' %}",
        "{{ range(10 ** 9) | list }}",
    ],
)
def test_a_broken_template_is_an_error_that_quotes_it(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot fill in") as caught:
        render(text, {"name": "Ann"})

    assert text in str(caught.value)


@pytest.mark.parametrize(
    "text", ["{{ name.__class__ }}", "{{ ''.__class__.__mro__ }}", "{{ name.format.__globals__ }}"]
)
def test_the_sandbox_keeps_python_out_of_reach(text: str) -> None:
    with pytest.raises(ConfigError):
        render(text, {"name": "Ann"})


def test_undeclared_names_the_variables_that_a_text_needs() -> None:
    assert undeclared("{{ a }} {% set b = 1 %}{{ b }} {% for c in d %}{{ c }}{% endfor %}") == {"a", "d"}
    assert undeclared("nothing") == set()


def test_undeclared_refuses_a_broken_template() -> None:
    with pytest.raises(ValueError, match="broken template"):
        undeclared("{% if %}")

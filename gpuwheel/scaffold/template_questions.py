"""What a template asks, and answers that were given in advance."""

from __future__ import annotations

import difflib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel._resources import resource
from gpuwheel.errors import ScaffoldError
from gpuwheel.scaffold.templates import QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = [
    "INSTALL",
    "Question",
    "check_answers",
    "need_copier",
    "questions",
    "read_answers",
    "read_document",
    "refuse_unasked",
    "template_summaries",
]

_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
INSTALL = "pip install --upgrade 'gpuwheel[new]'"


@dataclass(frozen=True)
class Question:
    """One entry of `copier.yml`."""

    name: str
    is_bool: bool
    help: str
    choices: Mapping[str, str]
    """Value -> what a menu shows; empty where any text goes."""


def need_copier() -> None:
    """Say what to install where copier is missing.

    Raises:
        ScaffoldError: it is.
    """
    missing = [name for name in ("copier", "yaml") if importlib.util.find_spec(name) is None]
    if missing:
        msg = "copier, which renders templates, is not installed (gpuwheel brings it as the extra `new`)"
        raise ScaffoldError(msg, hint=INSTALL)


def questions() -> dict[str, Question]:
    """The questions of `copier.yml` by name, in their order.

    Raises:
        ScaffoldError: copier is not installed.
    """
    document = _load(resource("templates", QUESTIONS))
    return {
        name: Question(name, entry["type"] == "bool", entry.get("help", name), _choices(entry.get("choices", ())))
        for name, entry in document.items()
        if not name.startswith("_")
    }


def template_summaries() -> dict[str, str]:
    """Template -> one line about it."""
    choices = questions()["template"].choices
    return {value: shown.removeprefix(f"{value}: ") for value, shown in choices.items()}


def read_answers(path: Path) -> dict[str, Any]:
    """The answers in a YAML file, an answers file of another project for example.

    Raises:
        ScaffoldError: it cannot be read, or is no mapping.
    """
    return {key: value for key, value in read_document(path).items() if not key.startswith("_")}


def read_document(path: Path) -> dict[str, Any]:
    """An answers file with what copier notes in it, under keys that begin with "_".

    Raises:
        ScaffoldError: it cannot be read, or is no mapping.
    """
    document = _load(path)
    if not isinstance(document, dict):
        msg = f"{path} holds no answers (found {type(document).__name__}, expected lines of key: value)"
        raise ScaffoldError(msg)
    return {str(key): value for key, value in document.items()}


def check_answers(given: Mapping[str, object]) -> dict[str, str | bool]:
    """`given`, each of the type that its question has. What a question's validator says is not looked at.

    Raises:
        ScaffoldError: a key that no template asks for, a value of another type, or none of the choices.
    """
    known = questions()
    answers = {}
    for key, value in given.items():
        if key not in known:
            msg = f"there is no question {key!r} (expected one of {', '.join(known)})"
            raise ScaffoldError(msg, hint=_similar(key, known))
        answers[key] = _checked(known[key], value)
    return answers


def refuse_unasked(given: Mapping[str, object], asked: Mapping[str, object]) -> None:
    """Answers to questions that the other answers leave out would change nothing.

    Raises:
        ScaffoldError: there is one.
    """
    for key in given:
        if key not in asked:
            msg = f"template {asked['template']} does not ask for {key} (expected one of {', '.join(asked)})"
            raise ScaffoldError(msg, hint=f"leave out {key}, or choose another template")


def _checked(question: Question, value: object) -> str | bool:
    if question.is_bool:
        # --data gives text, an answers file YAML's own booleans.
        boolean = _BOOLEANS.get(str(value).lower())
        if boolean is None:
            msg = f"answer {question.name} has the wrong type (found {value!r}, expected true or false)"
            raise ScaffoldError(msg)
        return boolean
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        msg = f"answer {question.name} has the wrong type (found {value!r}, expected a text)"
        raise ScaffoldError(msg)
    text = str(value)
    if not text.isprintable():
        msg = f"answer {question.name} is more than a line of text (found {text!r})"
        raise ScaffoldError(msg)
    if question.choices and text not in question.choices:
        expected = " or ".join(question.choices)
        msg = f"answer {question.name} is none of the choices (found {text!r}, expected {expected})"
        raise ScaffoldError(msg, hint=_similar(text, question.choices))
    return text


def _similar(word: str, known: Iterable[str]) -> str | None:
    by_case = {name.lower(): name for name in known}
    match = difflib.get_close_matches(word.lower(), by_case, n=1)
    return f"did you mean {by_case[match[0]]!r}?" if match else None


def _choices(choices: Mapping[str, str] | Iterable[str]) -> dict[str, str]:
    """Copier takes a list of values, or a mapping of what is shown to the value."""
    if isinstance(choices, dict):
        return {str(value): str(shown) for shown, value in choices.items()}
    return {str(value): str(value) for value in choices}


def _load(path: Path) -> Any:  # noqa: ANN401 (whatever YAML can say)
    need_copier()
    import yaml  # noqa: PLC0415 (comes with copier)

    try:
        return yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        msg = f"{path} cannot be read ({' '.join(str(error).split())})"
        raise ScaffoldError(msg) from error

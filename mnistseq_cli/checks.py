"""Checks of values, with messages that say what is allowed."""

from __future__ import annotations

from mnistseq_cli.errors import TextError, UsageError


def check_choice(what: str, value: object, allowed: tuple[str, ...] | list[str]) -> None:
    """Refuse a value that is not in a list, naming the nearest that is."""
    if value in allowed:
        return
    import difflib  # noqa: PLC0415 - only when there is an error

    near = difflib.get_close_matches(str(value), allowed, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"{what} is {value!r}; allowed: {', '.join(allowed)}", hint)


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        raise UsageError(f"{name} is {value!r}; allowed: true, false")


def check_number(
    name: str, value: object, low: int, high: int, words: tuple[str, ...] = ()
) -> None:
    """Refuse what is no whole number from low to high; tell of words that are allowed too."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        allowed = ", ".join([f"whole numbers from {low} to {high}", *words])
        raise UsageError(f"{name} is {value!r}; allowed are {allowed}")


def check_pair(name: str, value: object, low: int, high: int) -> None:
    """Refuse what is no MIN and MAX, both from low to high."""
    if not isinstance(value, tuple) or len(value) != 2:  # noqa: PLR2004 - MIN and MAX
        raise UsageError(f"{name} is {value!r}; allowed are two whole numbers, MIN and MAX")
    for number in value:
        check_number(name, number, low, high)
    if value[0] > value[1]:
        raise UsageError(
            f"{name} goes from {value[0]} to {value[1]}; MIN must not be over MAX",
            f"Turn them round: {value[1]} {value[0]}",
        )


def check_text(name: str, value: object, longest: int) -> None:
    """Refuse what is no text, or an empty or too long one."""
    if not isinstance(value, str):
        raise TextError(f'{name} is {value!r:.60}; allowed is a text in quotes, such as "350"')
    if not 1 <= len(value) <= longest:
        raise TextError(f"{name} is {value!r:.60}; allowed are 1 to {longest} characters")


def check_texts(name: str, value: object) -> None:
    """Refuse what is neither None nor several texts."""
    if value is None:
        return
    if not isinstance(value, tuple) or not all(isinstance(text, str) for text in value):
        raise UsageError(f"{name} is {value!r:.60}; allowed is a list of texts")

"""From a YAML file, or the name of a bundled one, to a validated search space."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import ValidationError
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError

from tune_ner.config.search_space import SHOWN, BatchingChoice, SearchedName, SearchSpace, SplitSettings
from tune_ner.config.trial_config import LearningRateSchedule, Precision, SchemeName, SelectionMetric
from tune_ner.data.markup import MarkupMode
from tune_ner.data.splits import SplitMethod
from tune_ner.errors import SpaceError
from tune_ner.tagging.alignment import SubwordLabels
from tune_ner.tagging.decoding import Decoding
from tune_ner.tagging.tokenization import WordTokenizer
from tune_ner.utils.text import near_misses

MAX_SPACE_BYTES = 1_000_000
SPACE_ALIASES = {"honest": "clean"}
"""Former names of bundled spaces."""
_HERE = Path(__file__).parent.parent
# In an installed wheel the spaces lie in the package, in a checkout beside it.
_BUNDLED = next((d for d in (_HERE / "search_spaces", _HERE.parent / "search_spaces") if d.is_dir()), _HERE)


def bundled_spaces() -> dict[str, Path]:
    """The spaces that come with the package, by name."""
    return {file.stem: file for file in sorted(_BUNDLED.glob("*.yaml"))}


def load_space(name: str, overrides: Mapping[str, Any] | None = None) -> SearchSpace:
    """The space in a YAML file, or the bundled one of this name, with some keys replaced.

    Raises:
        SpaceError: no such space, a file that is no YAML mapping, or keys and values that are invalid,
            all of them in one message.
    """
    path = _space_file(name)
    content = _read_yaml(path)
    overrides = dict(overrides or {})
    if "split" in overrides:
        said = content.get("split")
        overrides["split"] = {**(said if isinstance(said, dict) else {}), **_split_option(overrides["split"])}
    if isinstance(content.get("initial_points"), dict):
        content["initial_points"] = _still_there(content["initial_points"], overrides)
    content |= overrides
    return parse_space(content, str(path))


def parse_space(content: Mapping[Any, Any], origin: str) -> SearchSpace:
    """A space from plain data; `origin` names it in messages.

    Raises:
        SpaceError: every invalid key and value, one a line.
    """
    try:
        return SearchSpace.model_validate(dict(content))
    except ValidationError as error:
        lines = [f"  {_explained(dict(problem))}" for problem in error.errors()]
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        raise SpaceError("\n".join([f"{origin}: {count} in this search space", *lines])) from error


def _still_there(points: Mapping[Any, Any], overrides: Mapping[str, Any]) -> dict[Any, Any]:
    """The initial points, less what an option has taken out of the space."""
    kept = dict(points)
    for name in kept.keys() & overrides.keys():
        said, allowed = (value if isinstance(value, list) else [value] for value in (kept[name], overrides[name]))
        if left := [value for value in said if value in allowed]:
            kept[name] = left
        else:
            del kept[name]
    return kept


def _split_option(option: str) -> dict[str, Any]:
    """`--split` as the keys of `split:`; folds are grouped too, since a leak in each of K folds is K leaks."""
    method, _, folds = option.partition(":")
    if option in get_args(SplitMethod):
        return {"method": option, "folds": 0}
    if method == "kfold" and folds.isdecimal() and len(folds) < 6 and int(folds) > 1:
        return {"method": "grouped", "folds": int(folds)}
    raise SpaceError(f"--split {option}: expected random, grouped, or kfold:K with K from 2 on")


def _space_file(name: str) -> Path:
    bundled = bundled_spaces()
    try:
        path = Path(name).expanduser()
        if path.is_file():
            return path
    except (OSError, RuntimeError) as error:  # a name too long, a folder that is closed, the home of nobody
        raise SpaceError(f"search space {name[:200]!r}: cannot be read: {error}"[:500]) from error
    if (known := SPACE_ALIASES.get(name, name)) in bundled:
        return bundled[known]
    raise SpaceError(
        f"search space {name!r}: no such file and none of the bundled spaces "
        f"{', '.join(bundled)}{near_misses(name, bundled)}"
    )


class _Loader(yaml.SafeLoader):
    """Without aliases, by which a small file can stand for more than any memory holds, and without double keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ComposerError(None, None, "an alias; write its value out", self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise ConstructorError(None, None, f"the key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        # What a value such as the date 2026-02-31 makes the constructor raise.
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise ConstructorError(None, None, f"found {str(node.value)[:60]!r}: {error}", node.start_mark) from error


def _read_yaml(path: Path) -> dict[Any, Any]:
    try:
        if path.stat().st_size > MAX_SPACE_BYTES:
            raise SpaceError(f"{path}: over {MAX_SPACE_BYTES:,} bytes; expected a small YAML file")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpaceError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SpaceError(f"{path}: not UTF-8: {error.reason} at byte {error.start}; save it as UTF-8") from error
    content = _parse_yaml(text, path)
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise SpaceError(f"{path}: found {found}; expected keys such as `model:` and `learning_rate:`")
    return content


def _parse_yaml(text: str, path: Path) -> Any:
    try:
        return yaml.load(text, _Loader)
    except RecursionError as error:
        raise SpaceError(f"{path}: nested too deeply; expected keys, each with one value or a list of them") from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpaceError(f"{path}:{line}: not YAML: the character U+{error.character:04X}") from error
    except yaml.MarkedYAMLError as error:
        place = f"{path}:{error.problem_mark.line + 1}" if error.problem_mark else path
        raise SpaceError(f"{place}: not YAML: {error.problem}") from error


def _explained(problem: dict[str, Any]) -> str:
    """One validation error of pydantic as key, what was found, and what was expected."""
    location, kind, found = problem["loc"], problem["type"], SHOWN.repr(problem["input"])
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    context = problem.get("ctx", {})
    if kind == "extra_forbidden":
        known = SplitSettings.model_fields if len(location) > 1 else SearchSpace.model_fields
        return f"{key}: unknown key{near_misses(str(location[-1]), known)}; known are {', '.join(known)}"
    if kind == "missing":
        return f"{key}: missing; expected one value or a list of them"
    if kind == "too_short":
        return f"{key}: an empty axis; expected at least one value"
    if kind == "string_too_short":
        return f"{key}: empty; expected a name"
    if kind == "literal_error":
        allowed = _allowed(location)
        hint = _hint(problem["input"], allowed)
        return f"{key}: found {found}, expected one of {', '.join(allowed)}{hint}"
    if kind == "value_error":
        return f"{key}: {context['error']}" if key else str(context["error"])
    expected = {
        "int_type": "a whole number",
        "float_type": "a number",
        "bool_type": "true or false",
        "string_type": "a name",
        "finite_number": "a finite number",
        "model_type": "keys with values",
        "invalid_key": "the name of a key",
        "string_unicode": "text without lone surrogates",
        "greater_than": f"a number above {context.get('gt')}",
        "greater_than_equal": f"a number from {context.get('ge')} on",
        "less_than": f"a number below {context.get('lt')}",
        "less_than_equal": f"a number up to {context.get('le')}",
    }.get(kind, problem["msg"])
    return f"{key}: found {found}, expected {expected}"


_LITERALS: dict[str, Any] = {
    "markup": MarkupMode,
    "precision": Precision,
    "batching": BatchingChoice,
    "selection_metric": SelectionMetric,
    "tagging_scheme": SchemeName,
    "lr_schedule": LearningRateSchedule,
    "word_tokenizer": WordTokenizer,
    "subword_labels": SubwordLabels,
    "decoding": Decoding,
    "initial_points": SearchedName,
    "split.method": SplitMethod,
}


def _allowed(location: tuple[Any, ...]) -> tuple[str, ...]:
    names = [split_name for split_name in location if isinstance(split_name, str)]
    literal: Any = _LITERALS.get(".".join(names), Literal["?"])
    return get_args(literal)


def _hint(found: object, allowed: tuple[str, ...]) -> str:
    upper = {name.upper(): name for name in allowed}
    close = difflib.get_close_matches(str(found).upper(), upper, n=1, cutoff=0.5)
    return f" (did you mean {upper[close[0]]!r}?)" if close else ""

"""Search spaces from YAML files, bundled names and Python mappings, with all validation errors in one message."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError

from tune_ner.config.hyperparameters import HYPERPARAMETERS
from tune_ner.config.search_space import SHORT, DataSettings, InitialPoints, SearchSpace, SplitSettings
from tune_ner.data.formats.options import READING_OPTIONS
from tune_ner.data.splits import SplitMethod
from tune_ner.errors import SpaceError
from tune_ner.utils.text import near_misses

MAX_SPACE_BYTES = 1_000_000
SPACE_ALIASES = {"honest": "clean"}
"""Former names of bundled spaces."""
_PACKAGE = Path(__file__).parent.parent
# an installed wheel contains the spaces, a checkout has them next to the package
_BUNDLED = next((d for d in (_PACKAGE / "search_spaces", _PACKAGE.parent / "search_spaces") if d.is_dir()), _PACKAGE)
_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a name",
    "string_too_short": "a name",
    "finite_number": "a finite number",
    "model_type": "keys with values",
    "dict_type": "keys with values",
    "invalid_key": "the name of a key",
    "string_unicode": "text without lone surrogates",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "too_short": "at least one value",
}
"""What was expected, by pydantic's error type; names in braces are keys of the error's context."""


def bundled_spaces() -> dict[str, Path]:
    """Return the files of the bundled search spaces by name."""
    return {file.stem: file for file in sorted(_BUNDLED.glob("*.yaml"))}


def schema_file() -> Path | None:
    """Return the JSON schema of search spaces, which editors read; None if it is not installed."""
    file = _BUNDLED / "schema.json"
    return file if file.is_file() else None


def load_space(
    source: str | os.PathLike[str] | Mapping[str, Any], overrides: Mapping[str, Any] | None = None
) -> SearchSpace:
    """Load a search space.

    Args:
        source: a YAML file, the name of a bundled space, or the content as a mapping.
        overrides: values that replace those of the source; `split` is a method or `kfold:K`.

    Raises:
        SpaceError: no such space, not a YAML mapping, or invalid keys and values, all of them in one message.
    """
    overrides = dict(overrides or {})
    if isinstance(source, Mapping):
        content, origin = dict(source), "search space"
    else:
        path = _find_space(os.fspath(source))
        content, origin = _read_yaml(path), str(path)
    if "overlaps" in overrides and isinstance(content.get("data"), Mapping):
        content["data"] = {key: value for key, value in content["data"].items() if key != "overlaps"}
    if "split" in overrides:
        split = content.get("split")
        overrides["split"] = {**(split if isinstance(split, dict) else {}), **_parse_split(overrides["split"])}
    if reading := {name: overrides.pop(name) for name in READING_OPTIONS if name in overrides}:
        overrides["data"] = {**_data_mapping(overrides.get("data", content.get("data"))), **reading}
    if isinstance(points := content.get("initial_points"), dict):
        content["initial_points"] = _points_within(points, overrides)
    return parse_space({**content, **overrides}, origin, overrides)


def parse_space(
    content: Mapping[Any, Any], origin: str = "search space", overrides: Collection[str] = ()
) -> SearchSpace:
    """Validate a search space given as plain data; `origin` names it in messages, except for keys in `overrides`.

    Raises:
        SpaceError: every invalid key and value, one per line.
    """
    try:
        return SearchSpace.model_validate(dict(content))
    except ValidationError as error:
        problems: list[dict[str, Any]] = [dict(problem) for problem in error.errors()]
        lines = [f"  {_describe(problem)}{_option(problem, overrides)}" for problem in problems]
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        if all(problem["loc"] and problem["loc"][0] in overrides for problem in problems):
            origin = "options"
        raise SpaceError("\n".join([f"{origin}: {count}", *lines])) from error


def _option(problem: Mapping[str, Any], overrides: Collection[str]) -> str:
    """Return ` (--lr)` if the key is that of an option on the command line."""
    key = problem["loc"][0] if problem["loc"] else None
    found = HYPERPARAMETERS.get(str(key)) if key in overrides else None
    return f" (--{found.row.option})" if found and found.row.option else ""


def _data_mapping(data: Any) -> dict[Any, Any]:
    return dict(data) if isinstance(data, Mapping) else {} if data is None else {"path": data}


def _points_within(points: Mapping[Any, Any], overrides: Mapping[str, Any]) -> dict[Any, Any]:
    """Return the initial points without the values that overrides removed from the space."""
    kept = dict(points)
    for name in points.keys() & overrides.keys():
        values, allowed = (value if isinstance(value, list) else [value] for value in (points[name], overrides[name]))
        kept[name] = [value for value in values if value in allowed]
    return {name: values for name, values in kept.items() if values != []}


def _parse_split(option: str) -> dict[str, Any]:
    """Return `--split` as keys of `split:`; folds are grouped, so that near-duplicates never cross a fold's border."""
    if option in get_args(SplitMethod):
        return {"method": option, "folds": 0}
    if re.fullmatch(r"kfold:0*([2-9]|[1-9][0-9]{1,4})", option):
        return {"method": "grouped", "folds": int(option[6:])}
    raise SpaceError(f"--split {option[:60]}: expected random, grouped, or kfold:K with K of at least 2")


def _find_space(name: str) -> Path:
    bundled = bundled_spaces()
    try:
        path = Path(name).expanduser()
        if path.is_file():
            return path
    except (OSError, RuntimeError) as error:  # name too long, closed folder, unknown home
        raise SpaceError(f"search space {name[:200]!r}: reading failed: {error}"[:500]) from error
    if (current := SPACE_ALIASES.get(name, name)) in bundled:
        return bundled[current]
    raise SpaceError(
        f"search space {name!r}: no such file and no bundled space of this name; bundled are "
        f"{', '.join(bundled)}{near_misses(name, bundled)}"
    )


class _Loader(yaml.SafeLoader):
    """A safe loader without aliases, which can expand a small file beyond any memory, and without duplicate keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise ComposerError(None, None, "found an alias; write out its value", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise ConstructorError(None, None, f"duplicate key {key.value!r}", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, AttributeError) as error:  # for instance the date 2026-02-31
            raise ConstructorError(None, None, f"found {str(node.value)[:60]!r}: {error}", node.start_mark) from error


def _read_yaml(path: Path) -> dict[Any, Any]:
    try:
        if path.stat().st_size > MAX_SPACE_BYTES:
            raise SpaceError(f"{path}: over {MAX_SPACE_BYTES:,} bytes; expected a small YAML file")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpaceError(f"{path}: reading failed: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SpaceError(f"{path}: not UTF-8: {error.reason} at byte {error.start}; save it as UTF-8") from error
    try:
        content = yaml.load(text, _Loader)
    except RecursionError as error:
        raise SpaceError(f"{path}: nested too deeply; expected keys, each with one value or a list of them") from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpaceError(f"{path}:{line}: not YAML: the character U+{error.character:04X}") from error
    except yaml.MarkedYAMLError as error:
        place = f"{path}:{error.problem_mark.line + 1}" if error.problem_mark else path
        raise SpaceError(f"{place}: not YAML: {error.problem}") from error
    if not isinstance(content, dict):
        raise SpaceError(
            f"{path}: not a search space, which has keys such as `model:` and `learning_rate:`; if this is a corpus, "
            f"pass it as --data {path}"
        )
    return content


def _describe(problem: dict[str, Any]) -> str:
    """Describe a pydantic error: key, what was found, and what was expected."""
    location, kind, context = problem["loc"], problem["type"], problem.get("ctx", {})
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    if kind == "extra_forbidden":
        owners: dict[Any, Any] = {
            "data": DataSettings.model_fields,
            "split": SplitSettings.model_fields,
            "initial_points": InitialPoints.__annotations__,
        }
        known = owners[location[0]] if len(location) > 1 else SearchSpace.model_fields
        return f"{key}: unknown key{near_misses(str(location[-1]), known)}; known are {', '.join(known)}"
    if kind == "missing":
        return f"{key}: missing; expected {'a name' if location[0] == 'data' else 'one value or a list of values'}"
    if kind == "value_error":
        return f"{key}: {context['error']}" if key else str(context["error"])
    found = SHORT.repr(problem["input"])
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"])
        return (
            f"{key}: found {found}, expected one of {', '.join(allowed)}{near_misses(str(problem['input']), allowed)}"
        )
    return (
        f"{key}: found {found}, expected {_EXPECTED[kind].format(**context) if kind in _EXPECTED else problem['msg']}"
    )

"""YAML, read in one way: plain values only, no key twice, and what cannot be read is one error with a sentence."""

from __future__ import annotations

import sys
from typing import Any

import yaml  # type: ignore[import-untyped]

# libyaml's, where PyYAML was built with it, takes a tenth of the time.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_ENDLESS = 1 << 20  # a line is as long as its value


class YamlError(ValueError):
    """The text is not YAML, or holds more than plain values. The message says what and, often, where."""


class _Once(_Loader):  # type: ignore[misc]
    """Refuses a key that is there twice, of which YAML's libraries take the last one."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 -- PyYAML's
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f'the key "{key.value}" is there twice', key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: Any) -> int:  # noqa: ANN401 -- the same
        """Refuses a number that nobody means, and that Python does not print."""
        value = int(super().construct_yaml_int(node))
        if abs(value) > sys.float_info.max:
            raise yaml.constructor.ConstructorError(None, None, "a number is too large", node.start_mark)
        return value


class _Named(_Once):
    """Refuses a key that is no text, too."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 -- the same
        for key, _ in node.value:
            if key.tag not in {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}:
                raise yaml.constructor.ConstructorError(None, None, "a key is no text", key.start_mark)
        return super().construct_mapping(node, deep)


_Once.add_constructor("tag:yaml.org,2002:int", _Once.construct_yaml_int)


def loads(text: str, *, named: bool = False) -> Any:  # noqa: ANN401 -- any YAML value
    """The value of a text with one document, None for an empty one; ``named``: keys are texts. Raises YamlError."""
    try:
        return yaml.load(text, Loader=_Named if named else _Once)  # noqa: S506 -- it is a safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise YamlError(f"{where}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise YamlError(str(error).splitlines()[0]) from None
    except RecursionError:
        raise YamlError("it nests too deeply") from None
    except (ValueError, TypeError, OverflowError) as error:  # a date that does not exist, a key that is a list
        raise YamlError(str(error)) from None


def dumps(value: Any) -> str:  # noqa: ANN401 -- any plain value
    """The text of a value, in its own order, a line for each value. What is not UTF-8 is escaped."""
    form = {"allow_unicode": True, "sort_keys": False, "width": _ENDLESS, "default_flow_style": False}
    return str(yaml.dump(_utf8(value, {}), Dumper=_Dumper, **form))


def _utf8(value: Any, known: dict[int, Any]) -> Any:  # noqa: ANN401 -- the same
    """The value with texts that can be written. What is in several places, by aliases, is looked at once."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if not isinstance(value, dict | list | tuple):
        return value
    if id(value) not in known:
        made: Any = {} if isinstance(value, dict) else []
        known[id(value)] = made
        if isinstance(value, dict):
            made.update((_utf8(key, known), _utf8(item, known)) for key, item in value.items())
        else:
            made.extend(_utf8(item, known) for item in value)
    return known[id(value)]

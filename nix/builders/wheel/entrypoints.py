"""The scripts that a distribution's entry_points.txt asks for (entry points specification, "File format").

Read line by line: configparser, with which the format is defined, takes time that grows with the square of a line's
length. As importlib.metadata does, a line is never the continuation of another.
"""

import re

GROUPS = ("console_scripts", "gui_scripts")
_REFERENCE = re.compile(r"[\w.]+")


class Refused(Exception):
    """What is wrong, as a sentence."""


def scripts(text):
    """(name, "module:object") of each script, in the order of the groups; a name's last line counts."""
    found, group = {name: {} for name in GROUPS}, None
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line[0] == "[" and line[-1] == "]":
            group = line[1:-1].strip()
            continue
        name, equals, target = (part.strip() for part in line.partition("="))
        if group is None or not equals or not name:
            raise Refused(f"line {number} is neither [GROUP] nor NAME = VALUE")
        if group in found:
            found[group][name] = _target(group, name, target)
    return [script for group in GROUPS for script in found[group].items()]


def _target(group, name, target):
    """ "module:object" as it is called; the extras behind it are ignored ("Data model")."""
    module, colon, attribute = (part.strip() for part in target.partition("[")[0].partition(":"))
    # Nearly anything may be a name; but it has to be that of one file.
    if "/" in name or name in {".", ".."} or not name.isprintable():
        raise Refused(f"{group}: {name!r} cannot be the name of a program")
    if not colon or not _REFERENCE.fullmatch(module) or not _REFERENCE.fullmatch(attribute):
        raise Refused(f"{group}: {name} = {target[:200]!r} is not a name with module:object")
    return f"{module}:{attribute}"

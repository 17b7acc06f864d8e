"""Does an answer follow its schema? The part of JSON Schema that bounds what a model may say.

Checked here: type, properties, required, additionalProperties, items, maxItems, maxLength and enum.
Servers enforce what else a schema says.
"""

from __future__ import annotations

import json
from typing import Any

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def fault(text: str, schema: str) -> str:
    """Returns why a text does not follow a schema, both JSON; '' where it does.

    >>> fault('{"kind": 3}', '{"properties": {"kind": {"type": "string"}}}')
    'the answer does not follow its schema: kind is no string'
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "the answer is no JSON"
    found = _fault(value, json.loads(schema), "")
    return f"the answer does not follow its schema: {found}" if found else ""


def _fault(value: Any, schema: dict[str, Any], where: str) -> str:
    here = where or "it"
    kind = schema.get("type")
    if kind in TYPES:
        is_right = isinstance(value, TYPES[kind])
        if isinstance(value, bool) and kind in ("integer", "number"):  # True is an int in Python
            is_right = False
        if not is_right:
            return f"{here} is no {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{here} is none of {schema['enum']}"
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        return f"{here} is longer than {schema['maxLength']} characters"
    if isinstance(value, list):
        if len(value) > schema.get("maxItems", len(value)):
            return f"{here} has more than {schema['maxItems']} entries"
        inner = [(f"{where}[{n}]", entry, schema.get("items", {})) for n, entry in enumerate(value)]
    elif isinstance(value, dict):
        known = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                return f"{name} is missing in {here}"
        if schema.get("additionalProperties") is False and not value.keys() <= known.keys():
            return f"{here} has {min(value.keys() - known.keys())!r:.60}, which it may not have"
        inner = [(f"{where}.{n}".strip("."), value[n], known[n]) for n in value if n in known]
    else:
        return ""
    return next((found for place, v, s in inner if (found := _fault(v, s, place))), "")

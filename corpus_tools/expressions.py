"""The value of a small arithmetic expression, such as a rule's `n_symbols / n_words`.

>>> evaluate("n_symbols / n_words", {"n_symbols": 3, "n_words": 12})
0.25

Names (dotted ones too), numbers, + - * /, min and max: nothing else is an expression here, and nothing is run.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["evaluate"]

_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    # As the rules reckon it: a share of nothing is 0.
    ast.Div: lambda a, b: a / b if b else 0.0,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max}


def evaluate(text: str, names: Mapping[str, Any]) -> float | str | None:
    """The expression's value; None where a name is missing or null, or for other text."""
    try:
        value = _value(ast.parse(text, mode="eval").body, names)
    except (SyntaxError, KeyError, TypeError):
        return None
    return value if isinstance(value, int | float | str) else None


def _value(node: ast.AST, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_value(node.left, names), _value(node.right, names))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _FUNCTIONS[node.func.id](*(_value(a, names) for a in node.args))
    if isinstance(node, ast.Constant):
        return node.value
    return names[_dotted(node)]


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Name):
        return node.id
    raise KeyError(ast.dump(node))

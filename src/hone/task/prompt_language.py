"""The language of prompt templates: a small part of Jinja, checked before it is used. jinja2's door in stage 1.

Templates come from files that people pass on. So a source is read as a tree first, and only what cannot run for long or
reach anything else is let through: variables, `if`, loops over the options and letters, and a few filters. What is let
through is rendered in Jinja's immutable sandbox all the same. The one surprise: ranges, assignments, macros, calls and
attributes, which Jinja knows, are refused here, for a prompt needs none of them.
"""

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment, Template, nodes

__all__ = ["CannotFill", "fill", "find_fault", "names_in"]

_FILTERS = frozenset({"capitalize", "count", "first", "join", "last", "length", "lower", "title", "trim", "upper"})
_LOOP = frozenset({"first", "index", "index0", "last", "length"})
_LISTS = frozenset({"letters", "options"})
_PLAIN_NODES = frozenset(
    {"Add", "And", "Compare", "Concat", "CondExpr", "Const", "If", "Keyword", "List", "Name", "Neg", "Not", "Operand", "Or", "Output",
     "Slice", "Sub", "Template", "TemplateData", "Test", "Tuple"}
)  # fmt: skip
_CURES = {
    "Call": "calls a function, which prompt templates cannot",
    "Mul": "multiplies, which could make a prompt of any length",
    "Pow": "computes a power, which could take for ever",
    "Mod": "uses %, which could make a prompt of any length",
    "Assign": "assigns a variable, which prompt templates cannot",
}


class CannotFill(Exception):
    """A source that these values do not fit; the message is a clause."""


def fill(source: str, values: Mapping[str, object]) -> str:
    """The source with its variables filled in; a value is never read as a template itself.

    Raises:
        CannotFill: it does not parse, or a value that it needs is not there.
    """
    from jinja2 import TemplateError

    try:
        return _compiled(source).render(values)
    except (TemplateError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise CannotFill(f"cannot be written out: {str(error).rstrip('.')}") from None


def names_in(source: str) -> frozenset[str]:
    """The variables that a source reads, all branches counted."""
    from jinja2 import meta

    return frozenset(meta.find_undeclared_variables(_environment().parse(source)))


def find_fault(source: str, known: Iterable[str]) -> str | None:
    """Why a source cannot be a template, as a clause ('names the unknown ...'); None where it can.

    Args:
        known: the variables that it may name.
    """
    from jinja2 import TemplateError

    try:
        tree = _environment().parse(source)
        fault = _fault(tree, frozenset(known), in_loop=False)
        if fault is None:
            _compiled(source)
    except TemplateError as error:
        return f"does not parse: {str(error).rstrip('.')}"
    except RecursionError:
        return "is nested too deeply"
    return fault


def _fault(node: "nodes.Node", known: frozenset[str], *, in_loop: bool) -> str | None:
    from jinja2 import nodes

    inner = known
    if isinstance(node, nodes.Name):
        if node.name not in known:
            return f"names the unknown variable '{node.name}' (known: {', '.join(sorted(known))})"
    elif isinstance(node, nodes.Getattr):
        is_loop = in_loop and isinstance(node.node, nodes.Name) and node.node.name == "loop" and node.attr in _LOOP
        return None if is_loop else f"reaches for the attribute '{node.attr}', which prompt templates cannot"
    elif isinstance(node, nodes.Getitem):
        if not _is_list(node.node):
            return "takes a part of something else than options or letters"
    elif isinstance(node, nodes.Filter):
        if node.name not in _FILTERS:
            return f"uses the filter '{node.name}' (known: {', '.join(sorted(_FILTERS))})"
        if node.name == "join" and not _is_list(node.node):
            return "joins something else than options or letters"
    elif isinstance(node, nodes.For):
        if not _is_list(node.iter) or node.recursive:
            return "loops over something else than options or letters"
        if in_loop:
            return "has a loop inside a loop"
        if not isinstance(node.target, nodes.Name) or node.target.name in known:
            return "has a loop without a name of its own for each option"
        inner, in_loop = known | {node.target.name, "loop"}, True
    elif (kind := type(node).__name__) not in _PLAIN_NODES:
        return _CURES.get(kind, f"uses '{kind.lower()}', which prompt templates cannot")
    faults = (_fault(child, inner, in_loop=in_loop) for child in node.iter_child_nodes())
    return next((fault for fault in faults if fault), None)


def _is_list(node: "nodes.Node | None") -> bool:
    """Whether an expression is options or letters, or a stretch of them."""
    from jinja2 import nodes

    if isinstance(node, nodes.Getitem):
        return isinstance(node.arg, nodes.Slice) and _is_list(node.node)
    return isinstance(node, nodes.Name) and node.name in _LISTS


@lru_cache(maxsize=512)
def _compiled(source: str) -> "Template":
    return _environment().from_string(source)


@cache
def _environment() -> "Environment":
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    options: dict[str, Any] = {"undefined": StrictUndefined, "autoescape": False, "trim_blocks": True, "lstrip_blocks": True}
    made = ImmutableSandboxedEnvironment(**options)
    made.globals.clear()  # range, cycler and the like: a template that a program makes without `find_fault` has none either
    return made

"""What the recognition of a kind works with: the columns and a sample of them, what the user named, and its result."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hone.task.choices import NamedBy
from hone.task.kinds import Kind
from hone.task.profile import name_words
from hone.task.sample import is_cut

__all__ = ["Layout", "Sheet", "Wish"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The kind and its columns. `inputs` is what the model reads, `target` what it learns; None where that is the same."""

    kind: Kind
    inputs: tuple[str, ...]
    target: str | None = None
    system: str | None = None
    why: str = "by the columns' names"
    choices: tuple[str, ...] = ()
    """Of multiple choice; none where the choices stand inside the question's own column."""
    named_by: NamedBy = "label"
    """How the target of multiple choice names the right one."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read: the inputs, the target, the system text, the choices."""
        return (*self.inputs, *(name for name in (self.target, self.system) if name is not None), *self.choices)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user named. `text` and `label` mean the inputs and the target of any kind but completion."""

    kind: Kind | None = None
    prompt: str | None = None
    completion: str | None = None
    text: tuple[str, ...] = ()
    label: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """The columns of a source with a sample of their cells. Names fit however they are written: NerTags is ner_tags.

    Long cells of `sample` are cut; `first` are the first rows of the source, whole.
    """

    headers: tuple[str, ...]
    sample: Sequence[Sequence[object]]
    first: Sequence[Sequence[object]] = ()
    _known: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        known: dict[str, str] = {}
        for header in self.headers:
            known.setdefault("_".join(name_words(header)), header)
        object.__setattr__(self, "_known", known)

    def find(self, names: Sequence[str]) -> str | None:
        """The first of the names that is a column, as the file writes it."""
        return next((self._known[name] for name in names if name in self._known), None)

    def cells(self, header: str) -> list[object]:
        """The sampled cells of one column that are filled."""
        index = self.headers.index(header)
        return [row[index] for row in self.sample if row[index] is not None and row[index] != ""]

    def rows(self, columns: Sequence[str]) -> list[tuple[object, ...]]:
        """Several columns of those sampled rows that have whole cells there, after the first rows where these are long."""
        indexes = [self.headers.index(column) for column in columns]
        first, sample = ([tuple(row[index] for index in indexes) for row in rows] for rows in (self.first, self.sample))
        return [row for row in first if any(map(is_cut, row))] + [row for row in sample if not any(map(is_cut, row))]

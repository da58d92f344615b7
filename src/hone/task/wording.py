"""Numbers in sentences, so that no message says '1 rows'."""

__all__ = ["counted"]


def counted(number: int, noun: str) -> str:
    """A number with its noun: '1 row', '2 rows', '3 classes'."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}{'es' if noun.endswith('s') else 's'}"

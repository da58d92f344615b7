"""What reaches stdout and stderr: plain lines off a terminal, tables of at most 100 columns, user text untouched."""

import io

import pytest

from hone.core import console
from hone.core.console import note, progress, render_table, result, set_quiet, warn


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def not_quiet():
    yield
    set_quiet(False)


def widest(table):
    return max(len(line) for line in table.splitlines())


def test_a_wide_table_is_cut_to_100_columns_with_an_ellipsis():
    headers = [f"column number {index}" for index in range(9)]
    table = render_table(headers, [["a cell that is rather long"] * 9] * 3, title="A title")
    assert widest(table) <= 100 and "…" in table and len(table.splitlines()) == 6


def test_a_long_text_is_cut_and_the_number_beside_it_is_not():
    table = render_table(["text", "n"], [["word " * 100, "1"], ["short", "22"]], align=["left", "right"])
    lines = table.splitlines()
    assert len(lines) == 4 and widest(table) <= 100
    assert lines[2].endswith(" 1") and lines[3].endswith(" 22")


def test_a_narrow_table_is_as_wide_as_its_cells():
    lines = render_table(["strategy", "accuracy"], [["full", ".91"], ["lora", ".9"]], align=["left", "right"]).splitlines()
    assert [line.strip() for line in (lines[0], *lines[2:])] == [
        "strategy   accuracy",
        "full            .91",
        "lora             .9",
    ]
    assert not any(line != line.rstrip() for line in lines)


@pytest.mark.parametrize("cell", ["[bold]label[/bold]", ":heart:", "[/]", "a[0] == 1", "naïve — größe", "\\[x]"])
def test_a_users_text_is_shown_as_it_is(cell):
    assert cell in render_table(["label"], [[cell]])


def test_a_table_without_rows_is_its_headers():
    assert render_table(["a", "b"], []).splitlines()[0].split() == ["a", "b"]


def test_results_go_to_stdout_and_notes_to_stderr(capsys):
    result("the answer")
    result("with its own end\n")
    note("a note")
    warn("look here")
    assert capsys.readouterr() == ("the answer\nwith its own end\n", "a note\nWarning: look here\n")


STEERING = "label \x1b[2J\x9b31m\x07 a\u202eevil\r\nשלום 👩‍👩‍👧\tend"
SHOWN = "label ␛[2J�31m␇ a�evil\nשלום 👩‍👩‍👧\tend"


def test_what_would_steer_a_terminal_is_made_visible_there_and_kept_in_a_pipe(monkeypatch, capsys):
    result(STEERING)
    note(STEERING)
    warn(STEERING)
    assert capsys.readouterr() == (STEERING + "\n", f"{SHOWN}\nWarning: {SHOWN}\n")
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    result(STEERING)
    assert terminal.getvalue() == SHOWN + "\n"


def test_quiet_silences_notes_and_progress_but_no_warning_and_no_result(capsys):
    set_quiet(True)
    note("a note")
    with progress("train", 3) as bar:
        bar.advance()
    warn("look here")
    result("the answer")
    assert capsys.readouterr() == ("the answer\n", "Warning: look here\n")


def test_off_a_terminal_a_progress_bar_is_one_line_at_its_end(capsys):
    with progress("train lora", 50) as bar:
        for index in range(50):
            bar.advance()
            bar.describe(f"loss {index}")
        assert capsys.readouterr().err == ""
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("train lora: ") and err.endswith(" s\n") and err.count("\n") == 1


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_inside_a_bar_stays_silent(monkeypatch, is_terminal):
    stream = Terminal() if is_terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with progress("outer", 2) as outer:
        with progress("inner", 2) as inner:
            inner.advance(2)
        outer.advance(2)
    assert "outer" in stream.getvalue() and "inner" not in stream.getvalue()


def test_a_note_under_a_running_bar_keeps_its_text(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with progress("outer", 2):
        note("kept [bold]:heart:[/bold] " + "x" * 120)
        warn("also [red]")
    assert "kept [bold]:heart:[/bold] " + "x" * 120 in stream.getvalue() and "Warning: also [red]" in stream.getvalue()


def test_a_failure_inside_a_bar_leaves_no_bar_behind(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr", Terminal())
    with pytest.raises(RuntimeError), progress("outer", 2):
        raise RuntimeError
    assert console._active is None

"""Live progress: a board on a terminal, lines elsewhere."""

from __future__ import annotations

import io

import pytest

from chain.cloudformation.stack import StackEvent
from chain.run.progress import Board, Lines, line, progress


class Terminal(io.StringIO):
    """A text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def screen(text: str) -> list[str]:
    """What a terminal shows after a text: cursor up and clearing are obeyed, colours dropped."""
    import re

    rows: list[str] = [""]
    for token in re.findall(r"\x1b\[\d*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if token.endswith("A") and token.startswith("\x1b"):
            rows = rows[: len(rows) - int(token[2:-1])]
        elif token == "\x1b[J":
            rows[-1] = ""
        elif token == "\n":
            rows.append("")
        elif not token.startswith("\x1b") and token != "\r":
            rows[-1] += token
    return rows


def test_lines_tell_ends_and_failures_and_leave_noise_out() -> None:
    out = io.StringIO()
    tell = Lines(out, clock=lambda: "12:00:00")
    for news in (
        StackEvent("r/a", "CREATE_IN_PROGRESS"),
        StackEvent("r/a", "CREATE_IN_PROGRESS", "Key", "AWS::KMS::Key"),
        StackEvent("r/a", "CREATE_COMPLETE", "Key", "AWS::KMS::Key", "fine"),
        StackEvent("r/a", "CREATE_FAILED", "Role", "AWS::IAM::Role", "not allowed"),
        StackEvent("r/a", "ROLLBACK_COMPLETE"),
        StackEvent("r/a", "failed", reason="Role (AWS::IAM::Role): not allowed"),
    ):
        tell(news)
    tell.close()
    assert out.getvalue().splitlines() == [
        "12:00:00  r/a  CREATE_IN_PROGRESS",
        "12:00:00  r/a  Key (AWS::KMS::Key) CREATE_COMPLETE",
        "12:00:00  r/a  Role (AWS::IAM::Role) CREATE_FAILED: not allowed",
        "12:00:00  r/a  failed: Role (AWS::IAM::Role): not allowed",
    ]
    assert line(StackEvent("r/a", "CREATE_COMPLETE")) == ""


def test_the_board_keeps_what_ended_above_and_redraws_what_moves() -> None:
    out = Terminal()
    now = [0.0]
    board = Board(out, {"r/a": 3, "r/b": 1}, clock=lambda: now[0])
    now[0] = 1
    board(StackEvent("r/a", "CREATE_IN_PROGRESS"))
    now[0] = 2
    board(StackEvent("r/a", "CREATE_COMPLETE", "Key", "AWS::KMS::Key"))
    assert screen(out.getvalue()) == [
        "r  0/2 stacks",
        "a  1/3  1 s  Key CREATE_COMPLETE",
        "0 of 2 stacks done, 1 under way, 2 s",
        "",
    ]
    board(StackEvent("r/a", "CREATE_COMPLETE", "Alias", "AWS::KMS::Alias"))
    assert screen(out.getvalue())[1] == "a  1/3  1 s  Key CREATE_COMPLETE", "not more often than an eye can follow"
    now[0] = 3
    board(StackEvent("r/b", "CREATE_FAILED", "Role", "AWS::IAM::Role", "no"))
    board(StackEvent("r/b", "failed", reason="no"))
    board(StackEvent("r/a", "created"))
    board.close()
    assert screen(out.getvalue()) == [
        "r/b  Role (AWS::IAM::Role) CREATE_FAILED: no",
        "r/b  failed: no  0 s",
        "r/a  created  2 s",
        "",
    ]


def test_regions_stand_side_by_side_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {}
    for columns in (120, 60):
        monkeypatch.setenv("COLUMNS", str(columns))
        out, now = Terminal(), [0.0]
        board = Board(out, {"east/a": 3, "west/b": 1, "west/c": 1}, clock=lambda now=now: now[0], expected={"east/a": 90.0})
        for id_ in ("east/a", "west/b", "west/c"):
            now[0] += 1
            board(StackEvent(id_, "CREATE_IN_PROGRESS"))
        shown[columns] = screen(out.getvalue())
    moving = "CREATE_IN_PROGRESS"
    wide = [("east  0/1 stacks", "west  0/2 stacks"), (f"a  0/3  2 of 90 s  {moving}", f"b  0/1  1 s  {moving}")]
    assert shown[120][:2] == [f"{left:59}{right}" for left, right in wide]
    assert shown[120][2] == " " * 59 + f"c  0/1  0 s  {moving}"
    assert shown[60][:4] == [wide[0][0], wide[1][0], wide[0][1], wide[1][1]]
    assert shown[60][-2] == "0 of 3 stacks done, 3 under way, 3 s"


def test_a_board_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert isinstance(progress(Terminal(), {}), Board)
    monkeypatch.setenv("CI", "true")
    assert isinstance(progress(Terminal(), {}), Lines)
    assert isinstance(progress(io.StringIO(), {}), Lines)

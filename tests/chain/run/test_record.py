"""Records: a chain of digests on the disk, what it proves, and what is read from it."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from cfnlint.jsonschema import StandardValidator

from chain.cloudformation.stack import StackEvent
from chain.environment.exit_codes import ENDS, MEANING, AccessError, BrokenError, Exit, InputError, ended, markdown
from chain.run import record, timeline
from chain.run.record import Record
from tests.support.chain.checkout import REPOSITORY, Checkout
from tests.support.chain.waiting import until

SCHEMA = StandardValidator(schema=json.loads((REPOSITORY / "chain" / "record.schema.json").read_text()))


class Shelf:
    """An S3 that takes two copies, or none."""

    def __init__(self, error: Exception | None = None) -> None:
        self.copies: list[tuple[str, str, bytes]] = []
        self.error = error

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803  as AWS calls them
        if self.error is not None:
            raise self.error
        self.copies.append((Bucket, Key, Body))


def written(tmp_path: Path, *, end: bool = True, name: str = "1-t-deploy", shelf: Shelf | None = None) -> Path:
    """The record of a small run."""
    one = Record(tmp_path / f"{name}.ndjson", lambda *_: shelf or Shelf())
    one("run", version=1, command="deploy", env="t", systems=[], account="1", actor="arn:me", regions=["r"])
    one("approval", allowed=["Bucket"], reason="moved")
    stacks: list[dict[str, Any]] = [
        {"stack": f"r/{name}", "template": name, "values": {}, "tags": {}, "after": after, "differences": []}
        for name, after in (("a", []), ("b", ["r/a"]), ("c", []))
    ]
    one("review", stacks=stacks, gone=[], dangers=[{"danger": "r/a: Bucket would be deleted", "allowed": True}])
    one("copy", region="r", bucket="shelf")
    for id_, result in (("r/a", "created"), ("r/b", "failed")):
        one("begin", stack=id_)
        one.news(StackEvent(id_, "CREATE_IN_PROGRESS"))
        one("change set", stack=id_, id="x", changes=[])
        one.news(StackEvent(id_, result, reason="<b>"))
        one("done", stack=id_, result=result)
    one("begin", stack="r/c")
    if end:
        one.close(Exit.FAILED)
    return one.path


def test_a_record_fits_its_schema_is_copied_and_proves_itself(tmp_path: Path) -> None:
    class Slow(Shelf):
        def put_object(self, **given: Any) -> None:
            time.sleep(0.05)
            super().put_object(**given)

    shelf = Slow()
    path = written(tmp_path, shelf=shelf)
    for event in record.read(path):
        assert not list(SCHEMA.iter_errors(event)), event
    assert "an unbroken chain, and says how it ended" in record.prove(path)
    assert shelf.copies[-1] == ("shelf", "runs/1-t-deploy.ndjson", path.read_bytes()), "its end is waited for"
    assert list(SCHEMA.iter_errors({**event, "kind": "no such"}))


def test_a_place_where_no_record_can_be_kept_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError) as refused:
        record.writable(tmp_path / "out/runs")
    (problem,) = refused.value.problems
    assert problem.startswith(f"{tmp_path}/out/runs cannot be written to (Not a directory)")


def test_a_bucket_that_refuses_takes_nothing_from_the_run(tmp_path: Path) -> None:
    from botocore.exceptions import EndpointConnectionError

    path = written(tmp_path, shelf=Shelf(EndpointConnectionError(endpoint_url="x")))
    assert record.read(path)[-1]["kind"] == "end"


def test_a_bucket_that_never_answers_keeps_neither_the_other_copies_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "GRACE", 0.1, raising=False)
    shelf, dark, answered = Shelf(), Event(), Event()

    class Dark(Shelf):
        def put_object(self, **_: object) -> None:
            dark.wait(60)
            answered.set()

    one = Record(tmp_path / "1-t-deploy.ndjson", lambda _, region: Dark() if region == "dark" else shelf)
    one("copy", region="dark", bucket="first")
    one("copy", region="r", bucket="shelf")
    one.close(Exit.OK)
    assert not answered.is_set(), "its end is not waited for"
    whole = ("shelf", "runs/1-t-deploy.ndjson", one.path.read_bytes())
    until(lambda: shelf.copies[-1:] == [whole])
    dark.set()


def test_a_record_is_copied_while_the_run_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "COPYING", 0.01)
    shelf, echo = Shelf(), io.StringIO()
    one = Record(tmp_path / "x.ndjson", lambda *_: shelf, echo)
    one("run")
    one("copy", region="r", bucket="shelf")
    one("copy", region="q", bucket="other")
    while not shelf.copies:
        pass
    one.close(0)
    assert echo.getvalue().encode() == one.path.read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [lines[0].replace(b"arn:me", b"arn:you"), *lines[1:]], "line 2 does not follow"),
        (lambda lines: [*lines[:3], *lines[4:]], "line 4 does not follow"),
        (lambda lines: lines[1:], "line 1 does not follow"),
        (lambda lines: [b"no", *lines[1:]], "line 1 is not JSON"),
        (lambda lines: [b"{}", *lines[1:]], "line 1 is no event"),
        (lambda _: [b""], "holds no event"),
    ],
)
def test_what_was_altered_is_found(tmp_path: Path, change: Any, said: str) -> None:
    path = written(tmp_path)
    path.write_bytes(b"\n".join(change(path.read_bytes().split(b"\n"))))
    with pytest.raises(BrokenError, match=said):
        record.prove(path)


def test_a_chain_that_counts_wrong_or_begins_with_nothing_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    event = {"number": 1, "at": "", "kind": "run", "previous": record.FIRST}
    path.write_text(json.dumps(event) + "\n")
    with pytest.raises(BrokenError, match="bears the number 1, not 0"):
        record.prove(path)
    path.write_text(json.dumps({**event, "number": 0, "kind": "news"}) + "\n")
    with pytest.raises(BrokenError, match="does not begin with its run"):
        record.prove(path)


def test_a_run_that_was_killed_is_whole_up_to_there_and_the_next_goes_on_from_it(tmp_path: Path) -> None:
    assert record.unfinished(tmp_path, "t", []) is None
    path = written(tmp_path, end=False)
    with path.open("ab") as file:
        file.write(b'{"half')
    assert "6 bytes of a line that was not finished" in record.prove(path)
    (tmp_path / "2-t-deploy.ndjson").write_bytes(b"")
    earlier = record.unfinished(tmp_path, "t", [])
    assert earlier is not None
    assert (earlier.name, earlier.under_way, earlier.allowed, earlier.reason) == ("1-t-deploy", ("r/c",), ("Bucket",), "moved")
    assert earlier.asked == {f"r/{name}": {"template": name, "values": {}, "tags": {}} for name in "abc"}
    assert record.unfinished(tmp_path, "t", ["shop"]) is None
    written(tmp_path, name="3-t-deploy")
    assert record.unfinished(tmp_path, "t", []) is None


def test_a_run_is_found_by_its_name_its_path_or_as_the_last(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert {record.find(tmp_path, each) for each in ("1-t-deploy", str(path), "last")} == {path}
    with pytest.raises(InputError, match="holds: 1-t-deploy"):
        record.find(tmp_path, "other")
    assert record.name("t", "deploy").endswith("-t-deploy")


def test_a_timeline_names_the_critical_path_and_hides_nothing(tmp_path: Path) -> None:
    events = record.read(written(tmp_path))
    start = "2026-01-01T00:00:{:02d}.000+00:00"
    for number, event in enumerate(events):
        event["at"] = start.format(number)
    found = {span.stack: span for span in timeline.spans(events)}
    assert found["r/b"].result == "failed"
    assert found["r/c"].result == "under way"
    text = "\n".join(timeline.lines(events))
    assert "allowed: Bucket; reason: moved" in text
    assert "danger: r/a: Bucket would be deleted" in text
    assert "FAILED  r/b: <b>" in text
    assert text.endswith("It ended with exit code 1.")
    finished = [span for span in found.values() if span.stack != "r/c"]
    assert timeline.critical(finished, {"r/b": ["r/a"]}) == ["r/a", "r/b"]
    page = timeline.page([{**events[0], "continues": "earlier"}, *events[1:]])
    assert "<b>" not in page.replace("<body>", "")
    assert "Critical path: r/c" in page
    assert "http" not in page
    assert timeline.lines(events[:2])
    assert list(timeline.lines(events[:2]))[-1] == "It did not come to its end."
    assert timeline.page(events[:1])


def test_every_exit_code_is_distinct_documented_and_given_by_some_command() -> None:
    assert set(MEANING) == set(Exit)
    assert {code for codes in ENDS.values() for code in codes} | {Exit.INPUT, Exit.ACCESS, Exit.INTERRUPTED} == set(Exit)
    assert (REPOSITORY / "docs" / "exit-codes.md").read_text() == markdown()
    (shown,) = [line for line in markdown().splitlines() if line.startswith("| `show` |")]
    assert shown.count("x") == 3, "who asks nobody cannot be refused by AWS"
    assert (ended(InputError(["x"])), ended(AccessError()), ended(KeyboardInterrupt())) == (2, 4, 130)
    assert ended(ValueError()) == Exit.FAILED


def test_secrets_are_in_no_record(checkout: Checkout) -> None:
    checkout.layer("data", parameters={"Word": {"Type": "String", "NoEcho": True}})
    checkout.values({"data": {"Word": "hush-hush"}})
    (stack,) = checkout.graph().stacks
    assert record.values(stack)["Word"] == "(hidden)"

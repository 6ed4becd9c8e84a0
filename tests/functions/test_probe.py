# ruff: noqa: S608  statements with names of our own
"""What the probe asks of a real PostgreSQL, where its failovers do not come by."""

from __future__ import annotations

from probe.handler import APPLICATION, OTHERS

from tests.support.functions.rotations import Rotator


def test_fence_of_a_user_that_acts_as_another_role_does_not_end_another_run(rotator: Rotator) -> None:
    """pg_stat_activity names who logged in, whatever role the session acts as."""
    owner = f"owner_{rotator.user}"
    with rotator.master() as connection:
        connection.run(f"CREATE ROLE {owner} IN ROLE pg_monitor")
        connection.run(f"GRANT {owner} TO {rotator.user}")
        connection.run(f"ALTER ROLE {rotator.user} SET role = {owner}")
    with rotator.login(rotator.first) as ours, rotator.login(rotator.first) as run, rotator.login(rotator.first) as client:
        assert ours.run("SELECT current_user") == [[owner]]
        run.run(f"SET application_name = '{APPLICATION}'")
        [[theirs], [other]] = [session.run("SELECT pg_backend_pid()")[0] for session in (run, client)]
        ended = {pid for (pid,) in ours.run(f"SELECT pid FROM pg_stat_activity WHERE {OTHERS}", application=APPLICATION)}
    assert other in ended
    assert theirs not in ended

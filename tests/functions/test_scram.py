"""The verifier against the RFC's own example, and against PostgreSQL with its own client."""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
from base64 import b64decode, b64encode

import pytest
from common import scram
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rotation.handler import EXCLUDED

from tests.servers.fixtures import DATABASE
from tests.support.functions.rotations import Rotator

ALLOWED = "".join(sorted({chr(code) for code in range(33, 127)} - set(EXCLUDED)))


def test_verifier_proves_what_rfc_7677_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 7677, section 3: user ``user``, password ``pencil``."""
    monkeypatch.setattr(os, "urandom", lambda _: b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    kind, parameters, keys = scram.verifier("pencil").split("$")
    assert (kind, parameters) == ("SCRAM-SHA-256", "4096:W22ZaJ0SNY7soEsUEjb6gQ==")
    stored, server = (b64decode(key) for key in keys.split(":"))
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    dialogue = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}".encode()
    signature = hmac.digest(server, dialogue, "sha256")
    assert b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    proof = b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client = bytes(a ^ b for a, b in zip(proof, hmac.digest(stored, dialogue, "sha256"), strict=True))
    assert hashlib.sha256(client).digest() == stored


def test_each_verifier_has_a_salt_of_its_own() -> None:
    assert scram.verifier("pencil") != scram.verifier("pencil")
    assert len(b64decode(scram.verifier("pencil").split("$")[1].split(":")[1])) == 16


# The second: two spellings of one password, which SASLprep makes one; the third: characters outside ASCII.
@example("-._~" * 8)
@example("Ⅸ a\u00a0b\u00ad")
@example("pässword-密码-пароль")
@given(st.text(ALLOWED, min_size=32, max_size=32))
@settings(max_examples=12, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_odd_passwords_open_the_database_for_postgresqls_own_client(rotator: Rotator, password: str) -> None:
    with rotator.master() as connection:
        connection.run(f"ALTER ROLE {rotator.user} PASSWORD '{scram.verifier(password)}'")
    assert _psql(rotator, password) == (0, rotator.user)
    code, said = _psql(rotator, password + "x")
    assert code == 2
    assert "password authentication failed" in said
    assert rotator.opens(password)


def _psql(rotator: Rotator, password: str) -> tuple[int, str]:
    """Logs in through libpq, which shares no code with what made the verifier."""
    target = f"host=localhost port={rotator.server.port} dbname={DATABASE} user={rotator.user} sslrootcert={rotator.root}"
    done = subprocess.run(
        [
            rotator.server.binaries / "psql",
            "-XAtw",
            f"{target} sslmode=verify-full channel_binding=require",
            "-c",
            "SELECT current_user",
        ],
        env={"PGPASSWORD": password, "PATH": os.environ["PATH"], "PGCLIENTENCODING": "UTF8"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (done.stdout or done.stderr).strip()

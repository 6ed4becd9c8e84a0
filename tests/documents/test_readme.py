"""The page of a system shows its chain and how an application connects."""

from documents.readme import page
from generator.assemble import assemble
from generator.systems import SYSTEMS
from protocol.epoch import HONOURS
from tests.support.pieces import Piece, system_of


def test_the_chain_is_a_table_and_a_diagram() -> None:
    system = system_of(Piece(name="b-c", sites=("recovery",), imports=("primary:a.Arn",)), Piece(name="a"))
    text = page(system, assemble(system, str), "x.py")
    assert "| [a](a.yaml) | primary | One topic, and what a test wires to it. | 1 | – |" in text
    assert "| [b-c](b-c.yaml) | recovery | One topic, and what a test wires to it. | 1 | primary:a |" in text
    assert "  primary_a --> recovery_b_c\n" in text
    assert "How an application connects" not in text


def test_every_system_with_a_database_says_how_to_connect() -> None:
    for system in SYSTEMS:
        text = page(system, assemble(system, str), "x.py")
        for output in ("`ClientGroupId`", "`Endpoint`", "`Port`", "`DatabaseSecretArn`"):
            assert output in text


def test_where_the_writer_may_move_a_client_is_told_how_it_finds_and_honours_it() -> None:
    texts = {system.name: page(system, assemble(system, str), "x.py") for system in SYSTEMS}
    told = {name for name, text in texts.items() if HONOURS in text}
    assert told == {"federal-records", "healthcare"}
    assert "`WriterName` of `healthcare-dns-<suffix>`" in texts["healthcare"]
    assert "WriterName" not in texts["federal-records"]
    assert all("`ReplicaSecretArn`" in texts[name] for name in told)

"""Markup is escaped once, and only what is not markup."""

from documents.page.markup import Html, joined, row, sentence, table, tag


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", None, "a < b & c", tag("b", None, "<")) == "<p>a &lt; b &amp; c<b>&lt;</b></p>"
    assert joined(["<", Html("<br>")], " & ") == "&lt; &amp; <br>"


def test_attributes_are_quoted_and_false_ones_left_out() -> None:
    assert tag("a", {"href": 'x"y', "hidden": True, "title": None, "open": False}) == '<a href="x&quot;y" hidden></a>'


def test_elements_without_content_have_no_end() -> None:
    assert tag("br") == "<br>"
    assert tag("rect", {"x": 1}) == '<rect x="1"/>'


def test_a_sentence_keeps_its_emphasis() -> None:
    said = sentence("**Look**, `a<b` and *so* 3 * 4 * 5, [there](x.md).")
    assert said == ('<strong>Look</strong>, <code>a&lt;b</code> and <em>so</em> 3 * 4 * 5, <a href="x.md">there</a>.')


def test_a_table_has_headed_columns_and_rows() -> None:
    made = table(("a", "b"), [row("1", "2", attributes={"id": "x"})], "What it is")
    assert '<thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>' in made
    assert '<tr id="x"><th scope="row">1</th><td>2</td></tr>' in made
    assert "<caption>What it is</caption>" in made

import pytest

from focusedfashion.errors import QueryError
from focusedfashion.focus import parse_focus


@pytest.mark.parametrize(
    ("text", "focus"),
    [
        ("color=2", {"color": 2.0}),
        ("color=2,shape=1,pattern=0", {"color": 2.0, "shape": 1.0, "pattern": 0.0}),
        (" color = 0.5 , shape=1e1", {"color": 0.5, "shape": 10.0}),
        ("all=1", {"all": 1.0}),
    ],
)
def test_blocks_get_their_weights(text: str, focus: dict[str, float]) -> None:
    assert parse_focus(text) == focus


@pytest.mark.parametrize(
    "text", ["", "color", "=2", "color=", "color=much", "color=2,", "color=1,color=2", "color=1=2"]
)
def test_other_words_are_one_line_that_shows_them(text: str) -> None:
    with pytest.raises(QueryError) as error:
        parse_focus(text)
    assert repr(text) in str(error.value)

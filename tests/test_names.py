"""Chapters as people name them."""

import pytest

from lib.base.errors import InputError
from lib.book import names


@pytest.mark.parametrize(
    "typed",
    [
        "02-approach",
        "approach",
        "Approach",
        " approach ",
        "2",
        "02",
        "002",
        "02-approach.ipynb",
        "02-Approach.py",
        "chapters/02-approach.ipynb",
        "./chapters/02-approach.py",
        "_build/html/chapters/02-approach.html#fig-selectivity",
    ],
)
def test_a_chapter_is_found_as_people_name_it(typed):
    assert names.find(typed) == "02-approach"


def test_words_are_joined_as_one_likes():
    assert names.find("Average case") == names.find("average_case") == "03-average-case"
    assert names.find("index.ipynb") == "index"


@pytest.mark.parametrize("typed", ["", "0", "02-", "aproach", "99", "2.5", "²", "9" * 5000, "/", "-"])
def test_what_is_no_chapter_is_said_with_those_there_are(typed):
    with pytest.raises(InputError, match="unknown chapter .*02-approach"):
        names.find(typed)

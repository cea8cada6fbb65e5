"""The runner of the pages of docs/ runs all their code, and fails when it is wrong."""

import pytest

PAGE = """# A page

<!-- python
hidden = 40
-->

```python
shown = hidden + 2
```

```
1 / 0, in a block that is not Python
```

```python
async def test_it():
    assert shown == 42
```

```python
>>> print("a doctest")
a doctest
>>> [1, 2,
...  3]
[1, 2, 3]
```
"""


@pytest.fixture
def page(tmp_path):
    def write(text):
        (tmp_path / "page.md").write_text(text)
        return str(tmp_path / "page.md")

    return write


def test_all_of_it_runs(run_page, page):
    said = run_page(page(PAGE))
    for passed in ("test_page.py::test_it", "test_page.py::test_the_page_runs", "page.txt::page.txt"):
        assert f"PASSED {passed}\n" in said


@pytest.mark.parametrize(
    ("right", "wrong", "where"),
    [
        ("shown == 42", "shown == 43", "test_page.py:17: AssertionError"),
        ("hidden + 2", "missing", "test_page.py:8: in <module>"),
        ("[1, 2, 3]\n", "[1, 2]\n", "page.txt:23: DocTestFailure"),
    ],
    ids=["a test", "a line of the module", "a doctest"],
)
def test_what_is_wrong_is_found_at_its_line(run_page, page, right, wrong, where):
    with pytest.raises(AssertionError) as caught:
        run_page(page(PAGE.replace(right, wrong)))
    assert where in str(caught.value)


def test_a_page_without_python_is_no_page_to_run(run_page, page):
    with pytest.raises(AssertionError, match="has no Python"):
        run_page(page("# Words"))

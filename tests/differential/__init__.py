import pytest

# Its assertions are the comparison: they show what differs.
pytest.register_assert_rewrite("tests.differential.pair")

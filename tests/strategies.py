"""Every Hypothesis strategy that tests share."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

__all__ = ["json_values", "plain_texts"]


def plain_texts() -> st.SearchStrategy[str]:
    """Short texts that any encoding of Unicode can carry, without control characters."""
    return st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)


def json_values() -> st.SearchStrategy[Any]:
    """JSON values of a few levels; text that any encoding of Unicode can carry, and finite numbers."""
    numbers = st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False)
    plain = st.none() | st.booleans() | numbers | plain_texts()
    return st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(plain_texts(), inner), max_leaves=8)

"""Hypothesis strategies for spans."""

from hypothesis import strategies as st

from tune_ner.data.corpus import Span

spans = st.builds(
    lambda start, length, label: Span(start, start + length, label),
    st.integers(0, 12),
    st.integers(1, 6),
    st.sampled_from(("DRUG", "DISORDER", "BODY")),
)
sentences = st.lists(spans, max_size=6)

"""HTML to text: one function for a page, one step for a batch."""

from pipelines.extract.page import extract_text
from pipelines.extract.step import Extract

__all__ = ["Extract", "extract_text"]

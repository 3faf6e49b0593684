"""The book: figures, tables, chapters, pages, and a chapter rerun."""

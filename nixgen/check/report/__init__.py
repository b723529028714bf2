"""A check's report: messages, then text, Markdown and JUnit."""

"""Records of runs: what a command was run with, and what came out of it. docs/runs.md is the page for users."""

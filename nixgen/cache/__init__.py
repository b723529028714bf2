"""A binary cache of Nix that cannot be rewritten unnoticed: its log, and what nixgen does with both."""

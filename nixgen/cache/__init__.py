"""A binary cache of Nix that cannot be rewritten unnoticed: what nixgen does with it and its log (``nixgen.log``)."""

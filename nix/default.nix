# nixgen's Nix library. Every function takes a closed set of arguments: a misspelt one ends the evaluation.
{
  project = import ./project.nix;
}

# The names of what default.nix was generated from and has changed since. `locks` has a digest for each.
{ root, locks }:
let
  inherit (builtins) elem filter foldl' fromJSON hashFile hashString head isString match pathExists readFile;
  inherit (builtins) replaceStrings split stringLength substring;
  sha256 = hashString "sha256";

  digest = file:
    let
      path = root + "/${file}";
      text = sha256 (replaceStrings [ "\r\n" ] [ "\n" ] (readFile path));
    in
    if file == "nixgen.lock" && pathExists path then
      # The content counts, not the form; and not what `nixgen cache` and `registry` note there, which makes nothing.
      let lock = readFile path;
      in sha256 (import ./json.nix lock (removeAttrs (fromJSON lock) [ "cache" "registry" ]))
    else if counts "lines:" file then
      # Of a file that is code, only what was read may not change.
      if !pathExists path || holds (readFile path) (substring 6 (-1) locks.${file}) then locks.${file} else ""
    else if counts "text:" file || elem (baseNameOf file) [ "pyproject.toml" ".python-version" "uv.toml" ] then
      # What git does not know a flake does not see.
      if !pathExists path then locks.${file}
      else if substring 0 6 locks.${file} == "whole:" then "whole:${hashFile "sha256" path}"
      else if baseNameOf file == "pyproject.toml" then sha256 (partsThatCount (readFile path))
      else if counts "text:" file then "text:${text}" else text
    else if !pathExists path then ""
    else if match ".*[.]py" file != null then sha256 (metadata (readFile path))
    else hashFile "sha256" path;

  counts = kind: file: substring 0 (stringLength kind) locks.${file} == kind;
  holds = text: lines:
    let
      mark = fromJSON ''"\ufeff"''; # of UTF-8, at its beginning
      whole = "\n${replaceStrings [ mark "\r\n" "\r" ] [ "" "\n" "\n" ] text}\n";
    in
    replaceStrings [ "\n${lines}\n" ] [ "" ] whole != whole;

  # The block of a script's metadata, as text: its code may change.
  metadata = text:
    let
      parts = split "\n# /// script\n" "\n${replaceStrings [ "\r\n" ] [ "\n" ] text}";
    in
    if builtins.length parts < 3 then "" else head (split "\n# ///\n" (builtins.elemAt parts 2));

  # pyproject.toml without the tables of tools that say nothing about packages, and without lines that are empty or a
  # comment. As text: there may be TOML that this Nix cannot read, such as dates, and that error cannot be caught.
  partsThatCount = text:
    let
      lines = split "\n[ \t]*(#[^\n]*)?" "\n${replaceStrings [ "\r\n" ] [ "\n" ] text}";
      add = found: line:
        let
          kept = if substring 0 1 line == "[" then !isOther line else found.kept;
          text = if kept then "${found.text}${line}\n" else found.text;
        in
        builtins.seq text { inherit kept text; };
    in
    (foldl' add { kept = true; text = ""; } (filter (line: isString line && line != "") lines)).text;
  otherTools = fromJSON ((import ./texts.nix).data."othertools.json");
  isOther = line:
    let tool = match "[[][[]?tool[.]([A-Za-z0-9_-]+)[].].*" (substring 0 100 line);
    in tool != null && elem (head tool) otherTools;
in
filter (file: digest file != locks.${file}) (builtins.attrNames locks)

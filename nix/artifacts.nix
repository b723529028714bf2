# Models and data: each file a fixed-output derivation, each artifact a folder of links to its files, laid out as the
# library that loads it expects. `artifacts` and `files` are the rows of the generated default.nix.
{ base, fetch, root, name }:
{ artifacts, files }:
let
  inherit (builtins) all attrValues concatMap concatStringsSep elem elemAt filter groupBy head isString length;
  inherit (builtins) listToAttrs mapAttrs match replaceStrings split stringLength substring;
  python = import ./python.nix base;

  parts = path: filter isString (split "/" path);
  shown = builtins.toJSON;
  # Names come from manifests, archives and hubs: what could lead out of a folder ends the evaluation.
  inside = where: path:
    if all (part: part != "" && part != "." && part != "..") (parts path) then path
    else throw "${where}: ${shown path} is not a path inside a folder";
  matching = pattern: where: text:
    if match pattern text != null then text else throw "${where}: ${shown text} is not a name that can be used";
  digest = matching "[0-9a-f]{64}";

  # A file's name in the store: the last part of its path, with _ for what a store path's name cannot hold, and no more
  # than 200 letters. nixgen/artifacts/store.py, which adds files to the store by itself, arrives at the same name.
  storeName = path:
    let
      all = parts path;
      safe = concatStringsSep "_" (filter isString (split "[^a-zA-Z0-9+._?=-]+" (elemAt all (length all - 1))));
    in
    substring 0 200 (if substring 0 1 safe == "." then "_${safe}" else safe);

  fixed = sha256: { outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = sha256; };

  # A file that Nix itself cannot fetch. Its store path is known; where the file is not there, it says what to do.
  absent = { name, sha256, message }: derivation ({
    inherit (base) system;
    inherit name message;
    builder = base.bash;
    args = [ "-c" "printf '%s\\n' \"$message\" >&2; exit 1" ];
    preferLocalBuild = true;
  } // fixed sha256);

  obtain = artifact: { path, sha256, url ? null, local ? null, name ? storeName path }:
    let
      place = root + "/${inside artifact.key local}";
      verb = if artifact.kind == "data" then "data" else "model";
      lacking = reason: absent {
        inherit name sha256;
        message = "${artifact.key}: ${path} ${reason}: nixgen ${verb} fetch ${artifact.name}";
      };
    in
    if artifact.page != null then
      lacking "needs permission. Ask for it at ${artifact.page}, then put the file into the store"
    else if url != null then fetch { inherit name url sha256; }
    else if local == null then lacking "cannot be fetched by Nix from ${artifact.source}. Put it into the store"
    else if builtins.pathExists place then
      if builtins.hashFile "sha256" place == sha256 then
        builtins.path { inherit name sha256; path = place; recursive = false; }
      else
        throw ("${artifact.key}: ${local} changed after it was pinned, or only points at the file\n"
          + "  hint: git lfs pull, or bring it back, or: nixgen sync")
    else
      lacking ("is not among the project's files that Nix sees; in a flake these are the ones that git knows. "
        + "Put it into the store");

  # A member of an archive that is pinned itself. What is taken out must have the member's own hash.
  extract = artifact: { path, sha256, member, archive }: python "member.py" ({
    name = storeName path;
    inherit member;
    archive = obtain artifact (archive // { path = archive.name; sha256 = digest artifact.key archive.sha256; });
    where = "${artifact.key}: ${path}";
  } // fixed sha256);

  # A row of `files` with its file.
  placed = artifact: { path, size, sha256, url ? null, local ? null, member ? null, archive ? null }:
    let
      where = artifact.key;
      checked = { path = inside where path; sha256 = digest where sha256; };
    in
    {
      inherit (checked) path sha256;
      inherit size;
      file =
        if member != null then extract artifact (checked // { inherit member archive; })
        else obtain artifact (checked // { inherit url local; });
    };

  byArtifact = groupBy (row: row.artifact) files;
  keys = map (artifact: "${artifact.kind}.${artifact.name}") artifacts;
  unknown = filter (key: !elem key keys) (builtins.attrNames byArtifact);

  # A folder: `links` are { path, file }, `texts` { path, text }.
  folder = name: { links, texts ? [ ] }: python "folder.py" {
    name = substring 0 200 name;
    passAsFile = [ "plan" ];
    plan = shown {
      links = map (link: [ link.path "${link.file}" ]) links;
      texts = map (text: [ text.path text.text ]) texts;
    };
  };

  made = { kind, name, layout, source, repo ? null, repoType ? "model", revision ? null, commit ? null, gated ? null }:
    let
      key = "${matching "models|data" "kind" kind}.${matching "[A-Za-z0-9][A-Za-z0-9._-]*" kind name}";
      artifact = { inherit key kind name source; page = gated; };
      rows = map (row: placed artifact (removeAttrs row [ "artifact" ])) (byArtifact.${key} or [ ]);

      # The hub cache of huggingface_hub: the folder of a repo holds refs, which say what a revision's commit is (no
      # newline behind it), and snapshots, one folder a commit.
      folded = replaceStrings [ "/" ] [ "--" ] (inside key (matching "[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?" key repo));
      place = "${matching "model|dataset|space" key repoType}s--${folded}";
      pinned = matching "[0-9a-f]{40}" key commit;
      prefix = "snapshots/${pinned}/";
      reference = if revision == null then "main" else inside key revision;
      hub = {
        inherit place;
        links = map (row: row // { path = "${prefix}${row.path}"; }) rows;
        texts = if reference == pinned then [ ] else [{ path = "refs/${reference}"; text = pinned; }];
      };
      layouts = {
        hf = hubCache "${name}-hf" [ hub ];
        plain = folder name { links = rows; };
      };
      inHub = elem "hf" layout;
      first = layouts.${head layout} or (throw "${key}: there is no layout ${shown (head layout)}, only hf and plain");
    in
    {
      inherit key kind name hub rows inHub;
      inherit (layouts) plain;
      # The first layout; each is an attribute, too.
      built = first // layouts;
      # Every folder that is made of it, the first under its bare name.
      folders = { ${name} = first; } // listToAttrs (map
        (other: { name = "${name}:${other}"; value = layouts.${other}; })
        (filter (other: other != head layout && (other == "plain" || inHub)) (builtins.attrNames layouts)));
    };

  # A cache for huggingface_hub with these repos. `hubs` are { place, links, texts }, with paths inside of the place.
  hubCache = name: hubs:
    let below = part: concatMap (hub: map (item: item // { path = "${hub.place}/${item.path}"; }) hub.${part}) hubs;
    in folder name { links = below "links"; texts = below "texts"; };

  known =
    if unknown == [ ] then map made artifacts
    else throw "there are files of ${concatStringsSep ", " unknown}, and no such model or data";
  of = kind: filter (artifact: artifact.kind == kind);

  # Everything that a set of artifacts gives together.
  collect = chosen:
    let
      inHub = filter (artifact: artifact.inHub) chosen;
      farm = kind: folder "${name}-${kind}" {
        links = map (artifact: { path = artifact.name; file = artifact.plain; }) (of kind chosen);
      };
      facts = row: { inherit (row) path size sha256; };
      fact = item: {
        inherit (item) path;
        size = stringLength item.text;
        sha256 = builtins.hashString "sha256" item.text;
      };
      named = map (item: { name = item.path; value = item; });
    in
    rec {
      # Every model by its name, as plain files; and every dataset.
      models = farm "models";
      data = farm "data";
      # What is laid out for huggingface_hub, in one cache.
      cache = hubCache "${name}-cache" (map (artifact: artifact.hub) inHub);

      # What libraries and programs look at: nothing where there is nothing, so that a project of code alone stays as
      # it is.
      variables =
        (if chosen == [ ] then { } else { NIXGEN_MODELS = "${models}"; NIXGEN_DATA = "${data}"; })
        // (if inHub == [ ] then { } else {
          HF_HUB_CACHE = "${cache}";
          HUGGINGFACE_HUB_CACHE = "${cache}";
          HF_HUB_OFFLINE = "1";
          TRANSFORMERS_OFFLINE = "1";
          HF_DATASETS_OFFLINE = "1";
        });

      # All of it, where there is any.
      folders =
        if chosen == [ ] then [ ]
        else map toString ([ models data ] ++ (if inHub == [ ] then [ ] else [ cache ]));

      # The folders in which these files are found, each with exactly what it must hold: the guard's input.
      trees =
        map
          (artifact: {
            name = artifact.key;
            path = "${if artifact.kind == "data" then data else models}/${artifact.name}";
            files = map facts artifact.rows;
          })
          chosen
        ++ attrValues (mapAttrs
          (place: hubs: {
            name = "cache.${place}";
            path = "${cache}/${place}";
            # By name first, since two models may share a file.
            files = attrValues (listToAttrs (named (concatMap (hub: map facts hub.links ++ map fact hub.texts) hubs)));
          })
          (groupBy (hub: hub.place) (map (artifact: artifact.hub) inHub)));
    };

  byName = kind: listToAttrs (map (artifact: { inherit (artifact) name; value = artifact.built; }) (of kind known));
in
{
  inherit known collect;
  models = byName "models";
  data = byName "data";
  # All folders of a kind, by name; plain ones are always there, since the folder of all models links them.
  folders = kind: builtins.foldl' (found: artifact: found // artifact.folders) { } (of kind known);
}

# An OCI image of an environment or a service. What lies in the store is its JSON files and digests; `nixgen image` and
# `program` stream the layers from the paths that these name. An image has parts, each a derivation of its own: where
# the project's code changes, only the last part's layers are read again.
#
# `environment` is without the project's own code, `bytecode` is that of its wheels, `artifacts` are folders of models
# and data, `roots` all else that the image holds. `folder` is where the command starts. `settings` are what
# default.nix says of images.
{ base, name, settings }:
{ label, environment, bytecode, artifacts, roots, first, entry, folder, health ? [ ] }:
let
  inherit (builtins) attrNames concatStringsSep;
  texts = import ./texts.nix;
  full = if label == "" then name else "${name}-${label}";
  prefixed = prefix: of:
    builtins.listToAttrs (map (key: { name = "${prefix}${key}"; value = of.${key}; }) (attrNames of));
  oci = prefixed "oci/" texts.oci;
  json = what: value: builtins.toFile what (builtins.toJSON value);
  python = "${base.python}/bin/python${base.version}";
  # Structured attributes are no variables; Nix tells the hashes of a closure only with them.
  made = attributes: derivation ({
    inherit (base) system;
    builder = base.bash;
    args = [ "-c" "PYTHONHOME=${base.python} exec ${python} -S -s ${import ./script.nix "image.py"}" ];
    __structuredAttrs = true;
    modules = json "oci.json" (oci // { "base32.py" = texts.nix."base32.py"; });
  } // attributes);
  layers = settings.layers or 64;
  share = parts: if layers / parts < 2 then 2 else layers / parts;
  part = title: most: roots: parts: made {
    name = "nixgen-${title}";
    part = title;
    inherit most parts;
    exportReferencesGraph.graph = roots;
  };
  core = part "base" (share 8) base.image.roots [ ];
  own = part "environment" (share 2) [ "${environment}" "${bytecode}" ] [ "${core}" ];
  weights = part "models" (share 4) artifacts [ "${core}" "${own}" ];
  parts = map toString ([ core own ] ++ (if artifacts == [ ] then [ ] else [ weights ]));

  annotations = {
    "org.opencontainers.image.title" = full;
  } // (if settings ? version then { "org.opencontainers.image.version" = settings.version; } else { })
  // (settings.labels or { });
  all = {
    HOME = "/tmp";
    LANG = "C.UTF-8";
    NIXGEN_BYTECODE = "${bytecode}";
    PATH = concatStringsSep ":" (first ++ base.tools ++ base.image.path);
    PYTHONDONTWRITEBYTECODE = "1";
    PYTHONUNBUFFERED = "1";
  } // base.variables // (settings.variables or { });
  image = made {
    name = "${full}-image";
    part = "project";
    most = share 8;
    inherit parts;
    exportReferencesGraph.graph = map toString ([ environment bytecode ] ++ artifacts ++ roots ++ base.image.roots);
    image = {
      name = "${full}:${builtins.replaceStrings [ "+" "!" ] [ "_" "_" ] (settings.version or "latest")}";
      platform = { x86_64-linux = "linux/amd64"; aarch64-linux = "linux/arm64"; }.${base.system};
      inherit annotations;
      environment = "${environment}";
      links = base.image.links // { "bin/sh" = base.bash; };
      config = {
        Env = map (key: "${key}=${all.${key}}") (attrNames all);
        User = settings.user or "1000:1000";
        WorkingDir = folder;
        # Python as the first process has no handler for SIGTERM, and then it is ignored.
        StopSignal = "SIGINT";
      } // entry
      // (if health == [ ] then { } else { Healthcheck.Test = [ "CMD" ] ++ health; })
      // (if settings.ports or [ ] == [ ] then { } else {
        ExposedPorts =
          builtins.listToAttrs (map (port: { name = "${toString port}/tcp"; value = { }; }) settings.ports);
      });
    };
  };
in
image // {
  program = import ./python.nix base "imageprogram.py" {
    name = "${full}-image";
    inherit image environment;
    modules = json "program.json" oci;
  };
}

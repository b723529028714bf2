# The byte code of installed wheels, one store path for each, in a folder by their store paths' names: what
# NIXGEN_BYTECODE is set to (builders/kept.py). `wheels` are { name, drv }.
{ base, builder }:
{ name, wheels }:
let
  compiled = map
    (wheel: {
      inherit (wheel) name drv;
      code = import ./python.nix base [ "-c" "import compiled; compiled.main()" ] {
        name = "${wheel.drv.name}-bytecode";
        wheel = wheel.drv;
        python = base.version;
        PYTHONPATH = builder;
      };
    })
    wheels;
in
{
  root = import ./python.nix base "folder.py" {
    name = "${name}-bytecode";
    passAsFile = [ "plan" ];
    plan = builtins.toJSON {
      links = map (one: [ (baseNameOf "${one.drv}") "${one.code}" ]) compiled;
      texts = [ ];
    };
  };
  wheels = builtins.listToAttrs (map (one: { inherit (one) name; value = one.code; }) compiled);
}

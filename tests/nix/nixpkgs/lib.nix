# What nix/base/nixpkgs.nix uses of nixpkgs' lib.
let
  output = name: drv: drv.${name} or drv.out or drv;
in
rec {
  trivial.release = "26.05";
  getLib = output "lib";
  getBin = output "bin";
  getDev = output "dev";
  optionals = condition: list: if condition then list else [ ];
  splitString = separator: text: builtins.filter builtins.isString (builtins.split "[${separator}]" text);
  attrByPath = path: default: set:
    if path == [ ] then set
    else if set ? ${builtins.head path} then attrByPath (builtins.tail path) default set.${builtins.head path}
    else default;
}

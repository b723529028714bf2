# Written by nixgen from uv.lock and nixgen.lock; do not edit. To write it again: nixgen generate
{ system ? builtins.currentSystem, nixpkgs ? null }:
(import ./nix/nixgen).project {
  inherit system nixpkgs;
  root = ./.;
  name = "demo";
  base = import ./nix/nixgen/base.nix;
  locks = {
    "nixgen.lock" = "2222222222222222222222222222222222222222222222222222222222222222";
    "uv.lock" = "1111111111111111111111111111111111111111111111111111111111111111";
  };
  environments = {
    cpu = { systems = [ "aarch64-linux" "x86_64-linux" ]; };
    "in" = { systems = [ "x86_64-linux" ]; smoke = [ "python -c 'import torch'" ]; };
  };
  wheels = [
    { name = "numpy"; version = "2.4.6"; file = "numpy-2.4.6-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl"; systems = [ "aarch64-linux" ]; sha256 = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"; url = "https://files.example.org/numpy-2.4.6-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl"; }
    { name = "numpy"; version = "2.4.6"; file = "numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"; systems = [ "x86_64-linux" ]; sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; url = "https://files.example.org/numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"; }
    { name = "six"; version = "1.17.0"; file = "six-1.17.0-py2.py3-none-any.whl"; systems = [ "aarch64-linux" "x86_64-linux" ]; environments = { cpu = [ "aarch64-linux" "x86_64-linux" ]; "in" = [ "x86_64-linux" ]; }; sha256 = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"; url = "https://files.example.org/six-1.17.0-py2.py3-none-any.whl"; }
    { name = "torch"; version = "2.13.0+cpu"; file = "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"; systems = [ ]; environments = { cpu = [ "x86_64-linux" ]; }; sha256 = "7777777777777777777777777777777777777777777777777777777777777777"; url = "https://files.example.org/torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"; }
    { name = "torch"; version = "2.13.0+cu128"; file = "torch-2.13.0+cu128-cp311-cp311-manylinux_2_28_x86_64.whl"; systems = [ ]; environments = { "in" = [ "x86_64-linux" ]; }; sha256 = "8888888888888888888888888888888888888888888888888888888888888888"; url = "https://files.example.org/torch-2.13.0+cu128-cp311-cp311-manylinux_2_28_x86_64.whl"; }
    { name = "typing-extensions"; version = "4.16.0"; file = "typing_extensions-4.16.0-py3-none-any.whl"; systems = [ "x86_64-linux" ]; sha256 = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"; url = "https://files.example.org/typing_extensions-4.16.0-py3-none-any.whl"; }
  ];
  trees = [
    { name = "demo"; version = "0.1.0"; path = "."; roots = [ "src" ]; modules = [ "demo" ]; systems = [ "aarch64-linux" "x86_64-linux" ]; environments = { cpu = [ "aarch64-linux" "x86_64-linux" ]; "in" = [ "x86_64-linux" ]; }; metadata = "Metadata-Version: 2.4\nName: demo\nVersion: 0.1.0\nSummary: A \"demo\" for \${USER}\n"; entryPoints = "[console_scripts]\ndemo = demo:main\n"; }
  ];
  builds = [
    { name = "maker"; version = "2.0"; systems = [ "aarch64-linux" "x86_64-linux" ]; installed = false; }
    { name = "solver"; version = "1.0"; systems = [ ]; environments = { cpu = [ "aarch64-linux" "x86_64-linux" ]; }; }
  ];
}

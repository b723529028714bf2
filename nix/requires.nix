# What `nixgen lock` asks of a source, in the sandbox; each gives a file with JSON.
#
# static: { requires, backend, backendPath, legacy, name, version, epoch }, from what the source says of itself.
# dynamic: { requires }, its backend's get_requires_for_build_wheel, with the static requirements installed.
{ base, fetch, builder, root }:
let
  build = import ./build.nix { inherit base fetch builder root; };
in
{
  static = row: build (row // { mode = "static"; requires = [ ]; epoch = 0; });
  dynamic = row: build (row // { mode = "dynamic"; });
}

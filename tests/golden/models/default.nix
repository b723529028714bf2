# Written by nixgen from uv.lock and nixgen.lock; do not edit. To write it again: nixgen generate
{ system ? builtins.currentSystem, nixpkgs ? null }:
(import ./nix/nixgen).project {
  inherit system nixpkgs;
  root = ./.;
  name = "models";
  base = import ./nix/nixgen/base.nix;
  locks = {
    "nixgen.lock" = "2222222222222222222222222222222222222222222222222222222222222222";
    "uv.lock" = "1111111111111111111111111111111111111111111111111111111111111111";
  };
  smoke = [ "python -m app --help" "python -c \"import app\" && test -d \"\${NIXGEN_MODELS}\"" ];
  wheels = [
  ];
  trees = [
  ];
  artifacts = [
    { kind = "data"; name = "garden"; source = "weather/\${day}.csv"; layout = [ "plain" ]; }
    { kind = "data"; name = "sales"; source = "s3://bucket/sales/"; layout = [ "plain" ]; }
    { kind = "models"; name = "llama"; source = "hf:org/llama"; layout = [ "hf" "plain" ]; repo = "org/llama"; commit = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"; gated = "https://hub.example.org/org/llama"; }
    { kind = "models"; name = "minilm"; source = "hf:org/minilm"; layout = [ "hf" ]; repo = "org/minilm"; revision = "refs/pr/1"; commit = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"; }
    { kind = "models"; name = "vad"; source = "archive:silero-vad"; layout = [ "plain" ]; }
  ];
  files = [
    { artifact = "data.garden"; path = "\${day}.csv"; size = 3000; sha256 = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"; local = "weather/\${day}.csv"; }
    { artifact = "data.sales"; path = "2024/a.parquet"; size = 9; sha256 = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"; }
    { artifact = "models.llama"; path = "w.bin"; size = 7; sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; url = "https://hub.example.org/org/llama/resolve/c9745ed1d9f207416be6d2e6f8de32d1f16199bf/w.bin"; }
    { artifact = "models.minilm"; path = "1_Pooling/config.json"; size = 190; sha256 = "9999999999999999999999999999999999999999999999999999999999999999"; url = "https://hub.example.org/org/minilm/resolve/c9745ed1d9f207416be6d2e6f8de32d1f16199bf/1_Pooling/config.json"; }
    { artifact = "models.minilm"; path = "config.json"; size = 612; sha256 = "8888888888888888888888888888888888888888888888888888888888888888"; url = "https://hub.example.org/org/minilm/resolve/c9745ed1d9f207416be6d2e6f8de32d1f16199bf/config.json"; }
    { artifact = "models.vad"; path = "vad.onnx"; size = 2327524; sha256 = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"; member = "silero_vad/data/vad.onnx"; archive = { name = "silero_2Bvad-6.2.3-py3-none-any.whl"; sha256 = "7777777777777777777777777777777777777777777777777777777777777777"; url = "https://files.example.org/silero%2Bvad-6.2.3-py3-none-any.whl"; }; }
  ];
  services = [
    { name = "api"; command = [ "python" "-m" "app" ]; }
    { name = "listen"; command = [ "python" "-c" "print(\"$1\")" ]; models = [ "vad" ]; }
  ];
}

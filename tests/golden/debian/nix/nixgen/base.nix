# Written by nixgen from nixgen.lock; do not edit. To write it again: nixgen generate
{
  kind = "debian";
  suite = "bookworm";
  python = "3.11";
  systems = [ "aarch64-linux" "x86_64-linux" ];
  bootstrap = {
    aarch64-linux = { file = "busybox-aarch64-linux.tar.xz"; sha256 = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"; };
    x86_64-linux = { file = "busybox-x86_64-linux.tar.xz"; sha256 = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"; };
  };
  libraries = [ "libgomp1" ];
  tools = [ "ffmpeg" "git" ];
  debs = [
    { system = "aarch64-linux"; part = "core"; name = "bash"; version = "1.0+b1"; sha256 = "6666666666666666666666666666666666666666666666666666666666666666"; url = "https://debian.example.org/pool/bash_1.0%2Bb1_arm64.deb"; }
    { system = "x86_64-linux"; part = "core"; name = "bash"; version = "1.0+b1"; sha256 = "5555555555555555555555555555555555555555555555555555555555555555"; url = "https://debian.example.org/pool/bash_1.0%2Bb1_amd64.deb"; }
    { system = "x86_64-linux"; part = "core"; name = "libc6"; version = "1.0+b1"; sha256 = "3333333333333333333333333333333333333333333333333333333333333333"; url = "https://debian.example.org/pool/libc6_1.0%2Bb1_amd64.deb"; }
    { system = "x86_64-linux"; part = "extra"; name = "ffmpeg"; version = "1.0+b1"; sha256 = "4444444444444444444444444444444444444444444444444444444444444444"; url = "https://debian.example.org/pool/ffmpeg_1.0%2Bb1_amd64.deb"; }
  ];
}

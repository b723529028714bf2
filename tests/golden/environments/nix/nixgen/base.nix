# Written by nixgen from nixgen.lock; do not edit. To write it again: nixgen generate
{
  kind = "nixpkgs";
  python = "3.11";
  systems = [ "aarch64-linux" "x86_64-linux" ];
  libraries = [ "ffmpeg" ];
  tools = [ "git" "ripgrep" ];
  rev = "5880666fd9eb563038431edb35c2d0aa595884e6";
  narHash = "sha256-OURZPknrTjQrlNyxPdqzyqmU/81Wes1CUP/Ft1Rv/YI=";
}

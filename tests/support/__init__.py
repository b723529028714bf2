"""What the tests stand on: real Nix in stores of its own, a package index on loopback, wheels made to order."""

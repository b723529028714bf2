# Written by nixgen init, once. It is yours now: nixgen will not touch it again.
(import ./. { }).shell

# The folder of the library: that of a project holds its first program, too.
./.

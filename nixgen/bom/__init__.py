"""The bill of materials of an environment, and which of it has known vulnerabilities."""

"""What ``nixgen report`` shows to a person who has to sign: facts, read once; a checklist; a page."""

"""Components of JOB: scripts, plans, files, and what they have in common."""

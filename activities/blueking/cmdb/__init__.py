"""Components of CMDB: hosts moved and changed, sets and modules made, changed and deleted."""

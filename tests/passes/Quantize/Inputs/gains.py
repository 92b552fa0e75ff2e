"""That every site of an archive of factors names what its scale has gained, and its alpha where it has one."""

import json
import struct
import sys

with open(sys.argv[1], "rb") as file:
    (length,) = struct.unpack("<Q", file.read(8))
    sites = json.loads(json.loads(file.read(length))["__metadata__"]["qopt.scales"])["sites"]
assert len(sites) == 8, sites
for site in sites:
    assert (site["gain"] == 1) == ("alpha" not in site) and 0 < site["gain"] <= 1, site
    assert "alpha" not in site or abs(site["alpha"] * 20 - round(site["alpha"] * 20)) < 1e-9, site
assert any(site["gain"] < 0.9 for site in sites), sites

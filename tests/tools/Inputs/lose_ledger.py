"""Takes the ledger out of an overlay, and gives the IR beside it the digest of the header that is left: lose_ledger.py IR OVERLAY."""
import hashlib
import pathlib
import struct
import sys

ir, overlay = map(pathlib.Path, sys.argv[1:])
data = overlay.read_bytes()
end = 8 + struct.unpack_from("<Q", data)[0]
digest = hashlib.sha256(data[:end]).hexdigest()
assert data[:end].count(b'"qopt.ledger"') == 1 and ir.read_text().count(digest) == 1, digest
header = data[:end].replace(b'"qopt.ledger"', b'"lost.ledger"')
overlay.write_bytes(header + data[end:])
ir.write_text(ir.read_text().replace(digest, hashlib.sha256(header).hexdigest()))

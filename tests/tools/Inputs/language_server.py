"""Speaks to a language server as an editor does: language_server.py SERVER MODEL.mlir. Prints what it says of the model and of a mistake."""
import json
import pathlib
import subprocess
import sys

MISTAKE = """func.func @f(%x: tensor<?x4xf32>, %w: tensor<5x4xf32>) -> tensor<?x4xf32> {
  // The product has five columns.
  %0 = transformer.linear %x, %w : (tensor<?x4xf32>, tensor<5x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
"""
server = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def send(method, params=None, number=None):
    message = {"jsonrpc": "2.0", "method": method} | ({"params": params} if params is not None else {}) | ({"id": number} if number else {})
    body = json.dumps(message).encode()
    server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    server.stdin.flush()


def receive():
    length = 0
    while line := server.stdout.readline().strip():
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return json.loads(server.stdout.read(length))


send("initialize", {"processId": None, "rootUri": None, "capabilities": {}}, 1)
assert "capabilities" in receive()["result"]
for name, text in (("the model", pathlib.Path(sys.argv[2]).read_text()), ("a mistake", MISTAKE)):
    send("textDocument/didOpen", {"textDocument": {"uri": f"test:///{name.replace(' ', '-')}.mlir", "languageId": "mlir", "version": 0,
                                                   "text": text}})
    found = receive()["params"]["diagnostics"]
    print(f"{name}: {len(found)} diagnostics" + "".join(f", line {each['range']['start']['line']}: {each['message']}" for each in found))
send("shutdown", None, 2)
receive()
send("exit")
server.stdin.close()
print("exit code", server.wait(60))

#!/usr/bin/env bash
# Disks of servers behind TLS, real ones on the loopback interface: with the right certificates, and with wrong ones.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img qemu-nbd nbdkit jq openssl python3

small_disk disk.raw 8
qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2
expected=$("$VM2OCI" convert --json --progress none disk.qcow2 null: | jq -r .digest)
digest_of() { timeout 60 "$VM2OCI" convert --json --progress none "$@" null: | jq -r .digest; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# make_authority FOLDER
make_authority() {
    mkdir -p "$1"
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1/ca-key.pem" -out "$1/ca-cert.pem" -days 30 \
        -subj "/CN=authority $1" -addext basicConstraints=critical,CA:true 2> openssl.log
}
# make_certificate AUTHORITY NAME PREFIX [DAYS]: PREFIX-cert.pem and PREFIX-key.pem for a host of that name.
make_certificate() {
    openssl req -newkey rsa:2048 -nodes -keyout "$3-key.pem" -out request.pem -subj "/CN=$2" 2> openssl.log
    printf 'subjectAltName=DNS:%s%s\n' "$2" "$([[ $2 != localhost ]] || echo ,IP:127.0.0.1)" > names
    openssl x509 -req -in request.pem -CA "$1/ca-cert.pem" -CAkey "$1/ca-key.pem" -set_serial "$RANDOM" -days "${4:-20}" \
        -extfile names -out "$3-cert.pem" 2> openssl.log
}
make_authority ours
make_authority theirs
make_certificate ours localhost ours/server
make_certificate ours localhost ours/client
make_certificate ours other.example ours/other
make_certificate theirs localhost theirs/server
make_certificate theirs localhost theirs/client
mkdir trusted foreign && cp ours/ca-cert.pem trusted && cp theirs/ca-cert.pem foreign

# serve_nbd FOLDER-WITH-PKI [OPTION…]: its port in $port
serve_nbd() {
    port=$(free_port)
    in_background nbdkit --exit-with-parent --foreground --ip-addr 127.0.0.1 --port "$port" --tls=require \
        --tls-certificates "$scratch/$1" "${@:2}" file "$scratch/disk.raw"
    wait_until 20 python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))"
}

step 'nbds:// with a certificate that is vouched for'
serve_nbd ours
expect_equal "$expected" "$(digest_of "nbds://localhost:$port/?tls-certificates=$scratch/trusted")" 'from nbdkit'
expect_equal "$expected" "$(digest_of --threads 4 "nbds://127.0.0.1:$port/?tls-certificates=$scratch/trusted")" 'by its address'

step 'and with wrong ones'
expect_exit 1 timeout 60 "$VM2OCI" convert --quiet "nbds://localhost:$port/?tls-certificates=$scratch/foreign" null:
expect_match "nbds://localhost:$port" "$(cat stderr)" 'an authority that vouches for nothing'
expect_exit 2 timeout 60 "$VM2OCI" convert --quiet "nbds://localhost:$port/" null:
expect_match 'tls-certificates' "$(cat stderr)" 'nobody vouches for the server'
expect_exit 1 timeout 60 "$VM2OCI" convert --quiet "nbd://localhost:$port/" null:
expect_exit 1 timeout 60 "$VM2OCI" inspect "nbds://localhost:$port/?tls-certificates=$scratch/foreign"
mkdir wrong-name && cp ours/ca-cert.pem wrong-name && cp ours/other-cert.pem wrong-name/server-cert.pem && cp ours/other-key.pem wrong-name/server-key.pem
serve_nbd wrong-name
expect_exit 1 timeout 60 "$VM2OCI" convert --quiet "nbds://localhost:$port/?tls-certificates=$scratch/trusted" null:
port=$(free_port)
in_background nbdkit --exit-with-parent --foreground --ip-addr 127.0.0.1 --port "$port" file "$scratch/disk.raw"
wait_until 20 python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))"
expect_exit 1 timeout 60 "$VM2OCI" convert --quiet "nbds://localhost:$port/?tls-certificates=$scratch/trusted" null:

step 'a server that asks for a certificate of its guests'
mkdir guest stranger
cp ours/ca-cert.pem ours/client-cert.pem ours/client-key.pem guest
cp ours/ca-cert.pem stranger && cp theirs/client-cert.pem theirs/client-key.pem stranger
serve_nbd ours --tls-verify-peer
expect_equal "$expected" "$(digest_of "nbds://localhost:$port/?tls-certificates=$scratch/guest")" 'with ours'
expect_exit 1 timeout 60 "$VM2OCI" convert --quiet "nbds://localhost:$port/?tls-certificates=$scratch/stranger" null:
port=$(free_port)
in_background qemu-nbd --persistent --shared 8 --read-only --format qcow2 --export-name web01 --bind 127.0.0.1 --port "$port" \
    --object "tls-creds-x509,id=tls,endpoint=server,dir=$scratch/ours,verify-peer=off" --tls-creds tls "$scratch/disk.qcow2"
wait_until 20 python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))"
expect_equal "$expected" "$(digest_of "nbds://localhost:$port/web01?tls-certificates=$scratch/trusted")" 'from qemu-nbd'

cat > server.py << 'END'
import http.server, os, re, ssl, sys

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        found = re.match(r'bytes=(\d+)-(\d+)$', self.headers.get('Range', ''))
        name = self.path.lstrip('/')
        if not found or not os.path.exists(name):
            return super().do_GET()
        size = os.path.getsize(name)
        first, last = int(found[1]), min(int(found[2]), size - 1)
        self.send_response(206)
        self.send_header('Content-Range', f'bytes {first}-{last}/{size}')
        self.send_header('Content-Length', str(last - first + 1))
        self.end_headers()
        with open(name, 'rb') as file:
            file.seek(first)
            self.wfile.write(file.read(last - first + 1))
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2] + '-cert.pem', sys.argv[2] + '-key.pem')
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
END
# serve_https PREFIX-OF-CERTIFICATE: its port in $port
serve_https() {
    port=$(free_port)
    in_background python3 server.py "$port" "$1"
    wait_until 20 python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))"
}

step 'https:// by ranges'
mkdir authorities && cp ours/ca-cert.pem authorities/ca.crt
serve_https ours/server
expect_equal "$expected" "$(digest_of --cert-dir authorities "https://localhost:$port/disk.qcow2")" 'a qcow2'
expect_equal "$expected" "$(digest_of --cert-dir authorities "https://127.0.0.1:$port/disk.raw")" 'by its address'
expect_equal "$expected" "$(digest_of --tls-verify=false "https://localhost:$port/disk.qcow2")" 'unverified, as the user wants it'
for options in '' '--cert-dir wrong-authorities'; do
    mkdir -p wrong-authorities && cp theirs/ca-cert.pem wrong-authorities/ca.crt
    # shellcheck disable=SC2086
    expect_exit 1 timeout 60 "$VM2OCI" convert --quiet $options "https://localhost:$port/disk.qcow2" null:
    expect_match 'certificate' "$(cat stderr)" 'what is wrong'
done

step 'a name that the certificate does not have, one of strangers, one that has expired'
serve_https ours/other
expect_exit 1 timeout 60 "$VM2OCI" convert --quiet --cert-dir authorities "https://localhost:$port/disk.qcow2" null:
expect_match 'certificate|name' "$(cat stderr)" 'another name'
serve_https theirs/server
expect_exit 1 timeout 60 "$VM2OCI" inspect --cert-dir authorities "https://localhost:$port/disk.qcow2"
make_certificate ours localhost ours/expired 0
openssl x509 -req -in request.pem -CA ours/ca-cert.pem -CAkey ours/ca-key.pem -set_serial 7 -days -1 -extfile names \
    -out ours/expired-cert.pem 2> openssl.log
serve_https ours/expired
expect_exit 1 timeout 60 "$VM2OCI" convert --quiet --cert-dir authorities "https://localhost:$port/disk.qcow2" null:
expect_match 'certificate' "$(cat stderr)" 'one that has expired'

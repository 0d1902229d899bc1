#!/usr/bin/env bash
# Disks of web servers: by ranges, as a whole where there are none, compressed, in packages.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img jq python3 gzip

small_disk disk.raw
qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2
gzip --keep disk.raw
mkdir scratch-files
expected=$("$VM2OCI" convert --json --progress none disk.qcow2 null: | jq -r .digest)
digest_of() { "$VM2OCI" convert --json --progress none --tmpdir scratch-files "$@" null: | jq -r .digest; }

cat > server.py << 'END'
import http.server, os, re, sys

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition('?')
        if path == '/moved':
            self.send_response(302)
            self.send_header('Location', '/disk.qcow2?token=secret')
            self.end_headers()
            return
        found = re.match(r'bytes=(\d+)-(\d+)$', self.headers.get('Range', ''))
        name = path.lstrip('/')
        if query == 'whole' or not found or not os.path.exists(name):
            self.path = path
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

server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
with open('port', 'w') as file:
    file.write(str(server.server_port))
server.serve_forever()
END
in_background python3 server.py
for _ in $(seq 100); do [[ ! -s port ]] || break; sleep 0.1; done
web=http://127.0.0.1:$(cat port)

step 'by ranges, without a scratch file'
expect_equal "$expected" "$(digest_of "$web/disk.qcow2")" 'a qcow2'
expect_equal "$expected" "$(digest_of "$web/disk.raw")" 'a raw disk'
expect_equal "$expected" "$(digest_of "$web/moved")" 'behind a redirect'
"$VM2OCI" inspect --json "$web/disk.qcow2?token=secret" > inspect.json
expect_equal qcow2 "$(jq -r .disk.format inspect.json)" 'what inspect tells'

step 'a package, and a disk of it'
cat > web.ovf << 'END'
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="r">
 <References><File ovf:id="f" ovf:href="disk.qcow2"/></References><DiskSection><Disk ovf:diskId="d" ovf:fileRef="f"/></DiskSection>
 <VirtualSystem ovf:id="web"><VirtualHardwareSection>
  <Item><rasd:HostResource>ovf:/disk/d</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></Item>
 </VirtualHardwareSection></VirtualSystem></Envelope>
END
tar --create --format ustar --file web.ova web.ovf disk.qcow2
packaged=$(digest_of web.ova)
for reference in "$web/web.ova" "ova:$web/web.ova" "ova:$web/web.ova:1" "ova:$web/web.ova:disk.qcow2" "ova:$web/web.ova?a=b:c"; do
    expect_equal "$packaged" "$(digest_of "$reference")" "$reference"
done
expect_exit 2 "$VM2OCI" convert --quiet "ova:$web/web.ova:2" null:
expect_exit 2 "$VM2OCI" convert --quiet --disk '' "$web/web.ova" null:

step 'what a server sends in place of a disk'
printf '<!doctype html>\n<title>Sign in</title>\n' > login
expect_exit 3 "$VM2OCI" convert --quiet "$web/login" null:
expect_match 'web page' "$(cat stderr)" 'the message'

step 'as a whole, and compressed'
expect_equal "$expected" "$(digest_of "$web/disk.qcow2?whole")" 'without ranges'
expect_equal "$expected" "$(digest_of "$web/disk.raw.gz")" 'a compressed disk'
expect_exit 3 "$VM2OCI" convert --quiet --max-virtual-size 1M "$web/disk.raw?whole" null:
expect_equal '' "$(ls scratch-files)" 'what is left of scratch files'

step 'what is not there, or not a disk'
expect_exit 1 "$VM2OCI" convert --quiet "$web/missing?token=secret" null:
expect_match 'is not there' "$(cat stderr)" 'the message'
! grep --quiet secret stderr || fail 'the message tells what stood behind the question mark'
expect_exit 2 "$VM2OCI" convert --quiet disk.raw "$web/disk.raw"

#!/bin/bash
# Logins, TLS with an authority of our own, client certificates, mirrors.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/integration/registry/registry.sh"
require_tool docker-registry curl openssl skopeo strace python3

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# start_secured NAME EXTRA…: a docker-registry with more configuration; its address is $secured.
start_secured() {
    local name=$1
    shift
    secured=127.0.0.1:$(free_port)
    {
        printf 'version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %s}}\n' "$scratch/$name"
        printf 'http:\n  addr: %s\n' "$secured"
        printf '%s\n' "$@"
    } > "$name.yml"
    in_background docker-registry serve "$name.yml"
    wait_until 20 bash -c "exec 3<> /dev/tcp/${secured/://}"
}

small_disk disk.raw 8
"$VM2OCI" convert --quiet raw:disk.raw oci:layout:v1 > /dev/null

step "a registry that wants a login refuses without one"
# Of the password s3cret-pass; docker-registry knows bcrypt only.
python3 -W ignore - << 'PYTHON' > htpasswd
import crypt
print("user:" + crypt.crypt("s3cret-pass", crypt.mksalt(crypt.METHOD_BLOWFISH)).replace("$2b$", "$2y$", 1))
PYTHON
start_secured private "auth: {htpasswd: {realm: test, path: $scratch/htpasswd}}"
private=$secured
expect_exit 1 "$VM2OCI" push oci:layout:v1 "docker://$private/team/disk:v1"
expect_match "answered 401: UNAUTHORIZED: authentication required.*log in with" "$(< stderr)" "the refusal"

step "the login of docker, podman and skopeo is used"
auth=$(printf 'user:s3cret-pass' | base64)
printf '{"auths":{"%s":{"auth":"%s"}}}' "$private" "$auth" > login.json
"$VM2OCI" push --quiet --authfile login.json oci:layout:v1 "docker://$private/team/disk:v1" > /dev/null
REGISTRY_AUTH_FILE=$scratch/login.json "$VM2OCI" pull --quiet "docker://$private/team/disk:v1" oci:by-variable:v1 > /dev/null
mkdir -p "$XDG_RUNTIME_DIR/containers"
skopeo login --tls-verify=false --username user --password-stdin "$private" <<< s3cret-pass > /dev/null
"$VM2OCI" pull --quiet "docker://$private/team/disk:v1" oci:by-skopeo:v1 > /dev/null
skopeo logout "$private" > /dev/null
mkdir -p "$HOME/.docker"
cp login.json "$HOME/.docker/config.json"
"$VM2OCI" pull --quiet "docker://$private/team/disk:v1" oci:by-docker:v1 > /dev/null
rm "$HOME/.docker/config.json"

step "a credential helper is asked"
mkdir bin
cat > bin/docker-credential-test << 'HELPER'
#!/bin/bash
read -r server
echo "$1 $server" >> "$HELPER_LOG"
[[ $1 == get ]] || exit 1
[[ $server == "$KNOWN" ]] || { echo "credentials not found in native keychain"; exit 1; }
printf '{"ServerURL":"%s","Username":"user","Secret":"s3cret-pass"}' "$server"
HELPER
chmod +x bin/docker-credential-test
printf '{"credHelpers":{"%s":"test"}}' "$private" > helper.json
export HELPER_LOG=$scratch/helper.log
KNOWN=$private PATH=$scratch/bin:$PATH "$VM2OCI" pull --quiet --authfile helper.json "docker://$private/team/disk:v1" oci:by-helper:v1 > /dev/null
expect_equal "get $private" "$(sort -u helper.log)" "what the helper was asked"
KNOWN=other PATH=$scratch/bin:$PATH expect_exit 1 "$VM2OCI" pull --authfile helper.json "docker://$private/team/disk:v1" oci:none:v1
printf '{"credsStore":"absent"}' > absent.json
expect_exit 1 "$VM2OCI" pull --authfile absent.json "docker://$private/team/disk:v1" oci:none:v1
expect_match "docker-credential-absent" "$(< stderr)" "the helper that is missing"

step "no secret is in an argument, a message or a file"
printf '{"auths":{"%s":{"auth":"%s"}}}' "$private" "$(printf 'user:wr0ng-pass' | base64)" > wrong.json
strace -f -qq -e trace=execve -s 4000 -o trace "$VM2OCI" push --verbose --authfile wrong.json oci:layout:v1 \
    "docker://$private/team/disk:v2" > out 2>&1 && fail "a wrong password was taken"
! grep -rqE 'wr0ng-pass|d3Iwb' out trace || fail "a secret leaked"
KNOWN=$private PATH=$scratch/bin:$PATH strace -f -qq -e trace=execve -s 4000 -o trace "$VM2OCI" push --verbose \
    --authfile helper.json oci:layout:v1 "docker://$private/team/disk:v2" > out 2>&1
! grep -qE 's3cret-pass' out trace || fail "a secret leaked"
! grep -rqE 's3cret-pass' layout by-helper || fail "a secret is in a layout"

step "TLS is verified by an authority in certs.d or --cert-dir"
openssl req -quiet -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=authority -days 2 2> /dev/null ||
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=authority -days 2 2> /dev/null
# certificate NAME EXTENSION…: NAME.crt and NAME.key, signed by the authority for $days (default 2).
certificate() {
    openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2> /dev/null
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days "${days:-2}" -out "$1.crt" \
        -extfile <(printf '%s\n' "${@:2}") 2> /dev/null
}
certificate server 'subjectAltName=IP:127.0.0.1,DNS:localhost'
start_secured tls "  tls: {certificate: $scratch/server.crt, key: $scratch/server.key}"
expect_exit 1 "$VM2OCI" push oci:layout:v1 "docker://$secured/team/disk:v1"
expect_match "certificate is not trusted" "$(< stderr)" "an unknown authority"
mkdir -p certificates "$XDG_CONFIG_HOME/containers/certs.d/$secured"
cp ca.crt certificates/
"$VM2OCI" push --quiet --cert-dir certificates oci:layout:v1 "docker://$secured/team/disk:v1" > /dev/null
cp ca.crt "$XDG_CONFIG_HOME/containers/certs.d/$secured/"
"$VM2OCI" pull --quiet "docker://$secured/team/disk:v1" oci:by-tls:v1 > /dev/null
rm -r "$XDG_CONFIG_HOME/containers/certs.d"
"$VM2OCI" pull --quiet --tls-verify=false "docker://$secured/team/disk:v1" oci:unverified:v1 > /dev/null

step "what is wrong with a certificate is told"
certificate elsewhere 'subjectAltName=DNS:elsewhere.invalid'
start_secured elsewhere "  tls: {certificate: $scratch/elsewhere.crt, key: $scratch/elsewhere.key}"
expect_exit 1 "$VM2OCI" push --cert-dir certificates oci:layout:v1 "docker://$secured/team/disk:v1"
expect_match "certificate is for another name" "$(< stderr)" "a certificate of another host"
days=-1 certificate expired 'subjectAltName=IP:127.0.0.1'
start_secured expired "  tls: {certificate: $scratch/expired.crt, key: $scratch/expired.key}"
expect_exit 1 "$VM2OCI" push --cert-dir certificates oci:layout:v1 "docker://$secured/team/disk:v1"
expect_match "certificate is not valid now .*expired" "$(< stderr)" "a certificate that has expired"

step "a client certificate is shown"
certificate client 'extendedKeyUsage=clientAuth'
start_secured mutual "  tls: {certificate: $scratch/server.crt, key: $scratch/server.key, clientcas: [$scratch/ca.crt]}"
expect_exit 1 "$VM2OCI" push --cert-dir certificates oci:layout:v1 "docker://$secured/team/disk:v1"
cp client.crt certificates/client.cert
expect_exit 2 "$VM2OCI" push --cert-dir certificates oci:layout:v1 "docker://$secured/team/disk:v1"
cp client.key certificates/client.key
"$VM2OCI" push --quiet --cert-dir certificates oci:layout:v1 "docker://$secured/team/disk:v1" > /dev/null

step "plain HTTP is not spoken where verified TLS is demanded"
start_registry
expect_exit 1 "$VM2OCI" push --tls-verify=true oci:layout:v1 "docker://$registry/team/disk:v1"
"$VM2OCI" push --quiet oci:layout:v1 "docker://$registry/team/disk:v1" > /dev/null

step "a proxy is used for other hosts than this machine, and its failures are told"
start_proxy "$registry" none
http_proxy=http://$proxy "$VM2OCI" pull --quiet --tls-verify=false docker://registry.invalid/team/disk:v1 oci:proxied:v1 > /dev/null
http_proxy=http://$proxy no_proxy=registry.invalid expect_exit 1 "$VM2OCI" pull --tls-verify=false docker://registry.invalid/team/disk:v1 oci:none:v1
stop_proxy
expect_same_tree layout/blobs proxied/blobs
(($(seen requests) > 3)) || fail "the proxy was not used"
https_proxy=http://127.0.0.1:1 expect_exit 1 "$VM2OCI" pull docker://registry.invalid/team/disk:v1 oci:none:v1
expect_match "nobody answers there .*127.0.0.1 port 1" "$(< stderr)" "a proxy that is not there"

step "a host that does not exist is called that"
expect_exit 1 "$VM2OCI" pull docker://registry.invalid/team/disk:v1 oci:none:v1
expect_match "Could not resolve host" "$(< stderr)" "a name that nothing has"

step "a mirror is asked first, and the registry when it does not help"
cat > "$CONTAINERS_REGISTRIES_CONF" << CONF
[[registry]]
prefix = "registry.invalid/team"
location = "$registry/team"
[[registry.mirror]]
location = "127.0.0.1:1/team"
[[registry]]
prefix = "blocked.invalid"
location = "blocked.invalid"
blocked = true
CONF
"$VM2OCI" pull --quiet docker://registry.invalid/team/disk:v1 oci:mirrored:v1 > /dev/null
expect_same_tree layout/blobs mirrored/blobs
expect_exit 2 "$VM2OCI" pull docker://blocked.invalid/disk:v1 oci:none:v1

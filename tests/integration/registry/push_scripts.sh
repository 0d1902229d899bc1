#!/bin/bash
# tools/push: what CI jobs call.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/integration/registry/registry.sh"
require_tool skopeo
scripts=$VM2OCI_SOURCE_DIR/tools/push
export PUSH_DELAY=0
start_registry
small_disk disk.raw 8
"$VM2OCI" convert --quiet raw:disk.raw oci:layout:v1 > /dev/null
digest=sha256:$(skopeo inspect --raw oci:layout:v1 | sha256sum | cut -d' ' -f1)

step "every tool pushes the same and prints its name"
"$VM2OCI" convert --quiet --arch arm64 raw:disk.raw oci:layout:arm > /dev/null
"$VM2OCI" index create oci:layout:both oci:layout:v1 oci:layout:arm > made
tar -C layout -cf layout.tar .
for tool in vm2oci skopeo crane oras; do
    # Debian has no crane and no oras: they are tried where somebody has installed them.
    [[ $tool == vm2oci ]] || command -v "$tool" > found || continue
    case $tool in
        vm2oci) options=() ;;
        skopeo) options=(-- --dest-tls-verify=false) ;;
        crane) options=(-- --insecure) ;;
        oras) options=(-- --to-plain-http) ;;
    esac
    for source in oci:layout:v1 oci-archive:layout.tar:v1 oci:layout:both; do
        wanted=sha256:$(skopeo inspect --raw "$source" | sha256sum | cut -d ' ' -f 1)
        name=$("$scripts/push-with-$tool.sh" --digest-file "digest-$tool" "$source" "docker://$registry/$tool/disk:v1" \
            "${options[@]}" 2> log) || fail "push-with-$tool.sh $source: $(cat log)"
        expect_equal "$registry/$tool/disk@$wanted" "$name" "the name that push-with-$tool.sh prints for $source"
        expect_equal "$wanted" "$(< "digest-$tool")" "the digest file of push-with-$tool.sh for $source"
        skopeo inspect --raw --tls-verify=false "docker://$name" > pushed
    done
done

step "they try again, and give up"
mkdir bin
cat > bin/flaky << 'TOOL'
#!/bin/bash
echo "$*" >> calls
[[ $(wc -l < calls) -ge ${SUCCEEDS_AT:-3} ]] || exit "${FAILS_WITH:-1}"
[[ ${0##*/} == skopeo ]] && { [[ $1 == inspect ]] || { while [[ $1 != --digestfile ]]; do shift; done; printf 'sha256:%064d' 0 > "$2"; }; exit 0; }
exec "$REAL" "$@"
TOOL
chmod +x bin/flaky
export REAL=$VM2OCI
VM2OCI=$scratch/bin/flaky "$scripts/push-with-vm2oci.sh" oci:layout:v1 "docker://$registry/again/disk:v1" > out 2> log
expect_equal 3 "$(wc -l < calls)" "attempts until it succeeded"
rm calls
SUCCEEDS_AT=99 VM2OCI=$scratch/bin/flaky expect_exit 1 "$scripts/push-with-vm2oci.sh" --attempts 2 --digest-file never \
    oci:layout:v1 "docker://$registry/again/disk:v2"
expect_equal 2 "$(wc -l < calls)" "attempts until it gave up"
[[ ! -e never ]] || fail "a failed push left a digest file"
rm calls
FAILS_WITH=3 VM2OCI=$scratch/bin/flaky expect_exit 3 "$scripts/push-with-vm2oci.sh" oci:layout:v1 "docker://$registry/again/disk:v2"
expect_equal 1 "$(wc -l < calls)" "attempts at something that is refused"

step "a digest that is not the layout's is caught"
rm calls
ln -s flaky bin/skopeo
SUCCEEDS_AT=1 PATH=$scratch/bin:$PATH expect_exit 1 "$scripts/push-with-skopeo.sh" --digest-file never oci:layout:v1 \
    "docker://$registry/wrong/disk:v1"
expect_match "the registry has sha256:0000" "$(< stderr)" "the message about another digest"
[[ ! -e never ]] || fail "a wrong push left a digest file"
rm bin/skopeo

step "the digest is signed, not the tag"
cat > bin/cosign << 'TOOL'
#!/bin/bash
echo "$*" > cosign.log
TOOL
chmod +x bin/cosign
COSIGN_KEY=key.pem PATH=$scratch/bin:$PATH "$scripts/push-with-vm2oci.sh" --sign oci:layout:v1 "docker://$registry/signed/disk:v1" > out 2> log
expect_equal "sign --yes --key key.pem $registry/signed/disk@$digest" "$(< cosign.log)" "what cosign was asked"
expect_exit 2 "$scripts/sign-with-cosign.sh" "$registry/signed/disk:v1"
PATH=/usr/bin:/bin expect_exit 1 "$scripts/sign-with-cosign.sh" "$registry/signed/disk@$digest"
expect_match "cosign is not installed" "$(< stderr)" "the message without cosign"

step "curl alone: the same name, with a token service, an index and an archive, and what it must not do"
export REGISTRY_SCHEME=http
for source in oci:layout:v1 oci:layout:both oci-archive:layout.tar:v1; do
    wanted=sha256:$(skopeo inspect --raw "$source" | sha256sum | cut -d ' ' -f 1)
    name=$("$scripts/push-with-curl.sh" --digest-file digest-curl "$source" "docker://$registry/curl/disk:v1" 2> log) ||
        fail "$(cat log)"
    expect_equal "$registry/curl/disk@$wanted" "$name" "the name that push-with-curl.sh prints for $source"
    expect_equal "$wanted" "$(< digest-curl)" "its digest file"
    skopeo inspect --raw --tls-verify=false "docker://$name" > pushed
    "$VM2OCI" verify --tls-verify=false "docker://$name" > verified
done
expect_exit 1 "$scripts/push-with-curl.sh" oci:layout "docker://$registry/curl/disk:v2"
expect_match 'names 3 images' "$(< stderr)" "a layout of several images"
cp -r layout broken
victim=$(skopeo inspect --raw oci:layout:v1 | jq --raw-output '.layers[0].digest')
chmod u+w "broken/blobs/sha256/${victim#sha256:}" && printf x >> "broken/blobs/sha256/${victim#sha256:}"
expect_exit 1 "$scripts/push-with-curl.sh" --attempts 1 oci:broken:v1 "docker://$registry/curl/other:v1"
expect_match 'is not what its name says' "$(< stderr)" "a damaged blob"
no_tag "$registry" curl/other v1
REGISTRY_USER=ada REGISTRY_PASSWORD=secret-word bash -x "$scripts/push-with-curl.sh" oci:layout:v1 "docker://$registry/curl/disk:v3" > out 2> trace
! grep -E '^\++ curl ' trace | grep --quiet -e secret-word -e "$(printf ada:secret-word | base64)" || fail "curl gets the password as an argument"

step "help and mistakes"
for script in push-with-vm2oci push-with-skopeo push-with-crane push-with-oras push-with-curl sign-with-cosign; do
    "$scripts/$script.sh" --help | grep --quiet "$script.sh" || fail "$script.sh --help says nothing"
    expect_exit 2 "$scripts/$script.sh"
done
expect_exit 2 "$scripts/push-with-vm2oci.sh" --wrong a b

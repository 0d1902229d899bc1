#!/usr/bin/env bash
# tools/ci: the shell of every CI's files as it stands there, with the environment that the CI gives it; and that nothing
# of an input becomes shell text.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/integration/registry/registry.sh"
source "$VM2OCI_SOURCE_DIR/tests/boot/lib.sh"
require_tool python3 jq dash busybox skopeo qemu-system-x86_64
ci=$VM2OCI_SOURCE_DIR/tools/ci
here=$VM2OCI_SOURCE_DIR/tests/integration/ci
mkdir bin
ln -s "$VM2OCI" bin/vm2oci
ln -s "$ci/vm2oci-ci" bin/vm2oci-ci
export PATH=$scratch/bin:$PATH VM2OCI_DELAY=0
unset VM2OCI
start_registry
small_disk disk.raw 8
hostile='odd"; touch pwned; echo "$(touch pwned)`touch pwned`'"'; touch pwned; '"'.raw'
cp disk.raw "$hostile"

# run_steps FILE INPUTS [VARIABLE…]: every step with its shell in folder job; the last exit code in $status.
run_steps() {
    local file=$1 inputs=$2 name shell line environment
    shift 2
    rm -rf steps && mkdir -p job
    python3 "$here/steps.py" "$file" "$scratch/steps" "$inputs" > steps.list || fail "$file"
    while read -r name shell; do
        environment=()
        while IFS= read -r -d '' line; do environment+=("$line"); done < "steps/$name.env"
        status=0
        case $shell in
            bash) run=(bash --noprofile --norc -eo pipefail "$scratch/steps/$name.sh") ;;
            sh) run=("${posix_shell[@]}" "$scratch/steps/$name.sh") ;;
        esac
        (cd job && env "${environment[@]}" "$@" "${run[@]}") > step.out 2> step.err || status=$?
        [[ $status -eq 0 ]] || return 0
    done < steps.list
}
posix_shell=(dash)

inputs_for() { jq --null-input --compact-output --arg source "$1" --arg destination "$2" --arg options "${3:-}" "$4"; }
as_github='{source: $source, destination: $destination, options: $options, "boot-test": "no"}'
as_gitlab='{source: $source, destination: $destination, options: $options, "boot-test": "no", image: "x"}'
as_tekton='{SOURCE: $source, DESTINATION: $destination, OPTIONS: $options, BOOT_TEST: "no", IMAGE: "x", "workspace-source": "."}'
as_jenkins='{VM2OCI_SOURCE: $source, VM2OCI_DESTINATION: $destination, VM2OCI_OPTIONS: $options, VM2OCI_BOOT_TEST: "no"}'

"bin/vm2oci" convert --quiet --label "by=two words" raw:disk.raw oci:expected:v1 > expected.out
expected=sha256:$(skopeo inspect --raw oci:expected:v1 | sha256sum | cut -d ' ' -f 1)
options=$'--label\nby=two words'

for shell in dash "busybox sh"; do
    read -ra posix_shell <<< "$shell"
    for system in github gitlab tekton jenkins; do
        step "$system with $shell"
        rm -rf job
        mkdir -p job
        cp --sparse=always "$hostile" job/
        repository=docker://$registry/$system/${shell%% *}:v1
        case $system in
            github) file=$ci/github/action.yml filter=$as_github ;;
            gitlab) file=$ci/gitlab/templates/convert.yml filter=$as_gitlab ;;
            tekton) file=$ci/tekton/task.yaml filter=$as_tekton ;;
            jenkins) file=$ci/jenkins/Jenkinsfile filter=$as_jenkins ;;
        esac
        : > outputs
        run_steps "$file" "$(inputs_for "raw:$hostile" "$repository" "$options" "$filter")" \
            GITHUB_ACTION_PATH="$ci/github" GITHUB_OUTPUT="$scratch/outputs" GITHUB_STEP_SUMMARY="$scratch/summary"
        expect_equal 0 "$status" "$system: $(tail -n 5 step.err)"
        [[ ! -e job/pwned && ! -e pwned ]] || fail "$system runs what stands in its inputs"
        expect_equal "$expected" "$(< job/vm2oci-results/digest)" "the digest"
        skopeo inspect --tls-verify=false "docker://$(< job/vm2oci-results/image)" > inspected
        case $system in
            github)
                grep -qx "digest=$expected" outputs || fail "no digest among the outputs"
                grep -qx "image=${repository#docker://}@$expected" <(sed 's/:v1@/@/' outputs; sed "s/@/:v1@/" outputs) || fail "no image: $(cat outputs)"
                grep -q '| result | converted' summary || fail "no summary"
                ;;
            gitlab) grep -qx "VM2OCI_DIGEST=$expected" job/vm2oci-results/outputs.env || fail "no variables" ;;
            tekton) expect_equal "$expected" "$(< steps/result-IMAGE_DIGEST)" "the result" ;;
        esac
    done
done

step "what fails says how, and leaves nothing"
posix_shell=(dash)
truncate --size 4M job/blank.raw
head -c 700000 < <(qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2 && cat disk.qcow2) > job/cut.qcow2
run_steps "$ci/gitlab/templates/convert.yml" "$(inputs_for qcow2:cut.qcow2 "docker://$registry/no:v1" '' "$as_gitlab")"
expect_equal 3 "$status" "a cut disk"
[[ ! -e job/vm2oci-results/digest ]] || fail "a digest of nothing"
expect_equal disk-truncated "$(jq --raw-output .error.code job/vm2oci-results/convert.json)" "the code"
run_steps "$ci/github/action.yml" "$(inputs_for --help "docker://$registry/no:v1" '' "$as_github")" \
    GITHUB_ACTION_PATH="$ci/github" GITHUB_OUTPUT="$scratch/outputs" GITHUB_STEP_SUMMARY="$scratch/summary"
expect_equal 2 "$status" "an option as a source"
: > attempts
cat > bin/flaky << 'TOOL'
#!/bin/sh
echo x >> attempts
exit "$FAILS_WITH"
TOOL
chmod +x bin/flaky
for code in 1 4; do
    rm -f job/attempts
    FAILS_WITH=$code run_steps "$ci/jenkins/Jenkinsfile" "$(inputs_for disk.raw null: '' "$as_jenkins")" VM2OCI="$scratch/bin/flaky"
    expect_equal "$code" "$status" "the exit code"
    expect_equal "$((code == 1 ? 2 : 1))" "$(wc -l < job/attempts)" "attempts after $code"
done

step "KVM is opened where it is there and shut"
cat > bin/sudo << 'TOOL'
#!/bin/sh
echo "$*" >> "$SUDO_LOG"
[ "$1" != tee ] || cat >> "$SUDO_LOG"
TOOL
chmod +x bin/sudo
python3 "$here/steps.py" "$ci/github/action.yml" "$scratch/steps" "$(inputs_for a null: '' "$as_github")" > steps.list
# The step asks for a device of the machine; its text asks for a file of ours instead.
: > kvm
chmod 0400 kvm
sed "s,/dev/kvm,$scratch/kvm,g; s, ! -w , -e ," steps/1-step.sh > opened.sh
SUDO_LOG=$scratch/sudo.log bash -eo pipefail opened.sh
grep -q 'KERNEL=="kvm"' sudo.log || fail "no rule for KVM"
grep -q 'udevadm trigger --name-match=kvm' sudo.log || fail "udev was not told"
rm sudo.log kvm
SUDO_LOG=$scratch/sudo.log bash -eo pipefail opened.sh
[[ ! -e sudo.log ]] || fail "it asks for rights where there is no KVM"

step "a machine that comes up, and one that does not, with their reports"
make_small_initramfs
small_guest login
cp --sparse=always small.raw job/small.raw
for source in blank small; do
    run_steps "$ci/tekton/task.yaml" "$(inputs_for "raw:$source.raw" "docker://$registry/booted:$source" $'--accel\ntcg\n--memory\n256M' \
        "$as_tekton" | jq --compact-output '.BOOT_TEST = "yes"')"
    expect_equal "$([[ $source == small ]] && echo 0 || echo 4)" "$status" "$source: $(tail -n 5 step.err)"
    for file in boot.xml report/report.html report/console.log summary.md; do
        [[ -s job/vm2oci-results/$file ]] || [[ $file == report/console.log ]] || fail "no $file of $source"
    done
    failures=$(python3 -c 'import sys, xml.etree.ElementTree as t; print(t.parse(sys.argv[1]).getroot().find("testsuite").get("failures"))' job/vm2oci-results/boot.xml)
    expect_equal "$([[ $source == small ]] && echo 0 || echo 1)" "$failures" "failures in JUnit of $source"
done
[[ ! -e job/vm2oci-results/digest ]] || expect_match '^sha256:' "$(< job/vm2oci-results/digest)" "the digest"
expect_exit 1 skopeo inspect --tls-verify=false "docker://$registry/booted:blank"
skopeo inspect --tls-verify=false "docker://$registry/booted:small" > inspected

#!/usr/bin/env bash
# report.html in a real browser: nothing on its console, the verdict visible, in light, in dark and without a script.
# The pictures stay in $VM2OCI_ARTIFACTS, or in the build folder's artifacts/boot.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool chromium qemu-system-x86_64 file
artifacts=${VM2OCI_ARTIFACTS:-$(dirname "$(dirname "$(dirname "$VM2OCI")")")/artifacts/boot}
mkdir -p "$artifacts"

truncate --size 16M blank.raw
expect_exit 4 nice "$VM2OCI" boot raw:blank.raw --accel tcg --report report

browse() {
    chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$scratch/profile" \
        --no-first-run --disable-background-networking --hide-scrollbars --enable-logging=stderr --v=0 "$@" \
        "file://$scratch/report/report.html"
}

step 'the page as the browser understands it'
browse --dump-dom > dom.html 2> browser.log
grep -q '<h1>It does not boot</h1>' dom.html || fail 'the verdict is not on the page'
grep -q 'id="line-' dom.html || fail 'the console is not on the page'
if grep -E 'CONSOLE|Refused to|ERR_' browser.log; then
    fail 'the browser complains about the page'
fi

step 'pictures, light and dark'
browse --screenshot="$artifacts/report-light.png" --window-size=1200,1600 2> browser.log
browse --screenshot="$artifacts/report-dark.png" --window-size=1200,1600 --force-dark-mode \
    --blink-settings=preferredColorScheme=0 2> browser.log
for picture in light dark; do
    expect_match 'PNG image data, 1200 x 1600' "$(file "$artifacts/report-$picture.png")" "$picture"
done

# vm2oci with its appliance, as it is installed; sourced after integration.sh.
# shellcheck shell=bash

# install_without_kernel PREFIX: the program, and the one for the inside of guests.
install_without_kernel() {
    install -D "$VM2OCI" "$1/bin/vm2oci"
    mkdir -p "$1/share/vm2oci/guest-kernel"
    cp "${VM2OCI%/*/*/*}/share/vm2oci/vm2oci-agent" "$1/share/vm2oci/"
}

# install_kernel PREFIX: from the cache, where the fixture kernel/guest put it.
install_kernel() {
    local kernel
    kernel=$(XDG_CACHE_HOME=$user_cache "$VM2OCI_SOURCE_DIR/guest-kernel/build.sh" 2> build.log) || fail "$(tail -n 20 build.log)"
    cp -r "$kernel" "$1/share/vm2oci/guest-kernel/$(uname -m)"
}

# worked PID: the processor time that a process has had, in hundredths of a second.
worked() {
    # The name, in parentheses, may have blanks.
    local fields
    fields=$(sed 's/.*) //' "/proc/$1/stat" 2> /dev/null) || { echo 0 && return; }
    # shellcheck disable=SC2086
    set -- $fields
    echo $((${12:-0} + ${13:-0}))
}

# Gone, or dead and not yet fetched by whom it was left to.
has_gone() { [[ ! -e /proc/$1 || $(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2> /dev/null) == Z ]]; }

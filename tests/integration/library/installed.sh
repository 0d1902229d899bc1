#!/usr/bin/env bash
# What `cmake --install` puts in place is a library: the example is built by find_package and by pkg-config, gives the
# program's digest, and finds nothing in the shared object but its public names.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
: "${VM2OCI_BUILD_DIR:?set by CTest: the folder that vm2oci was built in}"
: "${VM2OCI_COMPILE_FLAGS=}"
require_tool cmake pkg-config qemu-img sfdisk mke2fs readelf nm jq
example=$VM2OCI_SOURCE_DIR/tests/integration/library/example
prefix=$scratch/prefix

step "install into an empty folder"
cmake --install "$VM2OCI_BUILD_DIR" --prefix "$prefix" > install.log
library=$(find "$prefix" -name libvm2oci.so)
headers=$prefix/include/vm2oci
[[ $(find "$headers" -name '*.hpp' | wc -l) -ge 15 ]] || fail "the headers are not there"

step "every header stands alone, and needs nothing but the standard library"
for header in "$headers"/*.hpp; do
    printf '#include <vm2oci/%s>\n' "${header##*/}" > alone.cpp
    c++ -std=c++20 -Wall -Wextra -Werror -fsyntax-only -I "$prefix/include" alone.cpp || fail "$header"
done

step "the shared object says its version, and shows only public names"
expect_match 'SONAME.*\[libvm2oci\.so\.0\]' "$(readelf --dynamic "$library")" "soname"
strangers=$(nm --dynamic --defined-only --demangle "$library" | grep -v -e 'vm2oci::v0::' -e ' A VM2OCI_' || true)
expect_equal "" "$strangers" "names beside the public ones"
for inner in to_internal rethrow OperationBridge FieldReader; do
    ! nm --dynamic --defined-only --demangle "$library" | grep -q "v0::$inner" || fail "$inner is shown"
done

step "find_package"
cmake -S "$example" -B by-cmake -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_CXX_FLAGS="$VM2OCI_COMPILE_FLAGS" > configure.log
cmake --build by-cmake > build.log

step "pkg-config, after the tree has been moved"
mv "$prefix" "$scratch/moved"
library_folder=$(dirname "$(find "$scratch/moved" -name vm2oci.pc)")/..
mkdir by-pkg-config
export PKG_CONFIG_PATH=$library_folder/pkgconfig
read -ra flags < <(pkg-config --cflags --libs vm2oci)
# shellcheck disable=SC2086 # flags of the build that the library comes from
c++ -std=c++20 $VM2OCI_COMPILE_FLAGS "$example/example.cpp" -o by-pkg-config/example "${flags[@]}"
expect_equal "$("$VM2OCI" --version | cut -d ' ' -f 2)" "$(pkg-config --modversion vm2oci)" "version"
export LD_LIBRARY_PATH=$library_folder

step "both give the program's digest"
mkdir tree && printf 'PRETTY_NAME="Tiny 1"\nID=tiny\n' > tree/os-release
mkdir -p tree/etc tree/bin tree/sbin tree/usr && mv tree/os-release tree/etc/
mke2fs -q -t ext4 -d tree -L root root.img 24M
truncate --size 32M disk.raw
printf 'label: gpt\nstart=2048, size=49152, type=linux\n' | sfdisk --quiet disk.raw
dd if=root.img of=disk.raw bs=1M seek=1 conv=notrunc status=none
qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2
for disk in disk.qcow2 raw:disk.raw; do
    expected=$("$VM2OCI" --json convert "$disk" oci:by-program:web | jq --raw-output .digest)
    for way in by-cmake by-pkg-config; do
        said=$("$way/example" "$disk" "$way-layout:web")
        expect_match "digest $expected" "$said" "$way of $disk"
        expect_match 'format qcow2' "$said" "the format, $way"
        expect_match "virtual-size $((32 * 1024 * 1024))" "$said" "the size, $way"
        expect_match 'guest Tiny 1' "$said" "the guest, $way"
        "$VM2OCI" verify "oci:$way-layout:web" > /dev/null
    done
done


step "what is refused is an Error with a hint that names no option"
truncate --size=-200K disk.qcow2
said=$(by-cmake/example disk.qcow2 broken:web 2> message) && fail "a cut disk was converted"
expect_equal "error corrupt hint allow-truncated" "$said" "kind and hint"
! grep --quiet -e '--' message || fail "it speaks of options: $(cat message)"
[[ ! -e broken ]] || fail "something was left behind"

#!/usr/bin/env bash
# vm2oci's source as a folder of another project: it configures there, brings its library and nothing else, and the
# example compiles against it. Linking it means building all of vm2oci a second time: with VM2OCI_WHOLE=1, by hand.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool cmake ninja
example=$VM2OCI_SOURCE_DIR/tests/integration/library/example

step "configure, with compilers and flags of the other project's"
cmake -G Ninja -S "$example" -B build -DVM2OCI_SOURCE="$VM2OCI_SOURCE_DIR" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_CXX_FLAGS=-DOF_THE_OTHER_PROJECT > configure.log

step "the example compiles"
cmake --build build --target CMakeFiles/example.dir/example.cpp.o > compile.log
plan=$(ninja -C build -n -v example)
expect_match 'libvm2oci\.so\.0\.' "$plan" "the library is a part of the plan"
[[ $plan != *catch2* && $plan != *tests/unit* ]] || fail "tests come with it"
[[ $plan != *tools/vm2oci/main.cpp* ]] || fail "the program comes with it"

step "nothing of vm2oci is installed with the other project"
(cd build && cmake -P vm2oci/cmake_install.cmake -DCMAKE_INSTALL_PREFIX="$scratch/prefix" > /dev/null)
[[ ! -e prefix ]] || fail "something was installed: $(find prefix -type f)"

if [[ -n ${VM2OCI_WHOLE:-} ]]; then
    step "and links, and runs"
    cmake --build build --target example > build.log
    truncate --size 4M disk.raw
    expected=$("$VM2OCI" convert raw:disk.raw oci:by-program:web | grep image)
    said=$(build/example raw:disk.raw layout:web)
    expect_match "${said#digest }" "$expected" "digest"
fi

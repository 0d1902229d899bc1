#!/usr/bin/env bash
# Installs, on Debian 12, the packages that vm2oci needs, and nothing that is there already.
#
#   tools/setup.sh                what `cmake --preset release && cmake --build --preset release` needs
#   tools/setup.sh --quickstart   that, and what tools/quickstart.sh and tools/make-debian-disk.sh need
#   tools/setup.sh --tests        that, and what the tests need
#   tools/setup.sh --lint         that, and what tools/fuzz.sh needs
#   tools/setup.sh --package      what tools/package.sh and tools/image.sh need
#   tools/setup.sh --bench        what the tests need, and what tests/bench needs
#   tools/setup.sh --list …       prints the packages instead of installing them
#
# When everything is installed it asks dpkg and touches neither apt nor the network.
set -euo pipefail

# Compilers and build tools.
build_tools=(
    g++
    cmake
    ninja-build     # the generator of every preset
    pkg-config      # finds the libraries that ship no CMake package
    ccache          # optional for the compiler, but every second build is one of seconds
)

# Libraries; CONTRIBUTING.md says what each is for.
build_libraries=(
    libssl-dev libargon2-dev libcurl4-openssl-dev
    libzstd-dev zlib1g-dev liblzma-dev libbz2-dev liblz4-dev libdeflate-dev libisal-dev libxxhash-dev libb2-dev
    libarchive-dev libext2fs-dev comerr-dev
    libguestfs-dev libyaml-dev
    libcli11-dev libfmt-dev nlohmann-json3-dev libpugixml-dev libnbd-dev libsqlite3-dev
    libre2-dev libpng-dev libtomlplusplus-dev
    catch2          # unit tests are part of the default build
)

# What makes a bootable Debian disk, and boots it.
quickstart=(
    mmdebstrap      # the guest's packages, without debootstrap's two stages
    fdisk           # sfdisk: the partition table
    dosfstools mtools   # the EFI system partition, without mounting it
    e2fsprogs       # the root file system, without mounting it
    qemu-utils      # raw to qcow2
    qemu-system-x86 seabios ovmf    # boot by BIOS and by UEFI
    uidmap          # mmdebstrap and mke2fs as an ordinary user
)

# Other people's readers, against which the output is judged, and what the tests stand on.
tests=(
    skopeo umoci buildah podman crun runc   # consumers of OCI images
    erofs-utils xxd                     # read-only roots
    docker-registry                     # a registry on the loopback interface
    nbdkit nbdkit-plugin-dev libnbd-bin # our plugin for it is built where its header is, and tested with its tools
    libvmdk-utils libvhdi-utils         # second readers of VMDK and VHD
    rpm db5.3-util                      # packages, and databases of rpm in every form
    libwin-hivex-perl ntfs-3g           # hivexregedit: registries of Windows
    libguestfs-tools libguestfs-xfs     # guestfish: a second opinion on file systems
    linux-image-amd64                   # libguestfs builds its appliance from it
    xfsprogs btrfs-progs lvm2 cryptsetup-bin mdadm  # file systems and containers, some inside of libguestfs' appliance
    busybox-static kmod grub-pc-bin qemu-guest-agent    # small guests for tests/boot
    linux-source-6.1 gcc make patch bison flex bc libelf-dev lz4  # the guest kernel
    gcc-aarch64-linux-gnu               # the configuration of arm64's
    chromium                            # opens report.html
    zstd xz-utils pigz cpio tar gzip bzip2 genisoimage
    gdisk parted                        # a second opinion on partition tables
    selinux-utils                       # a second opinion on SELinux labels
    qemu-user                           # the program on older processors
    strace                              # which files were opened
    time                                # peak memory
    acl attr libcap2-bin openssh-client # what guests hold
    jq curl openssl ca-certificates file procps util-linux iproute2 netcat-openbsd
    python3 python3-yaml                # PyYAML reads what is printed as YAML
    python3-jsonschema                  # documents of --json are held against their schemas
    shellcheck clang-format             # tests/style
    clang-tidy-16                       # tools/lint.sh; 14, the default, lacks std::source_location
    mandoc man-db                       # the man page is linted
    bash-completion zsh                 # the completions are loaded
    git
)

# Long jobs with commands of their own.
lint=(
    clang-16 llvm-16 libclang-rt-16-dev # libFuzzer
)

# Packages of vm2oci itself.
package=(
    dpkg-dev                            # dpkg-shlibdeps
    nbdkit-plugin-dev                   # the plugin
    xz-utils
    linux-source-6.1 gcc make patch bison flex bc libelf-dev lz4 kmod cpio  # the guest kernel
    e2fsprogs                           # tools/image.sh: the list of what is inside is made from a file system
)

# What tests/bench compares with, beside the tools of the tests.
bench=(
    libdeflate-tools isal               # the fastest gzip on one thread
)

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
}

packages=("${build_tools[@]}" "${build_libraries[@]}")
list_only=no
for argument in "$@"; do
    case "$argument" in
        --quickstart) packages+=("${quickstart[@]}") ;;
        --tests) packages+=("${quickstart[@]}" "${tests[@]}") ;;
        --lint) packages+=("${lint[@]}" "${tests[@]}") ;;
        --package) packages+=("${package[@]}") ;;
        --bench) packages+=("${quickstart[@]}" "${tests[@]}" "${bench[@]}") ;;
        --list) list_only=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            printf 'setup.sh: unknown option %s; see setup.sh --help\n' "$argument" >&2
            exit 2
            ;;
    esac
done

mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
if [[ $list_only == yes ]]; then
    printf '%s\n' "${packages[@]}"
    exit 0
fi

if ! command -v dpkg-query > /dev/null; then
    printf 'setup.sh: this is not a Debian system; install what "setup.sh --list" prints by hand\n' >&2
    exit 1
fi

# dpkg-query fails when it knows nothing of a package, and says so on stderr; what it knows is still on stdout.
installed=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "${packages[@]}" 2> /dev/null || true)
mapfile -t missing < <(comm -23 <(printf '%s\n' "${packages[@]}") \
    <(sed -n 's/^installed //p' <<< "$installed" | sort -u))
if [[ ${#missing[@]} -eq 0 ]]; then
    printf 'setup.sh: all %d packages are installed\n' "${#packages[@]}"
    exit 0
fi

as_root=()
if [[ $(id -u) -ne 0 ]]; then
    if ! command -v sudo > /dev/null; then
        printf 'setup.sh: root is needed to install %s; run it as root, or install sudo\n' "${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

export DEBIAN_FRONTEND=noninteractive
apt_get=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -q)
printf 'setup.sh: installing %d of %d packages: %s\n' "${#missing[@]}" "${#packages[@]}" "${missing[*]}"
"${apt_get[@]}" update
"${apt_get[@]}" install --yes --no-install-recommends "${missing[@]}"

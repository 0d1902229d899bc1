#include "formats/oci/bundle.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace vm2oci {
namespace {

constexpr const char* kContainerInit = "container";
constexpr std::string_view kVersion = "1";
constexpr std::size_t kPathLimit = 255;
constexpr std::size_t kReleaseLimit = 64; // of the kernel's own struct utsname

constexpr std::array kOrigins = {KernelOrigin::guest, KernelOrigin::minimal, KernelOrigin::file};
constexpr std::array kRootFormats = {BundleRootFormat::qcow2, BundleRootFormat::raw, BundleRootFormat::erofs};

// Plain names only, so that nothing has to be resolved or escaped wherever the path goes.
bool is_plain_path(std::string_view path) {
    if (path.empty() || path.size() > kPathLimit)
        return false;
    while (true) {
        const std::size_t end = path.find('/');
        const std::string_view name = path.substr(0, end);
        if (name.empty() || name == "." || name == "..")
            return false;
        const bool plain = std::ranges::all_of(name, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                   c == '-' || c == '+';
        });
        if (!plain)
            return false;
        if (end == std::string_view::npos)
            return true;
        path.remove_prefix(end + 1);
    }
}

bool is_printable(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= ' ' && c != '\x7f'; });
}

std::string_view last_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

bool is_verity(const BundleVerity& verity) {
    constexpr std::size_t kDigits = 64;
    constexpr std::uint64_t kBlock = 4096;
    return verity.hash.size() == kDigits && verity.hash.find_first_not_of("0123456789abcdef") == std::string::npos &&
           verity.superblock_at != 0 && verity.superblock_at % kBlock == 0;
}

void check(const BundleDescription& bundle, ErrorKind kind) {
    for (const std::string& path : {bundle.kernel, bundle.root, bundle.initramfs.value_or(bundle_path::initramfs)})
        if (!is_plain_path(path))
            fail(kind, "the bundle names a file " + quote_untrusted(path) + ", which is no plain path in the image");
    if (bundle.initramfs && last_name(*bundle.initramfs) == last_name(bundle.kernel))
        fail(kind, "kernel and initramfs of the bundle are both called " + quote_untrusted(last_name(bundle.kernel)) +
                       ": KubeVirt mounts them into one folder");
    if (bundle.command_line.size() > kKernelCommandLineLimit)
        fail(kind, "the bundle's kernel command line has " + std::to_string(bundle.command_line.size()) +
                       " characters; kernels take " + std::to_string(kKernelCommandLineLimit));
    if (!is_printable(bundle.command_line))
        fail(kind, "the bundle's kernel command line has control characters");
    if (bundle.verity && !is_verity(*bundle.verity))
        fail(kind, "the bundle's root is to prove itself by " + quote_untrusted(bundle.verity->hash) + " at " +
                       std::to_string(bundle.verity->superblock_at) + ", which no hash tree of dm-verity has");
    if (bundle.kernel_release.size() > kReleaseLimit || !is_printable(bundle.kernel_release))
        fail(kind, "the bundle's kernel release " + quote_untrusted(bundle.kernel_release) + " is none");
}

std::string required(const Annotations& annotations, const char* key) {
    const auto found = annotations.find(key);
    if (found == annotations.end())
        fail(ErrorKind::corrupt, std::string("the bundle lacks the annotation ") + key);
    return found->second;
}

// 0 for what is no number, which is no place of a hash tree either.
std::uint64_t number_of(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() ? number : 0;
}

template <class Values>
auto parse_word(const Annotations& annotations, const char* key, const Values& values) {
    const std::string word = required(annotations, key);
    const auto found = std::ranges::find_if(values, [&](auto value) { return to_string(value) == word; });
    if (found == values.end())
        fail(ErrorKind::corrupt, std::string("the bundle's annotation ") + key + " says " + quote_untrusted(word));
    return *found;
}

} // namespace

std::string_view to_string(KernelOrigin origin) {
    switch (origin) {
    case KernelOrigin::guest:
        return "guest";
    case KernelOrigin::minimal:
        return "minimal";
    case KernelOrigin::file:
        break;
    }
    return "file";
}

std::string_view to_string(BundleRootFormat format) {
    switch (format) {
    case BundleRootFormat::qcow2:
        return "qcow2";
    case BundleRootFormat::raw:
        return "raw";
    case BundleRootFormat::erofs:
        break;
    }
    return "erofs";
}

Annotations bundle_annotations(const BundleDescription& bundle) {
    check(bundle, ErrorKind::usage);
    Annotations annotations = {
        {bundle_annotation::version, std::string(kVersion)},
        {bundle_annotation::kernel, bundle.kernel},
        {bundle_annotation::kernel_origin, std::string(to_string(bundle.kernel_origin))},
        {bundle_annotation::command_line, bundle.command_line},
        {bundle_annotation::root, bundle.root},
        {bundle_annotation::root_format, std::string(to_string(bundle.root_format))},
    };
    if (!bundle.kernel_release.empty())
        annotations[bundle_annotation::kernel_release] = bundle.kernel_release;
    if (bundle.initramfs)
        annotations[bundle_annotation::initramfs] = *bundle.initramfs;
    if (bundle.verity) {
        annotations[bundle_annotation::verity_hash] = bundle.verity->hash;
        annotations[bundle_annotation::verity_offset] = std::to_string(bundle.verity->superblock_at);
    }
    if (bundle.init == BundleInit::container)
        annotations[bundle_annotation::init] = kContainerInit;
    return annotations;
}

std::optional<BundleDescription> parse_bundle(const Annotations& annotations) {
    const auto version = annotations.find(bundle_annotation::version);
    if (version == annotations.end())
        return std::nullopt;
    if (version->second != kVersion)
        fail(ErrorKind::unsupported, "the bundle is of version " + quote_untrusted(version->second) + "; known is " +
                                         std::string(kVersion) + ": a newer vm2oci may know it");
    BundleDescription bundle;
    bundle.kernel = required(annotations, bundle_annotation::kernel);
    bundle.kernel_origin = parse_word(annotations, bundle_annotation::kernel_origin, kOrigins);
    if (const auto release = annotations.find(bundle_annotation::kernel_release); release != annotations.end())
        bundle.kernel_release = release->second;
    if (const auto initramfs = annotations.find(bundle_annotation::initramfs); initramfs != annotations.end())
        bundle.initramfs = initramfs->second;
    bundle.command_line = required(annotations, bundle_annotation::command_line);
    bundle.root = required(annotations, bundle_annotation::root);
    bundle.root_format = parse_word(annotations, bundle_annotation::root_format, kRootFormats);
    if (const auto hash = annotations.find(bundle_annotation::verity_hash); hash != annotations.end())
        bundle.verity = {hash->second, number_of(required(annotations, bundle_annotation::verity_offset))};
    if (const auto init = annotations.find(bundle_annotation::init); init != annotations.end()) {
        if (init->second != kContainerInit)
            fail(ErrorKind::corrupt, std::string("the bundle's annotation ") + bundle_annotation::init + " says " +
                                         quote_untrusted(init->second));
        if (!bundle.initramfs)
            fail(ErrorKind::corrupt, "the bundle is of a container, and has no initramfs that starts it");
        bundle.init = BundleInit::container;
    }
    check(bundle, ErrorKind::corrupt);
    return bundle;
}

} // namespace vm2oci

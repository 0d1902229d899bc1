#include "libconvert/source/machine_package.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/ordered_hash.hpp"
#include "formats/base/sha256.hpp"
#include "formats/base/size.hpp"
#include "formats/block/detect.hpp"
#include "formats/block/empty.hpp"
#include "formats/block/vmdk/descriptor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

namespace vm2oci {
namespace {

// Hashes the bytes of a file as they pass.
class WatchedFile final : public BlockDevice {
  public:
    WatchedFile(std::shared_ptr<const BlockDevice> file, std::shared_ptr<OrderedHash> hash)
        : file_(std::move(file)), hash_(std::move(hash)) {}

    std::uint64_t size() const override { return file_->size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        file_->read_at(offset, buffer);
        hash_->feed(offset, buffer);
    }
    Extent extent_at(std::uint64_t offset) const override { return file_->extent_at(offset); }

  private:
    std::shared_ptr<const BlockDevice> file_;
    std::shared_ptr<OrderedHash> hash_;
};

[[noreturn]] void fail_digest(std::string_view name, const FileDigest& said, std::string_view found) {
    fail(ErrorKind::corrupt,
         fmt::format("the file {} is not what the package's manifest says: its {} is {}, and not {}; "
                     "get the package anew",
                     quote_untrusted(name), to_string(said.algorithm), found, said.hex));
}

class PackageVerifier final : public SourceVerifier {
  public:
    std::shared_ptr<const BlockDevice> watch(const std::string& name, std::shared_ptr<const BlockDevice> file,
                                             const FileDigest& digest) {
        Watched& watched = watched_[name];
        if (watched.watcher)
            return watched.watcher; // of two disks in one file
        watched.digest = digest;
        watched.hash = std::make_shared<OrderedHash>(
            [file](std::uint64_t offset, std::span<std::byte> buffer) { file->read_at(offset, buffer); },
            digest.algorithm);
        watched.watcher = std::make_shared<const WatchedFile>(std::move(file), watched.hash);
        return watched.watcher;
    }

    void finish(const OperationContext& operation) override {
        for (const auto& [name, watched] : watched_) {
            const std::string found =
                to_hex(watched.hash->finish(watched.watcher->size(), [&] { operation.check_cancelled(); }));
            if (found != watched.digest.hex)
                fail_digest(name, watched.digest, found);
        }
        watched_.clear();
    }

  private:
    struct Watched {
        FileDigest digest;
        std::shared_ptr<OrderedHash> hash;
        std::shared_ptr<const BlockDevice> watcher;
    };
    std::map<std::string, Watched> watched_;
};

std::string read_whole(const BlockDevice& file, std::string_view name, std::size_t limit) {
    if (file.size() > limit)
        fail(ErrorKind::limit, fmt::format("{} has {}, and the limit is {}", quote_untrusted(name),
                                           format_size(file.size()), format_size(limit)));
    std::string text(static_cast<std::size_t>(file.size()), '\0');
    file.read_at(0, std::as_writable_bytes(std::span(text)));
    return text;
}

// What a VMDK in several files calls its parts, as files of its package.
class PackageParts final : public ExtentFiles {
  public:
    void add(const std::string& name, std::shared_ptr<const BlockDevice> file) { files_[name] = std::move(file); }
    std::vector<DevicePtr> open(const std::vector<std::string>& names) override {
        std::vector<DevicePtr> found;
        for (const std::string& name : names) {
            const auto file = files_.find(name);
            if (file == files_.end())
                fail(ErrorKind::unsafe,
                     "the disk lies in the file " + quote_untrusted(name) + ", which the package does not have");
            found.push_back(file->second);
        }
        return found;
    }

  private:
    std::map<std::string, std::shared_ptr<const BlockDevice>> files_;
};

// A VMDK that is text names its parts; anything else holds its disk itself.
bool is_descriptor_of_parts(const BlockDevice& file) {
    constexpr std::size_t magic_bytes = 4;
    if (file.size() < magic_bytes || file.size() > vmdk::kMaxDescriptorBytes)
        return false;
    std::string magic(magic_bytes, '\0');
    file.read_at(0, std::as_writable_bytes(std::span(magic)));
    const std::vector<FormatMatch> matches = detect(file).matches;
    return matches.size() == 1 && matches.front().format == DiskFormat::vmdk && magic != "KDMV" && magic != "COWD" &&
           magic != "\xbe\xba\xfe\xca";
}

class PackageReader {
  public:
    PackageReader(const MachineFiles& files, const PackageRequest& request) : files_(files), request_(request) {}

    MachinePackage read() {
        const std::string& name = files_.descriptor();
        const std::shared_ptr<const BlockDevice> descriptor = files_.open(name);
        if (!descriptor)
            fail(ErrorKind::not_found, "there is no descriptor " + quote_untrusted(name));
        const std::string text = read_whole(*descriptor, name, kMaxDescriptionBytes);
        read_manifest();
        check_text(name, text);
        OvfMachine machine = parse_ovf(text, quote_untrusted(name));
        package_.hardware = std::move(machine.hardware);
        machine.hardware = {};
        open_disks(machine);
        remark_missing();
        return std::move(package_);
    }

  private:
    void remark(std::string text) { package_.remarks.push_back(std::move(text)); }

    void read_manifest() {
        const std::string name = files_.companion(".mf");
        const std::shared_ptr<const BlockDevice> file = name.empty() ? nullptr : files_.open(name);
        const std::string certificate_name = files_.companion(".cert");
        const std::shared_ptr<const BlockDevice> certificate =
            certificate_name.empty() ? nullptr : files_.open(certificate_name);
        if (!file && (certificate || request_.authorities))
            fail(ErrorKind::unsafe,
                 "the package has no manifest of digests (*.mf) that a signature could vouch for; get "
                 "the package anew");
        if (!file) {
            remark("the package has no digests of its files (*.mf): what was read cannot be held against them");
            return;
        }
        const std::string manifest = read_whole(*file, name, kMaxManifestBytes);
        digests_ = with_context(quote_untrusted(name), [&] { return parse_ovf_manifest(manifest); });
        package_.has_manifest = true;
        verifier_ = std::make_shared<PackageVerifier>();
        package_.verifier = verifier_;
        if (certificate)
            package_.signature = with_context(quote_untrusted(certificate_name), [&] {
                return check_ovf_signature(read_whole(*certificate, certificate_name, kMaxCertificateBytes), manifest,
                                           request_.authorities);
            });
        else if (request_.authorities)
            fail(ErrorKind::unsafe, "the package is not signed: it has no certificate (*.cert)");
        if (package_.signature == SignatureState::untrusted)
            remark("the package is signed, and by whom is not verified, for no authority was named that is trusted");
    }

    // Hosts that do not tell letters' cases apart write manifests, too: a digest of "WEB.VMDK" is one of "web.vmdk",
    // unless the package has both.
    std::map<std::string, FileDigest>::const_iterator digest_of(const std::string& name) const {
        const std::string plain = plain_file_name(name);
        if (const auto exact = digests_.find(plain); exact != digests_.end())
            return exact;
        const std::string lower = to_lower_ascii(plain);
        const auto alike =
            std::ranges::find_if(digests_, [&](const auto& digest) { return to_lower_ascii(digest.first) == lower; });
        return alike != digests_.end() && !files_.open(alike->first) ? alike : digests_.end();
    }

    void check_text(const std::string& name, const std::string& text) {
        const auto digest = digest_of(name);
        if (digest == digests_.end()) {
            if (package_.has_manifest)
                remark("the package's manifest has no digest of the descriptor");
            return;
        }
        MessageDigest hash(digest->second.algorithm);
        hash.update(std::as_bytes(std::span(text)));
        const std::string found = to_hex(hash.finish());
        if (found != digest->second.hex)
            fail_digest(name, digest->second, found);
        named_.push_back(digest->first);
    }

    std::shared_ptr<const BlockDevice> open_file(const OvfFile& entry, bool sizes_are_exact) {
        std::string name = entry.href;
        std::shared_ptr<const BlockDevice> file = files_.open(name);
        const std::string decoded = percent_decoded(name);
        if (!file && !decoded.empty()) {
            name = decoded;
            file = files_.open(name);
        }
        if (!file)
            fail(ErrorKind::corrupt, fmt::format("the descriptor names the file {}, which is not in {}",
                                                 quote_untrusted(entry.href), files_.place()));
        if (entry.size && *entry.size != file->size()) {
            const std::string text = fmt::format("the file {} has {} bytes, and the descriptor says {}",
                                                 quote_untrusted(name), file->size(), *entry.size);
            if (sizes_are_exact)
                fail(ErrorKind::corrupt, text + "; get the package anew");
            remark(text);
        }
        auto digest = digest_of(name);
        if (digest == digests_.end())
            digest = digest_of(entry.href);
        if (digest != digests_.end()) {
            named_.push_back(digest->first);
            return verifier_->watch(name, std::move(file), digest->second);
        }
        if (package_.has_manifest)
            remark("the package's manifest has no digest of " + quote_untrusted(name) +
                   ": what was read of it cannot be held against one");
        return file;
    }

    // True if it is the disk that the user wants.
    bool is_wanted(std::size_t number, const PackageDisk& disk) const {
        const std::string& wanted = request_.disk;
        if (wanted.empty())
            return true;
        std::size_t value = 0;
        const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), value);
        if (error == std::errc() && end == wanted.data() + wanted.size())
            return value == number;
        return wanted == disk.id || wanted == disk.file || wanted == percent_decoded(disk.file);
    }

    void open_disks(const OvfMachine& machine) {
        std::vector<MachineDisk> kept;
        for (std::size_t i = 0; i < package_.hardware.disks.size(); ++i) {
            const MachineDisk& described = package_.hardware.disks[i];
            PackageDisk disk;
            disk.id = described.id;
            disk.file = described.file;
            disk.format = machine.disk_formats[i];
            if (!is_wanted(i + 1, disk))
                continue;
            if (const std::optional<std::size_t> file = machine.disk_files[i]) {
                const OvfFile& entry = machine.files[*file];
                disk.compression = entry.compression;
                disk.bytes = open_file(entry, machine.sizes_are_exact);
                if (entry.compression == OvfCompression::none && is_descriptor_of_parts(*disk.bytes))
                    disk.parts = open_parts(entry, *disk.bytes, machine);
            } else {
                disk.is_blank = true;
                disk.bytes = blank_disk(described);
            }
            package_.disks.push_back(std::move(disk));
            kept.push_back(described);
        }
        if (package_.disks.empty() && !request_.disk.empty())
            fail(ErrorKind::usage, no_such_disk());
        if (package_.disks.empty())
            fail(ErrorKind::unsupported, "the machine has no disk");
        package_.hardware.disks = std::move(kept);
    }

    // The names lead nowhere but into the package; sizes and digests hold for them as for every file of it.
    std::shared_ptr<ExtentFiles> open_parts(const OvfFile& disk, const BlockDevice& bytes, const OvfMachine& machine) {
        const std::string text = read_whole(bytes, disk.href, vmdk::kMaxDescriptorBytes);
        const vmdk::Descriptor descriptor =
            with_context(quote_untrusted(disk.href), [&] { return vmdk::parse_descriptor(text); });
        auto parts = std::make_shared<PackageParts>();
        for (const vmdk::ExtentLine& line : descriptor.extents) {
            if (line.type == vmdk::ExtentType::zero)
                continue;
            const auto listed = std::ranges::find(machine.files, line.name, &OvfFile::href);
            const OvfFile entry = listed == machine.files.end() ? OvfFile{"", line.name, std::nullopt} : *listed;
            if (entry.compression != OvfCompression::none)
                fail(ErrorKind::unsupported, "the part " + quote_untrusted(line.name) +
                                                 " of a VMDK is compressed; unpack the files of the package first");
            parts->add(line.name, open_file(entry, machine.sizes_are_exact));
        }
        return parts;
    }

    std::shared_ptr<const BlockDevice> blank_disk(const MachineDisk& disk) {
        const std::uint64_t capacity = disk.capacity.value_or(0); // parse_ovf() refuses those without
        if (capacity > request_.policy.max_virtual_size)
            fail(ErrorKind::limit,
                 fmt::format("the disk {} has {}, and the limit is {}", quote_untrusted(disk.id), format_size(capacity),
                             format_size(request_.policy.max_virtual_size)),
                 HintKind::max_virtual_size);
        remark("the disk " + quote_untrusted(disk.id) + " is blank");
        return std::make_shared<const EmptyDevice>(capacity);
    }

    std::string no_such_disk() const {
        std::string names;
        constexpr std::size_t shown = 8;
        for (std::size_t i = 0; i < std::min(shown, package_.hardware.disks.size()); ++i)
            names +=
                fmt::format("{}{} {}", i == 0 ? "" : ", ", i + 1,
                            quote_untrusted(package_.hardware.disks[i].file.empty() ? package_.hardware.disks[i].id
                                                                                    : package_.hardware.disks[i].file));
        return fmt::format("the machine has no disk {}; it has {}", quote_untrusted(request_.disk),
                           names.empty() ? "none" : names);
    }

    // Files of snapshots and such, which exports leave out.
    void remark_missing() {
        constexpr std::size_t looked_at = 64;
        std::size_t seen = 0;
        for (const auto& [name, digest] : digests_) {
            if (std::ranges::find(named_, name) != named_.end() || ++seen > looked_at)
                continue;
            bool is_there = false;
            try {
                is_there = files_.open(name) != nullptr;
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::unsafe)
                    throw;
            }
            if (!is_there)
                remark("the package's manifest names " + quote_untrusted(name) + ", which is not in " +
                       std::string(files_.place()));
        }
    }

    const MachineFiles& files_;
    const PackageRequest& request_;
    MachinePackage package_;
    std::map<std::string, FileDigest> digests_;
    std::vector<std::string> named_; // those whose digest was used
    std::shared_ptr<PackageVerifier> verifier_;
};

} // namespace

MachinePackage open_package(const MachineFiles& files, const PackageRequest& request) {
    return PackageReader(files, request).read();
}

} // namespace vm2oci

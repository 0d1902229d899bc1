#include "libconvert/source/package_files.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/base/source.hpp"
#include "formats/block/file_device.hpp"
#include "formats/block/in_use.hpp"
#include "formats/block/slice.hpp"
#include "formats/tree/tar_reader.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

namespace vm2oci {
namespace {

using namespace std::string_view_literals;

class ArchiveBytes final : public ByteSource {
  public:
    explicit ArchiveBytes(const BlockDevice& device) : device_(device) {}
    std::size_t read_some_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        if (offset >= device_.size())
            return 0;
        const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), device_.size() - offset));
        device_.read_at(offset, buffer.first(length));
        return length;
    }

  private:
    const BlockDevice& device_;
};

std::string_view base_name(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// What macOS puts beside files in its tars.
bool is_apple_noise(std::string_view path) {
    return base_name(path).starts_with("._") || path.starts_with("__MACOSX/");
}

bool is_descriptor_name(std::string_view path) {
    return to_lower_ascii(path).ends_with(".ovf");
}

// "web01.mf" of "web01.ovf".
std::string companion_name(std::string_view descriptor, std::string_view suffix) {
    return std::string(descriptor.substr(0, descriptor.rfind('.'))) + std::string(suffix);
}

std::string in_capitals(std::string_view suffix) {
    std::string upper(suffix);
    for (char& c : upper)
        if (c >= 'a' && c <= 'z')
            c = static_cast<char>(c - 'a' + 'A');
    return upper;
}

[[noreturn]] void fail_companions(std::string_view one, std::string_view other) {
    fail(ErrorKind::unsafe,
         fmt::format("the package has two files that could vouch for it, {} and {}; which one counts "
                     "depends on who reads it: remove the one that is wrong",
                     quote_untrusted(one), quote_untrusted(other)));
}

// A reference in a descriptor is a name below it, nothing else.
void check_reference(std::string_view name) {
    const auto refuse = [&](std::string_view why) {
        fail(ErrorKind::unsafe,
             fmt::format("the descriptor names the file {}, which {}; nothing outside of the package "
                         "is opened on its word",
                         quote_untrusted(name), why));
    };
    if (name.starts_with('/'))
        refuse("is a path from the root");
    if (name.find("://") != std::string_view::npos || to_lower_ascii(name).starts_with("file:"))
        refuse("is an address");
    if (name.find('\0') != std::string_view::npos)
        refuse("holds a NUL");
    for (std::string_view rest = name; !rest.empty();) {
        const std::size_t slash = rest.find('/');
        if (rest.substr(0, slash) == "..")
            refuse("leads upwards");
        rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    }
}

void require_archive(const ArchiveBytes& bytes) {
    try {
        TarReader(bytes).next();
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt)
            throw;
        fail(ErrorKind::corrupt, fmt::format("it is no package of a machine (OVA or OVF): {}", error.message()));
    }
}

class OvaMembers final : public MachineFiles {
  public:
    explicit OvaMembers(std::shared_ptr<const BlockDevice> archive) : archive_(std::move(archive)) {
        const ArchiveBytes bytes(*archive_);
        require_archive(bytes);
        TarReader reader(bytes);
        std::size_t count = 0;
        while (true) {
            const std::optional<TarMember> next = reader.next();
            if (!next)
                break;
            const TarMember& member = *next;
            if (++count > kMaxPackageMembers)
                fail(ErrorKind::limit, fmt::format("the OVA has more than {} members", kMaxPackageMembers));
            if (member.type == TarType::directory || is_apple_noise(member.path))
                continue;
            add(member);
        }
        if (descriptor_.empty())
            fail(ErrorKind::unsupported,
                 "the archive holds no descriptor (*.ovf), so it is no OVA; unpack it, and name "
                 "the disk in it");
        const std::size_t slash = descriptor_.rfind('/');
        folder_ = slash == std::string::npos ? "" : descriptor_.substr(0, slash + 1);
    }

    std::shared_ptr<const BlockDevice> open(const std::string& name) const override {
        check_reference(name);
        const std::optional<std::string> path = clean_path(folder_ + name);
        if (!path)
            return nullptr;
        const auto found = members_.find(*path);
        if (found == members_.end())
            return nullptr;
        const Member& member = found->second;
        if (!member.is_plain)
            fail(ErrorKind::unsafe, quote_untrusted(name) + " is no plain file in the archive");
        return std::make_shared<const SliceDevice>(archive_, member.offset, member.size);
    }
    std::string companion(std::string_view suffix) const override {
        const std::string wanted = to_lower_ascii(companion_name(descriptor_name_, suffix));
        std::vector<std::string> same_name;
        std::vector<std::string> others;
        for (auto member = members_.lower_bound(folder_); member != members_.end(); ++member) {
            if (!member->first.starts_with(folder_))
                break;
            const std::string name = member->first.substr(folder_.size());
            const std::string lower = to_lower_ascii(name);
            if (lower.ends_with(suffix) && name.find('/') == std::string::npos)
                (lower == wanted ? same_name : others).push_back(name);
        }
        const std::vector<std::string>& found = same_name.empty() ? others : same_name;
        if (found.size() > 1)
            fail_companions(found[0], found[1]);
        return found.empty() ? "" : found.front();
    }
    const std::string& descriptor() const override { return descriptor_name_; }
    std::string_view place() const override { return "the archive"; }

  private:
    struct Member {
        std::uint64_t offset;
        std::uint64_t size;
        bool is_plain; // not a link, a device or sparse
    };

    void add(const TarMember& member) {
        const std::uint64_t stored = member.stored_size();
        if (stored > archive_->size() || member.content_offset > archive_->size() - stored)
            fail(ErrorKind::corrupt, fmt::format("the OVA ends within its member {}: it is truncated; get it anew",
                                                 quote_untrusted(member.path)));
        const bool is_plain = member.type == TarType::regular && !member.extents;
        if (!members_.emplace(member.path, Member{member.content_offset, stored, is_plain}).second)
            fail(ErrorKind::unsafe, fmt::format("the OVA has two members {}; which one counts depends on who unpacks "
                                                "it",
                                                quote_untrusted(member.path)));
        if (!is_descriptor_name(member.path) || member.type != TarType::regular)
            return;
        if (!descriptor_.empty())
            fail(ErrorKind::unsupported,
                 fmt::format("the OVA has two descriptors, {} and {}; export its machines one by one",
                             quote_untrusted(descriptor_), quote_untrusted(member.path)));
        descriptor_ = member.path;
        descriptor_name_ = std::string(base_name(descriptor_));
    }

    std::shared_ptr<const BlockDevice> archive_;
    std::map<std::string, Member> members_; // by cleaned path
    std::string descriptor_;
    std::string descriptor_name_;
    std::string folder_; // of the descriptor, with its slash; "" at the top
};

class OvfFolder final : public MachineFiles {
  public:
    OvfFolder(const std::filesystem::path& descriptor, std::shared_ptr<const BlockDevice> opened,
              const DiskPolicy& policy)
        : policy_(policy), descriptor_(descriptor.filename().string()), opened_(std::move(opened)) {
        const std::filesystem::path folder = descriptor.has_parent_path() ? descriptor.parent_path() : ".";
        folder_ = UniqueFd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!folder_)
            fail_errno("cannot open the folder " + folder.string(), errno);
    }

    std::shared_ptr<const BlockDevice> open(const std::string& name) const override {
        if (name == descriptor_)
            return opened_;
        check_reference(name);
        if (name.empty() || name == "." || name.find('/') != std::string::npos)
            fail(ErrorKind::unsafe, fmt::format("the descriptor names the file {}, and only files beside it are opened "
                                                "on its word",
                                                quote_untrusted(name)));
        UniqueFd file(::openat(folder_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (!file && errno == ENOENT)
            return nullptr;
        if (!file && errno == ELOOP)
            fail(ErrorKind::unsafe, quote_untrusted(name) + " is a link, and none is followed on a descriptor's word");
        if (!file)
            fail_errno("cannot open " + quote_untrusted(name) + " beside the descriptor", errno);
        struct stat status {};
        if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
            fail(ErrorKind::unsafe, quote_untrusted(name) + " beside the descriptor is no regular file");
        if (policy_.in_use == Tolerance::refuse)
            if (const std::optional<std::string> writer = writer_of(file.get()))
                fail(ErrorKind::unsafe, *writer + ": " + quote_untrusted(name) + " is being written",
                     HintKind::allow_in_use);
        return std::make_shared<const FileDevice>(std::move(file), name);
    }
    // In capitals only beside a descriptor that has them, too: no name is looked at that says nothing.
    std::string companion(std::string_view suffix) const override {
        std::vector<std::string> suffixes = {std::string(suffix)};
        if (!descriptor_.ends_with(".ovf"))
            suffixes.push_back(in_capitals(suffix));
        std::string found;
        for (const std::string& candidate : suffixes) {
            const std::string name = companion_name(descriptor_, candidate);
            if (!open(name))
                continue;
            if (!found.empty())
                fail_companions(found, name);
            found = name;
        }
        return found;
    }
    const std::string& descriptor() const override { return descriptor_; }
    std::string_view place() const override { return "the folder of the descriptor"; }

  private:
    UniqueFd folder_;
    const DiskPolicy policy_;
    const std::string descriptor_;
    const std::shared_ptr<const BlockDevice> opened_;
};

} // namespace

bool looks_like_ova(const BlockDevice& archive) {
    constexpr std::size_t magic_at = 257;
    std::array<char, 5> magic{};
    if (archive.size() < 1024)
        return false;
    archive.read_at(magic_at, std::as_writable_bytes(std::span(magic)));
    if (std::string_view(magic.data(), magic.size()) != "ustar"sv)
        return false;
    const ArchiveBytes bytes(archive);
    TarReader reader(bytes);
    constexpr int looked_at = 64; // folders and noise in front, and packages that were put together by hand
    try {
        for (int i = 0; i < looked_at; ++i) {
            const std::optional<TarMember> member = reader.next();
            if (!member)
                return false;
            if (member->type == TarType::regular && !is_apple_noise(member->path) && is_descriptor_name(member->path))
                return true;
        }
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::io)
            throw;
    }
    return false;
}

bool looks_like_ovf(const BlockDevice& file) {
    constexpr std::size_t head_bytes = 4 * KiB;
    std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), head_bytes)), '\0');
    file.read_at(0, std::as_writable_bytes(std::span(head)));
    if (head.starts_with("\xff\xfe") || head.starts_with("\xfe\xff"))
        std::erase(head, '\0'); // UTF-16 of plain letters
    const std::size_t begin = head.find_first_not_of("\xef\xbb\xbf\xff\xfe \t\r\n");
    return begin != std::string::npos && head[begin] == '<' && head.find("Envelope") != std::string::npos;
}

std::unique_ptr<MachineFiles> open_ova_members(std::shared_ptr<const BlockDevice> archive) {
    return std::make_unique<OvaMembers>(std::move(archive));
}

std::unique_ptr<MachineFiles> open_ovf_folder(const std::filesystem::path& descriptor,
                                              std::shared_ptr<const BlockDevice> opened, const DiskPolicy& policy) {
    return std::make_unique<OvfFolder>(descriptor, std::move(opened), policy);
}

std::string percent_decoded(std::string_view name) {
    std::string decoded;
    bool is_encoded = false;
    for (std::size_t i = 0; i < name.size(); ++i) {
        constexpr std::string_view digits = "0123456789abcdef";
        const std::string pair = name[i] == '%' ? to_lower_ascii(name.substr(i + 1, 2)) : "";
        if (pair.size() == 2 && digits.find(pair[0]) != std::string_view::npos &&
            digits.find(pair[1]) != std::string_view::npos) {
            decoded += static_cast<char>(digits.find(pair[0]) * 16 + digits.find(pair[1]));
            is_encoded = true;
            i += 2;
        } else {
            decoded += name[i];
        }
    }
    return is_encoded ? decoded : "";
}

} // namespace vm2oci

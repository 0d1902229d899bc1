#include "libconvert/edit/initrd.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/tree/cpio.hpp"
#include "libconvert/edit/lz4_literals.hpp"
#include "libconvert/edit/unpacked_stream.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

// Lies in every archive that we put behind an initrd.
constexpr std::string_view kMarker = "etc/vm2oci-drivers";
constexpr std::size_t kDrainStep = 1024 * 1024;
constexpr std::size_t kKeptFileLimit = 64 * 1024; // conf/modules and config have a few lines

bool holds_marker(const InitrdSource& source) {
    std::string window;
    for (std::uint64_t offset = 0; offset < source.size;) {
        const std::string piece = source.piece(offset, source.size);
        if (piece.empty())
            return false;
        offset += piece.size();
        window += piece;
        if (window.find(kMarker) != std::string::npos)
            return true;
        window.erase(0, window.size() - std::min(window.size(), kMarker.size()));
    }
    return false;
}

// The first byte from `offset` that is not zero; the end when there is none.
std::uint64_t skip_zeros(const InitrdSource& source, std::uint64_t offset) {
    while (offset < source.size) {
        const std::string piece = source.piece(offset, source.size);
        if (piece.empty())
            return source.size;
        const std::size_t found = piece.find_first_not_of('\0');
        if (found != std::string::npos)
            return offset + found;
        offset += piece.size();
    }
    return source.size;
}

// Behind the last byte that is not zero.
std::uint64_t end_without_zeros(const InitrdSource& source) {
    std::uint64_t end = source.size;
    while (end > 0) {
        const std::uint64_t begin = end - std::min<std::uint64_t>(end, InitrdSource::kPieceSize);
        const std::size_t found = source.piece(begin, end).find_last_not_of('\0');
        if (found != std::string::npos)
            return begin + found + 1;
        end = begin;
    }
    return 0;
}

// What goes through the members of an initrd, and hears of some more than once where a part has to be read again.
class MemberVisitor {
  public:
    virtual ~MemberVisitor() = default;
    // False: it wants to hear of no more. The reader gives the member's content until this returns.
    virtual bool visit(const CpioMember& member, CpioReader& reader) = 0;
    // What the last archive unpacked to, where that is legacy LZ4.
    virtual void lz4_ended(std::uint64_t size) = 0;
};

// False: the visitor wants no more.
bool visit_archive(CpioReader& reader, MemberVisitor& visitor) {
    while (const auto member = reader.next())
        if (!visitor.visit(*member, reader))
            return false;
    return true;
}

// Zeros may follow the compressed stream: the kernel passes over them, and some decoders take them for damage. A stream
// may also end in zeros of its own, so that it is tried as it is first.
void visit_compressed(const InitrdSource& source, std::uint64_t offset, MemberVisitor& visitor) {
    const bool is_lz4 = source.read(offset, kLegacyLz4.size()) == kLegacyLz4;
    const auto visit_until = [&](std::uint64_t end) {
        const auto stream = open_unpacked(source, offset, end);
        CpioReader reader([&](std::size_t count) { return stream->read(count); });
        if (!visit_archive(reader, visitor) || !is_lz4)
            return;
        std::uint64_t size = reader.position();
        for (std::string rest = stream->read(kDrainStep); !rest.empty(); rest = stream->read(kDrainStep))
            size += rest.size();
        visitor.lz4_ended(size);
    };
    const std::uint64_t end = end_without_zeros(source);
    if (end == source.size)
        return visit_until(end);
    try {
        visit_until(source.size);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt)
            throw;
        visit_until(end);
    }
}

// Every archive, one behind another.
void visit_members(const InitrdSource& source, MemberVisitor& visitor) {
    for (std::uint64_t at = skip_zeros(source, 0); at < source.size; at = skip_zeros(source, at)) {
        // Whatever may follow a compressed archive is ours, and known by its marker.
        if (source.read(at, 5) != "07070")
            return visit_compressed(source, at, visitor);
        std::uint64_t next = at;
        std::string piece;
        std::size_t used = 0;
        CpioReader reader([&](std::size_t count) {
            std::string taken;
            while (taken.size() < count) {
                if (used == piece.size()) {
                    piece = next < source.size ? source.piece(next, source.size) : std::string();
                    next += piece.size();
                    used = 0;
                    if (piece.empty())
                        break;
                }
                const std::size_t step = std::min(count - taken.size(), piece.size() - used);
                taken.append(piece, used, step);
                used += step;
            }
            return taken;
        });
        if (!visit_archive(reader, visitor))
            return;
        at += reader.position();
    }
}

class Collector final : public MemberVisitor {
  public:
    explicit Collector(Initrd& initrd) : initrd_(initrd) {}
    bool visit(const CpioMember& member, CpioReader& reader) override {
        if (initrd_.names.size() >= kInitrdMemberLimit)
            fail(ErrorKind::limit, "the initrd has more than a million members");
        initrd_.names.insert(member.path);
        if ((member.path == "conf/modules" || member.path == "config") && member.size <= kKeptFileLimit)
            initrd_.files[member.path] = reader.content();
        return true;
    }
    void lz4_ended(std::uint64_t size) override { initrd_.lz4_size = size; }

  private:
    Initrd& initrd_;
};

class ModuleSearch final : public MemberVisitor {
  public:
    explicit ModuleSearch(std::set<std::string> names) : missing_(std::move(names)) {}
    bool visit(const CpioMember& member, CpioReader& /*reader*/) override {
        if (++members_ > kInitrdMemberLimit)
            fail(ErrorKind::limit, "the initrd has more than a million members");
        if (member.path.find(".ko") != std::string::npos)
            missing_.erase(module_name(member.path));
        return !missing_.empty();
    }
    void lz4_ended(std::uint64_t /*size*/) override {}
    bool found_all() const { return missing_.empty(); }

  private:
    std::set<std::string> missing_;
    std::size_t members_ = 0;
};

InitrdKind kind_of(const Initrd& initrd) {
    const auto has = [&](const char* name) { return initrd.names.contains(name); };
    if (has("scripts/functions") && (has("conf/initramfs.conf") || has("conf/arch.conf")))
        return InitrdKind::initramfs_tools;
    if (has("usr/lib/dracut-lib.sh") || has("lib/dracut-lib.sh") || has("usr/lib/dracut/build-parameter.txt") ||
        has("usr/lib/dracut") || has("lib/dracut"))
        return InitrdKind::dracut;
    if (has("init_functions") && has("config"))
        return InitrdKind::mkinitcpio;
    return InitrdKind::unknown;
}

class StringSink final : public ByteSink {
  public:
    void write(std::span<const std::byte> bytes) override {
        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    std::string text;
};

// Puts files into the archive, with those folders on their way that the initrd lacks. A folder that it has is left
// out: where it has a link to one (lib -> usr/lib), the kernel would replace the link.
class Extension {
  public:
    Extension(const Initrd& initrd, ByteSink& out) : initrd_(initrd), writer_(out) {}

    void add(const std::string& path, std::uint32_t permissions, std::string_view content) {
        for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
            const std::string folder = path.substr(0, slash);
            if (!initrd_.names.contains(folder) && made_.insert(folder).second)
                writer_.add_folder(folder, 0755);
        }
        writer_.add_file(path, permissions, content);
    }
    void finish() { writer_.finish(); }

  private:
    const Initrd& initrd_;
    CpioWriter writer_;
    std::set<std::string> made_;
};

// "usr/lib/modules/6.1.0-1/" or the same below lib: where the initrd itself has its modules.
std::string modules_folder(const Initrd& initrd, const std::string& version) {
    for (const char* root : {"usr/lib/modules/", "lib/modules/"})
        if (initrd.names.contains(root + version) || initrd.names.contains(root + version + "/modules.dep"))
            return root + version + "/";
    // No modules at all: below whichever is no link.
    return (initrd.names.contains("usr/lib") ? "usr/lib/modules/" : "lib/modules/") + version + "/";
}

std::string hooks_folder(const Initrd& initrd) {
    for (const char* folder : {"var/lib/dracut/hooks", "usr/lib/dracut/hooks", "lib/dracut/hooks"})
        if (initrd.names.contains(folder))
            return folder;
    return initrd.names.contains("usr/lib/dracut") ? "usr/lib/dracut/hooks" : "lib/dracut/hooks";
}

void add_loader(Extension& extension, const Initrd& initrd, const std::vector<std::string>& loaded) {
    const auto previous = [&](const char* name) {
        const auto found = initrd.files.find(name);
        std::string text = found == initrd.files.end() ? "" : found->second;
        return text + (text.empty() || text.ends_with('\n') ? "" : "\n");
    };
    std::string lines;
    std::string words;
    for (const std::string& name : loaded) {
        lines += name + "\n";
        words += " " + name;
    }
    switch (initrd.kind) {
    case InitrdKind::initramfs_tools:
        return extension.add("conf/modules", 0644, previous("conf/modules") + lines);
    case InitrdKind::dracut:
        return extension.add(hooks_folder(initrd) + "/pre-udev/01-vm2oci-drivers.sh", 0755,
                             "#!/bin/sh\nfor driver in" + words + "; do modprobe -b -q \"$driver\"; done\n");
    case InitrdKind::mkinitcpio:
        extension.add("config", 0644, previous("config") + "MODULES=\"$MODULES" + words + "\"\n");
        if (initrd.names.contains("usr/lib/systemd/systemd-modules-load"))
            extension.add("usr/lib/modules-load.d/vm2oci-drivers.conf", 0644, lines);
        return;
    case InitrdKind::unknown:
        fail(ErrorKind::unsupported, "the initrd was made by a program that is not known");
    }
}

} // namespace

Initrd read_initrd(const InitrdSource& source) {
    Initrd initrd;
    initrd.was_extended = holds_marker(source);
    Collector collector(initrd);
    visit_members(source, collector);
    initrd.kind = kind_of(initrd);
    return initrd;
}

bool initrd_has_modules(const InitrdSource& source, std::set<std::string> names) {
    ModuleSearch search(std::move(names));
    if (!search.found_all())
        visit_members(source, search);
    return search.found_all();
}

std::string module_name(std::string_view path) {
    std::string name(path.substr(path.rfind('/') + 1));
    name.resize(std::min(name.find(".ko"), name.size()));
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

std::string initrd_extension(const Initrd& initrd, std::uint64_t initrd_size, const std::string& kernel_version,
                             const ModuleDependencies& all, const std::vector<AddedModule>& added,
                             const std::vector<std::string>& loaded) {
    const std::string folder = modules_folder(initrd, kernel_version);
    // What the initrd will hold, by the names under which it holds it: it may have unpacked its modules.
    std::map<std::string, std::string> paths;
    for (const std::string& name : initrd.names)
        if (name.starts_with(folder) && name.find(".ko") != std::string::npos)
            paths[module_name(name)] = name.substr(folder.size());
    for (const AddedModule& module : added)
        paths.try_emplace(module_name(module.path), module.path);
    ModuleDependencies held;
    for (const auto& [name, path] : paths) {
        ModuleDependencies::Module module{path, {}};
        if (const auto known = all.by_name.find(name); known != all.by_name.end())
            for (const std::string& need : known->second.needs)
                if (const auto other = paths.find(module_name(need)); other != paths.end())
                    module.needs.push_back(other->second);
        held.by_name.emplace(name, std::move(module));
    }

    StringSink out;
    const std::uint64_t before = initrd.lz4_size.value_or(initrd_size);
    out.text.assign((kCpioAlignment - before % kCpioAlignment) % kCpioAlignment, '\0');
    Extension extension(initrd, out);
    extension.add(std::string(kMarker), 0644, "");
    for (const AddedModule& module : added)
        if (paths.at(module_name(module.path)) == module.path)
            extension.add(folder + module.path, 0644, module.content);
    extension.add(folder + "modules.dep", 0644, format_module_dependencies(held));
    extension.add(folder + "modules.dep.bin", 0644, format_module_index(held));
    add_loader(extension, initrd, loaded);
    extension.finish();
    return initrd.lz4_size ? lz4_of_literals(out.text) : std::move(out.text);
}

} // namespace vm2oci

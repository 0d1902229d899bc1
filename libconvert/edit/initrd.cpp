#include "libconvert/edit/initrd.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/initrd/lz4_literals.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

// Lies in every archive that we put behind an initrd.
constexpr std::string_view kMarker = "etc/vm2oci-drivers";
constexpr std::size_t kKeptFileLimit = 64ull * 1024; // conf/modules and config have a few lines

class Collector final : public InitrdVisitor {
  public:
    explicit Collector(Initrd& initrd) : initrd_(initrd) {}
    bool visit(const CpioMember& member, CpioReader& reader) override {
        initrd_.names.insert(member.path);
        if ((member.path == "conf/modules" || member.path == "config") && member.size <= kKeptFileLimit)
            initrd_.files[member.path] = reader.content();
        return true;
    }
    void part_ended(const InitrdPart& part) override {
        initrd_.lz4_size = part.compression == "lz4" ? std::optional(part.unpacked) : std::nullopt;
    }

  private:
    Initrd& initrd_;
};

class ModuleSearch final : public InitrdVisitor {
  public:
    explicit ModuleSearch(std::set<std::string> names) : missing_(std::move(names)) {}
    bool visit(const CpioMember& member, CpioReader& /*reader*/) override {
        if (member.path.find(".ko") != std::string::npos)
            missing_.erase(module_name(member.path));
        return !missing_.empty();
    }
    bool found_all() const { return missing_.empty(); }

  private:
    std::set<std::string> missing_;
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

Initrd read_initrd(const InitrdRead& read) {
    Initrd initrd;
    Collector collector(initrd);
    visit_initrd(read, collector);
    initrd.was_extended = initrd.names.contains(std::string(kMarker));
    initrd.kind = kind_of(initrd);
    return initrd;
}

bool initrd_has_modules(const InitrdRead& read, std::set<std::string> names) {
    ModuleSearch search(std::move(names));
    if (!search.found_all())
        visit_initrd(read, search);
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

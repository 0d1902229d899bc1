#include "tools/vm2oci/bundle_options.hpp"

#include "formats/base/error.hpp"
#include "formats/base/shared_files.hpp"
#include "formats/base/size.hpp"
#include "tools/flows/minimal_kernel.hpp"
#include "tools/vm2oci/edit_options.hpp"
#include "tools/vm2oci/help.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <ostream>

namespace vm2oci::cli {
namespace {

using Json = nlohmann::ordered_json;

std::filesystem::path shared_file_or_fail(std::string_view name, std::string_view option) {
    auto path = find_shared_file(name);
    if (!path)
        fail(ErrorKind::not_found,
             fmt::format("{} needs share/vm2oci/{}, which is not installed beside this program; build and install all "
                         "of vm2oci",
                         option, name));
    return *std::move(path);
}

Json layer_json(const StoredLayer& layer) {
    return {{"digest", layer.descriptor.digest.text()},
            {"diff_id", layer.diff_id.text()},
            {"media_type", layer.descriptor.media_type},
            {"size", layer.descriptor.size},
            {"content_size", layer.content_size}};
}

Json files_json(const std::vector<UnpackedFile>& files) {
    Json json = Json::array();
    for (const UnpackedFile& file : files)
        json.push_back({{"name", file.name}, {"size", file.size}, {"purpose", file.purpose}});
    return json;
}

std::string files_text(const std::vector<UnpackedFile>& files) {
    std::string text;
    for (const UnpackedFile& file : files)
        text += fmt::format("  {:<28} {} ({})\n", file.name, file.purpose, format_size(file.size));
    return text;
}

Json bundle_json(const PreparedBundle& bundle, const BundleImage& image, const std::string& destination) {
    const BundleDescription& description = bundle.description;
    Json kernel = {{"path", description.kernel},
                   {"origin", to_string(description.kernel_origin)},
                   {"size", bundle.kernel.image.size()}};
    if (!description.kernel_release.empty())
        kernel["release"] = description.kernel_release;
    Json json = {{"destination", destination},
                 {"digest", image.manifest.digest.text()},
                 {"media_type", image.manifest.media_type},
                 {"size", image.manifest.size},
                 {"layers", {layer_json(image.disk_layer), layer_json(image.boot_layer)}},
                 {"kernel", std::move(kernel)}};
    if (description.initramfs)
        json["initramfs"] = {{"path", *description.initramfs}, {"size", bundle.kernel.initramfs->size()}};
    json["command_line"] = description.command_line;
    json["root"] = {{"path", description.root},
                    {"format", to_string(description.root_format)},
                    {"file_system", bundle.root_disk.type},
                    {"from", bundle.root_disk.origin},
                    {"joined", bundle.root_disk.shape == RootShape::joined},
                    {"virtual_size", bundle.root->virtual_size},
                    {"file_size", bundle.root->bytes->size()}};
    json["edits"] = edit_report_json(bundle.edits);
    json["remarks"] = bundle.remarks;
    return json;
}

} // namespace

void add_bundle_options(CLI::App& command, BundleArguments& arguments) {
    const auto text = [&](const char* name, std::string& value, const char* value_name, const char* description) {
        return command.add_option(name, value, description)->option_text(value_name)->group(group::image);
    };
    text("--kernel", arguments.kernel, "KERNEL",
         "bundle: guest (default: the guest's newest, with its initrd), minimal (ours), or a file");
    text("--initrd", arguments.initramfs, "FILE", "bundle: another initramfs than the kernel's own, or none");
    text("--cmdline", arguments.command_line, "TEXT",
         "bundle: what the kernel is told besides its root (default: what the guest's boot loader tells its own)");
    text("--root", arguments.root, "KIND",
         "bundle, kata: qcow2 (default: the guest's root file system, as --disk-format has it; kata: ext4), or erofs "
         "(read-only, with "
         "what the guest writes kept in memory)")
        ->check(CLI::IsMember({"qcow2", "erofs"}));
    command
        .add_flag("--krun", arguments.krun,
                  "bundle: add what 'podman run --runtime krun' starts it by; the root becomes a raw disk or erofs")
        ->group(group::image);
}

std::string take_kata_agent(std::vector<std::string>& agents) {
    constexpr std::string_view kPrefix = "kata-agent=";
    const auto found = std::find_if(agents.begin(), agents.end(),
                                    [&](const std::string& agent) { return agent.starts_with(kPrefix); });
    if (found == agents.end())
        fail(ErrorKind::usage, "--as kata needs the agent that goes with your Kata: --agent kata-agent=FILE");
    std::string file = found->substr(kPrefix.size());
    agents.erase(found);
    return file;
}

BundleOptions bundle_options(const BundleArguments& arguments, const std::string& architecture) {
    BundleOptions options;
    if (arguments.kernel == "guest") {
        options.kernel = KernelOrigin::guest;
    } else if (arguments.kernel == "minimal") {
        options.kernel = KernelOrigin::minimal;
        const std::filesystem::path folder = minimal_kernel_folder(architecture);
        options.kernel_file = folder / kMinimalKernel;
        options.kernel_modules = folder / "lib/modules";
    } else {
        options.kernel = KernelOrigin::file;
        options.kernel_file = arguments.kernel;
    }
    if (arguments.initramfs == "none") {
        options.initramfs = InitramfsChoice::none;
    } else if (!arguments.initramfs.empty()) {
        options.initramfs = InitramfsChoice::file;
        options.initramfs_file = arguments.initramfs;
    }
    if (arguments.root == "erofs")
        options.root = BundleRootKind::erofs;
    if (arguments.krun)
        options.krun = KrunSupport::yes;
    if (arguments.root == "erofs" || arguments.krun)
        options.own_init = shared_file_or_fail(shared_file::agent, arguments.krun ? "--krun" : "--root erofs");
    if (!arguments.command_line.empty())
        options.command_line = arguments.command_line;
    return options;
}

void print_bundle(const PreparedBundle& bundle, const BundleImage& image, const std::string& destination,
                  Invocation& call) {
    if (call.json()) {
        call.out << bundle_json(bundle, image, destination).dump(2) << '\n';
        return;
    }
    const BundleDescription& description = bundle.description;
    call.out << edit_report_text(bundle.edits, EditMode::apply);
    call.out << fmt::format("{}\n  image   {}\n", destination, image.manifest.digest.text());
    for (const StoredLayer& layer : {image.disk_layer, image.boot_layer})
        call.out << fmt::format("  layer   {} ({})\n", layer.descriptor.digest.text(),
                                format_size(layer.descriptor.size));
    call.out << fmt::format("  kernel  {}, {}{}, {}\n", description.kernel, to_string(description.kernel_origin),
                            description.kernel_release.empty() ? "" : " " + description.kernel_release,
                            format_size(bundle.kernel.image.size()));
    if (description.initramfs)
        call.out << fmt::format("  initrd  {}, {}\n", *description.initramfs,
                                format_size(bundle.kernel.initramfs->size()));
    call.out << fmt::format("  root    {}, {} from {}{}, {} of data in {}\n", description.root, bundle.root_disk.type,
                            bundle.root_disk.shape == RootShape::joined ? "joined " : "", bundle.root_disk.origin,
                            format_size(bundle.root->allocated_size), format_size(bundle.root->virtual_size));
    call.out << "  told    " << description.command_line << '\n';
    for (const std::string& remark : bundle.remarks)
        call.out << "  note    " << remark << '\n';
}

void check_bundle_folder(const std::string& destination) {
    const std::string extension = std::filesystem::path(destination).extension().string();
    if (extension == ".qcow2" || extension == ".img" || extension == ".raw")
        fail(ErrorKind::usage, fmt::format("the source is a bundle: write qcow2:{0} or raw:{0} for its disk alone, or "
                                           "name a folder for all its files",
                                           destination));
}

void print_unpacked(const UnpackedBundle& bundle, const std::string& destination, Invocation& call) {
    if (call.json()) {
        call.out << Json{{"destination", destination},
                         {"command_line", bundle.description.command_line},
                         {"files", files_json(bundle.files)}}
                        .dump(2)
                 << '\n';
        return;
    }
    call.out << destination << '\n' << files_text(bundle.files);
}

void print_kata(const KataReport& report, const std::string& destination, Invocation& call) {
    if (call.json()) {
        call.out << Json{{"destination", destination},
                         {"files", files_json(report.files)},
                         {"drop_in", report.drop_in},
                         {"edits", edit_report_json(report.edits)},
                         {"remarks", report.remarks}}
                        .dump(2)
                 << '\n';
        return;
    }
    call.out << edit_report_text(report.edits, EditMode::apply) << destination << '\n' << files_text(report.files);
    for (const std::string& remark : report.remarks)
        call.out << "  note    " << remark << '\n';
    call.out << '\n' << report.drop_in;
}

} // namespace vm2oci::cli

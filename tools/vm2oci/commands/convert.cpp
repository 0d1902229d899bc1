// `vm2oci convert SOURCE DEST`.
#include "libconvert/convert.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/outputs.hpp"
#include "libconvert/copy/earlier_image.hpp"
#include "libconvert/package/architecture.hpp"
#include "libconvert/package/sparsify.hpp"
#include "libconvert/registry/blob_upload.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "libconvert/source/image_content.hpp"
#include "tools/flows/open_source.hpp"
#include "tools/flows/sbom.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/convert_options.hpp"
#include "tools/vm2oci/rootfs_report.hpp"
#include "tools/vm2oci/source_options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <ostream>
#include <span>

namespace vm2oci::cli {
namespace {

using Json = nlohmann::ordered_json;

// Whoever converts one version may convert the next one with --reuse: what is known of the frames is kept for that.
void keep_frame_notes(std::span<const StoredLayer> layers) {
    FrameNotebook(user_frame_notes()).keep(layers);
}

// The disk as the options want it read, and what is to be said of that.
struct PreparedDisk {
    OpenedDisk disk;
    std::vector<std::string> remarks;
};

PreparedDisk prepare_disk(OpenedDisk disk, const ConvertArguments& arguments, Invocation& call) {
    if (!arguments.sparsify)
        return {std::move(disk), {}};
    if (arguments.disk_format == "keep")
        fail(ErrorKind::usage, "--sparsify writes the disk anew; leave --disk-format keep away");
    SparsifiedDisk sparse = sparsify(disk.device, arguments.guest_options->access(), call.operation);
    for (const std::string& remark : sparse.remarks)
        call.operation.progress->note("sparsify: " + remark);
    disk.device = std::move(sparse.device);
    return {std::move(disk), std::move(sparse.remarks)};
}

Json to_json(const ImageReport& report, const std::string& destination) {
    return {{"destination", destination},
            {"digest", report.manifest.digest.text()},
            {"media_type", report.manifest.media_type},
            {"size", report.manifest.size},
            {"layer",
             {{"digest", report.layer.descriptor.digest.text()},
              {"diff_id", report.layer.diff_id.text()},
              {"media_type", report.layer.descriptor.media_type},
              {"size", report.layer.descriptor.size},
              {"content_size", report.layer.content_size},
              {"frames", report.layer.frames.size()},
              {"reused_frames", report.layer.reused_frames}}},
            {"disk",
             {{"path", "disk/" + report.disk_file_name},
              {"format", to_string(report.disk_format)},
              {"virtual_size", report.virtual_size},
              {"allocated_size", report.allocated_size}}}};
}

Json to_json(const DiskReport& report, const std::string& destination) {
    return {{"destination", destination},
            {"disk",
             {{"format", to_string(report.format)},
              {"file_size", report.file_size},
              {"virtual_size", report.virtual_size},
              {"allocated_size", report.allocated_size}}}};
}

// A registry that cannot resume loses a stream that is cut in the middle. Nothing of it is stored here, but the same
// input makes the same blob: it is made again.
template <class Convert>
auto with_upload_repeated(Invocation& call, Convert convert) {
    constexpr int kRepetitions = 3;
    for (int repetition = 0; repetition < kRepetitions; ++repetition) {
        try {
            return convert();
        } catch (const registry::UploadLost& lost) {
            call.operation.progress->note(fmt::format("starting over: {}", lost.what()));
        }
    }
    return convert();
}

// What the edit options made of the disk.
struct GuestChanges {
    EditReport report;
    EditMode mode;
    std::optional<SeedFiles> seed; // a second disk that was asked for
};

GuestChanges change_guest(OpenedDisk& disk, const ConvertArguments& arguments, DiskOutputFormat format,
                          Invocation& call) {
    const EditOptions& edits = *arguments.edits;
    const EditRequest request = edits.request();
    const bool boots = kind_of_image(arguments) != ConvertKind::rootfs;
    // A disk that is passed through is not looked into: that would cost more than copying it. `inspect` tells.
    const bool diagnosed = boots && format != DiskOutputFormat::keep;
    if (request.empty() && edits.mode() == EditMode::apply)
        return {diagnosed ? report_unchanged(disk, arguments.guest_options->access(), call.operation) : EditReport(),
                edits.mode(), std::nullopt};
    if (format == DiskOutputFormat::keep)
        fail(ErrorKind::usage, "--disk-format keep leaves the disk as it is; it cannot go with edits");
    GuestChanges changes{{}, edits.mode(), wanted_seed_disk(request)};
    const std::int64_t time = creation_time(arguments);
    const ApplyOptions options{arguments.guest_options->access(), time};
    changes.report = edit_disk(disk, request, options, edits.mode(), call.operation);
    return changes;
}

// The machine's name is the one that it gets, and no template has one.
std::optional<GuestSummary> named_guest(const GuestChanges& changes, const EditOptions& edits) {
    std::optional<GuestSummary> guest = changes.report.guest;
    if (!guest)
        return guest;
    const EditRequest request = edits.request();
    if (!request.hostname.empty())
        guest->machine = request.hostname;
    else if (!request.sysprep.empty())
        guest->machine.clear();
    return guest;
}

ExitCode show_plan(const GuestChanges& changes, const std::string& source, Invocation& call) {
    if (call.json())
        call.out << Json{{"source", source}, {"edits", edit_report_json(changes.report)}}.dump(2) << '\n';
    else
        call.out << edit_report_text(changes.report, changes.mode);
    return ExitCode::done;
}

// What a command writes beside its destination.
struct SideOutputs {
    Outputs files;
    Outputs::Document* sbom = nullptr; // null: not asked for
};

// Opened before work begins, so that a path that cannot be written stops the command in time.
void open_side_outputs(SideOutputs& outputs, const ConvertArguments& arguments) {
    if (!arguments.sbom.empty() && arguments.edits->mode() == EditMode::apply)
        outputs.sbom = &outputs.files.add_document(arguments.sbom);
}

// Made before the destination is, so that a guest without packages stops the command in time.
void fill_sbom(SideOutputs& outputs, const OpenedDisk& disk, const ConvertArguments& arguments, Invocation& call) {
    if (outputs.sbom == nullptr)
        return;
    const OpenedGuest guest = open_guest(disk.device, arguments.guest_options->access(), call.operation);
    outputs.sbom->content = make_sbom(guest, guest.guest ? inspect_os(guest) : OsInfo(), arguments.sbom);
}

// An EROFS is as large as its files, and has one format.
void refuse_disk_options_of_erofs(const ConvertArguments& arguments, const CLI::App& command) {
    if (arguments.bundle.root != "erofs")
        return;
    for (const char* option : {"--size", "--disk-format", "--cluster-compression", "--sparsify"})
        if (command.get_option(option)->count() != 0)
            fail(ErrorKind::usage,
                 fmt::format("{} is for roots that are disks; leave it away with --root erofs", option));
}

ExitCode convert_into_bundle(const ConvertArguments& arguments, const SourceMachine& source, const DiskOutput& output,
                             const ContainerDiskOptions& image, const ImageReference& destination, SideOutputs& outputs,
                             const CLI::App& command, Invocation& call) {
    const EditOptions& edits = *arguments.edits;
    refuse_disk_options_of_erofs(arguments, command);
    BundleOptions options = bundle_options(arguments.bundle, image.image.architecture);
    options.disk = output;
    if (arguments.bundle.krun && output.format == DiskOutputFormat::qcow2) {
        if (output.cluster_compression != ClusterCompression::none)
            fail(ErrorKind::usage, "--cluster-compression makes a qcow2 file, and --krun needs a raw one");
        options.disk.format = DiskOutputFormat::raw;
    }
    options.unused_blocks = arguments.sparsify ? UnusedBlocks::leave_out : UnusedBlocks::keep;
    options.edits = edits.request();
    options.mode = edits.mode();
    options.access = arguments.guest_options->access();
    options.time = creation_time(arguments);
    BundleImageOptions image_options{image.layer, image.image, image.instancetype, image.preference};
    if (arguments.architecture.empty())
        image_options.image.architecture.clear(); // the guest's own
    if (const auto seed = wanted_seed_disk(options.edits))
        add_seed_annotations(*seed, image_options.image.annotations);
    const PreparedBundle bundle = prepare_bundle(only_disk(source).opened, options, call.operation);
    if (options.mode == EditMode::plan_only)
        return show_plan({bundle.edits, options.mode, std::nullopt}, arguments.source, call);
    fill_sbom(outputs, only_disk(source).opened, arguments, call);
    const BundleImage written = with_upload_repeated(call, [&] {
        const auto store = publish_verified(
            open_image_destination(destination, call.operation, arguments.source_options->registry->options()), source,
            outputs.files, call.operation);
        return write_bundle(bundle, image_options, *store, call.operation);
    });
    keep_frame_notes(std::array{written.disk_layer, written.boot_layer});
    print_bundle(bundle, written, arguments.destination, call);
    return ExitCode::done;
}

ExitCode convert_into_image(const ConvertArguments& arguments, const Reference& source,
                            const ImageReference& destination, const CLI::App& command, Invocation& call) {
    refuse_inapplicable_options(command, kind_of_image(arguments));
    if (arguments.boot_test->wanted && std::holds_alternative<NullReference>(destination))
        fail(ErrorKind::usage, "--boot-test boots what was written, and null: keeps nothing");
    SideOutputs outputs;
    open_side_outputs(outputs, arguments);
    const DiskOutput output = disk_output(arguments);
    const LayerOptions layer = layer_options(arguments, call);
    ContainerDiskOptions options = container_disk_options(arguments, layer);
    const std::string wanted = wanted_architecture(arguments);
    const SourceMachine machine =
        open_source_machine(source, arguments.source_options->request(), wanted, call.operation);
    const std::string& found = machine.architecture;
    options.image.architecture = !wanted.empty() ? wanted : !found.empty() ? found : host_architecture();
    if (kind_of_image(arguments) == ConvertKind::bundle)
        return convert_into_bundle(arguments, machine, output, options, destination, outputs, command, call);
    OpenedDisk edited = only_disk(machine).opened;
    const GuestChanges changes = change_guest(edited, arguments, output.format, call);
    if (changes.mode == EditMode::plan_only)
        return show_plan(changes, arguments.source, call);
    options.guest = named_guest(changes, *arguments.edits);
    if (options.guest && !options.guest->os.architecture.empty()) {
        const std::string& guest = options.guest->os.architecture;
        if (wanted.empty() && found.empty())
            options.image.architecture = guest;
        else if (options.image.architecture != guest)
            call.operation.progress->note(fmt::format("the image says {}, and the guest in it is for {}",
                                                      options.image.architecture, escape_untrusted(guest)));
    }
    if (changes.seed) {
        add_seed_annotations(*changes.seed, options.image.annotations);
        call.err << "vm2oci: warning: the cloud-init data stand in the image's annotations, where everybody who may "
                    "pull the image reads them: keep passwords and private keys out of them\n";
    }
    const PreparedDisk prepared = prepare_disk(std::move(edited), arguments, call);
    const OpenedDisk& disk = prepared.disk;
    fill_sbom(outputs, disk, arguments, call);
    const auto open_store = [&] {
        return publish_verified(
            open_image_destination(destination, call.operation, arguments.source_options->registry->options()), machine,
            outputs.files, call.operation);
    };
    if (kind_of_image(arguments) == ConvertKind::rootfs) {
        const GuestAccess access = arguments.guest_options->access();
        const RootfsImage image = with_upload_repeated(call, [&] {
            const auto store = open_store();
            return convert_to_rootfs(disk, access, rootfs_options(arguments, layer, options.image), *store,
                                     call.operation);
        });
        keep_frame_notes(image.layers);
        if (!call.json())
            call.out << edit_report_text(changes.report, changes.mode);
        print_rootfs(image, arguments.destination, edit_report_json(changes.report), call);
        return ExitCode::done;
    }
    std::unique_ptr<ImageDestination> store;
    const ImageReport report = with_upload_repeated(call, [&] {
        store = open_store();
        return write_container_disk_image(disk, output, options, *store, call.operation);
    });
    machine.verify(call.operation);
    BootTestResult boot;
    if (arguments.boot_test->wanted)
        boot = boot_written_image(*arguments.boot_test, *store, report.manifest, *arguments.source_options,
                                  {arguments.destination, changes.seed}, call);
    if (may_appear(boot)) {
        store->publish(report.manifest);
        keep_frame_notes({&report.layer, 1});
    }
    if (call.json()) {
        Json json = to_json(report, arguments.destination);
        json["edits"] = edit_report_json(changes.report);
        json["remarks"] = prepared.remarks;
        add_boot_test_result(json, boot);
        call.out << json.dump(2) << '\n';
        return boot_test_exit_code(boot);
    }
    call.out << edit_report_text(changes.report, changes.mode);
    if (!print_boot_test_result(boot, call))
        return boot_test_exit_code(boot);
    const std::string reused =
        arguments.reuse.empty()
            ? ""
            : fmt::format("  reused  {} of {} frames\n", report.layer.reused_frames, report.layer.frames.size());
    call.out << fmt::format("{}\n  image   {}\n  layer   {} ({})\n{}  disk    disk/{}, {}, {} of data in {}\n",
                            arguments.destination, report.manifest.digest.text(), report.layer.descriptor.digest.text(),
                            format_size(report.layer.descriptor.size), reused, report.disk_file_name,
                            to_string(report.disk_format), format_size(report.allocated_size),
                            format_size(report.virtual_size));
    return ExitCode::done;
}

ExitCode convert_into_kata(const ConvertArguments& arguments, const Reference& source, const Reference& destination,
                           const CLI::App& command, Invocation& call) {
    refuse_inapplicable_options(command, ConvertKind::kata);
    const auto* folder = std::get_if<DiskReference>(&destination);
    if (folder == nullptr || folder->format)
        fail(ErrorKind::usage, "Kata reads its guest images from the host's disk: name a folder as DEST");
    refuse_disk_options_of_erofs(arguments, command);
    EditOptions edits = *arguments.edits;
    KataOptions options;
    if (!arguments.size.empty())
        options.size = parse_size(arguments.size);
    options.agent = take_kata_agent(edits.agents);
    options.root = arguments.bundle.root == "erofs" ? BundleRootKind::erofs : BundleRootKind::disk;
    options.edits = edits.request();
    options.mode = edits.mode();
    options.access = arguments.guest_options->access();
    options.time = creation_time(arguments);
    const SourceMachine machine = open_source_machine(source, arguments.source_options->request(),
                                                      wanted_architecture(arguments), call.operation);
    const OpenedDisk& opened = only_disk(machine).opened;
    machine.verify(call.operation); // before any of its files appears
    SideOutputs outputs;
    open_side_outputs(outputs, arguments);
    fill_sbom(outputs, opened, arguments, call);
    const KataReport report = write_kata(opened, options, folder->path, call.operation);
    if (options.mode == EditMode::plan_only)
        return show_plan({report.edits, options.mode, std::nullopt}, arguments.source, call);
    outputs.files.commit();
    print_kata(report, arguments.destination, call);
    return ExitCode::done;
}

// A bundle whose parts are wanted as files: true, and all is done. False: the source holds a disk.
bool unpack_if_bundle(const ConvertArguments& arguments, const Reference& source, const DiskReference& destination,
                      const CLI::App& command, Invocation& call) {
    const auto* reference = std::get_if<ImageReference>(&source);
    if (reference == nullptr || destination.format)
        return false;
    const auto store = open_image_source(*reference, call.operation, arguments.source_options->registry->options());
    const ImageContent image = read_image(*store, wanted_architecture(arguments));
    if (!parse_bundle(image.parsed_manifest.annotations))
        return false;
    check_bundle_folder(destination.path);
    refuse_inapplicable_options(command, ConvertKind::unpacked_bundle);
    verify_content(*store, image, call.operation); // before any of its files appears
    print_unpacked(unpack_bundle(*store, image, destination.path, call.operation), arguments.destination, call);
    return true;
}

ExitCode convert_into_disk(const ConvertArguments& arguments, const Reference& source, const DiskReference& destination,
                           const CLI::App& command, Invocation& call) {
    require_written(destination);
    if (unpack_if_bundle(arguments, source, destination, command, call))
        return ExitCode::done;
    refuse_inapplicable_options(command, ConvertKind::plain_disk);
    if (arguments.kind != "containerdisk")
        fail(ErrorKind::usage, fmt::format("--as {} makes an image, and the destination is a disk", arguments.kind));
    ConvertArguments effective = arguments;
    if (destination.format) {
        if (command.get_option("--disk-format")->count() != 0)
            fail(ErrorKind::usage, "the destination says its format already; leave --disk-format away");
        effective.disk_format = to_string(*destination.format);
    }
    SideOutputs outputs;
    open_side_outputs(outputs, arguments);
    const SourceMachine machine = open_source_machine(source, arguments.source_options->request(),
                                                      wanted_architecture(arguments), call.operation);
    OpenedDisk edited = only_disk(machine).opened;
    const DiskOutput output = disk_output(effective);
    const GuestChanges changes = change_guest(edited, arguments, output.format, call);
    if (changes.mode == EditMode::plan_only)
        return show_plan(changes, arguments.source, call);
    const PreparedDisk prepared = prepare_disk(std::move(edited), effective, call);
    const OpenedDisk& disk = prepared.disk;
    fill_sbom(outputs, disk, effective, call);
    std::string seed_disk;
    if (changes.seed)
        seed_disk = add_seed_beside(*changes.seed, destination.path, outputs.files).string();
    if (std::filesystem::is_block_file(destination.path))
        machine.verify(call.operation); // what is written to a device cannot be held back
    BootTestResult boot;
    DiskApproval approve;
    if (arguments.boot_test->wanted || !std::filesystem::is_block_file(destination.path))
        approve = [&](const std::shared_ptr<const BlockDevice>& file, DiskFormat format) {
            machine.verify(call.operation);
            if (arguments.boot_test->wanted)
                boot = boot_written_disk(*arguments.boot_test, file, format, *arguments.source_options,
                                         {arguments.destination, changes.seed}, call);
            if (may_appear(boot))
                outputs.files.commit();
            return may_appear(boot);
        };
    const DiskReport report = convert_to_disk(disk, output, destination.path, call.operation, approve);
    if (may_appear(boot))
        outputs.files.commit();
    Json json = to_json(report, arguments.destination);
    json["edits"] = edit_report_json(changes.report);
    json["remarks"] = prepared.remarks;
    if (changes.seed && may_appear(boot))
        json["seed_disk"] = seed_disk;
    add_boot_test_result(json, boot);
    if (call.json()) {
        call.out << json.dump(2) << '\n';
        return boot_test_exit_code(boot);
    }
    call.out << edit_report_text(changes.report, changes.mode);
    if (!print_boot_test_result(boot, call))
        return boot_test_exit_code(boot);
    call.out << fmt::format("{}\n  disk    {}, {} of data in {}\n", arguments.destination, to_string(report.format),
                            format_size(report.allocated_size), format_size(report.virtual_size));
    return ExitCode::done;
}

} // namespace

void add_convert_command(CommandTable& table) {
    const auto arguments = std::make_shared<ConvertArguments>();
    const auto command_slot = std::make_shared<const CLI::App*>(nullptr);
    CLI::App& command = table.add(
        "convert", "Turn a disk into an OCI image, a disk into another disk, or an image into a disk",
        {{"vm2oci convert web01.qcow2 oci:images:web01", "a containerDisk in an OCI layout, tagged web01"},
         {"vm2oci convert --compression gzip raw:sda.img oci-archive:web01.tar",
          "the same in one tar file, for old readers"},
         {"vm2oci convert --boot-test web01.qcow2 oci:images:web01", "tagged only if it comes up"},
         {"vm2oci convert oci:images:web01 raw:sda.img", "the disk of an image as a sparse raw file"},
         {"vm2oci convert --size 40G web01.qcow2 qcow2:large.qcow2", "a canonical qcow2 with room to grow"}},
        [arguments, command_slot](Invocation& call) {
            arguments->boot_test->check_usage(**command_slot);
            const Reference source = parse_reference(arguments->source);
            const Reference destination = parse_reference(arguments->destination);
            if (kind_of_image(*arguments) == ConvertKind::kata)
                return convert_into_kata(*arguments, source, destination, **command_slot, call);
            if (const auto* image = std::get_if<ImageReference>(&destination))
                return convert_into_image(*arguments, source, *image, **command_slot, call);
            return convert_into_disk(*arguments, source, std::get<DiskReference>(destination), **command_slot, call);
        });
    *command_slot = &command;
    add_convert_options(command, *arguments);
}

} // namespace vm2oci::cli

// `vm2oci convert SOURCE DEST`.
#include "tools/flows/convert.hpp"

#include "tools/vm2oci/boot_options.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/convert_options.hpp"
#include "tools/vm2oci/convert_report.hpp"

#include <CLI/CLI.hpp>

namespace vm2oci::cli {

void add_convert_command(CommandTable& table) {
    const auto arguments = std::make_shared<ConvertArguments>();
    const auto command_slot = std::make_shared<const CLI::App*>(nullptr);
    CLI::App& command =
        table.add("convert", "Turn a disk into an OCI image, a disk into another disk, or an image into a disk",
                  {{"vm2oci convert web01.qcow2 oci:images:web01", "a containerDisk in an OCI layout, tagged web01"},
                   {"vm2oci convert --compression gzip raw:sda.img oci-archive:web01.tar",
                    "the same in one tar file, for old readers"},
                   {"vm2oci convert --extent data/web01-flat.vmdk web01.vmdk oci:images:web01", "a VMDK in two files"},
                   {"vm2oci convert --boot-test web01.qcow2 oci:images:web01", "tagged only if it comes up"},
                   {"vm2oci convert oci:images:web01 raw:sda.img", "the disk of an image as a sparse raw file"},
                   {"vm2oci convert --size 40G web01.qcow2 qcow2:large.qcow2", "a canonical qcow2 with room to grow"}},
                  [arguments, command_slot](Invocation& call) {
                      const ConvertRequest request = convert_request(*arguments, **command_slot);
                      ConvertEngine engine;
                      engine.boot_machine = boot_at_terminal(call);
                      return report_conversion(request, convert(request, engine, call.operation), call);
                  });
    *command_slot = &command;
    add_convert_options(command, *arguments);
}

} // namespace vm2oci::cli

// `vm2oci pull docker://… DEST`.
#include "formats/base/error.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/image_copy.hpp"
#include "tools/vm2oci/image_words.hpp"

#include <CLI/CLI.hpp>

namespace vm2oci::cli {

void add_pull_command(CommandTable& table) {
    auto arguments = std::make_shared<CopyArguments>();
    CLI::App& command = table.add(
        "pull", "Copy an image out of a registry",
        {{"vm2oci pull docker://registry.example/team/web01:v1 oci:images:web01", "Into an OCI layout"},
         {"vm2oci pull --arch arm64 docker://registry.example/team/web01:v1 oci-archive:web01.tar",
          "One architecture, into an archive"},
         {"vm2oci pull --reuse oci:images:web01 docker://registry.example/team/web01:v2 oci:images:web02",
          "Only what changed since an earlier version"},
         {"vm2oci pull --reuse oci:images:web01-v1 oci-archive:web01-v2.delta.tar oci:images:web01-v2",
          "The whole of a delta, on the other side of an air gap"}},
        [arguments](Invocation& call) {
            const ImageReference source = parse_image_only(arguments->source, "pull");
            if (arguments->reuse.empty() && !std::holds_alternative<RegistryReference>(source))
                fail(ErrorKind::usage,
                     "pull reads from a registry, and '" + arguments->source +
                         "' is none; write it like docker://registry.example/team/web01:v1, or say by --reuse "
                         "which version a delta is against");
            return run_copy(*arguments, source, parse_image_only(arguments->destination, "pull"), call);
        });
    add_copy_options(command, *arguments, "docker://HOST/REPO[:TAG][@DIGEST]",
                     "Where the image goes: oci:DIR[:TAG] or oci-archive:FILE[:TAG]");
    command
        .add_option(
            "--reuse", arguments->reuse,
            "An earlier version of the image: what it holds of the new one is not fetched, and a delta is made whole")
        ->option_text("IMAGE")
        ->group(group::image);
}

} // namespace vm2oci::cli

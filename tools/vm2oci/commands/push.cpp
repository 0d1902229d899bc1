// `vm2oci push SOURCE docker://…`.
#include "formats/base/error.hpp"
#include "tools/vm2oci/image_copy.hpp"
#include "tools/vm2oci/image_words.hpp"

namespace vm2oci::cli {

void add_push_command(CommandTable& table) {
    auto arguments = std::make_shared<CopyArguments>();
    CLI::App& command = table.add(
        "push", "Copy a stored image into a registry",
        {{"vm2oci push oci:images:web01 docker://registry.example/team/web01:v1",
          "Push; the tag appears when everything else is there"},
         {"vm2oci push --digest-file digest oci-archive:web01.tar docker://registry.example/team/web01:v1",
          "The same from an archive, with the digest for the next step"},
         {"vm2oci push --against oci:images:web01-v1 oci:images:web01-v2 oci-archive:web01-v2.delta.tar",
          "For the other side of an air gap: what version 1 lacks"},
         {"vm2oci push --all-tags oci:images docker://registry.example/team/web01", "Every tag of a layout"}},
        [arguments](Invocation& call) {
            const ImageReference destination = parse_image_only(arguments->destination, "push");
            if (arguments->against.empty() && !std::holds_alternative<RegistryReference>(destination))
                fail(ErrorKind::usage, "push writes to a registry, and '" + arguments->destination +
                                           "' is none; write it like docker://registry.example/team/web01:v1");
            refuse_mount_elsewhere(arguments->registry->mount_from, destination);
            return run_copy(*arguments, parse_image_only(arguments->source, "push"), destination, call);
        });
    add_copy_options(command, *arguments, "A stored image: oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker://…",
                     "docker://HOST/REPO[:TAG]");
    command
        .add_option("--against", arguments->against,
                    "Write a delta: only what this image lacks; DEST may be an archive or a layout, too")
        ->option_text("IMAGE")
        ->group(group::image);
    add_mount_option(command, *arguments->registry);
}

} // namespace vm2oci::cli

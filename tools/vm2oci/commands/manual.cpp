// `vm2oci manual TOPIC`: the manual's pages of section 7, which the build installs.
#include "formats/base/error.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/topics.hpp"

#include <CLI/CLI.hpp>

#include <ostream>

namespace vm2oci::cli {

void add_manual_command(CommandTable& table) {
    const auto topic = std::make_shared<std::string>();
    CLI::App& command =
        table.add_hidden("manual", "Print the manual's page of a topic, for man(1)", [topic](Invocation& call) {
            const std::optional<std::string> page = topic_manual(*topic);
            if (!page)
                fail(ErrorKind::usage, "there is no topic '" + *topic + "'; 'vm2oci help' lists them");
            call.out << *page;
            return ExitCode::done;
        });
    command.add_option("TOPIC", *topic, "A topic of 'vm2oci help'")->required();
}

} // namespace vm2oci::cli

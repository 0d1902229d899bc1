#include "tools/vm2oci/application.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/system_error.hpp"
#include "formats/base/version.hpp"
#include "tools/documents/document.hpp"
#include "tools/documents/error_code.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/hint_words.hpp"
#include "tools/vm2oci/progress_display.hpp"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <new>
#include <system_error>

namespace vm2oci::cli {
namespace {

void add_commands(CommandTable& table) {
    add_inspect_command(table);
    add_convert_command(table);
    add_inject_command(table);
    add_boot_command(table);
    add_run_command(table);
    add_verify_command(table);
    add_check_command(table);
    add_manifest_command(table);
    add_batch_command(table);
    add_push_command(table);
    add_pull_command(table);
    add_index_command(table);
    add_prune_command(table);
    add_completion_command(table);
    add_manual_command(table);
}

// "usage", "io": the kind alone, which the message tells as well.
bool says_more_than_kind(std::string_view code) {
    return code.find('-') != std::string_view::npos && code != "not-found";
}

// Errors are one line on standard error, and with --json a document on standard output too; with --verbose a second
// line says where in the source they were thrown.
ExitCode report(const Error& error, const GlobalOptions& global, std::ostream& out, std::ostream& err) {
    const ExitCode code = exit_code_for(error.kind());
    // Messages are made of escaped parts already; paths given by the user may still hold anything.
    std::string line = "vm2oci: ";
    const std::string message = with_words(error.what(), error.hint());
    for (const char c : message)
        line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    const std::string name = error_code(error);
    if (says_more_than_kind(name))
        line += " [" + name + "]";
    err << line << std::endl;
    if (global.verbosity == Verbosity::verbose)
        err << "vm2oci: thrown at " << error.where().file_name() << ':' << error.where().line() << "; 'vm2oci help "
            << name << "' explains it" << std::endl;
    if (global.output == OutputFormat::json) {
        nlohmann::ordered_json document;
        document["error"] = {{"code", name},
                             {"kind", to_string(error.kind())},
                             {"message", message},
                             {"hint", hint_to_json(error.hint())},
                             {"exit_code", code}};
        out << document_text(document) << std::flush;
    }
    return code;
}

ExitCode run_command(CommandTable& table, const std::vector<std::string>& arguments, std::ostream& out,
                     std::ostream& err, const Cancellation& cancellation) {
    table.parse(arguments);
    if (!table.help_text().empty()) {
        out << table.help_text() << std::flush;
        return ExitCode::done;
    }
    const GlobalOptions& global = table.global();
    if (table.version_wanted()) {
        out << "vm2oci " << version() << std::endl;
        return ExitCode::done;
    }
    ProgressDisplay display(err, global.progress, global.verbosity);
    Invocation invocation{global, out, err,
                          OperationContext{&display, &cancellation, global.threads, global.scratch_folder}};
    const ExitCode code = table.handler()(invocation);
    out.flush();
    if (!out)
        fail(ErrorKind::io, "cannot write to standard output");
    return code;
}

Cancellation& signal_cancellation() {
    static Cancellation cancellation;
    return cancellation;
}

extern "C" void on_signal(int number) {
    if (signal_cancellation().cancelled())
        ::_exit(128 + number);
    signal_cancellation().cancel();
}

} // namespace

ExitCode exit_code_for(ErrorKind kind) {
    switch (kind) {
    case ErrorKind::usage:
        return ExitCode::usage;
    case ErrorKind::corrupt:
    case ErrorKind::unsupported:
    case ErrorKind::unsafe:
    case ErrorKind::limit:
        return ExitCode::refused;
    case ErrorKind::cancelled:
        return ExitCode::cancelled;
    case ErrorKind::io:
    case ErrorKind::not_found:
    case ErrorKind::conflict:
    case ErrorKind::external:
        return ExitCode::failed;
    }
    return ExitCode::failed;
}

int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err,
        const Cancellation& cancellation) {
    CommandTable table;
    add_commands(table);
    const auto tell = [&](const Error& error) { return static_cast<int>(report(error, table.global(), out, err)); };
    try {
        return static_cast<int>(run_command(table, arguments, out, err, cancellation));
    } catch (const Error& error) {
        return tell(error);
    } catch (const std::bad_alloc&) {
        return tell(Error(ErrorKind::io, "out of memory"));
    } catch (const std::system_error& error) {
        return tell(refused_by_system(error));
    } catch (const std::exception& error) {
        return tell(
            Error(ErrorKind::io, "unexpected failure: " + escape_untrusted(error.what()) + "; please report this"));
    }
}

const Cancellation& install_signal_handlers() {
    signal_cancellation(); // constructed before a signal can come
    struct sigaction action {};
    action.sa_handler = on_signal;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGXFSZ, SIG_IGN); // write() says EFBIG then
    process_umask();            // read while there is one thread
    return signal_cancellation();
}

} // namespace vm2oci::cli

#include "tools/vm2oci/batch_list.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "runner/machine/spec.hpp"
#include "tools/vm2oci/batch_inputs.hpp"
#include "tools/vm2oci/batch_text.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/convert_options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <map>

namespace vm2oci::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNamePlace = "{name}";
// What a conversion takes at most besides a machine that it boots: see tests/bench.
constexpr std::uint64_t kConversionMemory = 256 * MiB;

constexpr std::string_view kPatternSigns = "*?[";

// The address of something on a server has signs of its own: "https://host/disk.qcow2?token=x".
bool is_pattern(std::string_view source) {
    return source.find_first_of(kPatternSigns) != std::string_view::npos &&
           source.find("://") == std::string_view::npos;
}

// The pattern that fits the file of that very name.
std::string literally(const std::string& pattern) {
    std::string text;
    for (const char c : pattern)
        text += kPatternSigns.find(c) == std::string_view::npos ? std::string(1, c) : fmt::format("[{}]", c);
    return text;
}

std::string with_name(std::string text, const std::string& name) {
    for (std::size_t at = text.find(kNamePlace); at != std::string::npos; at = text.find(kNamePlace, at + name.size()))
        text.replace(at, kNamePlace.size(), name);
    return text;
}

// A name as a registry takes it for a part of a repository: small letters and digits, joined by single signs. "" if
// there are none.
std::string as_repository(const std::string& name) {
    std::string text;
    for (const char c : name) {
        const bool is_sign = c == '.' || c == '_' || c == '-';
        if (!is_sign)
            text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        else if (!text.empty() && std::isalnum(static_cast<unsigned char>(text.back())) != 0)
            text += c;
    }
    while (!text.empty() && std::isalnum(static_cast<unsigned char>(text.back())) == 0)
        text.pop_back();
    return text;
}

// {name} in a registry's repository is written as these are, in its tag and elsewhere as it is.
std::string destination_for(const std::string& text, const std::string& name) {
    constexpr std::string_view kScheme = "docker://";
    if (!text.starts_with(kScheme))
        return with_name(text, name);
    const std::size_t slash = text.rfind('/');
    const std::size_t tag = std::min(text.find(':', slash), text.size());
    const std::string repository = as_repository(name);
    return with_name(text.substr(0, tag), repository.empty() ? name : repository) + with_name(text.substr(tag), name);
}

// "ova:exports/*.ova": what stands before the colon is no part of the pattern.
std::pair<std::string, std::string> split_format(const std::string& source) {
    const std::size_t colon = source.find(':');
    const bool has_format =
        colon != std::string::npos && source.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == colon;
    return has_format ? std::pair(source.substr(0, colon + 1), source.substr(colon + 1))
                      : std::pair(std::string(), source);
}

// What is read or written there, whichever of several ways it is spelled; "" if nothing is, or the words are wrong,
// which whoever reads them says.
std::string place_of(const std::string& words) {
    const auto absolute = [](const fs::path& path) {
        std::error_code error;
        fs::path canonical = fs::weakly_canonical(fs::absolute(path, error), error);
        if (error)
            canonical = path;
        return (canonical.has_filename() ? canonical : canonical.parent_path()).string(); // "images/" is "images"
    };
    try {
        Reference reference = parse_reference(words);
        if (const auto* disk = std::get_if<DiskReference>(&reference))
            return is_server_address(disk->path) ? disk->path : "disk " + absolute(disk->path);
        auto& image = std::get<ImageReference>(reference);
        if (auto* layout = std::get_if<LayoutReference>(&image))
            layout->folder = absolute(layout->folder);
        if (auto* archive = std::get_if<ArchiveReference>(&image))
            archive->file = absolute(archive->file);
        return std::holds_alternative<NullReference>(image) ? "" : to_string(image);
    } catch (const Error&) {
        return "";
    }
}

void refuse_shared_places(const std::vector<BatchLine>& lines) {
    std::map<std::string, const BatchLine*> written;
    for (const BatchLine& line : lines) {
        const std::string place = place_of(line.destination);
        if (place.empty())
            continue;
        const auto [first, is_new] = written.emplace(place, &line);
        if (!is_new)
            refuse_batch_line(line.line,
                              fmt::format("{} goes to {}, and so does {} of line {}; {} in a destination is the "
                                          "machine's name",
                                          quote_untrusted(line.source), quote_untrusted(line.destination),
                                          quote_untrusted(first->second->source), first->second->line, kNamePlace));
    }
    for (const BatchLine& line : lines)
        if (const auto other = written.find(place_of(line.source)); other != written.end() && other->second != &line)
            refuse_batch_line(line.line,
                              fmt::format("{} is what line {} makes, and a batch has no order; make two of it",
                                          quote_untrusted(line.source), other->second->line));
}

// Words as `convert` has them.
struct ParsedConversion {
    ConvertArguments arguments;
    CommandTable table;
    CLI::App* command = nullptr;

    explicit ParsedConversion(const BatchLine& line) {
        command = &table.add("convert", "", {}, [](Invocation&) { return ExitCode::done; });
        add_convert_options(*command, arguments);
        std::vector<std::string> words = {"convert"};
        words.insert(words.end(), line.options.begin(), line.options.end());
        words.insert(words.end(), {"--", line.source, line.destination});
        table.parse(words);
        if (!table.help_text().empty() || table.version_wanted())
            fail(ErrorKind::usage, "a conversion is asked for, and no page of help");
    }
};

std::string exclusive_of(const Reference& destination) {
    if (const auto* disk = std::get_if<DiskReference>(&destination))
        return disk->path;
    const auto* archive = std::get_if<ArchiveReference>(&std::get<ImageReference>(destination));
    return archive == nullptr ? "" : archive->file;
}

// Frames are taken from layouts, which are here; from a registry they would be fetched to be pushed again.
std::string frame_kind_of(const ConvertRequest& request) {
    const auto* image = std::get_if<ImageReference>(&request.destination);
    const auto* source = std::get_if<DiskReference>(&request.source);
    const bool is_here = image != nullptr && std::holds_alternative<LayoutReference>(*image) && source != nullptr &&
                         !is_server_address(source->path);
    const bool is_disk = std::holds_alternative<ContainerDiskRequest>(request.shape);
    if (!is_here || !is_disk || request.reuse || request.against ||
        request.layer.compression.algorithm != Compression::zstd)
        return "";
    return fmt::format("{}:{}:{}", static_cast<int>(request.disk.format),
                       static_cast<int>(request.disk.cluster_compression), request.layer.compression.level);
}

void require_no_input(const Reference& source) {
    const auto* disk = std::get_if<DiskReference>(&source);
    if (disk != nullptr && disk->path == "-")
        fail(ErrorKind::usage, "standard input is for one machine alone; a list in YAML has its machines below "
                               "'machines:'");
}

PlannedConversion plan_conversion(const BatchLine& line, std::size_t number, BatchInputs& inputs) {
    ParsedConversion parsed(line);
    const ConvertRequest request = convert_request(parsed.arguments, *parsed.command);
    require_no_input(request.source);
    if (!request.digest_file.empty())
        fail(ErrorKind::usage, "a batch keeps the digests itself, and tells them");
    if (request.mode == EditMode::plan_only)
        fail(ErrorKind::usage, "a batch that plans is 'batch --dry-run'");
    PlannedConversion planned{};
    planned.item = {number,
                    line.name,
                    line.source,
                    line.destination,
                    line.options,
                    inputs.of(line, request),
                    {1, kConversionMemory},
                    exclusive_of(request.destination),
                    false};
    if (request.boot_test) {
        planned.item.cost.processors = request.boot_test->cpus.value_or(VmSpec().cpus);
        planned.item.cost.memory += request.boot_test->memory.value_or(VmSpec().memory);
    }
    planned.registry = request.from.registry;
    planned.is_delta = request.against.has_value();
    planned.image = NullReference();
    if (const auto* image = std::get_if<ImageReference>(&request.destination)) {
        planned.image = *image;
        planned.item.is_image = !std::holds_alternative<NullReference>(*image);
        planned.item.frame_kind = frame_kind_of(request);
    }
    return planned;
}

template <class Action>
void on_line(const BatchLine& line, const Action& action) {
    try {
        action();
    } catch (const Error& error) {
        throw Error(error.kind(), fmt::format("line {}, {}: {}", line.line, line.name, error.what()), error.hint());
    }
}

} // namespace

std::vector<std::string> find_files(const std::string& pattern) {
    glob_t found{};
    std::vector<std::string> files;
    if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) // sorted
        files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    ::globfree(&found);
    return files;
}

std::string name_of_source(std::string_view source) {
    constexpr std::array<std::string_view, 18> kEndings = {".gz",  ".xz",  ".zst",  ".bz2", ".lz4",  ".qcow2",
                                                           ".raw", ".img", ".vmdk", ".vhd", ".vhdx", ".vdi",
                                                           ".ova", ".ovf", ".vmx",  ".xml", ".tar",  ".qcow"};
    const std::size_t at = source.find("://");
    std::string_view path = at == std::string_view::npos ? source : source.substr(at + 3);
    path = path.substr(0, path.find("@sha256:"));
    // Who asks, and by which token, are no part of a name; of a socket on this host its file is all that there may be.
    if (at != std::string_view::npos && source.find("+unix://") == std::string_view::npos) {
        path = path.substr(0, path.find_first_of("?#"));
        path.remove_prefix(path.substr(0, path.find('/')).rfind('@') + 1);
    }
    const bool is_stored = source.starts_with("oci:") || source.starts_with("oci-archive:");
    std::string name(path.substr(path.rfind('/') + 1));
    if (const std::size_t colon = name.rfind(':'); colon != std::string::npos) {
        // Of images in a store the tag is what differs; elsewhere a tag or a disk's number stands behind the name.
        const bool is_behind = !is_stored && path.find('/') != std::string_view::npos && colon != 0;
        name = is_behind ? name.substr(0, colon) : name.substr(colon + 1);
    }
    for (bool again = true; again;) {
        again = false;
        for (const std::string_view ending : kEndings)
            if (name.size() > ending.size() && name.ends_with(ending)) {
                name.resize(name.size() - ending.size());
                again = true;
            }
    }
    for (char& c : name)
        if (!is_registry_tag(std::string(1, c)) && c != '.' && c != '-')
            c = '-';
    while (!name.empty() && (name.front() == '.' || name.front() == '-'))
        name.erase(0, 1);
    constexpr std::size_t kTagLimit = 128;
    return name.empty() ? "machine" : name.substr(0, kTagLimit);
}

std::vector<BatchLine> parse_batch_list(std::string_view text, const FindFiles& find) {
    std::vector<BatchLine> lines;
    for (const WrittenMachine& written : read_batch_text(text)) {
        std::vector<std::string> sources = {written.source};
        if (is_pattern(written.source)) {
            const auto [format, pattern] = split_format(written.source);
            sources = find(pattern);
            if (sources.empty())
                sources = find(literally(pattern));
            if (sources.empty())
                refuse_batch_line(written.line, fmt::format("no file fits {}", quote_untrusted(written.source)));
            if (!written.name.empty() && sources.size() > 1)
                refuse_batch_line(written.line,
                                  fmt::format("{} files fit {}, and they cannot all be called {}", sources.size(),
                                              quote_untrusted(written.source), quote_untrusted(written.name)));
            for (std::string& source : sources)
                source.insert(0, format);
        }
        for (const std::string& source : sources) {
            BatchLine line{written.line, written.name.empty() ? name_of_source(source) : written.name, source, "", {}};
            if (!is_registry_tag(line.name))
                refuse_batch_line(written.line, fmt::format("{} is no name: letters, digits, '.', '_' and '-'",
                                                            quote_untrusted(line.name)));
            line.destination = destination_for(written.destination, line.name);
            for (const std::string& word : written.options)
                line.options.push_back(with_name(word, line.name));
            lines.push_back(std::move(line));
        }
    }
    if (lines.empty())
        fail(ErrorKind::usage, "the list names no machine");
    refuse_shared_places(lines);
    return lines;
}

std::vector<PlannedConversion> plan_conversions(const std::vector<BatchLine>& lines) {
    std::vector<PlannedConversion> planned;
    BatchInputs inputs(lines);
    for (const BatchLine& line : lines)
        on_line(line, [&] { planned.push_back(plan_conversion(line, planned.size() + 1, inputs)); });
    return planned;
}

std::uint64_t check_words(const std::vector<BatchLine>& lines) {
    std::uint64_t memory = 0;
    for (const BatchLine& line : lines)
        on_line(line, [&] {
            ParsedConversion parsed(line);
            std::uint64_t needed = kConversionMemory;
            if (const auto boot_test = parsed.arguments.boot_test->request(*parsed.command))
                needed += boot_test->memory.value_or(VmSpec().memory);
            memory = std::max(memory, needed);
            require_no_input(parse_reference(line.source));
            const Reference destination = parse_reference(line.destination);
            const auto* image = std::get_if<ImageReference>(&destination);
            if (image == nullptr || !std::holds_alternative<RegistryReference>(*image))
                fail(ErrorKind::usage,
                     quote_untrusted(line.destination) + " is no registry's, and a pod's files go with it");
        });
    return memory;
}

} // namespace vm2oci::cli

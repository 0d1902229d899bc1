#include "tools/vm2oci/batch_list.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/yaml.hpp"
#include "runner/machine/spec.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/convert_options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

namespace vm2oci::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNamePlace = "{name}";
// What a conversion takes at most besides a machine that it boots: see tests/bench.
constexpr std::uint64_t kConversionMemory = 256 * MiB;

[[noreturn]] void refuse(std::size_t line, const std::string& what) {
    fail(ErrorKind::usage, fmt::format("line {}: {}", line, what));
}

bool is_pattern(std::string_view source) {
    return source.find_first_of("*?[") != std::string_view::npos;
}

std::string with_name(std::string text, const std::string& name) {
    for (std::size_t at = text.find(kNamePlace); at != std::string::npos; at = text.find(kNamePlace, at + name.size()))
        text.replace(at, kNamePlace.size(), name);
    return text;
}

// As a shell splits a line, without what a shell would expand.
std::vector<std::string> split_words(std::string_view text, std::size_t line) {
    std::vector<std::string> words;
    bool in_word = false;
    char quote = '\0';
    const auto word = [&]() -> std::string& {
        if (!in_word)
            words.emplace_back();
        in_word = true;
        return words.back();
    };
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        const bool escapes = c == '\\' && quote != '\'' && at + 1 < text.size() &&
                             (quote == '\0' || text[at + 1] == '"' || text[at + 1] == '\\');
        if (escapes)
            word() += text[++at];
        else if (quote != '\0' && c == quote)
            quote = '\0';
        else if (quote != '\0')
            word() += c;
        else if (c == '"' || c == '\'') {
            word();
            quote = c;
        } else if (c == ' ' || c == '\t' || c == '\r')
            in_word = false;
        else if (c == '#' && !in_word)
            break;
        else
            word() += c;
    }
    if (quote != '\0')
        refuse(line, "a quote is not closed");
    return words;
}

// "-" alone is standard input.
bool is_option(std::string_view word) {
    return word.size() > 1 && word.starts_with('-');
}

// One machine as it is written, before patterns are looked up.
struct Written {
    std::size_t line;
    std::string source;
    std::string name; // empty: the file's
    std::string destination;
    std::vector<std::string> options;
};

std::vector<Written> read_lines(std::string_view text) {
    std::vector<Written> all;
    std::size_t line = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        ++line;
        std::vector<std::string> words = split_words(text.substr(0, end), line);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (words.empty())
            continue;
        if (words.size() < 2 || is_option(words[0]) || is_option(words[1]))
            refuse(line, "a line is SOURCE DEST [OPTIONS]");
        all.push_back({line, words[0], "", words[1], {words.begin() + 2, words.end()}});
    }
    return all;
}

std::string text_of(const YamlValue& value, std::string_view what) {
    if (value.kind() != YamlKind::scalar)
        refuse(value.line(), fmt::format("{} is a text", what));
    return value.text();
}

std::vector<std::string> options_of(const YamlValue& value) {
    if (value.kind() == YamlKind::scalar)
        return split_words(value.text(), value.line());
    if (value.kind() != YamlKind::sequence)
        refuse(value.line(), "options are a list of words, or a line of them");
    std::vector<std::string> words;
    for (const YamlValue& item : value.items())
        words.push_back(text_of(item, "an option"));
    return words;
}

void take_member(const YamlValue& key, const YamlValue& value, Written& into) {
    const std::string name = key.text();
    if (name == "source")
        into.source = text_of(value, name);
    else if (name == "name")
        into.name = text_of(value, name);
    else if (name == "destination")
        into.destination = text_of(value, name);
    else if (name == "options")
        for (std::string& word : options_of(value))
            into.options.push_back(std::move(word));
    else
        refuse(key.line(), fmt::format("{} is none of source, name, destination, options", quote_untrusted(name)));
}

YamlValue parse_list_yaml(std::string_view text) {
    try {
        return parse_yaml(text);
    } catch (const Error& error) {
        fail(ErrorKind::usage, error.what());
    }
}

std::vector<Written> read_yaml(std::string_view text) {
    const YamlValue root = parse_list_yaml(text);
    if (root.kind() != YamlKind::mapping)
        refuse(root.line(), "the list is a mapping with the member machines");
    Written defaults{};
    for (const auto& [key, value] : root.members()) {
        if (key.text() != "defaults" && key.text() != "machines")
            refuse(key.line(), fmt::format("{} is neither defaults nor machines", quote_untrusted(key.text())));
        if (key.text() != "defaults")
            continue;
        for (const auto& [name, member] : value.members()) {
            if (name.text() == "source" || name.text() == "name")
                refuse(name.line(), "every machine has its own " + name.text());
            take_member(name, member, defaults);
        }
    }
    const auto machines = root.get("machines");
    if (!machines || machines->kind() != YamlKind::sequence)
        refuse(root.line(), "machines is a list");
    std::vector<Written> all;
    for (const YamlValue& machine : machines->items()) {
        Written made = defaults;
        made.line = machine.line();
        if (machine.kind() == YamlKind::scalar)
            made.source = machine.text();
        else
            for (const auto& [key, value] : machine.members()) {
                if (key.text() == "destination")
                    made.destination.clear();
                take_member(key, value, made);
            }
        if (made.source.empty())
            refuse(made.line, "a machine has a source");
        if (made.destination.empty())
            refuse(made.line, "a machine has a destination, of its own or in defaults");
        all.push_back(std::move(made));
    }
    return all;
}

bool is_yaml(std::string_view text) {
    while (!text.empty()) {
        const std::string_view line = text.substr(0, std::min(text.find('\n'), text.size()));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        const std::size_t first = line.find_first_not_of(" \t\r");
        if (first == std::string_view::npos || line[first] == '#')
            continue;
        return line.starts_with("---") || line.starts_with("machines:") || line.starts_with("defaults:") ||
               line.starts_with("{");
    }
    return false;
}

// "ova:exports/*.ova": what stands before the colon is no part of the pattern.
std::pair<std::string, std::string> split_format(const std::string& source) {
    const std::size_t colon = source.find(':');
    const bool has_format =
        colon != std::string::npos && source.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == colon;
    return has_format ? std::pair(source.substr(0, colon + 1), source.substr(colon + 1))
                      : std::pair(std::string(), source);
}

void refuse_shared_destinations(const std::vector<BatchLine>& lines) {
    std::map<std::string, const BatchLine*> seen;
    for (const BatchLine& line : lines) {
        const auto [first, is_new] = seen.emplace(line.destination, &line);
        if (!is_new && line.destination != "null:")
            refuse(line.line, fmt::format("{} goes to {}, and so does {} of line {}; {} in a destination is the "
                                          "machine's name",
                                          quote_untrusted(line.source), quote_untrusted(line.destination),
                                          quote_untrusted(first->second->source), first->second->line, kNamePlace));
    }
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

void add_file(const fs::path& path, std::set<fs::path>& into) {
    std::error_code error;
    if (!path.empty() && fs::is_regular_file(path, error))
        into.insert(path);
}

// Whatever of the words is a file, and what lies beside the source under its name: extents, a machine's description.
std::vector<fs::path> files_of(const BatchLine& line, const std::string& source) {
    std::set<fs::path> files;
    std::vector<std::string> words = line.options;
    words.push_back(line.source);
    for (const std::string& word : words)
        for (std::size_t at = 0;; ++at) {
            add_file(word.substr(at), files);
            at = word.find_first_of(":=", at);
            if (at == std::string::npos)
                break;
        }
    const fs::path path = source;
    const std::string stem = path.stem().string();
    const fs::path folder = path.parent_path().empty() ? "." : path.parent_path();
    std::error_code error;
    for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
         entry.increment(error))
        if (!stem.empty() && entry->path().filename().string().starts_with(stem))
            add_file(entry->path().lexically_normal(), files);
    return {files.begin(), files.end()};
}

// By which a change of what is read is seen.
std::optional<std::vector<fs::path>> inputs_of(const BatchLine& line, const ConvertRequest& request) {
    if (const auto* disk = std::get_if<DiskReference>(&request.source)) {
        if (is_server_address(disk->path))
            return std::nullopt;
        return files_of(line, disk->path);
    }
    const auto& image = std::get<ImageReference>(request.source);
    std::vector<fs::path> files = files_of(line, "");
    if (const auto* layout = std::get_if<LayoutReference>(&image))
        files.push_back(fs::path(layout->folder) / "index.json");
    const auto* registry = std::get_if<RegistryReference>(&image);
    if (registry != nullptr && registry->digest.empty())
        return std::nullopt; // a tag may be another image tomorrow
    return files;
}

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

PlannedConversion plan_conversion(const BatchLine& line, std::size_t number) {
    ParsedConversion parsed(line);
    const ConvertRequest request = convert_request(parsed.arguments, *parsed.command);
    const auto* disk = std::get_if<DiskReference>(&request.source);
    if (disk != nullptr && disk->path == "-")
        fail(ErrorKind::usage, "standard input is for one machine alone");
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
                    inputs_of(line, request),
                    {1, kConversionMemory},
                    exclusive_of(request.destination),
                    false};
    if (request.boot_test) {
        planned.item.cost.processors = request.boot_test->cpus.value_or(VmSpec().cpus);
        planned.item.cost.memory += request.boot_test->memory.value_or(VmSpec().memory);
    }
    planned.registry = request.from.registry;
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
    path = path.substr(0, path.find('@'));
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
    for (const Written& written : is_yaml(text) ? read_yaml(text) : read_lines(text)) {
        std::vector<std::string> sources = {written.source};
        if (is_pattern(written.source)) {
            const auto [format, pattern] = split_format(written.source);
            sources = find(pattern);
            if (sources.empty())
                refuse(written.line, fmt::format("no file fits {}", quote_untrusted(written.source)));
            if (!written.name.empty() && sources.size() > 1)
                refuse(written.line, fmt::format("{} files fit {}, and they cannot all be called {}", sources.size(),
                                                 quote_untrusted(written.source), quote_untrusted(written.name)));
            for (std::string& source : sources)
                source.insert(0, format);
        }
        for (const std::string& source : sources) {
            BatchLine line{written.line, written.name.empty() ? name_of_source(source) : written.name, source, "", {}};
            if (!is_registry_tag(line.name))
                refuse(written.line,
                       fmt::format("{} is no name: letters, digits, '.', '_' and '-'", quote_untrusted(line.name)));
            line.destination = with_name(written.destination, line.name);
            for (const std::string& word : written.options)
                line.options.push_back(with_name(word, line.name));
            lines.push_back(std::move(line));
        }
    }
    if (lines.empty())
        fail(ErrorKind::usage, "the list names no machine");
    refuse_shared_destinations(lines);
    return lines;
}

std::vector<PlannedConversion> plan_conversions(const std::vector<BatchLine>& lines) {
    std::vector<PlannedConversion> planned;
    for (const BatchLine& line : lines)
        on_line(line, [&] { planned.push_back(plan_conversion(line, planned.size() + 1)); });
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
            const Reference destination = parse_reference(line.destination);
            const auto* image = std::get_if<ImageReference>(&destination);
            if (image == nullptr || !std::holds_alternative<RegistryReference>(*image))
                fail(ErrorKind::usage,
                     quote_untrusted(line.destination) + " is no registry's, and a pod's files go with it");
        });
    return memory;
}

} // namespace vm2oci::cli

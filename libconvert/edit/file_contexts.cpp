#include "libconvert/edit/file_contexts.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/shell_text.hpp"
#include "libconvert/edit/text.hpp"
#include "libconvert/guest/selinux_config.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cctype>

namespace vm2oci {
namespace {

constexpr std::size_t kFileLimit = 4ull * 1024 * 1024; // Fedora's is 0.5 MiB
constexpr std::size_t kLineLimit = 50'000;             // Fedora's has 6,500
// Some tens for each label of a real policy. A hostile one ends here, after a second or two.
constexpr std::size_t kCompilationLimit = 200'000;
constexpr std::int64_t kExpressionMemory = 262'144;
constexpr std::string_view kMetaCharacters = ".^$?*+|[({";
constexpr std::string_view kNoLabel = "<<none>>";

bool has_meta_characters(std::string_view expression) {
    for (std::size_t i = 0; i < expression.size(); ++i) {
        if (expression[i] == '\\')
            ++i;
        else if (kMetaCharacters.find(expression[i]) != std::string_view::npos)
            return true;
    }
    return false;
}

// "/a|/b" as opposed to "/(a|b)" and "/[|]".
bool has_outer_alternatives(std::string_view expression) {
    int depth = 0;
    bool in_class = false;
    for (std::size_t i = 0; i < expression.size(); ++i) {
        const char c = expression[i];
        if (c == '\\')
            ++i;
        else if (in_class)
            in_class = c != ']';
        else if (c == '[')
            in_class = true;
        else if (c == '(' || c == ')')
            depth += c == '(' ? 1 : -1;
        else if (c == '|' && depth <= 0)
            return true;
    }
    return false;
}

std::string literal_start(std::string_view expression) {
    if (has_outer_alternatives(expression))
        return {};
    std::string start;
    for (std::size_t i = 0; i < expression.size(); ++i) {
        char c = expression[i];
        if (c == '\\') {
            if (++i == expression.size() || std::isalnum(static_cast<unsigned char>(expression[i])) != 0)
                break;
            c = expression[i];
        } else if (kMetaCharacters.find(c) != std::string_view::npos) {
            if ((c == '?' || c == '*' || c == '{') && !start.empty())
                start.pop_back(); // the character before may be absent
            break;
        }
        start += c;
    }
    return start;
}

// The second column, where there are three; nullopt for what libselinux knows no type by.
std::optional<FileType> type_of(const std::string& word) {
    static const std::pair<std::string_view, FileType> kTypes[] = {
        {"--", FileType::regular},      {"-d", FileType::directory},        {"-l", FileType::symlink},
        {"-b", FileType::block_device}, {"-c", FileType::character_device}, {"-p", FileType::fifo},
        {"-s", FileType::socket}};
    for (const auto& [name, type] : kTypes)
        if (name == word)
            return type;
    return std::nullopt;
}

} // namespace

FileContexts::FileContexts(const FileContextTexts& texts)
    : substitutions_(read_substitutions(texts.substitutions)),
      distribution_substitutions_(read_substitutions(texts.distribution_substitutions)) {
    std::vector<Line> exact;
    for (const std::string* text : {&texts.contexts, &texts.home_folders, &texts.local})
        read_lines(*text, exact);
    std::move(exact.begin(), exact.end(), std::back_inserter(lines_));
    std::reverse(lines_.begin(), lines_.end());
}

void FileContexts::read_lines(std::string_view text, std::vector<Line>& exact) {
    for (const std::string_view line : lines_of(text)) {
        std::vector<std::string> words = words_of(trimmed(line));
        if (words.empty() || words.front().starts_with('#'))
            continue;
        if (words.size() < 2)
            fail(ErrorKind::corrupt,
                 fmt::format("the guest's file_contexts has no label for {}", quote_untrusted(words.front())));
        Line made{words[0], literal_start(words[0]), std::nullopt, words.size() == 2 ? words[1] : words[2]};
        if (words.size() > 2)
            made.type = type_of(words[1]);
        if (words.size() > 2 && !made.type)
            fail(ErrorKind::corrupt,
                 fmt::format("the guest's file_contexts knows a type of files {}", quote_untrusted(words[1])));
        if (lines_.size() + exact.size() == kLineLimit)
            fail(ErrorKind::limit, fmt::format("the guest's file_contexts has more than {} lines", kLineLimit));
        (has_meta_characters(made.expression) ? lines_ : exact).push_back(std::move(made));
    }
}

FileContexts::Substitutions FileContexts::read_substitutions(std::string_view text) {
    Substitutions list;
    for (const std::string_view line : lines_of(text)) {
        const std::vector<std::string> words = words_of(trimmed(line));
        if (words.size() >= 2 && !words.front().starts_with('#'))
            list.emplace_back(words[0], words[1]);
    }
    std::reverse(list.begin(), list.end()); // the last counts
    return list;
}

std::optional<std::string> FileContexts::substituted(const Substitutions& list, std::string_view path) {
    for (const auto& [from, to] : list) {
        if (!path.starts_with(from))
            continue;
        const std::string_view rest = path.substr(from.size());
        if (rest.empty() || rest.front() == '/')
            return to == "/" ? std::string(rest.empty() ? "/" : rest) : to + std::string(rest);
    }
    return std::nullopt;
}

std::optional<std::string> FileContexts::label(std::string_view path, FileType type) const {
    std::string looked_up = substituted(substitutions_, path).value_or(std::string(path));
    looked_up = substituted(distribution_substitutions_, looked_up).value_or(looked_up);
    RE2::Options options(RE2::Quiet);
    options.set_encoding(RE2::Options::EncodingLatin1); // paths are bytes
    options.set_dot_nl(true);
    options.set_max_mem(kExpressionMemory);
    for (const Line& line : lines_) {
        if ((line.type && *line.type != type) || !looked_up.starts_with(line.literal_start))
            continue;
        if (++compilations_ > kCompilationLimit)
            return std::nullopt;
        const RE2 expression("^" + line.expression + "$", options);
        if (!expression.ok())
            return std::nullopt; // it may have been this line
        if (RE2::PartialMatch(looked_up, expression))
            return line.context == kNoLabel ? std::nullopt : std::optional(line.context);
    }
    return std::nullopt;
}

SelinuxMode selinux_mode(const Guest& guest) {
    const std::string config = try_read_text(guest, "/etc/selinux/config").value_or("");
    const std::string_view mode = selinux_mode_of(config);
    return mode == "enforcing"    ? SelinuxMode::enforcing
           : mode == "permissive" ? SelinuxMode::permissive
                                  : SelinuxMode::off;
}

std::optional<FileContexts> guest_file_contexts(const Guest& guest) {
    if (selinux_mode(guest) == SelinuxMode::off)
        return std::nullopt;
    const std::string policy = shell_value(try_read_text(guest, "/etc/selinux/config").value_or(""), "SELINUXTYPE");
    if (policy.empty() || policy.find('/') != std::string::npos)
        return std::nullopt;
    const std::string path = "/etc/selinux/" + policy + "/contexts/files/file_contexts";
    const auto contexts = try_read_text(guest, path, kFileLimit);
    if (!contexts)
        return std::nullopt;
    const auto beside = [&](const char* suffix) {
        return try_read_text(guest, path + suffix, kFileLimit).value_or("");
    };
    try {
        return FileContexts({*contexts, beside(".homedirs"), beside(".local"), beside(".subs"), beside(".subs_dist")});
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::limit)
            throw;
        return std::nullopt;
    }
}

void label_new_files(EditPlan& plan, const Guest& guest) {
    const auto made_type = [](const Edit& edit) -> std::optional<FileType> {
        switch (edit.kind) {
        case EditKind::write_file:
            return FileType::regular;
        case EditKind::make_folder:
            return FileType::directory;
        case EditKind::make_symlink:
            return FileType::symlink;
        case EditKind::append_file:
        case EditKind::remove:
            break;
        }
        return std::nullopt;
    };
    if (std::none_of(plan.edits.begin(), plan.edits.end(), made_type))
        return;
    const auto contexts = guest_file_contexts(guest);
    if (!contexts)
        return;
    for (Edit& edit : plan.edits)
        if (const auto type = made_type(edit))
            edit.attributes.selinux_label = contexts->label(edit.path, *type).value_or("");
}

} // namespace vm2oci

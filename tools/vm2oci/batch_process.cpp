#include "tools/vm2oci/batch_process.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "runner/qemu/process.hpp"

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

namespace vm2oci::cli {
namespace {

constexpr std::size_t kDocumentLimit = std::size_t{16} << 20; // plans of many edits have a few hundred KiB
constexpr std::size_t kLineLimit = std::size_t{64} << 10;
constexpr int kStandardOutput = 1;
constexpr std::chrono::seconds kPatience(5); // until a conversion that is to end has put away what it has begun

UniqueFd create(const std::filesystem::path& path) {
    UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file)
        fail_errno(path.string() + ": cannot create", errno);
    return file;
}

std::vector<std::string> words_for(const ConversionProgram& program, const BatchItem& item, const ItemFiles& files,
                                   unsigned threads, const std::optional<LookAlikes::Found>& look_alike) {
    std::vector<std::string> words = {program.path,           "convert", "--json", "--progress", "json", "--threads",
                                      std::to_string(threads)};
    if (!program.scratch_folder.empty())
        words.insert(words.end(), {"--tmpdir", program.scratch_folder});
    if (item.is_image)
        words.insert(words.end(), {"--digest-file", files.digest.string()});
    if (look_alike)
        words.insert(words.end(), {"--reuse", look_alike->image});
    words.insert(words.end(), item.words.begin(), item.words.end());
    words.insert(words.end(), {"--", item.source, item.destination});
    return words;
}

class Conversion final : public RunningItem {
  public:
    Conversion(const std::vector<std::string>& words, const ItemFiles& files)
        : document_path_(files.document), document_(create(files.document)), log_(create(files.log)),
          process_(words, {{document_.get(), kStandardOutput}}) {}
    ~Conversion() override { process_.end(kPatience); }
    Conversion(const Conversion&) = delete;
    Conversion& operator=(const Conversion&) = delete;

    std::optional<ItemEnd> poll() override {
        const std::optional<int> status = process_.poll_exit();
        drain();
        if (!status)
            return std::nullopt;
        if (!line_.empty())
            end_line();
        ItemEnd end;
        end.exit_code = WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
        end.processor_seconds = static_cast<double>(process_.cpu_time().count()) / 1000;
        end.document = read_file(document_path_, kDocumentLimit).value_or("");
        end.message = last_word_;
        if (end.message.empty() && !WIFEXITED(*status))
            end.message = "the conversion was ended: " + describe_exit(*status);
        return end;
    }
    int descriptor() const override { return process_.error_fd(); }
    ItemProgress progress() const override { return progress_; }

  private:
    void drain() {
        std::array<char, 8192> bytes{};
        for (;;) {
            const ssize_t got = ::read(process_.error_fd(), bytes.data(), bytes.size());
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                return;
            const std::string_view text(bytes.data(), static_cast<std::size_t>(got));
            write_exactly(log_.get(), as_bytes(text));
            for (const char c : text)
                if (c == '\n')
                    end_line();
                else if (line_.size() < kLineLimit)
                    line_ += c;
        }
    }
    void end_line() {
        read_progress_line(line_, progress_, last_word_);
        line_.clear();
    }

    std::filesystem::path document_path_;
    UniqueFd document_;
    UniqueFd log_;
    ChildProcess process_;
    std::string line_;
    std::string last_word_;
    ItemProgress progress_;
};

std::optional<Likeness> look_of(const ItemFiles& files) {
    const auto inspection = read_file(files.inspection, kDocumentLimit);
    return inspection ? likeness_of(*inspection) : std::nullopt;
}

// Looks at the source first. What it cannot be read as is the conversion's to say.
class LookingConversion final : public RunningItem {
  public:
    LookingConversion(const ConversionProgram& program, const BatchItem& item, const ItemFiles& files, unsigned threads,
                      const LookAlikes& look_alikes)
        : program_(program), item_(item), files_(files), threads_(threads), look_alikes_(look_alikes),
          inspection_(create(files.inspection)),
          look_(std::make_unique<ChildProcess>(std::vector<std::string>{program.path, "inspect", "--json", "--quiet",
                                                                        "--guest-backend", "native", "--", item.source},
                                               std::vector<InheritedFd>{{inspection_.get(), kStandardOutput}})) {}

    std::optional<ItemEnd> poll() override {
        if (!conversion_ && !begin_conversion())
            return std::nullopt;
        std::optional<ItemEnd> end = conversion_->poll();
        if (end)
            end->processor_seconds += looked_;
        return end;
    }
    int descriptor() const override { return conversion_ ? conversion_->descriptor() : look_->error_fd(); }
    ItemProgress progress() const override {
        return conversion_ ? conversion_->progress() : ItemProgress{"look", 0, 0};
    }

  private:
    // Whether what was looked for is known.
    bool begin_conversion() {
        std::array<char, 4096> ignored{};
        while (::read(look_->error_fd(), ignored.data(), ignored.size()) > 0) {
        }
        if (!look_->poll_exit())
            return false;
        looked_ = static_cast<double>(look_->cpu_time().count()) / 1000;
        std::optional<LookAlikes::Found> look_alike;
        if (const std::optional<Likeness> look = look_of(files_))
            look_alike = look_alikes_.nearest(item_.frame_kind, *look);
        conversion_ = std::make_unique<Conversion>(words_for(program_, item_, files_, threads_, look_alike), files_);
        return true;
    }

    ConversionProgram program_;
    const BatchItem& item_;
    ItemFiles files_;
    unsigned threads_;
    const LookAlikes& look_alikes_;
    UniqueFd inspection_;
    std::unique_ptr<ChildProcess> look_;
    std::unique_ptr<Conversion> conversion_;
    double looked_ = 0; // CPU seconds
};

} // namespace

void wait_for_conversions(const std::vector<int>& descriptors) {
    constexpr int kLongestMilliseconds = 50; // of a cancellation that nobody hears of
    std::vector<pollfd> entries;
    entries.reserve(descriptors.size());
    for (const int descriptor : descriptors)
        entries.push_back({descriptor, POLLIN, 0});
    ::poll(entries.data(), entries.size(), kLongestMilliseconds);
    // Its output ends shortly before the process does.
    if (std::ranges::any_of(entries, [](const pollfd& entry) { return entry.revents == POLLHUP; }))
        ::poll(nullptr, 0, 1);
}

std::unique_ptr<RunningItem> start_conversion(const ConversionProgram& program, const BatchItem& item,
                                              const ItemFiles& files, unsigned threads, const LookAlikes& look_alikes) {
    if (item.frame_kind.empty())
        return std::make_unique<Conversion>(words_for(program, item, files, threads, std::nullopt), files);
    return std::make_unique<LookingConversion>(program, item, files, threads, look_alikes);
}

void remember_look(const BatchItem& item, const ItemFiles& files, LookAlikes& look_alikes) {
    if (item.frame_kind.empty())
        return;
    if (const std::optional<Likeness> look = look_of(files))
        look_alikes.made(item.frame_kind, *look, item.name, item.destination);
}

void read_progress_line(const std::string& line, ItemProgress& progress, std::string& last_word) {
    constexpr std::string_view kName = "vm2oci: ";
    if (line.starts_with(kName)) {
        last_word = line.substr(kName.size());
        return;
    }
    const nlohmann::json event = nlohmann::json::parse(line, nullptr, false);
    if (!event.is_object())
        return;
    const auto phase = event.find("phase");
    if (phase == event.end() || !phase->is_string())
        return;
    const auto number = [&](const char* name) {
        const auto found = event.find(name);
        return found != event.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
    };
    progress = {phase->get<std::string>(), number("bytes"), number("total_bytes")};
}

} // namespace vm2oci::cli

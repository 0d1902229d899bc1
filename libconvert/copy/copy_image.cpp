#include "libconvert/copy/copy_image.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/json.hpp"
#include "formats/oci/select.hpp"
#include "formats/oci/stored_blob.hpp"
#include "libconvert/copy/partial_copy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

namespace vm2oci {
namespace {

constexpr std::size_t kReadSize = 1 * MiB;

constexpr unsigned kMaxIndexDepth = 8; // one index in another is already rare

struct Manifest {
    Descriptor descriptor;
    std::string bytes;
    unsigned depth = 0; // of the indexes above it
};

struct ImageContents {
    std::vector<Manifest> manifests; // what another names comes before it; the top is last
    std::vector<Descriptor> blobs;   // each once, the largest first
};

class Survey {
  public:
    explicit Survey(ImageSource& source) : source_(source) {}

    ImageContents of(const Descriptor& top) {
        std::map<Digest, Descriptor> level{{top.digest, top}};
        for (unsigned depth = 0; !level.empty(); ++depth) {
            if (depth > kMaxIndexDepth)
                fail(ErrorKind::limit, fmt::format("indexes lie in each other more than {} deep", kMaxIndexDepth));
            std::map<Digest, Descriptor> next;
            for (const auto& [digest, descriptor] : level)
                for (const Descriptor& child : visit(descriptor, depth))
                    next.emplace(child.digest, child);
            level = std::move(next);
        }
        ImageContents contents;
        for (auto& [digest, found] : found_)
            contents.manifests.push_back(std::move(found));
        // What stands deepest is named by nothing that stands as deep.
        std::ranges::stable_sort(contents.manifests, std::ranges::greater{}, &Manifest::depth);
        contents.blobs = std::move(blobs_);
        std::ranges::stable_sort(contents.blobs, std::ranges::greater{}, &Descriptor::size);
        return contents;
    }

  private:
    // The manifests that this one names, if it is an index.
    std::vector<Descriptor> visit(const Descriptor& descriptor, unsigned depth) {
        const auto known = found_.find(descriptor.digest);
        Manifest& manifest = known != found_.end() ? known->second : found_[descriptor.digest];
        manifest.depth = depth; // the deepest of the places where it is named
        if (known == found_.end()) {
            if (found_.size() > kMaxManifestsOfImage)
                fail(ErrorKind::limit, fmt::format("the image has more than {} manifests", kMaxManifestsOfImage));
            manifest.descriptor = descriptor;
            manifest.bytes = depth == 0 ? source_.read_manifest(descriptor) : read_named(descriptor);
            // What else an index names is copied as it is: it names nothing that we would know.
            if (is_manifest(descriptor.media_type) || depth == 0)
                if (!is_index(descriptor.media_type))
                    add_blobs(parse_manifest(manifest.bytes));
        }
        return is_index(descriptor.media_type) ? parse_index(manifest.bytes).manifests : std::vector<Descriptor>();
    }

    std::string read_named(const Descriptor& descriptor) {
        try {
            return source_.read_manifest(descriptor);
        } catch (Error& error) {
            if (error.kind() == ErrorKind::not_found) {
                error.add_context(
                    "an index names an image that is not there, and one that is there can be copied alone");
                error.suggest(HintKind::architecture);
            }
            throw;
        }
    }

    void add_blobs(const ImageManifest& manifest) {
        add_blob(manifest.config);
        for (const Descriptor& layer : manifest.layers)
            add_blob(layer);
    }
    void add_blob(const Descriptor& blob) {
        const auto [known, is_new] = sizes_.emplace(blob.digest, blob.size);
        if (!is_new && known->second != blob.size)
            fail(ErrorKind::corrupt, fmt::format("two manifests disagree about the size of {}", blob.digest.text()));
        if (is_new)
            blobs_.push_back(blob);
    }

    ImageSource& source_;
    std::map<Digest, Manifest> found_;
    std::vector<Descriptor> blobs_;
    std::map<Digest, std::uint64_t> sizes_;
};

// Calls `take` with the blob's bytes in order.
template <class Take>
void read_in_order(const BlockDevice& content, const OperationContext& operation, Take take) {
    std::vector<std::byte> buffer(std::min<std::uint64_t>(kReadSize, content.size()));
    for (std::uint64_t offset = 0; offset < content.size();) {
        operation.check_cancelled();
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), content.size() - offset));
        content.read_at(offset, std::span(buffer).first(count));
        take(std::span<const std::byte>(buffer).first(count));
        offset += count;
    }
}

void check_content(const BlockDevice& content, const Descriptor& blob, const OperationContext& operation) {
    if (content.size() != blob.size)
        fail(ErrorKind::corrupt, fmt::format("it has {} bytes, and its descriptor says {}", content.size(), blob.size));
    Sha256 hash;
    read_in_order(content, operation, [&](std::span<const std::byte> bytes) { hash.update(bytes); });
    if (const Digest digest(hash.finish()); digest != blob.digest)
        fail(ErrorKind::corrupt, "its content is " + digest.text());
}

void write_blob(ImageSource& source, ImageDestination& destination, const Descriptor& blob,
                const OperationContext& operation) {
    const std::unique_ptr<BlobWriter> writer = destination.begin_blob(blob);
    if (!source.stream_blob(blob, *writer, operation)) {
        const std::shared_ptr<const BlockDevice> content = source.open_blob(blob);
        read_in_order(*content, operation, [&](std::span<const std::byte> bytes) {
            writer->write(bytes);
            operation.progress->advance(bytes.size());
        });
    }
    const BlobIdentity made = writer->commit();
    if (made.digest != blob.digest || made.size != blob.size)
        fail(ErrorKind::corrupt, fmt::format("its content is {} with {} bytes", made.digest.text(), made.size));
}

CopiedBlob copy_blob(ImageSource& source, ImageDestination& destination, const Descriptor& blob,
                     const EarlierParts* earlier, const OperationContext& operation) {
    return with_context("blob " + blob.digest.text(), [&]() -> CopiedBlob {
        // Not progress: nothing moves, and a rate made of it would be a lie.
        if (destination.has_blob(blob))
            return {blob, BlobOutcome::already_there};
        if (source.traits().blobs_are_remote) {
            if (earlier != nullptr)
                if (const auto reused = copy_partially(source, destination, blob, *earlier, operation))
                    return {blob, BlobOutcome::copied, *reused};
            write_blob(source, destination, blob, operation);
            return {blob, BlobOutcome::copied};
        }
        const std::shared_ptr<const BlockDevice> content = source.open_blob(blob);
        check_content(*content, blob, operation);
        if (!destination.put_stored_blob(blob, *content, operation))
            write_blob(source, destination, blob, operation);
        return {blob, BlobOutcome::copied};
    });
}

// Blobs are taken from a list by several threads; the first failure ends the others at their next blob.
class BlobCopier {
  public:
    BlobCopier(ImageSource& source, ImageDestination& destination, const std::vector<Descriptor>& blobs,
               const CopyOptions& options, const OperationContext& operation)
        : source_(source), destination_(destination), blobs_(blobs), options_(options), operation_(operation),
          copied_(blobs.size()) {}

    std::vector<CopiedBlob> run(unsigned threads) {
        std::vector<std::thread> workers;
        const std::size_t count = std::min<std::size_t>(std::max(threads, 1U), blobs_.size());
        for (std::size_t i = 1; i < count; ++i)
            workers.emplace_back([this] { work(); });
        work();
        for (std::thread& worker : workers)
            worker.join();
        if (failure_)
            std::rethrow_exception(failure_);
        std::ranges::sort(copied_, {}, [](const CopiedBlob& copied) { return copied.blob.digest; });
        return std::move(copied_);
    }

  private:
    void work() noexcept {
        while (true) {
            const std::size_t mine = next_.fetch_add(1);
            if (mine >= blobs_.size() || failed_)
                return;
            try {
                copied_[mine] = copy_blob(source_, destination_, blobs_[mine], options_.earlier.get(), operation_);
                report(copied_[mine]);
            } catch (...) {
                const std::lock_guard lock(mutex_);
                if (!failure_)
                    failure_ = std::current_exception();
                failed_ = true;
            }
        }
    }

    void report(const CopiedBlob& copied) {
        const std::string_view outcome = copied.outcome == BlobOutcome::copied ? "copied" : "already there";
        const std::string reused = copied.reused_bytes == 0 ? ""
                                                            : fmt::format(", {} of it from the earlier version",
                                                                          format_size(copied.reused_bytes));
        operation_.progress->note(
            fmt::format("{} {} {}{}", copied.blob.digest.text(), format_size(copied.blob.size), outcome, reused));
    }

    ImageSource& source_;
    ImageDestination& destination_;
    const std::vector<Descriptor>& blobs_;
    const CopyOptions& options_;
    const OperationContext& operation_;
    std::vector<CopiedBlob> copied_;
    std::atomic<std::size_t> next_{0};
    std::atomic<bool> failed_{false};
    std::mutex mutex_;
    std::exception_ptr failure_;
};

// What an index of images says of a manifest, and a registry's tag does not. Read where it costs no request.
std::optional<Platform> platform_of(ImageSource& source, ImageDestination& destination, const Descriptor& manifest) {
    const Descriptor config = parse_manifest(source.read_manifest(manifest)).config;
    const bool is_image = config.media_type == media_type::oci_config || config.media_type == media_type::docker_config;
    if (!is_image || config.size > kMaxManifestBytes)
        return std::nullopt;
    const std::shared_ptr<const BlockDevice> content =
        source.traits().blobs_are_remote ? destination.open_written(config) : source.open_blob(config);
    if (!content || content->size() != config.size)
        return std::nullopt;
    try {
        const Platform platform = parse_config(read_small_file(*content, "the config")).platform;
        return platform.architecture.empty() ? std::nullopt : std::optional(platform);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt)
            throw;
        return std::nullopt; // it is copied as it is all the same
    }
}

} // namespace

std::uint64_t CopyResult::copied_bytes() const {
    std::uint64_t sum = 0;
    for (const CopiedBlob& one : blobs)
        sum += one.outcome == BlobOutcome::copied ? one.blob.size : 0;
    return sum;
}

std::uint64_t CopyResult::reused_bytes() const {
    std::uint64_t sum = 0;
    for (const CopiedBlob& one : blobs)
        sum += one.reused_bytes;
    return sum;
}

std::vector<CopiedBlob> copy_contents(ImageSource& source, const Descriptor& top, ImageDestination& destination,
                                      const CopyOptions& options, const OperationContext& operation) {
    const ImageContents contents = Survey(source).of(top);
    std::uint64_t total = 0;
    for (const Descriptor& blob : contents.blobs)
        total += blob.size;
    operation.progress->begin("copy", total);
    const unsigned threads = destination.traits().one_blob_at_a_time ? 1 : options.parallel_blobs;
    std::vector<CopiedBlob> blobs = BlobCopier(source, destination, contents.blobs, options, operation).run(threads);
    operation.check_cancelled();
    for (const Manifest& manifest : contents.manifests)
        destination.put_manifest(manifest.bytes, manifest.descriptor.media_type);
    operation.progress->end();
    return blobs;
}

CopyResult copy_image(ImageSource& source, ImageDestination& destination, const CopyOptions& options,
                      const OperationContext& operation) {
    CopyResult result = copy_unpublished(source, destination, options, operation);
    destination.publish(result.entry);
    return result;
}

CopyResult copy_unpublished(ImageSource& source, ImageDestination& destination, const CopyOptions& options,
                            const OperationContext& operation) {
    Descriptor top = source.resolve();
    if (!options.architecture.empty() && is_index(top.media_type))
        top = choose_manifest(parse_index(source.read_manifest(top)), options.architecture, "");
    CopyResult result{top, top, copy_contents(source, top, destination, options, operation)};
    if (!top.platform && is_manifest(top.media_type))
        result.entry.platform = platform_of(source, destination, top);
    return result;
}

} // namespace vm2oci

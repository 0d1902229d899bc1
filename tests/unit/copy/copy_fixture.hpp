// Stores that say what was asked of them, for the tests of what copies images.
#pragma once

#include "formats/oci/memory_store.hpp"
#include "libconvert/copy/copy_image.hpp"
#include "tests/support/error_of.hpp"
#include "tests/unit/oci/oci_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace vm2oci::test {

inline std::string noise(std::size_t size, unsigned seed = 5) {
    std::mt19937_64 random(seed);
    std::string text(size, '\0');
    for (std::size_t at = 0; at < size; at += 8) {
        const std::uint64_t word = random();
        std::memcpy(text.data() + at, &word, std::min<std::size_t>(8, size - at));
    }
    return text;
}

// Takes what it is given into a store in memory, and insists, as registries do, that what a manifest names is there
// before it.
class StrictDestination final : public ImageDestination {
  public:
    std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
    DestinationTraits what_it_can{};
    bool takes_stored = false; // put_stored_blob() does it
    bool can_read = true;      // open_written() does
    bool spoils = false;       // what it commits is something else
    std::vector<Digest> begun;
    std::vector<Digest> stored;
    std::vector<Digest> manifests;
    std::vector<Descriptor> published;
    std::vector<TaggedImage> published_beside;
    std::atomic<unsigned> open{0};
    std::atomic<unsigned> most_open{0};

    DestinationTraits traits() const override { return what_it_can; }
    bool has_blob(const Descriptor& blob) override { return store->find_blob(blob.digest) != nullptr; }
    std::unique_ptr<BlobWriter> begin_blob(const std::optional<Descriptor>& expected) override {
        const std::lock_guard lock(mutex_);
        begun.push_back(expected ? expected->digest : Digest());
        return std::make_unique<Writer>(*this);
    }
    bool put_stored_blob(const Descriptor& blob, const BlockDevice& content, const OperationContext&) override {
        if (!takes_stored)
            return false;
        const std::lock_guard lock(mutex_);
        stored.push_back(blob.digest);
        store->put_blob(blob.digest, read_all(content));
        return true;
    }
    Descriptor put_manifest(const std::string& bytes, const std::string& media_type) override {
        std::vector<Descriptor> named;
        if (is_index(media_type)) {
            named = parse_index(bytes).manifests;
        } else if (is_manifest(media_type)) {
            const ImageManifest manifest = parse_manifest(bytes);
            named = manifest.layers;
            named.push_back(manifest.config);
        }
        for (const Descriptor& one : named)
            if (!has_blob(one))
                fail(ErrorKind::external, "MANIFEST_BLOB_UNKNOWN " + one.digest.text());
        manifests.push_back(Digest::of(bytes));
        store->put_blob(manifests.back(), bytes);
        return {.media_type = media_type, .digest = manifests.back(), .size = bytes.size()};
    }
    std::shared_ptr<const BlockDevice> open_written(const Descriptor& blob) override {
        return can_read ? MemoryDestination(store).open_written(blob) : nullptr;
    }
    void publish(const Descriptor& top) override { published.push_back(top); }
    void publish_together(const Descriptor& top, const std::vector<TaggedImage>& others) override {
        published_beside = others;
        published.push_back(top);
    }

  private:
    class Writer final : public BlobWriter {
      public:
        explicit Writer(StrictDestination& owner) : owner_(owner) {
            const unsigned now = ++owner_.open;
            unsigned most = owner_.most_open;
            while (now > most && !owner_.most_open.compare_exchange_weak(most, now)) {
            }
        }
        ~Writer() override { --owner_.open; }
        void write(std::span<const std::byte> bytes) override { text_ += as_text(bytes); }
        BlobIdentity commit() override {
            if (owner_.spoils)
                text_ += "!";
            const BlobIdentity blob{Digest::of(text_), text_.size()};
            owner_.store->put_blob(blob.digest, text_);
            return blob;
        }

      private:
        StrictDestination& owner_;
        std::string text_;
    };

    std::mutex mutex_;
};

// A store in memory, with the traits of a remote one where that is wanted.
class WatchedSource final : public ImageSource {
  public:
    explicit WatchedSource(std::shared_ptr<MemoryStore> store, std::optional<std::string> tag = std::nullopt)
        : inner_(std::move(store), std::move(tag)) {}

    bool is_remote = false;
    bool streams = false;              // stream_blob() does it
    std::optional<ErrorKind> no_parts; // open_parts() fails so
    std::vector<Digest> opened;
    std::vector<Digest> opened_parts;
    std::vector<Digest> streamed;
    std::vector<Digest> read;

    SourceTraits traits() const override { return {.blobs_are_remote = is_remote}; }
    Descriptor resolve() override { return inner_.resolve(); }
    std::string read_manifest(const Descriptor& manifest) override {
        read.push_back(manifest.digest);
        return inner_.read_manifest(manifest);
    }
    std::shared_ptr<const BlockDevice> open_blob(const Descriptor& blob) override {
        const std::lock_guard lock(mutex_);
        opened.push_back(blob.digest);
        return inner_.open_blob(blob);
    }
    std::shared_ptr<const BlockDevice> open_parts(const Descriptor& blob) override {
        const std::lock_guard lock(mutex_);
        opened_parts.push_back(blob.digest);
        if (no_parts)
            fail(*no_parts, "no parts are served");
        return inner_.open_blob(blob);
    }
    bool stream_blob(const Descriptor& blob, ByteSink& out, const OperationContext&) override {
        if (!streams)
            return false;
        const std::lock_guard lock(mutex_);
        streamed.push_back(blob.digest);
        out.write(as_bytes(read_all(*inner_.open_blob(blob))));
        return true;
    }

  private:
    MemorySource inner_;
    std::mutex mutex_;
};

// What a long operation told.
class HeardProgress final : public ProgressSink {
  public:
    struct Phase {
        std::string name;
        std::uint64_t total;
        std::uint64_t done = 0;
        bool ended = false;
    };
    std::vector<Phase> phases;
    std::vector<std::string> notes;
    Cancellation* cancel_at_note = nullptr;

    void begin(std::string_view phase, std::uint64_t total) noexcept override {
        phases.push_back({std::string(phase), total});
    }
    void advance(std::uint64_t bytes) noexcept override {
        const std::lock_guard lock(mutex_);
        if (!phases.empty())
            phases.back().done += bytes;
    }
    void end() noexcept override { phases.back().ended = true; }
    void note(std::string_view line) noexcept override {
        const std::lock_guard lock(mutex_);
        notes.emplace_back(line);
        if (cancel_at_note != nullptr)
            cancel_at_note->cancel();
    }

  private:
    std::mutex mutex_;
};

inline Descriptor described(const BlobIdentity& blob, std::string media_type) {
    return {.media_type = std::move(media_type), .digest = blob.digest, .size = blob.size};
}

inline Descriptor put_index(ImageDestination& destination, const std::vector<Descriptor>& manifests) {
    ImageIndex index;
    index.manifests = manifests;
    return destination.put_manifest(to_json(index), index.media_type);
}

inline Descriptor on_platform(Descriptor descriptor, const std::string& architecture, const std::string& variant = "") {
    descriptor.platform = Platform{.architecture = architecture, .variant = variant};
    return descriptor;
}

// From one store to another, a blob at a time.
struct CopySite {
    std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
    MemoryDestination inside{store, "v"};
    WatchedSource source{store, "v"};
    StrictDestination destination{};
    CopyOptions options{};

    CopySite() { options.parallel_blobs = 1; }
    CopyResult copy_published(const OperationContext& operation = {}) {
        return copy_image(source, destination, options, operation);
    }
};

} // namespace vm2oci::test

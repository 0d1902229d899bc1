#include "formats/oci/verify.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/sha256.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/json.hpp"
#include "formats/oci/layer_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxFindings = 1000; // nobody reads more; bounds the memory
constexpr std::size_t kMaxManifests = 1000;

// True for what is wrong with the image, false for what keeps us from looking.
bool is_finding(ErrorKind kind) {
    switch (kind) {
    case ErrorKind::corrupt:
    case ErrorKind::unsafe:
    case ErrorKind::limit:
    case ErrorKind::not_found:
        return true;
    case ErrorKind::unsupported:
    case ErrorKind::io:
    case ErrorKind::conflict:
    case ErrorKind::usage:
    case ErrorKind::external:
    case ErrorKind::cancelled:
        return false;
    }
    return false;
}

class Verifier {
  public:
    Verifier(ImageSource& source, const OperationContext& operation) : source_(source), operation_(operation) {}

    VerifyReport run() {
        report_.images = source_.images();
        for (const Descriptor& image : report_.images)
            take_entry(image);
        while (!pending_.empty()) {
            const Descriptor next = pending_.front();
            pending_.pop_front();
            operation_.check_cancelled();
            if (!seen_.insert(next.digest).second)
                continue;
            if (++report_.manifests > kMaxManifests)
                fail(ErrorKind::limit, fmt::format("the image has more than {} manifests", kMaxManifests));
            is_index(next.media_type) ? check_index(next) : check_manifest(next);
        }
        check_layers();
        return std::move(report_);
    }

  private:
    static void add(std::vector<VerifyFinding>& list, const std::string& where, std::string problem) {
        if (list.size() < kMaxFindings)
            list.push_back({where, std::move(problem)});
    }
    void add(const std::string& where, std::string problem) { add(report_.findings, where, std::move(problem)); }

    // Runs `body`; what it finds wrong becomes a finding, and what it does not know is left unjudged. False: one of
    // them.
    template <class Body>
    bool attempt(const std::string& where, Body&& body) {
        try {
            body();
            return true;
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::unsupported)
                add(report_.unjudged, where, error.what());
            else if (is_finding(error.kind()))
                add(where, error.what());
            else
                throw;
            return false;
        }
    }

    // The text, even of a document whose digest or size is wrong, so that what it names is looked at too.
    std::optional<std::string> read_document(const std::string& where, const Descriptor& descriptor) {
        std::optional<std::string> text;
        if (attempt(where, [&] { text = source_.read_manifest(descriptor); }))
            return text;
        try {
            const auto blob = source_.open_blob(descriptor);
            if (blob->size() > kMaxManifestBytes)
                return std::nullopt;
            std::string wrong(blob->size(), '\0');
            blob->read_at(0, std::as_writable_bytes(std::span(wrong)));
            return wrong;
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled)
                throw;
            return std::nullopt; // the finding is made already
        }
    }

    void check_index(const Descriptor& descriptor) {
        const std::string where = "index " + descriptor.digest.text();
        const std::optional<std::string> text = read_document(where, descriptor);
        if (!text)
            return;
        attempt(where, [&] {
            const ImageIndex index = parse_index(*text);
            check_said_type(where, descriptor, index.media_type);
            for (const Descriptor& entry : index.manifests) {
                take_entry(entry);
            }
        });
    }

    void take_entry(const Descriptor& entry) {
        if (is_index(entry.media_type) || is_manifest(entry.media_type))
            pending_.push_back(entry);
        else if (seen_.insert(entry.digest).second)
            check_foreign(entry);
    }

    // Something that we do not know beside the images: registries keep it among the manifests, layouts among the blobs.
    void check_foreign(const Descriptor& entry) {
        try {
            report_.stored_bytes += source_.read_manifest(entry).size();
            ++report_.blobs;
        } catch (const Error& error) {
            if (!is_finding(error.kind()) && error.kind() != ErrorKind::unsupported)
                throw;
            note_layer(entry, std::nullopt, LayerKind::opaque);
        }
    }

    void check_said_type(const std::string& where, const Descriptor& descriptor, const std::string& said) {
        if (said != descriptor.media_type)
            add(where, fmt::format("the document says it is {}, its descriptor says {}", quote_untrusted(said),
                                   quote_untrusted(descriptor.media_type)));
    }

    void check_manifest(const Descriptor& descriptor) {
        const std::string where = "manifest " + descriptor.digest.text();
        if (!is_manifest(descriptor.media_type)) {
            add(where, fmt::format("its descriptor says it is {}, which is no manifest",
                                   quote_untrusted(descriptor.media_type)));
            return;
        }
        const std::optional<std::string> text = read_document(where, descriptor);
        if (!text)
            return;
        ImageManifest manifest;
        if (!attempt(where, [&] { manifest = parse_manifest(*text); }))
            return;
        check_said_type(where, descriptor, manifest.media_type);

        const bool is_image = manifest.config.media_type == media_type::oci_config ||
                              manifest.config.media_type == media_type::docker_config;
        std::vector<Digest> diff_ids;
        if (is_image) {
            diff_ids = check_config(descriptor, manifest);
        } else {
            note_layer(manifest.config, std::nullopt, LayerKind::opaque);
        }
        for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
            const bool has_diff_id = diff_ids.size() == manifest.layers.size();
            note_layer(manifest.layers[i], has_diff_id ? std::optional(diff_ids[i]) : std::nullopt,
                       is_image ? layer_kind(manifest.layers[i].media_type) : LayerKind::opaque);
        }
    }

    // The diff_ids; none if they cannot be told.
    std::vector<Digest> check_config(const Descriptor& manifest_descriptor, const ImageManifest& manifest) {
        const std::string where = "config " + manifest.config.digest.text();
        std::string text;
        ImageConfig config;
        const bool parsed = attempt(where, [&] {
            const auto blob = source_.open_blob(manifest.config);
            if (blob->size() != manifest.config.size)
                add(where, fmt::format("it has {} bytes, its descriptor says {}", blob->size(), manifest.config.size));
            if (blob->size() > kMaxManifestBytes)
                fail(ErrorKind::limit, "it is larger than a config may be");
            text.resize(blob->size());
            blob->read_at(0, std::as_writable_bytes(std::span(text)));
            if (const Digest digest = Digest::of(text); digest != manifest.config.digest)
                add(where, "its content has the digest " + digest.text());
            if (seen_.insert(manifest.config.digest).second) {
                ++report_.blobs;
                report_.stored_bytes += text.size();
            }
            config = parse_config(text);
        });
        if (!parsed)
            return {};
        if (config.diff_ids.size() != manifest.layers.size())
            add(where, fmt::format("it has {} diff_ids, and the manifest {} layers", config.diff_ids.size(),
                                   manifest.layers.size()));
        check_platform(where, manifest_descriptor, config);
        check_history(where, config);
        return config.diff_ids;
    }

    void check_platform(const std::string& where, const Descriptor& manifest, const ImageConfig& config) {
        if (config.platform.architecture.empty() || config.platform.os.empty())
            add(where, "architecture or os is empty");
        if (!manifest.platform)
            return;
        const auto compare = [&](const char* name, const std::string& in_index, const std::string& in_config) {
            if (in_index != in_config)
                add(where, fmt::format("its {} is {}, and the index says {}", name, quote_untrusted(in_config),
                                       quote_untrusted(in_index)));
        };
        compare("architecture", manifest.platform->architecture, config.platform.architecture);
        compare("os", manifest.platform->os, config.platform.os);
    }

    void check_history(const std::string& where, const ImageConfig& config) {
        const auto steps = std::ranges::count_if(config.history, [](const auto& entry) { return !entry.empty_layer; });
        if (!config.history.empty() && static_cast<std::size_t>(steps) != config.diff_ids.size())
            add(where,
                fmt::format("its history makes {} layers, and it has {} diff_ids", steps, config.diff_ids.size()));
    }

    void note_layer(const Descriptor& layer, std::optional<Digest> diff_id, LayerKind kind) {
        Layer& noted = layers_[layer.digest];
        if (noted.expectations.empty())
            order_.push_back(layer.digest);
        noted.expectations.push_back({layer, std::move(diff_id), kind});
    }

    // Each stored blob once, though several manifests may name it.
    void check_layers() {
        std::uint64_t total = 0;
        for (const Digest& digest : order_)
            total += layers_[digest].expectations.front().descriptor.size;
        operation_.progress->begin("verify", total);
        for (const Digest& digest : order_)
            check_layer(digest, layers_[digest].expectations);
        operation_.progress->end();
    }

    void check_layer(const Digest& digest, const std::vector<LayerExpectation>& expectations) {
        operation_.check_cancelled();
        const std::string where = "layer " + digest.text();
        ++report_.blobs;
        attempt(where, [&] {
            // One that is a file system for one manifest is decoded, whatever it is for another.
            const auto file_system = std::ranges::find(expectations, LayerKind::file_system, &LayerExpectation::kind);
            const LayerExpectation& read = file_system == expectations.end() ? expectations.front() : *file_system;
            try {
                const LayerFacts facts = read_layer(source_, read, operation_);
                report_.stored_bytes += facts.stored_size;
                report_.content_bytes += facts.content_size;
                LayerVerdict verdict = compare_layer(facts, expectations);
                for (std::string& problem : verdict.problems)
                    add(where, std::move(problem));
                for (std::string& remark : verdict.remarks)
                    add(report_.remarks, where, std::move(remark));
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::not_found || !may_be_elsewhere(read.descriptor.media_type))
                    throw;
                --report_.blobs;
                add(report_.remarks, where, "it is not stored with the image, as layers of its type need not be");
            }
        });
    }

    struct Layer {
        std::vector<LayerExpectation> expectations;
    };

    ImageSource& source_;
    const OperationContext& operation_;
    VerifyReport report_;
    std::deque<Descriptor> pending_;
    std::set<Digest> seen_;
    std::map<Digest, Layer> layers_;
    std::vector<Digest> order_;
};

} // namespace

VerifyReport verify_image(ImageSource& source, const OperationContext& operation) {
    return Verifier(source, operation).run();
}

} // namespace vm2oci

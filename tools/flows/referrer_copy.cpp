#include "tools/flows/referrer_copy.hpp"

#include "formats/base/error.hpp"
#include "formats/oci/image.hpp"

#include <deque>
#include <set>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxCopied = 4096; // registries list a few dozen for one image

class ReferrerCopier {
  public:
    explicit ReferrerCopier(const ReferrerCopy& copy)
        : copy_(copy), source_(open_image_source(copy.source, copy.operation, copy.registry_options)) {}

    std::vector<Digest> run(const Descriptor& top) {
        add_subject(top.digest);
        if (is_index(top.media_type))
            for (const Descriptor& entry : parse_index(source_->read_manifest(top)).manifests)
                add_subject(entry.digest);
        while (!subjects_.empty()) {
            copy_.operation.check_cancelled();
            const Digest subject = subjects_.front();
            subjects_.pop_front();
            copy_listed(subject);
            for (const char* ending : {".sig", ".att", ".sbom"})
                copy_tag("sha256-" + subject.hex() + ending);
        }
        return std::move(copied_);
    }

  private:
    void add_subject(const Digest& digest) {
        if (!seen_.insert(digest).second)
            return;
        if (seen_.size() > kMaxCopied)
            fail(ErrorKind::limit, "more than " + std::to_string(kMaxCopied) + " things refer to the image");
        subjects_.push_back(digest);
    }

    std::vector<Descriptor> list(const Digest& subject) {
        if (const auto* named = std::get_if<RegistryReference>(&copy_.source))
            return registry::list_registry_referrers(*named, subject, copy_.registry_options, copy_.operation);
        const std::unique_ptr<ImageSource> source = open_tag("sha256-" + subject.hex());
        if (!source)
            return {};
        const Descriptor index = source->resolve();
        return is_index(index.media_type) ? parse_index(source->read_manifest(index)).manifests
                                          : std::vector<Descriptor>();
    }

    void copy_listed(const Digest& subject) {
        const std::vector<Descriptor> referrers = list(subject);
        for (const Descriptor& referrer : referrers)
            add_subject(referrer.digest);
        if (referrers.empty())
            return;
        if (const auto* named = std::get_if<RegistryReference>(&copy_.destination)) {
            for (const Descriptor& referrer : referrers) {
                RegistryReference by_digest = *named;
                by_digest.tag.clear();
                by_digest.digest = referrer.digest;
                const auto destination = open(by_digest);
                copy_contents(*source_, referrer, *destination, copy_.options, copy_.operation);
                destination->publish(referrer);
                copied_.push_back(referrer.digest);
            }
            return;
        }
        const auto destination = open(with_tag(copy_.destination, "sha256-" + subject.hex()));
        ImageIndex index;
        for (const Descriptor& referrer : referrers) {
            copy_contents(*source_, referrer, *destination, copy_.options, copy_.operation);
            copied_.push_back(referrer.digest);
        }
        index.manifests = referrers;
        destination->publish(destination->put_manifest(to_json(index), index.media_type));
    }

    void copy_tag(const std::string& tag) {
        const std::unique_ptr<ImageSource> source = open_tag(tag);
        if (!source)
            return;
        CopyOptions options = copy_.options;
        options.architecture.clear();
        const auto destination = open(with_tag(copy_.destination, tag));
        const CopyResult result = copy_image(*source, *destination, options, copy_.operation);
        copied_.push_back(result.top.digest);
        add_subject(result.top.digest);
    }

    // Null: there is no such tag.
    std::unique_ptr<ImageSource> open_tag(const std::string& tag) {
        try {
            auto source = open_image_source(with_tag(copy_.source, tag), copy_.operation, copy_.registry_options);
            source->resolve();
            return source;
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found)
                throw;
            return nullptr;
        }
    }

    std::unique_ptr<ImageDestination> open(const ImageReference& reference) {
        return open_image_destination(reference, copy_.operation, copy_.registry_options);
    }

    const ReferrerCopy& copy_;
    std::unique_ptr<ImageSource> source_;
    std::deque<Digest> subjects_; // what is still to be looked for
    std::set<Digest> seen_;
    std::vector<Digest> copied_;
};

} // namespace

std::vector<Digest> copy_referrers(const Descriptor& top, const ReferrerCopy& copy) {
    return ReferrerCopier(copy).run(top);
}

} // namespace vm2oci

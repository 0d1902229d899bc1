#include "libconvert/copy/delta.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/sha256.hpp"
#include "formats/base/size.hpp"
#include "formats/block/joined.hpp"
#include "formats/block/slice.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/stored_blob.hpp"
#include "libconvert/copy/partial_copy.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;
using Pieces = std::vector<std::shared_ptr<const BlockDevice>>;

constexpr const char* kEmptyType = "application/vnd.oci.empty.v1+json";
constexpr const char* kFileType = "application/vnd.vm2oci.delta.file.v1";
constexpr const char* kRecipeType = "application/vnd.vm2oci.delta.recipe.v1";
constexpr std::string_view kRecipeMagic = "vm2oci delta 1\n";
constexpr std::uint64_t kRecipeLimit = 64 * MiB; // a million steps
constexpr std::uint64_t kSmallestSaving = 10;    // in percent: less is not worth a base that must be at hand
constexpr std::size_t kCopySize = 1 * MiB;

namespace delta_annotation {
// Of the delta.
constexpr const char* target = "org.vm2oci.delta.target"; // the digest of the manifest that it makes
constexpr const char* target_type = "org.vm2oci.delta.target.media-type";
constexpr const char* target_size = "org.vm2oci.delta.target.size";
constexpr const char* against = "org.vm2oci.delta.against"; // the digest of the base, for people
// Of a recipe.
constexpr const char* blob = "org.vm2oci.delta.blob"; // the digest of what it makes
} // namespace delta_annotation

std::string required(const Annotations& annotations, const char* key) {
    const auto found = annotations.find(key);
    if (found == annotations.end())
        fail(ErrorKind::corrupt, fmt::format("the delta lacks the annotation {}", key));
    return found->second;
}

std::uint64_t parse_number(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size())
        fail(ErrorKind::corrupt, fmt::format("the delta has {} for a number", quote_untrusted(text)));
    return number;
}

std::string read_text(const BlockDevice& device, std::uint64_t offset, std::uint64_t size) {
    std::string text(static_cast<std::size_t>(size), '\0');
    device.read_at(offset, std::as_writable_bytes(std::span(text)));
    return text;
}

struct RecipeHead {
    std::string json;
    std::uint64_t bytes_at = 0;
};

RecipeHead read_head(const BlockDevice& recipe) {
    constexpr std::uint64_t kLongestLength = 12;
    const std::uint64_t size = std::min<std::uint64_t>(recipe.size(), kRecipeMagic.size() + kLongestLength);
    const std::string head = read_text(recipe, 0, size);
    const std::size_t end = head.find('\n', kRecipeMagic.size());
    if (!head.starts_with(kRecipeMagic) || end == std::string::npos)
        fail(ErrorKind::corrupt, "a recipe of the delta does not begin as one");
    const std::uint64_t length =
        parse_number(std::string_view(head).substr(kRecipeMagic.size(), end - kRecipeMagic.size()));
    if (length > kRecipeLimit || length > recipe.size() - (end + 1))
        fail(ErrorKind::corrupt, "a recipe of the delta is longer than it may be");
    return {read_text(recipe, end + 1, length), end + 1 + length};
}

// The blob that a recipe makes.
std::shared_ptr<const BlockDevice> cook(const std::shared_ptr<const BlockDevice>& recipe, const DeltaBase& base) {
    const RecipeHead head = read_head(*recipe);
    const Json json = Json::parse(head.json, nullptr, false);
    if (json.is_discarded() || !json.contains("size") || !json["size"].is_number_unsigned() ||
        !json.contains("steps") || !json["steps"].is_array())
        fail(ErrorKind::corrupt, "a recipe of the delta is no recipe");
    Pieces pieces;
    std::uint64_t own = head.bytes_at;
    std::uint64_t made = 0;
    for (const Json& step : json["steps"]) {
        const bool is_own = step.is_array() && step.size() == 1;
        const bool is_taken =
            step.is_array() && step.size() == 3 && step[1].is_string() && step[2].is_number_unsigned();
        if (!(is_own || is_taken) || !step[0].is_number_unsigned())
            fail(ErrorKind::corrupt, "a recipe of the delta has a step that is none");
        const auto size = step[0].get<std::uint64_t>();
        const std::shared_ptr<const BlockDevice> from =
            is_own ? recipe : base.layer(Digest::parse(step[1].get<std::string>()));
        if (!from)
            fail(ErrorKind::not_found,
                 fmt::format("the delta needs the layer {}, and the earlier version {} has none "
                             "of it",
                             quote_untrusted(step[1].get<std::string>()), base.top().digest.text()));
        const std::uint64_t offset = is_own ? own : step[2].get<std::uint64_t>();
        if (size == 0 || offset > from->size() || size > from->size() - offset)
            fail(ErrorKind::corrupt, "a recipe of the delta takes what is not there");
        pieces.push_back(std::make_shared<SliceDevice>(from, offset, size));
        own += is_own ? size : 0;
        made = checked_add(made, size, "the size of a recipe's blob");
    }
    if (made != json["size"].get<std::uint64_t>() || own != recipe->size())
        fail(ErrorKind::corrupt, "a recipe of the delta makes something else than it says");
    return std::make_shared<JoinedDevice>(pieces);
}

class DeltaSource final : public ImageSource {
  public:
    DeltaSource(std::unique_ptr<ImageSource> source, std::shared_ptr<const DeltaBase> base)
        : source_(std::move(source)), base_(std::move(base)) {
        const ImageManifest delta = parse_manifest(source_->read_manifest(source_->resolve()));
        target_.digest = Digest::parse(required(delta.annotations, delta_annotation::target));
        target_.media_type = required(delta.annotations, delta_annotation::target_type);
        target_.size = parse_number(required(delta.annotations, delta_annotation::target_size));
        for (const Descriptor& file : delta.layers) {
            if (file.media_type == kRecipeType)
                recipes_[Digest::parse(required(file.annotations, delta_annotation::blob))] = file;
            else
                files_[file.digest] = file;
        }
    }

    SourceTraits traits() const override { return source_->traits(); }
    Descriptor resolve() override { return target_; }
    std::string read_manifest(const Descriptor& manifest) override {
        return read_manifest_blob(*open_blob(manifest), manifest);
    }
    std::shared_ptr<const BlockDevice> open_blob(const Descriptor& blob) override {
        if (const auto file = files_.find(blob.digest); file != files_.end())
            return source_->open_blob(file->second);
        if (const auto recipe = recipes_.find(blob.digest); recipe != recipes_.end())
            return cook(source_->open_blob(recipe->second), *base_);
        if (auto layer = base_->layer(blob.digest))
            return layer;
        fail(ErrorKind::not_found, fmt::format("neither the delta nor the earlier version {} has the blob {}",
                                               base_->top().digest.text(), blob.digest.text()));
    }

  private:
    std::unique_ptr<ImageSource> source_;
    std::shared_ptr<const DeltaBase> base_;
    Descriptor target_;
    std::map<Digest, Descriptor> files_;   // of the image, by their digests
    std::map<Digest, Descriptor> recipes_; // by the digests of what they make
};

} // namespace

DeltaBase::DeltaBase(std::unique_ptr<ImageSource> source) : source_(std::move(source)), top_(source_->resolve()) {
    for (const Descriptor& descriptor : layers_of_image(*source_, "")) {
        auto layer = source_->open_blob(descriptor);
        parts_.add(layer, descriptor.annotations);
        layers_.emplace(descriptor.digest, std::move(layer));
    }
}

std::shared_ptr<const BlockDevice> DeltaBase::layer(const Digest& digest) const {
    const auto found = layers_.find(digest);
    return found == layers_.end() ? nullptr : found->second;
}

const Digest& DeltaBase::digest_of(const BlockDevice& layer) const {
    return std::find_if(layers_.begin(), layers_.end(), [&](const auto& each) { return each.second.get() == &layer; })
        ->first;
}

// Waits in a scratch file: what of a blob the base has is known when all of it is there.
class DeltaDestination::Writer final : public BlobWriter {
  public:
    explicit Writer(DeltaDestination& destination)
        : destination_(destination), file_(std::make_shared<UniqueFd>(
                                         scratch_file(std::filesystem::path(destination.operation_.scratch_folder)))) {}

    void write(std::span<const std::byte> bytes) override {
        write_exactly(file_->get(), bytes);
        hash_.update(bytes);
        size_ += bytes.size();
    }
    BlobIdentity commit() override {
        BlobIdentity blob{Digest(hash_.finish()), size_};
        destination_.keep(blob, std::make_shared<FileRange>(file_, 0, size_));
        return blob;
    }

  private:
    DeltaDestination& destination_;
    std::shared_ptr<UniqueFd> file_;
    Sha256 hash_;
    std::uint64_t size_ = 0;
};

DeltaDestination::DeltaDestination(std::unique_ptr<ImageDestination> inner, std::shared_ptr<const DeltaBase> base,
                                   OperationContext operation)
    : inner_(std::move(inner)), base_(std::move(base)), operation_(operation) {}

DeltaDestination::~DeltaDestination() = default;

bool DeltaDestination::has_blob(const Descriptor& blob) {
    const std::lock_guard lock(mutex_);
    return written_.contains(blob.digest) || base_->layer(blob.digest) != nullptr;
}

std::unique_ptr<BlobWriter> DeltaDestination::begin_blob(const std::optional<Descriptor>& /*expected*/) {
    return std::make_unique<Writer>(*this);
}

Descriptor DeltaDestination::store(std::span<const std::byte> head, const Pieces& pieces) {
    const std::unique_ptr<BlobWriter> writer = inner_->begin_blob();
    writer->write(head);
    std::vector<std::byte> buffer(kCopySize);
    for (const auto& piece : pieces)
        for (std::uint64_t at = 0; at < piece->size();) {
            operation_.check_cancelled();
            const auto bytes = std::span(buffer).first(
                static_cast<std::size_t>(std::min<std::uint64_t>(kCopySize, piece->size() - at)));
            piece->read_at(at, bytes);
            writer->write(bytes);
            at += bytes.size();
        }
    const BlobIdentity stored = writer->commit();
    return {.media_type = kFileType, .digest = stored.digest, .size = stored.size};
}

void DeltaDestination::keep(const BlobIdentity& blob, std::shared_ptr<const BlockDevice> content) {
    const std::lock_guard lock(mutex_);
    if (!written_.emplace(blob.digest, content).second || base_->layer(blob.digest))
        return;
    std::vector<PartialStep> plan;
    if (blob.size >= kSmallestPartial)
        plan = plan_partial_copy(parts_of_layer(*content, {}), blob.size, base_->parts());
    std::uint64_t taken = 0;
    for (const PartialStep& step : plan)
        taken += step.earlier ? step.size : 0;
    if (taken < blob.size / 100 * kSmallestSaving || taken == 0) {
        files_.push_back(store({}, {content}));
        return;
    }
    Json steps = Json::array();
    Pieces own;
    for (const PartialStep& step : plan) {
        if (step.earlier) {
            steps.push_back({step.size, base_->digest_of(*step.earlier->layer).text(), step.earlier->offset});
        } else {
            steps.push_back(Json::array({step.size}));
            own.push_back(std::make_shared<SliceDevice>(content, step.offset, step.size));
        }
    }
    const std::string json = Json{{"size", blob.size}, {"steps", std::move(steps)}}.dump();
    Descriptor recipe = store(as_bytes(fmt::format("{}{}\n{}", kRecipeMagic, json.size(), json)), own);
    recipe.media_type = kRecipeType;
    recipe.annotations[delta_annotation::blob] = blob.digest.text();
    files_.push_back(std::move(recipe));
}

Descriptor DeltaDestination::put_manifest(const std::string& bytes, const std::string& media_type) {
    Writer writer(*this);
    writer.write(as_bytes(bytes));
    const BlobIdentity blob = writer.commit();
    return {.media_type = media_type, .digest = blob.digest, .size = blob.size};
}

std::shared_ptr<const BlockDevice> DeltaDestination::open_written(const Descriptor& blob) {
    const std::lock_guard lock(mutex_);
    const auto found = written_.find(blob.digest);
    return found == written_.end() ? base_->layer(blob.digest) : found->second;
}

Descriptor DeltaDestination::delta_of(const Descriptor& top) {
    const std::unique_ptr<BlobWriter> writer = inner_->begin_blob();
    writer->write(as_bytes("{}"));
    const BlobIdentity empty = writer->commit();
    ImageManifest manifest;
    manifest.artifact_type = kDeltaArtifactType;
    manifest.config = {.media_type = kEmptyType, .digest = empty.digest, .size = empty.size};
    manifest.layers = files_;
    // Blobs are written side by side; their order must not show.
    std::sort(manifest.layers.begin(), manifest.layers.end(),
              [](const Descriptor& a, const Descriptor& b) { return a.digest < b.digest; });
    manifest.annotations = {{delta_annotation::target, top.digest.text()},
                            {delta_annotation::target_type, top.media_type},
                            {delta_annotation::target_size, std::to_string(top.size)},
                            {delta_annotation::against, base_->top().digest.text()}};
    Descriptor delta = inner_->put_manifest(to_json(manifest), manifest.media_type);
    delta.artifact_type = kDeltaArtifactType;
    return delta;
}

void DeltaDestination::publish(const Descriptor& top) {
    inner_->publish(delta_of(top));
}

void DeltaDestination::publish_together(const Descriptor& top, const std::vector<TaggedImage>& others) {
    std::vector<TaggedImage> deltas;
    deltas.reserve(others.size());
    for (const TaggedImage& other : others)
        deltas.push_back({other.tag, delta_of(other.top)});
    inner_->publish_together(delta_of(top), deltas);
}

bool is_delta(ImageSource& source, const Descriptor& top) {
    return is_manifest(top.media_type) && parse_manifest(source.read_manifest(top)).artifact_type == kDeltaArtifactType;
}

std::optional<Digest> delta_target(ImageSource& source, const Descriptor& top) {
    if (!is_delta(source, top))
        return std::nullopt;
    return Digest::parse(required(parse_manifest(source.read_manifest(top)).annotations, delta_annotation::target));
}

std::unique_ptr<ImageSource> open_delta(std::unique_ptr<ImageSource> source, std::shared_ptr<const DeltaBase> base) {
    return std::make_unique<DeltaSource>(std::move(source), std::move(base));
}

} // namespace vm2oci

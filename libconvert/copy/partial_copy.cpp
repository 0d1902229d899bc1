#include "libconvert/copy/partial_copy.hpp"

#include "formats/base/error.hpp"
#include "formats/base/sha256.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

// Follows one step that is fetched, or taken from the place where the last one ended.
bool continues(const PartialStep& last, const PartialStep& next) {
    if (!last.earlier || !next.earlier)
        return !last.earlier && !next.earlier;
    return last.earlier->layer == next.earlier->layer && last.earlier->offset + last.size == next.earlier->offset;
}

void append(std::vector<PartialStep>& steps, PartialStep step) {
    if (step.size == 0)
        return;
    if (!steps.empty() && continues(steps.back(), step))
        steps.back().size += step.size;
    else
        steps.push_back(std::move(step));
}

// What stands between two fetches and is small is fetched with them: that makes one request of two. What is small and
// stands beside parts that are at hand would cost a request instead, and stays.
std::vector<PartialStep> bridge_gaps(std::vector<PartialStep> steps) {
    std::vector<PartialStep> bridged;
    for (std::size_t i = 0; i < steps.size();) {
        std::size_t end = i; // of the steps that are at hand
        std::uint64_t size = 0;
        for (; end < steps.size() && steps[end].earlier; ++end)
            size += steps[end].size;
        const bool between = i > 0 && end < steps.size();
        for (; i < end; ++i) {
            if (between && size <= kBridgedGap)
                steps[i].earlier.reset();
            append(bridged, std::move(steps[i]));
        }
        if (i < steps.size())
            append(bridged, std::move(steps[i++]));
    }
    return bridged;
}

// Writes the steps; hashes on the way.
class PartialCopier {
  public:
    PartialCopier(const BlockDevice& remote, BlobWriter& writer, const OperationContext& operation)
        : remote_(remote), writer_(writer), operation_(operation) {}

    void copy(const PartialStep& step) {
        const BlockDevice& from = step.earlier ? *step.earlier->layer : remote_;
        const std::uint64_t begin = step.earlier ? step.earlier->offset : step.offset;
        for (std::uint64_t done = 0; done < step.size;) {
            operation_.check_cancelled();
            buffer_.resize(static_cast<std::size_t>(std::min(step.size - done, kLargestFetch)));
            from.read_at(begin + done, buffer_);
            writer_.write(buffer_);
            hash_.update(buffer_);
            operation_.progress->advance(buffer_.size());
            done += buffer_.size();
        }
    }

    Digest finish() { return Digest(hash_.finish()); }

  private:
    const BlockDevice& remote_;
    BlobWriter& writer_;
    const OperationContext& operation_;
    Sha256 hash_;
    std::vector<std::byte> buffer_;
};

} // namespace

std::vector<PartialStep> plan_partial_copy(const std::vector<LayerPart>& parts, std::uint64_t blob_size,
                                           const EarlierParts& earlier) {
    std::vector<PartialStep> steps;
    std::uint64_t end = 0;
    for (const LayerPart& part : parts) {
        append(steps, {end, part.offset - end, std::nullopt});
        append(steps, {part.offset, part.size, earlier.find(part)});
        end = part.offset + part.size;
    }
    append(steps, {end, blob_size - end, std::nullopt});
    return bridge_gaps(std::move(steps));
}

std::optional<std::uint64_t> copy_partially(ImageSource& source, ImageDestination& destination, const Descriptor& blob,
                                            const EarlierParts& earlier, const OperationContext& operation) {
    if (blob.size < kSmallestPartial || earlier.empty())
        return std::nullopt;
    try {
        const std::shared_ptr<const BlockDevice> remote = source.open_parts(blob);
        const std::vector<PartialStep> steps =
            plan_partial_copy(parts_of_layer(*remote, blob.annotations), blob.size, earlier);
        std::uint64_t reused = 0;
        for (const PartialStep& step : steps)
            reused += step.earlier ? step.size : 0;
        if (reused == 0)
            return std::nullopt;
        const std::unique_ptr<BlobWriter> writer = destination.begin_blob(blob);
        PartialCopier copier(*remote, *writer, operation);
        for (const PartialStep& step : steps)
            copier.copy(step);
        if (copier.finish() == blob.digest) {
            writer->commit();
            return reused;
        }
        operation.progress->note("what the earlier version has is not what the tables say: " + blob.digest.text() +
                                 " is fetched whole");
    } catch (const Error& error) {
        // A limit is that of the tables, which fetching it whole needs none of.
        if (error.kind() != ErrorKind::unsupported && error.kind() != ErrorKind::corrupt &&
            error.kind() != ErrorKind::limit)
            throw;
        operation.progress->note("fetching " + blob.digest.text() + " whole: " + error.what());
    }
    return std::nullopt;
}

} // namespace vm2oci

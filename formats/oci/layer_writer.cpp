#include "formats/oci/layer_writer.hpp"

#include "formats/base/error.hpp"

namespace vm2oci {

std::string layer_media_type(Compression compression) {
    switch (compression) {
    case Compression::none:
        return media_type::oci_layer;
    case Compression::gzip:
        return media_type::oci_layer_gzip;
    case Compression::zstd:
        return media_type::oci_layer_zstd;
    case Compression::xz:
        break;
    }
    fail(ErrorKind::usage, "layers are not written in xz, which container runtimes do not read");
}

namespace {

std::unique_ptr<ChunkedRecorder> recorder_for(const LayerOptions& options) {
    if (options.form == LayerForm::plain)
        return nullptr;
    if (options.compression.algorithm != Compression::zstd)
        fail(ErrorKind::usage, "a chunked layer is compressed with zstd, not with " +
                                   std::string(to_string(options.compression.algorithm)));
    return std::make_unique<ChunkedRecorder>();
}

EncoderOptions encoder_options(const LayerOptions& options) {
    return {options.form == LayerForm::chunked ? FrameDigests::compute : FrameDigests::leave_out, options.earlier,
            options.content_digest};
}

} // namespace

LayerWriter::LayerWriter(ImageDestination& destination, const LayerOptions& options, const OperationContext& operation)
    : compression_(options.compression.algorithm), content_digest_(options.content_digest),
      recorder_(recorder_for(options)), blob_(destination.begin_blob()),
      encoder_(options.compression, *blob_, operation, encoder_options(options)) {}

void LayerWriter::entry_begins(const Entry& entry, std::string_view header) {
    if (recorder_)
        recorder_->entry_begins(entry, header);
}

void LayerWriter::write(std::span<const std::byte> bytes) {
    while (recorder_ && !bytes.empty()) {
        const ChunkedRecorder::Step step = recorder_->take(bytes);
        if (step.begins_frame)
            encoder_.end_frame();
        encoder_.write(bytes.first(step.length));
        bytes = bytes.subspan(step.length);
    }
    encoder_.write(bytes);
}

std::span<std::byte> LayerWriter::room() {
    // A recorder may end the frame before what comes next, and then the room is another.
    return recorder_ ? std::span<std::byte>() : encoder_.room();
}

void LayerWriter::end_frame() {
    encoder_.end_frame();
}

void LayerWriter::end_frame_stored() {
    encoder_.end_frame_stored();
}

StoredLayer LayerWriter::finish() {
    EncodedLayer encoded =
        recorder_ ? encoder_.finish([&](const EncodedLayer& content) { return recorder_->make_tail(content); })
                  : encoder_.finish();
    const BlobIdentity blob = blob_->commit();
    Digest diff_id = blob.digest;
    if (content_digest_ == ContentDigest::leave_out)
        diff_id = {};
    else if (encoded.diff_id)
        diff_id = Digest(*encoded.diff_id);
    return {.descriptor = {.media_type = layer_media_type(compression_),
                           .digest = blob.digest,
                           .size = blob.size,
                           .annotations = recorder_ ? recorder_->annotations() : Annotations()},
            .diff_id = std::move(diff_id),
            .content_size = encoded.content_size,
            .frames = std::move(encoded.frames),
            .reused_frames = encoded.reused_frames,
            .index = std::move(encoded.index)};
}

} // namespace vm2oci
